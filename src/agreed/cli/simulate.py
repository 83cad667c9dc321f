"""`agreed simulate`: whole clusters in simulation, each from its seed, on all cores; failures are made small.

    agreed simulate --minutes 10                         seeds that nobody has played, for ten minutes
    agreed simulate --seeds 1..1000 --profile disk       these, and only with faults of disks
    agreed simulate --seed 4711 --profile disk           one of them again, as it was
    agreed simulate --plan simulate-disk-4711.plan.json  a failure that was made small

A failure is told in one line that plays it again, as soon as no earlier seed can fail any more.  Then it is
made smaller, and laid down in three files (`simulate_failure.py`).

Ends with 0 if every run was clean, 1 if one failed, 2 if it was misused; 3 if `--dask` found no cluster.
"""
from __future__ import annotations

import itertools
import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from agreed.cli.as_json import as_json
from agreed.cli.exits import REFUSED
from agreed.cli.simulate_code import code_hash
from agreed.cli.simulate_dask import DaskPool
from agreed.cli.simulate_pool import Pool
from agreed.cli.simulate_progress import Progress, Report, report, say
from agreed.sim.campaign import Campaign, Job, Played, jobs
from agreed.sim.marks import MARKS
from agreed.sim.plan import PROFILES

MINUTES = 1.0
"""How long it plays if neither seeds nor minutes are given."""

FRESH_SEEDS = 1 << 40
"""Where nothing says which seeds, the first is drawn below this."""


