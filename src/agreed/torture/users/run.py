"""One run: users of recipes, everything that can go wrong, and what is left at the end.

start        the service, the users, the resource that they share
work         all of them, while they and what serves them are killed, stopped and cut off
heal         all faults are ended, whoever is missing is there again
finish       everybody obtains once more what he wants, and empties the queue
last look    nobody stands in any line, nothing is in the queue; which jobs were done with which token
leave        every user ends in order
judge        what each was granted, believed and did
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agreed.check.grants import grants
from agreed.check.grants.judge import CERTAINTY
from agreed.check.read import grantlines
from agreed.check.verdict import Outcome, Verdict
from agreed.coordination.client import Client, connect
from agreed.errors import AgreedError
from agreed.torture.processes import NotServing
from agreed.torture.users import work
from agreed.torture.users.asynchronous import OBTAIN
from agreed.torture.users.grounds import Ground
from agreed.torture.users.judging import Written, read_all, told
from agreed.torture.users.resource import Resource

FINISH_WITHIN_S: Final = work.LAST_PATIENCE_S + 30.0
NOTHING_LEFT_WITHIN_S: Final = 60.0
LEAVE_WITHIN_S: Final = 40.0
LOOK_AGAIN_S: Final = 0.1

WEAKER: Final = {
    "zookeeper": "a leader of ZooKeeper that was deposed and does not know it may still answer for a moment"
}
"""By the name of a service whose certainty is not ours to promise, why not.  What is found there is told."""


@dataclass
class Report:
    """`weaker`: what is not promised there, and was found."""

    name: str
    recipes: Sequence[str]
    played: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    written: dict[str, Written] = field(default_factory=dict)
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    weaker: list[str] = field(default_factory=list)

    @property
    def violated(self) -> bool:
        outcomes = [each.outcome for verdicts in self.verdicts.values() for each in verdicts]
        return bool(self.problems) or Outcome.VIOLATED in outcomes

    @property
    def holds(self) -> bool:
        return not self.violated and all(
            each.holds for verdicts in self.verdicts.values() for each in verdicts
        )


async def run(
    ground: Ground,
    recipes: Sequence[str],
    directory: Path,
    seconds: float,
    *,
    keep: Path | None = None,
    fence: bool = True,
) -> Report:
    """`directory` is that of the users (`grounds.Staff`).  Raises `NotServing` where the service does not
    even start.  `fence` False: the resource lets everybody in."""
    report = Report(ground.name, recipes, seconds=seconds)
    (directory / "diaries").mkdir(parents=True, exist_ok=True)
    resource = Resource(directory / "resource", fence=fence)
    effects: dict[str, int] | None = None
    async with resource:
        async with ground.open():
            await ground.play(seconds, lambda: resource.next_holder(random.choice(recipes)))
            try:
                await ground.heal()
                effects = await _end(ground, report, directory)
            except NotServing as problem:
                report.problems.append(f"after everything was healed: {problem}")
        report.played = ground.played
        report.problems += ground.problems
    report.written = read_all(directory / "diaries", recipes, resource.accesses)
    _judge(report, effects, keep)
    return report


def _judge(report: Report, effects: dict[str, int] | None, keep: Path | None) -> None:
    for recipe, written in report.written.items():
        what = told(recipe, written, effects)
        found = grants(what)
        if report.name in WEAKER and not found[CERTAINTY].holds:
            weaker = found.pop(CERTAINTY)
            report.weaker += [f"{recipe}: {step}" for each in weaker.findings for step in each.steps]
        report.verdicts[recipe] = list(found.values())
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{recipe}.jsonl").write_text(grantlines.write(what), encoding="utf-8")


async def _end(ground: Ground, report: Report, directory: Path) -> dict[str, int] | None:
    """Which jobs were done under which token; None where that cannot be known."""
    (directory / work.FINISH).touch()
    missing = await _until_finished(ground, report, directory)
    report.problems += missing
    effects = None
    if not missing:
        try:
            effects = await _last_look(ground, report)
        except (AgreedError, TimeoutError) as problem:
            report.problems.append(f"the last look was not answered: {problem!r}")
    (directory / work.LEAVE).touch()
    await ground.until_all_left(LEAVE_WITHIN_S)
    return effects


async def _until_finished(ground: Ground, report: Report, directory: Path) -> list[str]:
    """A sentence for each user that has not obtained what it wants in time."""
    deadline = time.monotonic() + FINISH_WITHIN_S
    while True:
        ground.notice_the_dead()
        written = read_all(directory / "diaries", report.recipes, ())
        missing = [
            f"{who} has not finished with {recipe} {FINISH_WITHIN_S:.0f} s after everything was healed"
            for recipe in report.recipes
            for who in ground.present()
            if who not in written[recipe].finished
        ]
        if not missing or time.monotonic() > deadline:
            return missing
        await asyncio.sleep(5 * LOOK_AGAIN_S)


async def _last_look(ground: Ground, report: Report) -> dict[str, int]:
    async with await connect(ground.url, ttl=ground.ttl_s, identity="the last look") as client:
        deadline = time.monotonic() + NOTHING_LEFT_WITHIN_S
        while left := await _left(client, report.recipes):
            if time.monotonic() > deadline:
                report.problems += left
                break
            await asyncio.sleep(LOOK_AGAIN_S)
        done = await client.kv.list(work.DONE)
        return {f"{work.JOBS}/{each.key.rpartition('/')[2]}": int(each.value) for each in done}


async def _left(client: Client, recipes: Sequence[str]) -> list[str]:
    """What is still there though nobody wants it any more."""
    found = []
    for recipe in recipes:
        if recipe == "queue":
            count = await client.queue(work.QUEUE, str).count()
            if count:
                found.append(f"{count} jobs are left in the queue")
            continue
        for name in work.NAMES[recipe]:
            wanted = OBTAIN[recipe](client, name)
            standing = [*await wanted.holders(), *await wanted.waiters()]
            found += [f"{name}: {each.value.decode()} still stands in line" for each in standing]
    return found
