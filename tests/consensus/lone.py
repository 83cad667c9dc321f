"""One machine of any protocol, spoken to directly: what `lone.py` of each protocol stands on.

The disk answers when told to (`saved`), so that what leaves before it can be looked at; a crash (`restart`)
leaves what it holds.  After each event the protocol's invariants are checked.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import ModuleType
from typing import Any, Generic, TypeVar

import pytest

from agreed.consensus.machine import (
    Ballot,
    Effects,
    Entry,
    EntryKind,
    Event,
    Machine,
    Received,
    Save,
    Saved,
    TimePassed,
)
from agreed.consensus.members import Member, Members

AnyMachine = TypeVar("AnyMachine", bound=Machine)
Message = TypeVar("Message")
Factory = TypeVar("Factory")


class Rules(Generic[Factory]):
    """A rule is a function of the class of machine it is tried on: it passes on the right one, and fails on
    every mutant named beside it.  `test_paper.py` of each protocol tries them all."""

    def __init__(self) -> None:
        self.all: list[tuple[Callable[[Factory], None], tuple[Factory, ...]]] = []

    def rule(
        self, *killing: Factory
    ) -> Callable[[Callable[[Factory], None]], Callable[[Factory], None]]:
        def register(function: Callable[[Factory], None]) -> Callable[[Factory], None]:
            self.all.append((function, killing))
            return function

        return register

    @property
    def each(self) -> pytest.MarkDecorator:
        """A test for each rule, as `rule`."""
        return pytest.mark.parametrize("rule", [rule for rule, _ in self.all], ids=lambda rule: rule.__name__)

    @property
    def each_mutant(self) -> pytest.MarkDecorator:
        """A test for each `rule` and each `mutant` that it catches."""
        pairs = [(rule, mutant) for rule, killing in self.all for mutant in killing]
        return pytest.mark.parametrize(("rule", "mutant"), pairs, ids=lambda value: value.__name__)

    @property
    def caught(self) -> set[Factory]:
        return {mutant for _, killing in self.all for mutant in killing}

    @property
    def modules(self) -> set[str]:
        """In which there are rules."""
        return {rule.__module__ for rule, _ in self.all}


def assert_caught(rule: Callable[[Factory], None], mutant: Factory) -> None:
    with pytest.raises((AssertionError, ValueError)):  # ValueError: more or fewer effects than unpacked
        rule(mutant)


def mutants_in(module: ModuleType, right: type[AnyMachine]) -> set[type[AnyMachine]]:
    """All that stand in this module: whatever is a kind of the right one."""
    kinds = {value for value in vars(module).values() if isinstance(value, type) and issubclass(value, right)}
    return kinds - {right}


class Lone(ABC, Generic[AnyMachine]):
    machine: AnyMachine

    def __init__(self, name: str, members: Members, ballot: Ballot, log: list[Entry]) -> None:
        self.name, self.members, self.now = name, members, 0
        self.ballot, self.log = ballot, log
        """What the disk holds."""
        self.pending: list[int] = []
        """Saves of which the disk has not said that they are done, by serial."""
        self.saves: dict[int, Save] = {}
        self.start()

    @abstractmethod
    def make(self) -> AnyMachine:
        """As it starts on what the disk holds."""

    @abstractmethod
    def view(self) -> Any:
        """What the invariants compare with, before an event."""

    @abstractmethod
    def check(self, before: Any, effects: Effects) -> None:
        """The invariants, after it."""

    def start(self) -> None:
        self.machine = self.make()

    def do(self, *events: Event) -> Effects:
        before = self.view()
        for event in events:
            self.machine.step(event)
        effects = self.machine.take()
        self.check(before, effects)
        if effects.save is not None:
            self.pending.append(effects.save.serial)
            self.saves[effects.save.serial] = effects.save
        return effects

    def hear(self, source: str, *messages: object) -> Effects:
        return self.do(*(Received(source, message) for message in messages))

    def saved(self) -> Effects:
        """The disk is done with everything."""
        told = Effects()
        while self.pending:
            serial = self.pending.pop(0)
            self.write(self.saves[serial])
            effects = self.do(Saved(serial))
            told.send += effects.send
            told.commit += effects.commit
            told.reads += effects.reads
            told.answers += effects.answers
            told.save_chunks += effects.save_chunks
        return told

    def write(self, save: Save) -> None:
        self.ballot = save.ballot
        if save.entries:
            first = save.entries[0].index
            self.log = [entry for entry in self.log if entry.index < first] + save.entries

    def restart(self) -> None:
        """Crash: what was not saved is gone."""
        self.pending.clear()
        self.start()

    def time(self, passed_ms: int) -> Effects:
        self.now += passed_ms
        return self.do(TimePassed(self.now))


class LowDice:
    def between(self, low: int, high: int) -> int:
        return low


def members_of(size: int) -> Members:
    """n1, n2, ..., all voters."""
    return Members(tuple(Member(f"n{number}", number, f"n{number}:1") for number in range(1, size + 1)))


def entries(text: str) -> list[Entry]:
    """`"1@1 2@1"` -> two entries (index@term), whose payloads tell them apart."""
    pairs = [tuple(map(int, word.split("@"))) for word in text.split()]
    return [Entry(index, term, EntryKind.PAYLOAD, f"{index}@{term}".encode()) for index, term in pairs]


def told(effects: Effects, kind: type[Message], target: str | None = None) -> list[Message]:
    """The messages of this kind that left, to this target if one is named."""
    return [
        send.message
        for send in effects.send
        if isinstance(send.message, kind) and target in (None, send.target)
    ]
