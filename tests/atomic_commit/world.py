"""Coordinators, participants and their disks in one thread; every run is its seed.

Messages are lost, doubled, and overtake each other; nodes are cut off, crash, and come back with what was
durable.  At the end all faults end, and then everybody must decide.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from agreed.atomic_commit.coordinator import Coordinator
from agreed.atomic_commit.invariants import InvariantBroken, Witness
from agreed.atomic_commit.messages import Begun, Record, Vote, Worked
from agreed.atomic_commit.participant import Participant
from agreed.consensus.machine import Received, Send
from tests.atomic_commit.site import Site
from tests.ordering.links import Links

COORDINATORS = ("c1", "c2")
PARTICIPANTS = ("p1", "p2", "p3", "p4")
STEP_MS = 5
VOTES = (Vote.YES,) * 8 + (Vote.NO, Vote.READ_ONLY, Vote.READ_ONLY)


class World:
    def __init__(
        self,
        seed: int,
        coordinator: Callable[..., Coordinator] = Coordinator,
        participant: Callable[..., Participant] = Participant,
        faults: bool = True,
    ) -> None:
        self.dice = Random(f"atomic {seed}")
        self.faults = faults
        self.now = 0
        self.witness = Witness()
        self.begun = 0
        self.revivals: list[tuple[int, str]] = []
        self.links = Links(
            self.dice,
            doubled=self.dice.choice((0.0, 0.1, 0.3)) if faults else 0.1,
            lost=self.dice.choice((0.0, 0.1, 0.3)) if faults else 0.0,
        )
        self.crashing = self.dice.choice((0.0, 0.02, 0.08)) if faults else 0.0
        self.disk = self.dice.choice((0.05, 0.4, 1.0))
        """How likely the oldest save of a node is durable after a step."""
        vote_ms, work_ms, patience_ms = (150, 250, 40) if faults else (100_000, 100_000, 100_000)

        def coordinates(name: str, records: Sequence[Record], now: int) -> Coordinator:
            return coordinator(name, records, now, vote_ms=vote_ms, retry_ms=40)

        def takes_part(name: str, records: Sequence[Record], now: int) -> Participant:
            return participant(
                name,
                records,
                now,
                work_ms=work_ms,
                patience_ms=patience_ms,
                retry_ms=40,
                remembered=3 if faults else 1000,
            )

        self.sites = {name: Site(name, coordinates, self.witness) for name in COORDINATORS}
        self.sites |= {name: Site(name, takes_part, self.witness) for name in PARTICIPANTS}
        for name in self.sites:
            self.start(name)

    # --- what happens ---------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        if not self.sites[name].up:
            self.links.put(name, self.sites[name].start(self.now))

    def crash(self, name: str) -> None:
        self.sites[name].crash(self.dice)
        self.links.crash(name)

    def begin(self, coordinator: str, work: dict[str, Vote]) -> str:
        """Everybody does its part, if it is there; then the client asks for the commit."""
        self.begun += 1
        transaction = f"t{self.begun}"
        for name, vote in work.items():
            if self.sites[name].up:
                self.put(name, self.sites[name].step(Worked(transaction, vote)))
        self.witness.begun(transaction, tuple(work))
        if self.sites[coordinator].up:
            self.put(coordinator, self.sites[coordinator].step(Begun(transaction, tuple(work))))
        return transaction

    def put(self, name: str, sends: Iterable[Send]) -> None:
        self.links.put(name, sends)

    def arrive(self) -> bool:
        letter = self.links.take()
        if letter is not None and self.sites[letter.target].up:
            site = self.sites[letter.target]
            self.put(site.name, site.step(Received(letter.source, letter.message)))
        return letter is not None

    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds
        for name, site in self.sites.items():
            self.put(name, site.time_passes(self.now))

    # --- a run ----------------------------------------------------------------------------------------

    def run(self, steps: int = 300) -> World:
        for _ in range(steps):
            self.time_passes(STEP_MS)
            self.mischief()
            if self.dice.random() < 0.15:
                self.begin_something()
            for name, site in self.sites.items():
                if site.up and self.dice.random() < self.disk:
                    self.put(name, site.saved())
            for _ in range(3):
                self.arrive()
        self.calm()
        return self

    def begin_something(self) -> None:
        chosen = self.dice.sample(PARTICIPANTS, self.dice.choice((1, 2, 2, 3)))
        self.begin(self.dice.choice(COORDINATORS), {name: self.dice.choice(VOTES) for name in chosen})

    def mischief(self) -> None:
        if not self.faults:
            return
        if self.dice.random() < self.crashing:
            saving = [name for name, site in self.sites.items() if site.pending]
            name = self.dice.choice(saving if saving and self.dice.random() < 0.5 else list(self.sites))
            self.crash(name)
            self.revivals.append((self.now + self.dice.choice((20, 100, 400)), name))
        for at, name in self.revivals:
            if at <= self.now:
                self.start(name)
        self.revivals = [(at, name) for at, name in self.revivals if at > self.now]
        if self.dice.random() < 0.03:
            cut = self.dice.random() < 0.4
            self.links.cut_off = {self.dice.choice(list(self.sites))} if cut else set()

    def calm(self) -> None:
        """All faults end."""
        self.links.cut_off, self.links.lost, self.links.doubled, self.links.calm = set(), 0.0, 0.0, True
        for name in self.sites:
            self.start(name)
        for _ in range(40):
            self.settle()
            self.time_passes(45)

    def settle(self) -> None:
        """Everything arrives and is saved, for those that are there."""
        busy = True
        while busy:
            busy = self.arrive()
            for name, site in self.sites.items():
                if site.up and site.pending:
                    self.put(name, site.saved())
                    busy = True

    def check(self) -> None:
        """What must be true at the end."""
        self.witness.check_termination()
        for name, site in self.sites.items():
            if site.machine.unfinished:
                raise InvariantBroken(f"AC5: {name} is not finished with {site.machine.unfinished}")
        if not self.faults:
            self.witness.check_non_triviality()
