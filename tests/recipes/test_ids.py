"""No number is given twice; those of one generator grow."""

from __future__ import annotations

import asyncio

import pytest

from agreed.client.errors import ConnectionLost, Forked
from agreed.recipes.changing import LOST_ANSWERS_MOST
from agreed.recipes.ids import IdGenerator
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy


def test_numbers_of_many_at_once_differ_and_grow_with_each(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            given: list[list[int]] = [[], []]

            async def take(ids: IdGenerator, numbers: list[int]) -> None:
                for _ in range(10):
                    numbers.append(await ids.next())

            async with asyncio.TaskGroup() as group:
                for sessions, numbers in zip((one, two), given, strict=True):
                    ids = IdGenerator(sessions, "orders", block=3)
                    for _ in range(3):
                        group.create_task(take(ids, numbers))
            assert all(numbers == sorted(numbers) for numbers in given)
            assert len({*given[0], *given[1]}) == 60
            assert min(*given[0], *given[1]) == 1

    clients.play(story)


def test_a_block_of_ones_own_is_nobody_elses(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            ids = IdGenerator(one, "orders", block=2)
            assert await ids.next() == 1
            assert await ids.take(3) == range(3, 6)
            assert [await ids.next() for _ in range(2)] == [2, 6]

    clients.play(story)


def test_a_block_of_which_nobody_knows_is_left_out(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)
            ids = IdGenerator(sessions, "orders", block=1)
            way.lose(Loss.DONE)
            assert await ids.next() == 1
            way.lose(*[Loss.NOT_DONE] * LOST_ANSWERS_MOST)
            assert await ids.next() == 2
            way.lose(*[Loss.LATE] * LOST_ANSWERS_MOST)
            third = await ids.next()
            await way.arrive()
            assert await IdGenerator(one, "orders").next() > third > 2
            way.lose(*[Loss.NOT_DONE] * LOST_ANSWERS_MOST * 2)
            with pytest.raises(ConnectionLost):
                await ids.next()
            way.lose(Loss.REFUSED)

    clients.play(story)


def test_a_copy_of_the_process_does_not_give_the_same_numbers(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with clients() as one:
            ids = IdGenerator(one, "orders")
            assert await ids.next() == 1
            with monkeypatch.context() as patch:
                patch.setattr("os.getpid", lambda: -1)
                with pytest.raises(Forked):
                    await ids.next()
            assert await ids.next() == 2

    clients.play(story)


def test_a_block_without_numbers_is_none() -> None:
    with pytest.raises(ValueError, match="one number or more"):
        IdGenerator(None, "orders", block=0)  # type: ignore[arg-type]
