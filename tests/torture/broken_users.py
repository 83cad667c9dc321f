"""A user process whose recipes are wrong in one place each: what torture of recipes has to convict.

python -m tests.torture.broken_users U2 TASK        as `agreed.torture.users.program TASK`
python -m tests.torture.broken_users                all of them, and U0, on a cluster each; the table of
                                                    docs/torture.md

U0      nothing is wrong
U1      the fence lets everybody in (this is the resource, and not the users)
U2      a grant is held as long as nobody says otherwise, however long nothing was heard
U3      a lock is taken without a look at who stands before
U4      a job is taken out of the queue when it is handed out, and not when it is done
U5      a job that was done stays in the queue
U6      a job can be acknowledged by whoever had it once
U7      tokens are drawn, and do not grow
U8      one permit more than there are
U9      who stops waiting stays in line
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

from agreed.backends.contract import Change, Delete, Place
from agreed.cli.torture_memory import MemoryGround
from agreed.recipes import queue, waiting
from agreed.recipes.grant import Grant
from agreed.recipes.job import Claim
from agreed.recipes.sessions import Sessions
from agreed.torture.systems.agreed import Agreed
from agreed.torture.users import program, work
from agreed.torture.users import run as running
from agreed.torture.users.grounds import FAULTS, Staff, ground_of
from agreed.torture.users.run import Report, run

IMPATIENCE_S = 25.0
"""Who does not finish is not waited for as long as in earnest."""

Patches: TypeAlias = Sequence[Any]


def believes_for_ever() -> Patches:
    def check(grant: Grant) -> None:
        return

    return [
        patch.object(Grant, "check", check),
        patch.object(Grant, "remaining", lambda grant: grant.session.ttl_s),
        patch.object(Grant, "lose", lambda grant, why: None),
    ]


def takes_without_a_look() -> Patches:
    def before(rule: object, directory: str, line: tuple[Place, ...], index: int) -> None:
        return None

    return [patch.object(waiting.Exclusive, "before", before)]


def takes_for_good() -> Patches:
    """The claim deletes the job."""
    claim = queue.Queue._claim

    async def claiming(of: Any, job: Any, *arguments: Any) -> None:
        certain = of._sessions.certain
        commit = certain.commit

        async def and_deletes(guards: Any, changes: Any) -> Any:
            return await commit(guards, [*changes, Delete(job.key)])

        with patch.object(certain, "commit", and_deletes):
            await claim(of, job, *arguments)

    return [patch.object(queue.Queue, "_claim", claiming)]


def keeps_what_was_done() -> Patches:
    async def acknowledge(of: Any, claim: Claim, also: Sequence[Change]) -> bool:
        done = await of._sessions.certain.commit([claim.condition], [Delete(claim.mine.key), *also])
        return done is not None

    return [patch.object(queue.Queue, "_acknowledge", acknowledge)]


def acknowledges_for_whoever_asks() -> Patches:
    async def acknowledge(of: Any, claim: Claim, also: Sequence[Change]) -> bool:
        changes = [Delete(claim.mine.key), Delete(claim.job.key), *also]
        await of._sessions.certain.commit([], changes)
        return True

    return [
        patch.object(queue.Queue, "_acknowledge", acknowledge),
        *believes_for_ever(),
    ]


def draws_tokens() -> Patches:
    return [patch.object(Grant, "token", property(lambda grant: hash(grant.key) % 1_000_003))]


def one_permit_more() -> Patches:
    made = waiting.Among.__init__

    def make(rule: waiting.Among, permits: int) -> None:
        made(rule, permits + 1)

    return [patch.object(waiting.Among, "__init__", make)]


def stays_in_line() -> Patches:
    def tidy(sessions: Sessions, coroutine: Any) -> None:
        coroutine.close()

    return [patch.object(Sessions, "tidy", tidy), patch.object(work, "PATIENCE_S", 0.3)]


BROKEN: dict[str, Callable[[], Patches]] = {
    "U0": list,
    "U1": list,
    "U2": believes_for_ever,
    "U3": takes_without_a_look,
    "U4": takes_for_good,
    "U5": keeps_what_was_done,
    "U6": acknowledges_for_whoever_asks,
    "U7": draws_tokens,
    "U8": one_permit_more,
    "U9": stays_in_line,
}


@contextlib.contextmanager
def broken(number: str) -> Iterator[None]:
    with contextlib.ExitStack() as patched:
        for each in BROKEN[number]():
            patched.enter_context(each)
        yield


def findings(report: Report) -> list[str]:
    """Recipe and name of what was found, once each."""
    found = [
        f"{recipe}: {finding.name}"
        for recipe, verdicts in report.verdicts.items()
        for verdict in verdicts
        for finding in verdict.findings
    ]
    return list(dict.fromkeys([*found, *(problem.partition("\n")[0] for problem in report.problems)]))


async def tried(number: str, directory: Path, seconds: float, seed: int = 1) -> Report:
    staff = Staff(
        8, work.RECIPES, directory, seed, (sys.executable, "-m", "tests.torture.broken_users", number)
    )
    ground = ground_of("agreed", Agreed(), 3, staff, FAULTS[:1], lambda sentence: None)
    with patch.multiple(running, FINISH_WITHIN_S=IMPATIENCE_S, NOTHING_LEFT_WITHIN_S=IMPATIENCE_S / 2):
        return await run(ground, work.RECIPES, directory, seconds, fence=number != "U1")


def table(arguments: Sequence[str]) -> None:
    seconds = float(arguments[0]) if arguments else 20.0
    for number in arguments[1:] or BROKEN:
        with tempfile.TemporaryDirectory(prefix="broken-") as directory:
            report = asyncio.run(tried(number, Path(directory), seconds))
        print(f"| {number} | {report.played.total()} | {'; '.join(findings(report)) or '-'} |", flush=True)


def in_memory(number: str, recipe: str, seconds: float) -> None:
    """In this process, which nobody else uses: its recipes are wrong from now on."""
    with tempfile.TemporaryDirectory(prefix="broken-") as name, broken(number):
        staff = Staff(4, [recipe], Path(name), 1)
        ground = MemoryGround(staff, lambda sentence: None)
        report = asyncio.run(run(ground, [recipe], Path(name), seconds))
    print("\n".join(findings(report)))


def main(arguments: Sequence[str]) -> None:
    match arguments:
        case ["memory", number, recipe, seconds]:
            in_memory(number, recipe, float(seconds))
        case [number, task] if number in BROKEN:
            with broken(number):
                program.live(work.decode(task))
        case _:
            table(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
