"""It opens when so many have counted down, each of them once, and stays open."""

from __future__ import annotations

import asyncio

import pytest

from agreed.recipes.errors import Differs, WaitTimeout
from agreed.recipes.latch import Latch
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy


def test_it_opens_with_the_last_and_stays_open(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = Latch(one, "warm", 3), Latch(two, "warm", 3)
            assert await mine.left() == 3
            waiting = asyncio.create_task(mine.wait())
            async with yours.follow() as left:
                assert await left.next(30.0) == 3
                assert sorted(await asyncio.gather(mine.count_down(), yours.count_down())) == [1, 2]
                with pytest.raises(WaitTimeout):
                    await yours.wait(0.05)
                assert not waiting.done()
                assert await yours.count_down() == 0
                await waiting
                while await left.next(30.0):
                    pass
            assert await mine.count_down() == 0
            await yours.wait(30.0)

    clients.play(story)


def test_who_counts_down_and_hears_no_answer_has_done_it_once(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            way.lose(Loss.DONE, Loss.LATE, Loss.NOT_DONE, Loss.DONE)
            latches = [Latch(sessions, "warm", 7), Latch(two, "warm", 7)] * 3
            assert sorted(await asyncio.gather(*(each.count_down() for each in latches))) == [*range(1, 7)]
            await way.arrive()
            assert await latches[1].left() == 1

    clients.play(story)


def test_the_first_says_how_many_also_when_he_only_waits(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            waiting = asyncio.create_task(Latch(one, "warm", 2).wait())
            while await two.backend.get("warm") is None:
                await asyncio.sleep(0.005)
            waiting.cancel()
            other = Latch(two, "warm", 3)
            for asked in (other.count_down(), other.left(), other.wait()):
                with pytest.raises(Differs, match="2 to count down, and not 3"):
                    await asked

    clients.play(story)


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="one or more"):
        Latch(None, "warm", 0)  # type: ignore[arg-type]
