"""What is said of a run, of one recipe after the other; and of several runs together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from agreed.check.verdict import Outcome
from agreed.torture.users.judging import Written
from agreed.torture.users.run import Report

MOST_FINDINGS = 10
MOST_LINES = 30


def lines(report: Report) -> Iterator[str]:
    yield f"faults: {report.played.total()}: {_counted(report.played)}"
    for recipe, written in report.written.items():
        yield f"{recipe}: {_in_short(written)}"
        for verdict in report.verdicts.get(recipe, ()):
            yield f"    {verdict.judged}: {verdict.outcome.value} ({verdict.reason})"
            for finding in verdict.findings[:MOST_FINDINGS]:
                yield f"        {finding.name}: {'; '.join(finding.steps)}"
        if written.failures:
            yield f"    attempts that failed: {_counted(written.failures)}"
    for sentence in report.weaker:
        yield f"not promised here, and found: {sentence}"
    for problem in report.problems:
        yield "problem: " + "\n    ".join(problem.splitlines()[:MOST_LINES])
    if report.violated:
        yield "VIOLATED"
    else:
        yield "everything holds" if report.holds else "UNKNOWN"


def _in_short(written: Written) -> str:
    refused = sum(1 for each in written.accesses if not each.accepted)
    return (
        f"{len(written.tenures)} grants, {len(written.accesses)} accesses, {refused} refused by the fence,"
        f" {written.lost} grants lost"
    )


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(counter.items())) or "none"


@dataclass
class Tally:
    """Several runs, each on a service of its own."""

    faults: dict[str, Counter[str]] = field(default_factory=dict)
    """By recipe, how many on which service."""
    grants: Counter[str] = field(default_factory=Counter)
    accesses: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[Outcome] = field(default_factory=Counter)
    seconds: float = 0.0
    violated: bool = False
    holds: bool = True

    def add(self, report: Report) -> None:
        self.seconds += report.seconds
        for recipe, written in report.written.items():
            self.faults.setdefault(recipe, Counter())[report.name] += report.played.total()
            self.grants[recipe] += len(written.tenures)
            self.accesses[recipe] += len(written.accesses)
            self.refused[recipe] += sum(1 for each in written.accesses if not each.accepted)
            self.verdicts.update(verdict.outcome for verdict in report.verdicts.get(recipe, ()))
        self.violated = self.violated or report.violated
        self.holds = self.holds and report.holds

    def lines(self) -> Iterator[str]:
        yield f"{self.seconds / 60:.1f} minutes of work in all"
        for recipe, faults in self.faults.items():
            yield (
                f"{recipe}: {faults.total()} faults ({_counted(faults)}), {self.grants[recipe]} grants,"
                f" {self.accesses[recipe]} accesses, {self.refused[recipe]} refused by the fence"
            )
        outcomes = ", ".join(f"{self.verdicts[outcome]} {outcome.value}" for outcome in Outcome)
        yield f"verdicts: {self.verdicts.total()}: {outcomes}"
