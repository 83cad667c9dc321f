"""How a campaign is watched while it plays, and what is said when it is over.

On a terminal a few lines are redrawn in place; anywhere else (a log, a build server) a line is written every
`LINE_SECONDS`.  Both go to standard error, the report to standard output, so that `--json` stays clean.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Final

import click
import msgspec

from agreed.cli.live import Live
from agreed.cli.status import span
from agreed.sim.campaign import Campaign, Played, Totals
from agreed.sim.coverage import CoverageReport

LINE_SECONDS = 10.0

BAR_COLUMNS: Final = 60


class Files(msgspec.Struct, frozen=True):
    """Where the story of a failure lies."""

    plan: str
    transcript: str
    diagram: str


class FailedRun(msgspec.Struct, frozen=True):
    """One failure in the report: what, and how to see it again."""

    profile: str
    seed: int
    kind: str
    message: str
    command: str
    files: Files | None = None
    """Where its story lies, if it was made small."""


class ProfileReport(msgspec.Struct, frozen=True):
    """The runs of one profile."""

    profile: str
    runs: int
    failures: int
    events: int
    simulated_ms: int
    events_per_second_per_core: float


class Report(msgspec.Struct, frozen=True):
    """A campaign for programs (`--json`)."""

    code: str
    """Hash of the simulated code."""
    trace_hash: str
    """Of all traces, in the order of the seeds."""
    first_seed: int
    runs: int
    failures: list[FailedRun]
    seconds: float
    """Of the wall clock."""
    workers: int
    seeds_per_second: float
    events_per_second_per_core: float
    simulated_ms: int
    profiles: list[ProfileReport]
    coverage: CoverageReport


def failed_run(played: Played) -> FailedRun:
    return FailedRun(played.profile, played.seed, played.failure or "", played.message, played.job.command)


def report(campaign: Campaign, code: str, first_seed: int, seconds: float, workers: int) -> Report:
    """What came of it."""
    totals = campaign.totals
    return Report(
        code,
        campaign.trace_hash,
        first_seed,
        totals.runs,
        [failed_run(played) for played in campaign.failed],
        round(seconds, 3),
        workers,
        round(totals.runs / seconds, 3) if seconds else 0.0,
        round(totals.events_per_second_per_core, 1),
        totals.simulated_ms,
        [_of_profile(profile, its) for profile, its in campaign.by_profile.items()],
        campaign.coverage.report(),
    )


def _of_profile(profile: str, totals: Totals) -> ProfileReport:
    return ProfileReport(
        profile,
        totals.runs,
        totals.failures,
        totals.events,
        totals.simulated_ms,
        round(totals.events_per_second_per_core, 1),
    )


def speed(campaign: Campaign, seconds: float) -> str:
    """Seeds per second, events per second and core, and how much faster than real time."""
    totals = campaign.totals
    seeds = totals.runs / seconds if seconds else 0.0
    times = totals.simulated_ms / 1000 / seconds if seconds else 0.0
    return (
        f"{seeds:,.1f} seeds/s, {totals.events_per_second_per_core:,.0f} events/s per core, "
        f"{span(totals.simulated_ms)} simulated ({times:,.0f} times real time)"
    )


def progress_line(campaign: Campaign, seconds: float) -> str:
    totals = campaign.totals
    return (
        f"{totals.runs:,} runs, {totals.failures} failed, {span(int(seconds * 1000))}: "
        f"{speed(campaign, seconds)}, {campaign.coverage.line()}"
    )


class Progress:
    """Says how far a campaign is: `with Progress(campaign, 600) as progress: ... progress.look()`"""

    def __init__(self, campaign: Campaign, planned_seconds: float | None, planned_runs: int | None) -> None:
        self._campaign = campaign
        self._planned_seconds, self._planned_runs = planned_seconds, planned_runs
        self._live = Live() if sys.stderr.isatty() else None
        self._began = time.monotonic()
        self._line_due = self._began + LINE_SECONDS

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.draw(self._drawn())

    def look(self) -> None:
        """To be called often; draws when it is time to."""
        if self._live is not None:
            if self._live.is_due():
                self._live.draw(self._drawn())
        elif time.monotonic() >= self._line_due:
            self._line_due += LINE_SECONDS
            click.echo(progress_line(self._campaign, self.seconds), err=True)

    def tell(self, line: str) -> None:
        """Above the moving part, to stay."""
        if self._live is not None:
            self._live.tell(line)
        else:
            click.echo(line, err=True)

    def _drawn(self) -> list[str]:
        campaign, totals = self._campaign, self._campaign.totals
        done = 0.0
        if self._planned_runs:
            done = totals.runs / self._planned_runs
        if self._planned_seconds:
            done = max(done, self.seconds / self._planned_seconds)
        bar = "━" * round(min(done, 1.0) * BAR_COLUMNS)
        return [
            f"{bar:─<{BAR_COLUMNS}}",
            f"{totals.runs:,} runs, {totals.failures} failed, {span(int(self.seconds * 1000))}",
            speed(campaign, self.seconds),
            campaign.coverage.line(),
        ]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def say(found: Report, campaign: Campaign, *, coverage: bool) -> None:
    """The report for a reader, on standard output."""
    clean = "all clean" if not found.failures else f"{len(found.failures)} FAILED"
    runs, workers = _counted(found.runs, "run"), _counted(found.workers, "worker")
    click.echo(f"{runs} from seed {found.first_seed}: {clean}")
    click.echo(f"  {found.seconds:.1f} s, {workers}: {speed(campaign, found.seconds)}")
    for profile in found.profiles:
        click.echo(
            f"  {profile.profile:<11} {profile.runs:>9,} runs, {profile.failures} failed, "
            f"{profile.events / max(profile.runs, 1):,.0f} events each, "
            f"{profile.events_per_second_per_core:,.0f} events/s per core"
        )
    click.echo(f"  {campaign.coverage.line()}")
    if found.coverage.never:
        click.echo(f"  never reached: {', '.join(found.coverage.never)}")
    click.echo(f"  trace hash {found.trace_hash} (code {found.code})")
    if coverage:
        click.echo(f"\n{campaign.coverage.text()}")
