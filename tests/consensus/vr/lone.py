"""One replica, spoken to directly, and the list of rules it is held to.

A rule is a function of the class of machine it is tried on: it passes on `Viewstamped`, and fails on every
mutant named beside it.  `test_paper.py` tries them all.  With three replicas n1 leads the views 0, 3, 6, n2
leads 1, 4, 7, and n3 leads 2, 5, 8.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agreed.consensus.machine import Ballot, Effects, Entry, EntryKind, Event, Received, Saved, TimePassed
from agreed.consensus.members import Member, Members
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.vr.invariants import check, check_step, view
from agreed.consensus.vr.messages import DoViewChange, Prepare, PrepareOk, StartViewChange
from agreed.consensus.vr.primary import Primary
from agreed.consensus.vr.viewstamped import Viewstamped

Factory = type[Viewstamped]
Rule = Callable[[Factory], None]
RULES: list[tuple[Rule, tuple[Factory, ...]]] = []
Kind = TypeVar("Kind")


def rule(*killing: Factory) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.append((function, killing))
        return function

    return register


class Dice:
    """Falls in the order of the names, and never twice the same where that is possible."""

    def __init__(self) -> None:
        self._next = 0

    def between(self, low: int, high: int) -> int:
        self._next += 1
        return min(high, low + self._next)


def members_of(size: int) -> Members:
    return Members(tuple(Member(f"n{i}", i, f"n{i}:1") for i in range(1, size + 1)))


class Lone:
    """One machine, spoken to directly; its disk answers when told to."""

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
        self.factory, self.name, self.now = factory, name, 0
        self.members = members_of(size)
        self.config = VrConfig(**knobs)  # type: ignore[arg-type]
        self.ballot = Ballot(view, None, view if settled is None else settled)
        self.log = entries(log)
        self.pending: list[int] = []
        self.saves: dict[int, Effects] = {}
        self.dice = Dice()
        self.start()

    def start(self) -> None:
        self.vr = self.factory(
            self.name, self.members, self.ballot, None, self.log, self.config, self.dice, self.now
        )

    def do(self, *events: Event) -> Effects:
        before = view(self.vr)
        for event in events:
            self.vr.step(event)
        effects = self.vr.take()
        check(self.vr)
        check_step(before, self.vr)
        if effects.save is not None:
            self.pending.append(effects.save.serial)
            self.saves[effects.save.serial] = effects
        return effects

    def hear(self, source: str, *messages: object) -> Effects:
        return self.do(*(Received(source, message) for message in messages))

    def saved(self) -> Effects:
        """The disk is done with everything."""
        told = Effects()
        while self.pending:
            serial = self.pending.pop(0)
            save = self.saves[serial].save
            assert save is not None
            self.ballot = save.ballot
            if save.entries:
                self.log = [e for e in self.log if e.index < save.entries[0].index] + save.entries
            effects = self.do(Saved(serial))
            told.send += effects.send
            told.commit += effects.commit
            told.reads += effects.reads
        return told

    def restart(self) -> None:
        """Crash: what was not saved is gone."""
        self.pending.clear()
        self.start()

    def time(self, passed_ms: int) -> Effects:
        self.now += passed_ms
        return self.do(TimePassed(self.now))

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


def entries(text: str) -> list[Entry]:
    """`"1@1 2@1"` -> two entries, whose payloads tell them apart."""
    pairs = [tuple(map(int, word.split("@"))) for word in text.split()]
    return [Entry(index, term, EntryKind.PAYLOAD, f"{index}@{term}".encode()) for index, term in pairs]


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


def told(effects: Effects, kind: type[Kind]) -> list[Kind]:
    return [send.message for send in effects.send if isinstance(send.message, kind)]


def log_of(lone: Lone) -> str:
    log = lone.vr.log
    return " ".join(f"{e.index}@{e.term}" for e in log.between(log.base_index + 1, log.last_index))
