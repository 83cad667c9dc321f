"""All who wait for it go on when it happens."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Put
from agreed.recipes.errors import CodecError, WaitTimeout
from agreed.recipes.event import Event
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy


def test_all_who_wait_go_on_and_who_comes_later_does_not_wait(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = Event(one, "ready"), Event(two, "ready")
            assert not await mine.is_set()
            with pytest.raises(WaitTimeout):
                await mine.wait(0.05)
            waiting = [asyncio.create_task(each.wait()) for each in (mine, yours) * 3]
            await mine.set()
            await mine.set()
            await asyncio.gather(*waiting)
            assert await yours.is_set()
            await yours.wait(30.0)
            await yours.clear()
            await yours.clear()
            with pytest.raises(WaitTimeout, match="not set within"):
                await mine.wait(0.05)

    clients.play(story)


def test_who_waits_goes_on_though_it_is_cleared_at_once(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            event = Event(one, "ready")
            sessions, way = lossy(two)
            waiting = asyncio.create_task(Event(sessions, "ready").wait())
            while not way.looked:
                await asyncio.sleep(0.001)
            # What is there after it was set and cleared: nobody saw it between the two.
            await one.backend.commit([], [Put("ready", b'{"is_set":false,"times":1}')])
            await waiting
            assert not await event.is_set()

    clients.play(story)


@pytest.mark.parametrize("loss", [Loss.DONE, Loss.NOT_DONE, Loss.LATE])
def test_it_is_set_and_cleared_once_where_answers_are_lost(clients: Clients, loss: Loss) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            mine, yours = Event(sessions, "ready"), Event(two, "ready")
            for others in (None, yours.clear, yours.set):
                way.lose(loss)
                way.meanwhile = others
                await mine.set()
                await way.arrive()
                assert way.lost
                assert await yours.is_set() is not (others == yours.clear and loss is Loss.DONE)
                await yours.set()
                way.lose(loss)
                way.meanwhile = yours.set
                await mine.clear()
                await way.arrive()
                assert await yours.is_set() is (loss is Loss.DONE), "it was set after it was cleared"
                await yours.clear()

    clients.play(story)


def test_who_follows_sees_whether_it_is_set(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, Event(two, "ready").follow() as states:
            assert await states.next(30.0) is False
            await Event(one, "ready").set()
            assert await states.next(30.0) is True

    clients.play(story)


def test_a_wait_that_is_cancelled_watches_no_longer(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            event = Event(one, "ready")
            for turns in range(5):
                task = asyncio.create_task(event.wait())
                for _ in range(turns):
                    await asyncio.sleep(0.001)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert getattr(one.backend, "watching", []) == []

    clients.play(story)


def test_what_is_no_event_is_not_taken_for_one(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            await one.backend.commit([], [Put("ready", b"perhaps")])
            with pytest.raises(CodecError, match="no event"):
                await Event(one, "ready").set()

    clients.play(story)
