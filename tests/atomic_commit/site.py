"""One node of an atomic commit: its machine of this life, its disk, and what becomes of its resource."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from agreed.atomic_commit.invariants import Witness
from agreed.atomic_commit.messages import (
    Committed,
    Decision,
    Effects,
    Ended,
    Event,
    Finished,
    Outcome,
    Prepared,
    Record,
    Save,
    Vote,
    Voted,
    Worked,
)
from agreed.consensus.machine import Saved, Send, TimePassed


class AtomicMachine(Protocol):
    wake: int | None

    @property
    def unfinished(self) -> list[str]: ...

    def step(self, event: Event) -> None: ...

    def take(self) -> Effects: ...


Made = Callable[[str, Sequence[Record], int], AtomicMachine]


class Site:
    """`made(name, records, now)` makes the machine of a life."""

    def __init__(self, name: str, made: Made, witness: Witness) -> None:
        self.name, self.made, self.witness = name, made, witness
        self.records: list[Record] = []
        self.pending: list[Save] = []
        self.life = 0
        self.up = False
        self.machine: AtomicMachine
        self.outcomes: list[Outcome] = []
        self.now = 0

    def start(self, now: int) -> list[Send]:
        self.life += 1
        self.up = True
        self.now = now
        self.throw_away()
        self.machine = self.made(self.name, self.records, now)
        return self.take()

    def throw_away(self) -> None:
        """The records that nobody needs, as we are allowed to."""
        done = {
            record.transaction
            for record in self.records
            if isinstance(record, Ended) or (isinstance(record, Finished) and record.alone is None)
        }
        self.records = [record for record in self.records if record.transaction not in done]

    def crash(self, dice: Random) -> None:
        """Of the saves under way a part may have reached the disk.  What a resource has done and not prepared
        is rolled back, whatever was said about it."""
        if not self.up:
            return
        self.up = False
        self.life += 1
        self.records += [save.record for save in self.pending[: dice.randint(0, len(self.pending))]]
        self.pending = []
        durable = {each.transaction for each in self.records if not isinstance(each, Committed)}
        for transaction, seen in self.witness.seen.items():
            could = seen.could.get(self.name, Vote.READ_ONLY)
            if could != Vote.READ_ONLY and self.name not in seen.decided and transaction not in durable:
                self.witness.decided(transaction, self.name, Decision.ABORT)

    def saved(self) -> list[Send]:
        """The oldest save is durable."""
        if not self.pending:
            return []
        save = self.pending.pop(0)
        self.records.append(save.record)
        return self.step(Saved(save.serial))

    def time_passes(self, now: int) -> list[Send]:
        self.now = now
        due = self.up and self.machine.wake is not None and self.machine.wake <= now
        return self.step(TimePassed(now)) if due else []

    def step(self, event: Event) -> list[Send]:
        """What it sends."""
        if isinstance(event, Worked):
            self.witness.worked(event.transaction, self.name, event.vote)
        self.machine.step(TimePassed(self.now))
        self.machine.step(event)
        return self.take()

    def take(self) -> list[Send]:
        effects = self.machine.take()
        self.pending += effects.saves
        for send in effects.send:
            if isinstance(send.message, Voted):
                self.witness.voted(send.message.transaction, self.name, send.message.vote)
        for finish in effects.finish:
            if finish.decision is not None:
                self.witness.decided(finish.transaction, self.name, finish.decision)
        for outcome in effects.outcomes:
            self.outcomes.append(outcome)
            self.witness.decided(outcome.transaction, self.name, outcome.decision)
        return effects.send

    def holds(self, transaction: str) -> bool:
        """Whether it has voted yes for good."""
        return any(isinstance(each, Prepared) and each.transaction == transaction for each in self.records)
