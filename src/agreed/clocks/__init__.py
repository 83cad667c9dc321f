"""Clocks and causality: time as values, without any clock.

    order       before, after, equal, concurrent: what happens-before is
    lamport     one number: orders all events, and does not tell concurrent from caused
    version     a number for each node: version vectors
    vector      version vectors on events and messages: tells exactly what happened before what
    dotted      a write and what it knew: values that were written concurrently
    encoding    version vectors, and siblings, as bytes
    hybrid      a number that stays close to the time of day: hybrid logical clocks
    cluster     the time that a leader stamps into the log

Each file says which theorem its clock satisfies, and which converse fails.  Everything is a frozen value: a
clock that moves is another value, and what was refused has changed nothing.
"""
from __future__ import annotations

from agreed.clocks.dotted import Dot, Sibling, Siblings
from agreed.clocks.hybrid import HybridClock, HybridTime
from agreed.clocks.lamport import LamportTime
from agreed.clocks.order import Causality
from agreed.clocks.vector import VectorClock, deliverable
from agreed.clocks.version import VersionVector, concurrent, happens_before

__all__ = [
    "Causality",
    "Dot",
    "HybridClock",
    "HybridTime",
    "LamportTime",
    "Sibling",
    "Siblings",
    "VectorClock",
    "VersionVector",
    "concurrent",
    "deliverable",
    "happens_before",
]