class SeedRange(click.ParamType[tuple[int, int | None]]):
    """`A..B` with both ends, or `A..` without an end (for as long as `--minutes` say)."""

    name = "A..B"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, int | None]:
        match = re.fullmatch(r"(\d+)\.\.(\d*)", str(value))
        if match is None:
            self.fail(f"{value!r} is not two numbers as in 1..1000", parameter, context)
        first, last = int(match[1]), int(match[2]) if match[2] else None
        if last is not None and last < first:
            self.fail(f"{value} ends before it begins", parameter, context)
        return first, last


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks for, checked."""

    first_seed: int
    last_seed: int | None
    profiles: tuple[str, ...]
    seconds: float | None
    workers: int
    dask: str | None
    failures_most: int
    output: Path
    coverage: bool
    in_json: bool

    @property
    def runs(self) -> int | None:
        if self.last_seed is None:
            return None
        return (self.last_seed - self.first_seed + 1) * len(self.profiles)

    def jobs(self) -> Iterable[Job]:
        if self.last_seed is None:
            return jobs(itertools.count(self.first_seed), self.profiles)
        return jobs(range(self.first_seed, self.last_seed + 1), self.profiles)


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def play(asked: Asked) -> int:
    """A whole campaign, and what is said of it; the code to leave with."""
    campaign = Campaign(asked.jobs(), failures_most=asked.failures_most, marks=MARKS)
    pool = DaskPool(asked.dask) if asked.dask is not None else Pool(asked.workers)
    progress = Progress(campaign, asked.seconds, asked.runs)
    with pool, progress:
        for counted in pool.play(campaign):
            for played in counted:
                if played.failure is not None:
                    progress.tell(failure_line(played))
            if asked.seconds is not None and progress.seconds >= asked.seconds:
                campaign.stop()
            progress.look()
        seconds, workers = progress.seconds, pool.cores
    found = report(campaign, code_hash(), asked.first_seed, seconds, workers)
    if campaign.failed:
        found = with_files(found, campaign, asked)
    click.echo(as_json(found)) if asked.in_json else say(found, campaign, coverage=asked.coverage)
    return REFUSED if campaign.failed else 0


def play_written(plan: Path, trace: str | None, in_json: bool) -> int:
    """One run from a file, in this process."""
    from agreed.cli.simulate_failure import play_plan, read_plan, run_told
    from agreed.cli.simulate_player import summary
    from agreed.sim.transcript import transcript

    began = time.process_time()
    outcome = (play_plan if trace is None else run_told)(read_plan(plan))
    played = summary(outcome, time.process_time() - began)
    if trace is not None:
        Path(trace).write_text(
            transcript(outcome, command=f"agreed simulate --plan {plan}", folded=False), encoding="utf-8"
        )
    if in_json:
        click.echo(as_json(played))
    else:
        click.echo(f"{played.failure or 'clean'}: {played.message}")
        click.echo(f"  {played.events:,} events, trace hash {played.trace_hash} (code {code_hash()})")
    return REFUSED if played.failure is not None else 0


def told(seed: int, profile: str) -> str:
    """All that happens in this run, line by line."""
    from agreed.sim.run import run
    from agreed.sim.transcript import transcript

    return transcript(run(seed, profile, telling=True), command=Job(profile, seed).command, folded=False)


def failure_line(played: Played) -> str:
    """The one line that plays it again, and what to expect."""
    return f"{played.job.command}    # {played.failure}: {played.message.partition(chr(10))[0]}"


def with_files(found: Report, campaign: Campaign, asked: Asked) -> Report:
    """The first failure of each kind is made small and written down; others most likely say the same."""
    from agreed.cli.simulate_failure import investigate

    failures, kinds = [], set()
    for played, failure in zip(campaign.failed, found.failures, strict=True):
        if played.failure not in kinds:
            kinds.add(played.failure)
            files = investigate(played, asked.output, lambda line: click.echo(line, err=True))
            failure = msgspec.structs.replace(failure, files=files)
        failures.append(failure)
    return msgspec.structs.replace(found, failures=failures)


def checked(
    seed: int | None,
    seeds: tuple[int, int | None] | None,
    profiles: tuple[str, ...],
    minutes: float | None,
    workers: int | None,
    dask: str | None,
    failures_most: int,
    output: str,
    coverage: bool,
    in_json: bool,
) -> Asked:
    """Raises what click tells as a misuse."""
    if seed is not None:
        seeds = (seed, seed)
    if dask is not None and workers is not None:
        raise click.UsageError("--workers are of this machine; a Dask cluster has its own")
    if minutes is None and (seeds is None or seeds[1] is None):
        minutes = MINUTES
    first, last = seeds if seeds is not None else (secrets.randbelow(FRESH_SEEDS), None)
    return Asked(
        first,
        last,
        tuple(dict.fromkeys(profiles)) or ("swarm",),
        None if minutes is None else minutes * 60,
        min(workers or cores(), len(profiles) or 1) if seed is not None else workers or cores(),
        dask,
        failures_most,
        Path(output),
        coverage,
        in_json,
    )


@click.command("simulate")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Play this run alone.")
@click.option("--seeds", type=SeedRange(), help="Play these, both ends included; `A..` has no end.")
@click.option(
    "--profile",
    "profiles",
    type=click.Choice(PROFILES),
    multiple=True,
    help="Which faults; several: each seed in each of them.  [default: swarm, which has all]",
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Begin no run after so long.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes.  [default: as cores]")
@click.option("--dask", metavar="ADDRESS", help="Play on the Dask cluster whose scheduler is there.")
@click.option(
    "--failures",
    "failures_most",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="End with so many failed runs.",
)
@click.option("--plan", metavar="FILE", help="Play a plan that was written down.")
@click.option("--trace", metavar="FILE", help="Of one run (--seed, --plan): write here all that happened.")
@click.option(
    "--output", default=".", show_default=True, metavar="DIRECTORY", help="Where files on failures are put."
)
@click.option("--coverage", is_flag=True, help="Tell what was reached, how often, and where first.")
@click.option("--json", "in_json", is_flag=True, help="For programs: the report as JSON.")
def command(
    seed: int | None,
    seeds: tuple[int, int | None] | None,
    profiles: tuple[str, ...],
    minutes: float | None,
    workers: int | None,
    dask: str | None,
    failures_most: int,
    plan: str | None,
    trace: str | None,
    output: str,
    coverage: bool,
    in_json: bool,
) -> None:
    """Play clusters in simulation, with faults, each from its seed; judge what their clients saw.

    A failure is told in one line that plays it again, made smaller, and written down.  Ends with 0 if every
    run was clean, 1 if one failed.
    """
    which = {"--seed": seed, "--seeds": seeds, "--plan": plan}
    ways = [name for name, value in which.items() if value is not None]
    if len(ways) > 1:
        raise click.UsageError(f"{' and '.join(ways)} exclude each other")
    if trace is not None and (ways not in (["--seed"], ["--plan"]) or len(profiles) > 1):
        raise click.UsageError("--trace needs one run: --seed (and one --profile) or --plan")
    if plan is not None:
        code = play_written(Path(plan), trace, in_json)
    else:
        asked = checked(
            seed, seeds, profiles, minutes, workers, dask, failures_most, output, coverage, in_json
        )
        if trace is not None:
            Path(trace).write_text(told(asked.first_seed, asked.profiles[0]), encoding="utf-8")
        code = play(asked)
    click.get_current_context().exit(code)
