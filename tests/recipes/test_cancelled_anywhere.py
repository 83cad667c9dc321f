"""Wherever it is cancelled, nothing is left behind: whoever comes next does not wait for somebody who is not
there any more."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from agreed.client.errors import ClientError
from agreed.recipes.barrier import Barrier, DoubleBarrier
from agreed.recipes.codec import codec_of
from agreed.recipes.election import Election
from agreed.recipes.grant import Grant
from agreed.recipes.group import Group
from agreed.recipes.lock import Lock, ReadWriteLock
from agreed.recipes.multilock import MultiLock
from agreed.recipes.queue import Queue
from agreed.recipes.registry import Registry
from agreed.recipes.semaphore import Semaphore
from agreed.recipes.sessions import Sessions
from tests.recipes.cancelling import Story, cancelled_at_each_turn


async def well() -> bool:
    await asyncio.sleep(0)
    return True


async def lock(mine: Sessions, yours: Sessions) -> None:
    async with Lock(mine, "a"):
        await asyncio.sleep(0)


async def lock_that_somebody_has(mine: Sessions, yours: Sessions) -> None:
    held = await Lock(yours, "a").acquire()
    tidied = asyncio.get_running_loop().create_task(_release_soon(held))
    try:
        async with Lock(mine, "a"):
            await asyncio.sleep(0)
    finally:
        await asyncio.shield(tidied)


async def _release_soon(held: Grant) -> None:
    for _ in range(6):
        await asyncio.sleep(0)
    await held.release()


async def lock_by_hand(mine: Sessions, yours: Sessions) -> None:
    held = await Lock(mine, "a").acquire()
    await held.release()


async def lock_at_once(mine: Sessions, yours: Sessions) -> None:
    held = await Lock(mine, "a").try_acquire()
    assert held is not None
    await held.release()


async def reader(mine: Sessions, yours: Sessions) -> None:
    async with ReadWriteLock(mine, "a").read():
        await asyncio.sleep(0)


async def permit(mine: Sessions, yours: Sessions) -> None:
    async with Semaphore(mine, "a", 2):
        await asyncio.sleep(0)


async def several_locks(mine: Sessions, yours: Sessions) -> None:
    async with MultiLock(mine, ["a", "b", "c"]):
        await asyncio.sleep(0)


async def leadership(mine: Sessions, yours: Sessions) -> None:
    async with Election(mine, "a").lead() as term:
        await term.proclaim(b"new")


async def membership_told_of(mine: Sessions, yours: Sessions) -> None:
    async with Group(mine, "a").join(b"me") as membership:
        await membership.inform(b"you")
        await membership.inform(b"us")


async def membership_and_a_share(mine: Sessions, yours: Sessions) -> None:
    group = Group(mine, "a")
    async with group.join(b"me") as membership, group.assign(membership, ["x"]) as shares:
        while not await shares.next():
            pass


async def registration(mine: Sessions, yours: Sessions) -> None:
    async with Registry(mine).register("mail", "here:25", healthy=well):
        await asyncio.sleep(0)


async def job(mine: Sessions, yours: Sessions) -> None:
    queue = Queue(mine, "q", codec_of(str))
    await queue.put("one")
    async with await queue.take():
        await asyncio.sleep(0)


async def job_given_back(mine: Sessions, yours: Sessions) -> None:
    queue = Queue(mine, "q", codec_of(str))
    await queue.put("one")
    await (await queue.take()).release()


async def barrier(mine: Sessions, yours: Sessions) -> None:
    await asyncio.gather(Barrier(mine, "a", 2).wait(), Barrier(yours, "a", 2).wait())
    await mine.tidied()
    await yours.tidied()


async def double_barrier(mine: Sessions, yours: Sessions) -> None:
    async def through(sessions: Sessions) -> None:
        async with DoubleBarrier(sessions, "a", 2):
            await asyncio.sleep(0)

    await asyncio.gather(through(mine), through(yours))


STORIES = [
    lock,
    lock_that_somebody_has,
    lock_by_hand,
    lock_at_once,
    reader,
    permit,
    several_locks,
    leadership,
    membership_and_a_share,
    registration,
    job,
    job_given_back,
    barrier,
    double_barrier,
]


WITH_COMMITS = [permit, leadership, membership_told_of, job, job_given_back, barrier, double_barrier]


@pytest.mark.parametrize("story", WITH_COMMITS)
def test_nothing_is_left_behind_where_answers_get_lost_besides(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.recipes.certain.PAUSE_S", 0.0)
    monkeypatch.setattr("agreed.recipes.changing.PAUSE_S", 0.0)
    monkeypatch.setattr("agreed.recipes.transactions.PAUSE_S", 0.0)

    async def patient(mine: Sessions, yours: Sessions) -> None:
        with contextlib.suppress(ClientError):
            await story(mine, yours)

    for played in cancelled_at_each_turn(patient, losing=True):
        assert played.left_behind() == [], f"cancelled in turn {played.turn}: {played.error!r}"


@pytest.mark.parametrize("again_after", [None, 1, 3])
@pytest.mark.parametrize("story", STORIES)
def test_nothing_is_left_behind(
    story: Story, again_after: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.recipes.assignment.SETTLE_S", 0.0)  # so that all takes turns, and no time
    for played in cancelled_at_each_turn(story, again_after=again_after):
        assert played.left_behind() == [], f"cancelled in turn {played.turn}: {played.error!r}"
