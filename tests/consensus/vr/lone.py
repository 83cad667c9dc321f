"""One replica, spoken to directly, and the list of rules it is held to.

A rule is a function of the class of machine it is tried on: it passes on `Viewstamped`, and fails on every
mutant named beside it.  `test_paper.py` tries them all.  With three replicas n1 leads the views 0, 3, 6, n2
leads 1, 4, 7, and n3 leads 2, 5, 8.
"""
from __future__ import annotations

from collections.abc import Callable

from agreed.consensus.machine import Ballot, Effects
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.vr.invariants import View, check, check_step, view
from agreed.consensus.vr.messages import DoViewChange, Prepare, PrepareOk, StartViewChange
from agreed.consensus.vr.primary import Primary
from agreed.consensus.vr.viewstamped import Viewstamped
from tests.consensus import lone
from tests.consensus.lone import Rules, entries, members_of

Factory = type[Viewstamped]
Rule = Callable[[Factory], None]
RULES: Rules[Factory] = Rules()
rule = RULES.rule


class Dice:
    """Falls in the order of the names, and never twice the same where that is possible."""

    def __init__(self) -> None:
        self._next = 0

    def between(self, low: int, high: int) -> int:
        self._next += 1
        return min(high, low + self._next)


class Lone(lone.Lone[Viewstamped]):
    def __init__(
        self,
        factory: Factory,
        name: str = "n1",
        size: int = 3,
        *,
        view: int = 0,
        settled: int | None = None,
        log: str = "",
        **knobs: object,
    ) -> None:
        self.factory = factory
        self.config = VrConfig(**knobs)  # type: ignore[arg-type]
        self.dice = Dice()
        ballot = Ballot(view, None, view if settled is None else settled)
        super().__init__(name, members_of(size), ballot, entries(log))

    @property
    def vr(self) -> Viewstamped:
        return self.machine

    def make(self) -> Viewstamped:
        return self.factory(
            self.name, self.members, self.ballot, None, self.log, self.config, self.dice, self.now
        )

    def view(self) -> View:
        return view(self.machine)

    def check(self, before: View, effects: Effects) -> None:
        check(self.machine)
        check_step(before, self.machine)

    def leaves_for(self, view: int, companion: str) -> Effects:
        """Nobody is heard, and another one wants that view too."""
        return self.hear(companion, StartViewChange(view, self.vr.view))

    @property
    def primary(self) -> Primary:
        assert isinstance(self.vr.role, Primary)
        return self.vr.role

    def leads(self) -> Lone:
        """Of the next view that is its turn, and both others have its whole log."""
        view = self.vr.view + 1
        while self.vr.primary_of(view) != self.name:
            view += 1
        other = self.vr.others[0]
        self.leaves_for(view, other)
        self.saved()
        self.hear(other, DoViewChange(view, 0, 0, 0, 0, 0, []))
        self.saved()
        for name in self.vr.others:
            self.ok(name)
        assert self.primary.settled
        return self

    def ok(self, source: str, match: int | None = None, *, joined: bool = True) -> Effects:
        match = self.vr.log.last_index if match is None else match
        return self.hear(source, PrepareOk(self.vr.view, self.primary.reads.round, match, joined))


def prepare(view: int, text: str, commit: int = 0, round_number: int = 1) -> Prepare:
    return Prepare(view, commit, round_number, entries(text))


def do_view_change(
    view: int, settled: int, log: str, commit: int = 0, *, carried: int | None = None
) -> DoViewChange:
    """Of a replica with that log; `carried`: how many entries fit."""
    listed = entries(log)
    last = listed[-1]
    commit_term = listed[commit - 1].term if commit else 0
    return DoViewChange(
        view, settled, last.index, last.term, commit, commit_term, listed[commit:][:carried]
    )


def log_of(lone: Lone) -> str:
    log = lone.vr.log
    return " ".join(f"{e.index}@{e.term}" for e in log.between(log.base_index + 1, log.last_index))
