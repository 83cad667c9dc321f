"""Atomic commit: a transaction on several nodes happens on all of them or on none.

    messages       what is said, written down and done; the shape of all of them
    machine        what the machines have in common
    voting         who has voted, and what follows
    participant    one of those that do the work, for both forms
    coordinator    two-phase commit with presumed abort: blocks while the coordinator is away
    replicated     the decision is an entry of a replicated log: does not block while a majority is there
    invariants     AC1 to AC5, and a witness who checks them

They are machines as those of `consensus`: events in, effects out, no clock, no dice.
"""
from __future__ import annotations

from agreed.atomic_commit.coordinator import Coordinator
from agreed.atomic_commit.invariants import InvariantBroken, Witness
from agreed.atomic_commit.messages import (
    Agreed,
    Begun,
    Decision,
    Effects,
    Finish,
    Outcome,
    Record,
    Save,
    TransactionId,
    Vote,
    Worked,
)
from agreed.atomic_commit.participant import Participant
from agreed.atomic_commit.replicated import DecisionLog, Proposal, ReplicatedCoordinator

__all__ = [
    "Agreed",
    "Begun",
    "Coordinator",
    "Decision",
    "DecisionLog",
    "Effects",
    "Finish",
    "InvariantBroken",
    "Outcome",
    "Participant",
    "Proposal",
    "Record",
    "ReplicatedCoordinator",
    "Save",
    "TransactionId",
    "Vote",
    "Witness",
    "Worked",
]
