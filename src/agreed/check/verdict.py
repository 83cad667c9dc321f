"""What a checker answers: it holds, it is violated, or it is not known; and in each case why.

A verdict can be checked without trusting the checker: the witness is an order that anybody can replay, and
what is violated comes with a small piece of the history that cannot be on its own.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

import msgspec


class Outcome(Enum):
    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
    """A bound was reached first.  Never to be taken for HOLDS."""


class Witness(msgspec.Struct, frozen=True):
    """Operations (by `Operation.index`) in an order that explains the history; for one object (`key`) where
    objects are independent.  Operations that are left out did not happen."""

    key: object
    order: Sequence[int]
    states: Sequence[str] = ()
    """The state after each of them, as text, where there is one."""


class Dependency(msgspec.Struct, frozen=True):
    """One side of a circle: operation `before` comes before `after` in any order that explains both.

    `kind` says why: "ww" (its write was overwritten), "wr" (its write was read), "rw" (it read what was then
    overwritten), "process" (one client, in this order), "realtime" (the one returned before the other was
    called); `key` says of which object, where it is of one."""

    before: int
    after: int
    kind: str
    key: object = None


class Finding(msgspec.Struct, frozen=True):
    """One thing that cannot be.  `operations` is the smallest piece found that shows it, in the order in
    which it is to be read; `steps` says what is wrong, one sentence each."""

    name: str
    """Of the anomaly, as the literature calls it: "not linearizable", "G1c", "WriteCORead", "gap" ..."""
    operations: Sequence[int]
    steps: Sequence[str]
    key: object = None
    attempts: Sequence[Witness] = ()
    """How far an explanation gets (the longest partial orders), for drawing."""
    cycle: Sequence[Dependency] = ()
    """Of an anomaly that is a circle: its sides in order, each beginning where the one before ends."""
    culprit: int | None = None
    """Of what is not linearizable: the first operation that cannot be placed."""
    whatever_before: bool = False
    """Whether the piece cannot be in whatever state it begins; else it begins with the history."""


class Verdict(msgspec.Struct, frozen=True):
    """`judged` names what was asked ("linearizable cas-register", "causal (CM)", "snapshot-isolation")."""

    judged: str
    outcome: Outcome
    reason: str = ""
    """In one sentence; of UNKNOWN: which bound."""
    witnesses: Sequence[Witness] = ()
    findings: Sequence[Finding] = ()
    ruled_out: Sequence[str] = ()
    """Of transactions: the weakest models that this history is not."""
    also_ruled_out: Sequence[str] = ()
    steps: int = 0
    """How many model steps or graph edges it took."""

    @property
    def holds(self) -> bool:
        return self.outcome is Outcome.HOLDS


class Budget(msgspec.Struct):
    """The bounds of a search.  `clock` returns seconds and is asked now and then; None: time is not bounded.

    Memory is bounded by counting what a search keeps (`states`), about 400 bytes each."""

    seconds: float | None = None
    clock: Callable[[], float] | None = None
    states: int = 2_500_000
    steps: int | None = None
    """Of the model or the graph; None: not bounded.  Unlike time, it gives the same verdict everywhere."""
