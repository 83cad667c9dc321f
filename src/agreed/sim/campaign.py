"""Many seeds: which are played, in which order their results count, and what they come to.

A campaign is a list of jobs (a profile and a seed), of any length, and the account of their results.  Whoever
plays them (processes of this machine, a cluster of Dask, a loop in a test) asks for the next job and hands
back what came of it, in any order; results are *counted in the order of the jobs*.  So what a campaign says
depends on its seeds alone, and not on how many workers there were or which of them was faster: the same first
failure, the same coverage, the same hash.

A campaign ends when its jobs are played, when it is told to (its time is over), or with the failure after
which it was to stop.  Results of later jobs that were played meanwhile are dropped.

It does not play anything, and knows neither processes nor clocks.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from agreed.sim.coverage import Coverage

WORKER_DIED = "worker died"
"""The kind of failure of a seed that took its process with it (a signal, no memory left)."""

DID_NOT_END = "did not end"
"""The kind of failure of a seed that was played longer than any may."""


class Job(NamedTuple):
    """One run: together they say everything about it."""

    profile: str
    seed: int

    @property
    def command(self) -> str:
        """The line that plays it again."""
        return f"agreed simulate --seed {self.seed} --profile {self.profile}"


class Played(msgspec.Struct, frozen=True):
    """What came of one job; small, plain, and the same wherever it was played (but for `seconds`)."""

    profile: str
    seed: int
    failure: str | None
    """Its kind in a few words, None if all went well."""
    message: str
    """One line on what was seen."""
    trace_hash: str
    """Of every event, in hexadecimal."""
    events: int
    simulated_ms: int
    marks: dict[str, int]
    """What was reached, and how often."""
    table: list[tuple[str, str, str, int]]
    """(role, message, outcome, how often)."""
    seconds: float = 0.0
    """How long it took whoever played it; processor time, so that it says how fast the simulator is."""

    @property
    def job(self) -> Job:
        return Job(self.profile, self.seed)


def lost(job: Job, failure: str, message: str) -> Played:
    """In place of a result that will never come."""
    return Played(job.profile, job.seed, failure, message, "", 0, 0, {}, [])


def jobs(seeds: Iterable[int], profiles: Iterable[str]) -> Iterator[Job]:
    """Each seed in each profile, seed by seed, so that a campaign that is cut short has treated all alike."""
    each = tuple(profiles)
    for seed in seeds:
        for profile in each:
            yield Job(profile, seed)


class Totals(msgspec.Struct):
    """What the results that count come to."""

    runs: int = 0
    failures: int = 0
    events: int = 0
    simulated_ms: int = 0
    busy_seconds: float = 0.0
    """Processor time of all workers; events per second *of one core* are `events / busy_seconds`."""

    @property
    def events_per_second_per_core(self) -> float:
        return self.events / self.busy_seconds if self.busy_seconds else 0.0


class Campaign:
    """Hands out jobs (`next_job`), takes results (`take`), and counts them in the order of the jobs.

    `failures_most`: with so many failures it ends, None: it plays all.  `marks` are those there are.
    """

    def __init__(
        self, planned: Iterable[Job], *, failures_most: int | None = 1, marks: Iterable[str] = ()
    ) -> None:
        assert failures_most is None or failures_most > 0
        self._planned = iter(planned)
        self._failures_most = failures_most
        self._handed_out = 0
        self._number: dict[Job, int] = {}
        self._waiting: dict[int, Played] = {}
        self._counted = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._no_more_jobs = False
        self.totals = Totals()
        self.by_profile: dict[str, Totals] = {}
        self.coverage = Coverage(marks)
        self.failed: list[Played] = []

    def next_job(self) -> Job | None:
        """The next one to play; None: there is none (any more)."""
        if self._no_more_jobs:
            return None
        job = next(self._planned, None)
        if job is None:
            self._no_more_jobs = True
            return None
        assert job not in self._number, f"{job} is already under way"
        self._number[job] = self._handed_out
        self._handed_out += 1
        return job

    def stop(self) -> None:
        """Hand out nothing more; what is under way still counts."""
        self._no_more_jobs = True

    @property
    def over(self) -> bool:
        """Nothing is under way, or nothing that is would count."""
        return self._enough or (self._no_more_jobs and self._counted == self._handed_out)

    @property
    def _enough(self) -> bool:
        return self._failures_most is not None and len(self.failed) >= self._failures_most

    def take(self, played: Played) -> list[Played]:
        """Returns the results that count from now on, in order: none, this one, or those behind it, too."""
        number = self._number.pop(played.job)
        self._waiting[number] = played
        counted = []
        while not self._enough and self._counted in self._waiting:
            result = self._waiting.pop(self._counted)
            self._counted += 1
            self._count(result)
            counted.append(result)
        if self._failures_most is not None:
            # Whatever would be handed out now comes behind them, and would not count.
            known = len(self.failed) + sum(each.failure is not None for each in self._waiting.values())
            self._no_more_jobs = self._no_more_jobs or known >= self._failures_most
        return counted

    def _count(self, played: Played) -> None:
        for totals in (self.totals, self.by_profile.setdefault(played.profile, Totals())):
            totals.runs += 1
            totals.failures += played.failure is not None
            totals.events += played.events
            totals.simulated_ms += played.simulated_ms
            totals.busy_seconds += played.seconds
        line = f"{played.profile} {played.seed} {played.trace_hash} {played.failure}\n"
        self._hash.update(line.encode())
        self.coverage.add(played.job, played.marks, played.table)
        if played.failure is not None:
            self.failed.append(played)

    @property
    def trace_hash(self) -> str:
        """Of the traces of all results that count.  Two campaigns over the same seeds have the same one, on
        any machine: one line to compare instead of one for each seed."""
        return self._hash.hexdigest()
