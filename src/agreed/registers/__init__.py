"""One register on several nodes, in three ways that are not consensus: to be looked at, not to be used.

    machine        what is asked and answered; the shape of all of them
    multileader    every node answers at once, and they agree in the end
    quorum         r + w > n and read repair: nearly linearizable
    abd            ... and what is missing: linearizable, but for reads and writes only

The judge finds histories of the first two that are not linearizable, and none of the third
(docs/clocks.md).  A register that can be written depending on its value needs consensus; that is what the
server is built on.
"""
from __future__ import annotations

from agreed.registers.abd import AbdRegister
from agreed.registers.machine import Answered, Asked, Effects, Read, Write
from agreed.registers.multileader import MultiLeaderRegister
from agreed.registers.quorum import QuorumRegister

__all__ = [
    "AbdRegister",
    "Answered",
    "Asked",
    "Effects",
    "MultiLeaderRegister",
    "QuorumRegister",
    "Read",
    "Write",
]
