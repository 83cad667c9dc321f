"""A failed run made small, and laid down where somebody can look at it.

Three files next to each other, named after profile and seed:

    simulate-disk-4711.plan.json   what is left of the plan: `agreed simulate --plan` plays it
    simulate-disk-4711.txt         what happened, line by line
    simulate-disk-4711.html        the same as a space-time diagram, for a browser
"""
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from agreed.cli.simulate_progress import Files
from agreed.errors import ConfigurationError
from agreed.sim.campaign import DID_NOT_END, WORKER_DIED, Played
from agreed.sim.diagram import drawn
from agreed.sim.outcome import Outcome
from agreed.sim.plan import Plan
from agreed.sim.run import run
from agreed.sim.shrink import NotRepeatable, Shrunk, shrink
from agreed.sim.transcript import transcript

SHRINK_SECONDS = 60.0
"""How long one failure is made smaller at most."""


def investigate(
    played: Played, directory: Path, say: Callable[[str], None], seconds_most: float = SHRINK_SECONDS
) -> Files | None:
    """Make this failure small and write it down; None if it cannot be played again in this process."""
    if played.failure in (WORKER_DIED, DID_NOT_END):
        say(f"  not made smaller: to play it again would end this process as well ({played.message})")
        return None
    deadline = time.monotonic() + seconds_most
    failed = run(played.seed, played.profile)
    if (failed.failure, failed.trace_hash) != (played.failure, played.trace_hash):
        say(f"  played again it was another run ({failed.failure}): it depends on something beside its seed")
    try:
        found = shrink(failed, play_plan, out_of_time=lambda: time.monotonic() > deadline)
    except NotRepeatable as error:
        say(f"  not made smaller, and a fault of the simulator: {error}")
        return None
    say(f"  {shrunk_line(found)}")
    return write(run_told(found.plan), directory, say)


def play_plan(plan: Plan) -> Outcome:
    return run(plan.seed, plan.profile, plan=plan)


def run_told(plan: Plan) -> Outcome:
    """The same, with its story."""
    return run(plan.seed, plan.profile, plan=plan, telling=True)


def shrunk_line(found: Shrunk) -> str:
    before, after = found.before, found.plan
    end = "" if found.finished else ", and might become smaller still"
    return (
        f"made smaller in {found.attempts} plays: {len(before.faults)} faults -> {len(after.faults)},"
        f" {len(before.asks)} requests -> {len(after.asks)}, {before.nodes} nodes -> {after.nodes},"
        f" {before.storm_ms} ms -> {after.storm_ms}{end}"
    )


def write(outcome: Outcome, directory: Path, say: Callable[[str], None]) -> Files:
    """The three files of a run that was told."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = directory / f"simulate-{outcome.profile}-{outcome.seed}"
    plan, text, page = (stem.with_name(f"{stem.name}{suffix}") for suffix in (".plan.json", ".txt", ".html"))
    command = f"agreed simulate --plan {plan}"
    plan.write_bytes(msgspec.json.format(msgspec.json.encode(outcome.plan)) + b"\n")
    text.write_text(transcript(outcome, command=command), encoding="utf-8")
    page.write_text(drawn(outcome, title=command), encoding="utf-8")
    say(f"  {command}")
    say(f"  what happened: {text}, drawn: {page}")
    return Files(str(plan), str(text), str(page))


def read_plan(path: Path) -> Plan:
    """A plan that was written down.  Raises ConfigurationError for what is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"{path} is not a plan: {error}") from error
