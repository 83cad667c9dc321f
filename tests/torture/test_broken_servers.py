"""Servers that break one promise each are convicted, and the right promise is named.

    python -m tests.torture.test_broken_servers     the table of docs/torture.md: who, by what, in which time
"""
from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from agreed.check.verdict import Outcome
from agreed.torture import run as running
from agreed.torture.faults import nemesis
from agreed.torture.run import Plan, Report, run
from agreed.torture.systems.agreed import Agreed

pytestmark = pytest.mark.timeout(600)

NODES = 3


class Case(NamedTuple):
    """`convicts`: one of these must be found; a verdict's name, or the beginning of a problem.  `seconds`: of
    work at the first try.  A machine with much to do gives a mistake fewer chances: each try has other dice
    (`seeds`), and twice the time."""

    number: str
    promise: str
    workload: str
    faults: tuple[str, ...]
    seconds: float
    convicts: tuple[str, ...]
    seeds: tuple[int, ...] = (5, 6, 7, 8)


CAS = ("linearizable cas-register",)
EPHEMERAL = ("ephemeral nodes",)
NEVER_HEALS = ("nodes cannot be compared", "after everything was healed", "register: after everything")

IN_THE_PAST = (204, 523, 619, 991)
"""Seeds whose first fault is a reboot of one node with a clock that is slow by minutes or hours."""

CASES = [
    Case("C1", "what is acknowledged was done", "register", (), 5, CAS),
    Case("C2", "a read tells what is there", "register", (), 3, CAS),
    Case("C3", "each command has its effect once", "watch", (), 8, ("watches",)),
    Case("C4", "each request gets its own answer", "register", (), 6, CAS),
    Case("C5", "who watches is told of every change", "watch", (), 3, ("watches",)),
    Case("C6", "a lock is its holder's until its session ends", "lock", (), 8, EPHEMERAL),
    Case("C7", "with a session go its ephemeral nodes", "lock", (), 14, EPHEMERAL),
    Case("C8", "what must never come again is not taken from a clock", "register",
         ("clock",), 6, NEVER_HEALS, IN_THE_PAST),
]  # fmt: skip

AT_ONCE = 3
"""How many clusters: most of the time they wait, for sessions to end and for nodes to start."""

IMPATIENCE_S = 6.0
"""Who does not answer after everything was healed is not waited for as long as in earnest."""


class Trial(NamedTuple):
    """`held_against`: everything that was found, in the words of its judge; `seconds` until then."""

    held_against: list[str]
    convicted: bool
    seconds: float


async def tried(case: Case, directory: Path) -> Trial:
    """Tortured until it is convicted of what it does, or has been let off too often."""
    began, held_against = time.monotonic(), list[str]()
    for turn, seed in enumerate(case.seeds):
        serve = (sys.executable, "-m", "tests.torture.broken_server", case.number)
        seconds, nodes = case.seconds * 2**turn, directory / case.number / str(turn)
        report = await run(Plan(Agreed(serve), NODES, seconds, [case.workload], case.faults, seed, nodes))
        held_against = convictions(report)
        if any(each.startswith(case.convicts) for each in held_against):
            return Trial(held_against, True, time.monotonic() - began)
    return Trial(held_against, False, time.monotonic() - began)


def convictions(report: Report) -> list[str]:
    """What is held against the server."""
    violated = [verdict.judged for verdict in report.verdicts if verdict.outcome is Outcome.VIOLATED]
    return violated + report.problems


async def all_tried(directory: Path, at_once: int) -> dict[str, Trial]:
    """Those that take longest first."""
    turn = asyncio.Semaphore(at_once)
    trials: dict[str, Trial] = {}

    async def try_one(case: Case) -> None:
        async with turn:
            trials[case.number] = await tried(case, directory)

    with (
        patch.multiple(running, LAST_LOOK_WITHIN_S=IMPATIENCE_S, SAME_WITHIN_S=IMPATIENCE_S),
        patch.object(nemesis, "HEALED_WITHIN_S", 3 * IMPATIENCE_S),
    ):
        async with asyncio.TaskGroup() as together:
            for case in sorted(CASES, key=lambda case: -case.seconds):
                together.create_task(try_one(case))
    return trials


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    return asyncio.run(all_tried(tmp_path_factory.mktemp("broken"), AT_ONCE))


@pytest.mark.parametrize("number", [case.number for case in CASES])
def test_a_broken_promise_is_found(number: str, trials: dict[str, Trial]) -> None:
    assert trials[number].convicted, trials[number].held_against


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="broken-") as directory:
        trials = asyncio.run(all_tried(Path(directory), 1))
    print("| variant | what it breaks | work | what convicts it | seconds, with start and judging |")
    print("| --- | --- | --- | --- | --- |")
    for case in CASES:
        trial = trials[case.number]
        found = [each.partition("\n")[0].partition(" (")[0] for each in trial.held_against]
        work = ", ".join((case.workload, *case.faults))
        cells = (case.number, case.promise, work, "; ".join(found) or "-", f"{trial.seconds:.0f}")
        print("|", " | ".join(cells), "|", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
