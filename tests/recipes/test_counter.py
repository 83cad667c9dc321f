"""Every addition counts once, and everybody sees it."""

from __future__ import annotations

import asyncio

from agreed.recipes.counter import Counter
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy


def test_nobody_has_changed_it_so_it_is_nothing(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            counter = Counter(one, "orders")
            assert await counter.get() == 0
            assert await counter.add() == 1
            assert await counter.add(-3) == -2
            await counter.set(10)
            assert await counter.get() == 10

    clients.play(story)


def test_additions_of_many_at_once_have_a_value_each(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            counters = [Counter(each, "orders") for each in (one, two, three)]
            answers = await asyncio.gather(*(each.add() for each in counters * 8))
            assert sorted(answers) == list(range(1, 25))
            assert await counters[0].get() == 24

    clients.play(story)


def test_an_addition_whose_answer_is_lost_counts_once(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            mine, yours = Counter(sessions, "orders"), Counter(two, "orders")
            way.lose(Loss.DONE, Loss.NOT_DONE, Loss.LATE, Loss.DONE)
            answers = await asyncio.gather(*(each.add() for each in (mine, yours) * 5))
            await way.arrive()
            assert sorted(answers) == list(range(1, 11))
            assert await yours.get() == 10
            assert way.lost == 4

    clients.play(story)


def test_who_follows_sees_the_newest_value(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            counter = Counter(one, "orders")
            async with Counter(two, "orders").follow() as values:
                assert await values.next(30.0) == 0
                await counter.add(5)
                assert await values.next(30.0) == 5

    clients.play(story)
