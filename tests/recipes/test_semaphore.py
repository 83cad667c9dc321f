"""So many at a time and no more, also where two disagree about how many that is."""

from __future__ import annotations

import asyncio

import pytest

from agreed.recipes.errors import AcquireTimeout
from agreed.recipes.semaphore import PermitsDiffer, Semaphore
from tests.recipes.conftest import Clients, until_so_many_wait


def test_no_more_than_there_are_permits_at_once_and_everybody_has_his_turn(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            inside = most = done = 0

            async def work(semaphore: Semaphore) -> None:
                nonlocal inside, most, done
                async with semaphore:
                    inside += 1
                    most = max(most, inside)
                    await asyncio.sleep(0.02)
                    inside -= 1
                    done += 1

            async with asyncio.TaskGroup() as group:
                for sessions in (one, two, three) * 3:
                    group.create_task(work(Semaphore(sessions, "exports", 2)))
            assert most == 2
            assert done == 9

    clients.play(story)


def test_a_permit_is_free_when_any_of_those_who_have_one_gives_it_back(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            semaphore = Semaphore(one, "exports", 2)
            first, second = await semaphore.acquire(), await semaphore.acquire()
            assert await Semaphore(two, "exports", 2).try_acquire() is None
            waiting = asyncio.create_task(Semaphore(two, "exports", 2).acquire())
            await until_so_many_wait(semaphore, 1)
            with pytest.raises(AcquireTimeout):
                await semaphore.acquire(0.1)
            await second.release()
            third = await waiting
            assert third.token > second.token
            assert [holder.token for holder in await semaphore.holders()] == [first.token, third.token]
            await first.release()
            await third.release()

    clients.play(story)


def test_who_counts_another_number_of_permits_is_refused(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            await (await Semaphore(one, "exports", 2).acquire()).release()
            with pytest.raises(PermitsDiffer, match="2 permits, and not 3"):
                await Semaphore(two, "exports", 3).acquire()
            with pytest.raises(PermitsDiffer):
                await Semaphore(two, "exports", 1).try_acquire()

    clients.play(story)


def test_a_semaphore_without_permits_is_none() -> None:
    with pytest.raises(ValueError, match="one permit or more"):
        Semaphore(None, "exports", 0)  # type: ignore[arg-type]
