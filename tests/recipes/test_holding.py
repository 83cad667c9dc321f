"""A body runs with its grant or not at all; when that is lost, it is cancelled, and everybody learns why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agreed.recipes.errors import LockLost, NotHeld
from agreed.recipes.grant import Grant
from agreed.recipes.holding import Holding
from tests.recipes.stage import Stage, StageSession
from tests.recipes.world import virtual


class Held:
    """`async with Held() as held`: a grant on a session that the test ends."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.session = StageSession(self.stage, 10.0)
        self.mine = self.stage.put("locks/a", b"", self.session.id)
        self.given_back = 0

    async def __aenter__(self) -> Held:
        async def give_back() -> None:
            await asyncio.sleep(0)
            self.given_back += 1

        self.grant = Grant(self.stage.client(), "a", self.mine, self.session, LockLost, give_back)
        self.holding = Holding(self.grant)
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self.holding.end(error)


def lost_soon(held: Held) -> None:
    asyncio.get_running_loop().call_soon(held.session.end)


async def for_ever() -> None:
    await asyncio.Event().wait()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await story()

    virtual.run(0, bounded())


def test_a_body_that_waits_is_cancelled_and_told_that_the_lock_is_lost() -> None:
    async def story() -> None:
        held = Held()
        with pytest.raises(LockLost, match=r"token 1.*its session is over"):
            async with held:
                lost_soon(held)
                await for_ever()
        assert held.given_back == 1, "what is lost is cleaned away"
        await asyncio.sleep(0)  # and nothing of the cancellation is left

    run(story)


def test_all_tasks_of_a_group_in_the_body_are_cancelled() -> None:
    async def story() -> None:
        ended = []

        async def child(number: int) -> None:
            try:
                await for_ever()
            finally:
                ended.append(number)

        held = Held()
        with pytest.raises(LockLost):
            async with held, asyncio.TaskGroup() as group:
                for number in range(3):
                    group.create_task(child(number))
                lost_soon(held)
        assert sorted(ended) == [0, 1, 2]

    run(story)


def test_a_timeout_around_it_stays_a_timeout() -> None:
    async def story() -> None:
        held = Held()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                async with held:
                    await for_ever()
        assert held.given_back == 1

    run(story)


def test_who_is_cancelled_from_outside_at_the_same_moment_is_cancelled() -> None:
    async def story() -> None:
        held = Held()

        async def work() -> None:
            async with held:
                await for_ever()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        held.session.end()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert held.given_back == 1

    run(story)


def test_a_task_that_was_cancelled_before_and_went_on_is_told_of_its_loss() -> None:
    async def story() -> None:
        held = Held()

        async def work() -> None:
            try:
                await for_ever()
            except asyncio.CancelledError:
                async with held:
                    lost_soon(held)
                    await for_ever()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(LockLost):
            await task

    run(story)


def test_a_body_that_ends_by_itself_is_told_at_its_end() -> None:
    async def story() -> None:
        held = Held()
        with pytest.raises(LockLost):
            async with held:
                held.session.end()
        await asyncio.sleep(0)

    run(story)


def test_a_body_that_finds_out_by_asking_and_goes_on_is_cancelled_at_the_next_thing_it_waits_for() -> None:
    async def story() -> None:
        held = Held()
        with pytest.raises(LockLost):
            async with held:
                held.session.certain_s = 0.0
                with pytest.raises(LockLost):
                    held.grant.check()
                await for_ever()

    run(story)


def test_a_body_that_swallows_its_cancellation_is_told_all_the_same() -> None:
    async def story() -> None:
        held = Held()
        with pytest.raises(LockLost):
            async with held:
                lost_soon(held)
                try:
                    await for_ever()
                except asyncio.CancelledError:
                    pass
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0

    run(story)


def test_what_the_body_raised_after_the_loss_is_the_cause() -> None:
    async def story() -> None:
        held = Held()
        with pytest.raises(LockLost) as told:
            async with held:
                lost_soon(held)
                try:
                    await for_ever()
                except asyncio.CancelledError:
                    raise ValueError("a fence refused it") from None
        assert isinstance(told.value.__cause__, ValueError)

    run(story)


def test_what_the_body_raises_while_it_holds_is_what_comes_out() -> None:
    async def story() -> None:
        held = Held()
        with pytest.raises(ValueError, match="mine"):
            async with held:
                raise ValueError("mine")
        assert held.given_back == 1

    run(story)


def test_a_grant_is_lost_when_nothing_is_certain_any_more_though_its_session_may_live() -> None:
    async def story() -> None:
        held = Held()
        with pytest.raises(LockLost, match="could not be renewed in time"):
            async with held:
                held.grant.check()
                held.session.certain_s = 0.0
                with pytest.raises(LockLost):
                    held.grant.check()
                held.session.certain_s = 10.0  # the connection is back: too late, it stays lost
                assert held.grant.remaining() == 0.0
                await for_ever()

    run(story)


def test_a_timer_notices_it_where_nobody_asks() -> None:
    async def story() -> None:
        held = Held()
        held.session.certain_s = 0.05
        with pytest.raises(LockLost, match="could not be renewed in time"):
            async with held:
                held.session.certain_s = 0.0
                await for_ever()

    run(story)


def test_a_grant_whose_key_was_deleted_by_somebody_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr("agreed.recipes.grant.LOOK_AFTER_S", 0.0)
        held = Held()
        with pytest.raises(LockLost, match="deleted by somebody else"):
            async with held:
                while not held.stage.watching:
                    await asyncio.sleep(0)
                await asyncio.sleep(0.01)
                assert not held.grant.lost
                held.stage.revision += 1
                held.stage.delete("locks/a")
                held.stage.put("locks/a", b"", 2)  # the same key, made by somebody else
                await for_ever()

    run(story)


def test_what_was_given_back_is_not_held_and_is_given_back_once() -> None:
    async def story() -> None:
        held = Held()
        async with held:
            await held.grant.release()
            await held.grant.release()
            with pytest.raises(NotHeld):
                held.grant.check()
            assert await held.grant.wait_lost() is False
            held.session.end()  # nobody's business any more
        assert held.given_back == 1
        assert not held.grant.lost

    run(story)


def test_what_was_taken_twice_is_given_back_when_it_was_twice() -> None:
    async def story() -> None:
        held = Held()
        async with held:
            held.grant.taken_again()
            await held.grant.release()
            assert held.grant.held
            assert held.given_back == 0
        assert held.given_back == 1

    run(story)
