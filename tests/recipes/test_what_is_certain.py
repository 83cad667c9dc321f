"""A body runs with what it asked for, and is told in the end if it was without it for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from agreed.backends.contract import Standing
from agreed.client.errors import SessionExpired, TimedOut
from agreed.recipes.errors import LockLost, Lost
from agreed.recipes.group import Group
from agreed.recipes.lock import Lock
from agreed.recipes.multilock import MultiLock
from agreed.recipes.semaphore import Semaphore
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import until_so_many_wait
from tests.recipes.stage import Stage
from tests.recipes.world.virtual import run


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await story()

    run(0, bounded())


def test_who_stood_in_a_line_that_somebody_deleted_does_not_have_the_lock() -> None:
    """The one before him is gone, and so is he: whoever comes next is first."""

    async def story() -> None:
        stage = Stage()
        one, two, three = (Sessions(stage.client(), 10.0) for _ in range(3))
        await Lock(one, "a").acquire()
        waiting = asyncio.create_task(Lock(two, "a").acquire())
        await until_so_many_wait(Lock(one, "a"), 1)
        while not stage.watching:
            await asyncio.sleep(0)
        for key in list(stage.entries):
            stage.delete(key)
        with pytest.raises(SessionExpired, match="deleted while it stood in line"):
            await waiting
        assert await Lock(three, "a").try_acquire() is not None

    play(story)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda sessions: Lock(sessions, "a"),
        lambda sessions: Semaphore(sessions, "a", 1),
        lambda sessions: MultiLock(sessions, ["a", "b"], timeout=0.2),
        lambda sessions: Group(sessions, "a").join(),
    ],
    ids=["lock", "permit", "several locks", "membership"],
)
@pytest.mark.parametrize("end", ["over", "unsure"])
def test_a_body_does_not_run_where_the_session_did_not_live_to_its_beginning(
    wanted: Callable[[Sessions], Lock], end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session ends while the answer is on its way that it is one's turn."""

    async def story() -> None:
        stage = Stage()
        backend = stage.client()
        sessions = Sessions(backend, 10.0)
        ran = False

        enter = backend.enter

        async def late(*arguments: Any) -> Standing:
            standing = await enter(*arguments)
            if end == "over":
                stage.opened[-1].end()
            else:
                stage.opened[-1].certain_s = 0.0
            return standing

        monkeypatch.setattr(backend, "enter", late)
        with pytest.raises((Lost, SessionExpired, TimeoutError)):
            async with wanted(sessions):
                ran = True
        assert not ran
        await sessions.tidied()
        assert [entry for entry in stage.entries.values() if entry.owner] == []

    play(story)


def test_who_was_without_the_lock_for_a_moment_and_did_not_wait_is_told_at_the_end() -> None:
    """A body that keeps the event loop from its work: no timer could tell."""

    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)
        with pytest.raises(LockLost, match="could not be renewed in time"):
            async with Lock(sessions, "a") as held:
                stage.opened[-1].certain_s = 0.0
        assert held.lost
        with pytest.raises(LockLost):
            async with MultiLock(sessions, ["b", "c"]):
                stage.opened[-1].certain_s = 0.0

    play(story)


def test_who_takes_a_reentrant_lock_again_has_it_for_certain_or_stands_in_line() -> None:
    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)
        lock = Lock(sessions, "a", reentrant=True)
        held = await lock.acquire()
        stage.opened[-1].certain_s = 0.0
        assert await lock.try_acquire() is None
        assert held.lost

    play(story)


def test_what_is_entered_in_one_task_may_be_left_in_another() -> None:
    """As the fixtures of some test frameworks do, and generators that are closed by the event loop."""

    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)
        lock = Lock(sessions, "a")

        async def holding() -> AsyncGenerator[None, None]:
            async with lock:
                yield

        generator = holding()
        await asyncio.create_task(_next(generator))
        await asyncio.create_task(generator.aclose())
        assert await Lock(sessions, "a").try_acquire() is not None

    async def _next(generator: AsyncGenerator[None, None]) -> None:
        await anext(generator)

    play(story)


def test_what_is_lost_is_nobodys_though_its_session_lives_and_nobody_gives_it_back() -> None:
    """Who was told of the loss has nothing to give back; others would wait for him, and he for himself."""

    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)
        held = await Lock(sessions, "a").acquire()
        stage.opened[-1].certain_s = 0.0
        with pytest.raises(LockLost):
            held.check()
        stage.opened[-1].certain_s = 10.0
        again = await Lock(sessions, "a").acquire(20.0)
        assert again.token > held.token
        await held.release()
        assert again.key in stage.entries

    play(story)


def test_what_could_not_be_given_back_at_first_is_given_back_while_the_session_lives() -> None:
    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)
        failures = 3

        async def away(question: str) -> None:
            nonlocal failures
            await asyncio.sleep(0)
            if question == "leave" and failures:
                failures -= 1
                raise TimedOut("no answer in time", maybe=True)

        held = await Lock(sessions, "a").acquire()
        stage.before = away
        with pytest.raises(TimedOut):
            await held.release()
        await sessions.tidied()
        assert not failures
        assert await Lock(Sessions(stage.client(), 10.0), "a").try_acquire() is not None

    play(story)


def test_a_client_is_closed_also_where_nothing_can_be_cleaned_away_any_more() -> None:
    """It takes no longer than what it holds would live without it."""

    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 0.2)

        async def away(question: str) -> None:
            await asyncio.sleep(0.01)
            if question in ("leave", "commit", "get"):
                raise TimedOut("no answer in time", maybe=True)

        held = await Lock(sessions, "a").acquire()
        stage.before = away
        with pytest.raises(TimedOut):
            await held.release()
        await sessions.close()
        assert stage.opened[-1].ended

    play(story)
