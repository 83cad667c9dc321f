"""The situations that a campaign should get into sometimes, by name: what is never reached is never tested.

`Outcome.marks` counts them, beside one for each kind of fault (`fault: cut`).  A campaign reports those that
no run has reached.
"""
from __future__ import annotations

from agreed.sim.plan import FaultKind

SITUATIONS = (
    # elections and the log
    "leader elected",
    "leader elected with entries not known to be committed",
    "leader stepped down",
    "two leaders, of two terms",
    "truncated suffix",
    "entry of an older term on a majority, and not committed",
    # members
    "joint configuration",
    "joint configuration during a partition",
    "members: MemberAdd",
    "members: MemberPromote",
    "members: MemberRemove",
    "members: MemberReplace",
    # snapshots
    "snapshot written",
    "snapshot installed",
    "snapshot over a log",
    "received snapshot was damaged",
    # processes and disks
    "killed while leading",
    "killed while following",
    "leader paused",
    "power lost everywhere",
    "disk failed while leading",
    "disk failed while following",
    "data directory refused",
    "lost write at the end of the log",
    "torn write cut",
    "rotten snapshot set aside",
    "log void after a snapshot",
    "superfluous log removed at the start",
    "unfinished file removed at the start",
    # the network
    "message lost",
    "message doubled",
    "message replayed",
    "damaged message refused",
    # clients
    "session expired",
    "session moved",
    "session refused",
    "client left a silent server",
    "client timed out",
    "client tried again",
    "lock taken",
    "watch told",
)

REPAIRS = (
    ("cut a write", "torn write cut"),
    ("a snapshot has rotted", "rotten snapshot set aside"),
    ("the log up to", "log void after a snapshot"),
    ("removed log file", "superfluous log removed at the start"),
    ("removed", "unfinished file removed at the start"),
)


def repaired(sentence: str) -> str:
    """The mark for what recovery says that it has repaired."""
    return next((mark for beginning, mark in REPAIRS if sentence.startswith(beginning)), "repaired")


MARKS = (*SITUATIONS, *(f"fault: {kind.value}" for kind in FaultKind))
