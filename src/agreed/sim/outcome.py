"""What came of a run, and how it says that something broke."""
from __future__ import annotations

import msgspec

from agreed.check.history import History
from agreed.sim.plan import Plan
from agreed.sim.trace import Line


class Broken(AssertionError):
    """Something that must hold does not.  `kind` in a few words, the same for all failures of that kind."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class Outcome(msgspec.Struct, frozen=True):
    """`failure` None: all that must hold did, and the cluster came to rest after the storm."""

    seed: int
    profile: str
    plan: Plan
    failure: str | None
    """Its kind in a few words."""
    message: str
    """One sentence on what was seen, or on what was played."""
    trace_hash: str
    """SHA-256 of every event in order, hexadecimal."""
    events: int
    simulated_ms: int
    marks: dict[str, int]
    """Situations that only some runs get into, and how often this one did (`marks.MARKS`)."""
    table: list[tuple[str, str, str, int]]
    """(role, message, outcome, how often): what nodes did with what they were told."""
    history: History
    """All that clients asked and were told."""
    transcript: tuple[Line, ...] = ()
    """The story of the run, where it was asked for."""

    @property
    def clean(self) -> bool:
        return self.failure is None
