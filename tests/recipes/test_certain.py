"""A commit is done once or not at all, and whoever asked for it knows which, though answers are lost."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Absent, At, Put
from agreed.client.errors import ClientError, ConnectionLost
from agreed.recipes.certain import SLOTS
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy


async def number(sessions: Sessions) -> int:
    entry = await sessions.backend.get("number")
    return 0 if entry is None else int(entry.value)


def test_the_revision_is_the_version_of_what_was_put(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            made = await one.certain.commit([Absent("a")], [Put("a", b"1")])
            entry = await one.backend.get("a")
            assert entry is not None
            assert (entry.created, entry.version, entry.modified) == (made, made, made)
            changed = await one.certain.commit([At("a", entry.version)], [Put("a", b"2")])
            entry = await one.backend.get("a")
            assert entry is not None
            assert (entry.created, entry.version, entry.modified) == (made, changed, changed)
            assert await one.certain.commit([Absent("a")], [Put("a", b"3")]) is None

    clients.play(story)


@pytest.mark.parametrize(
    "losses",
    [
        [Loss.DONE],
        [Loss.NOT_DONE],
        [Loss.LATE],
        [Loss.DONE, Loss.DONE],
        [Loss.LATE, Loss.LATE],
        [Loss.LATE, Loss.DONE],
        [Loss.NOT_DONE, Loss.NOT_DONE, Loss.LATE, Loss.DONE, Loss.DONE],
    ],
)
@pytest.mark.parametrize("guarded", [True, False])
def test_it_is_done_once_and_known_to_be(clients: Clients, losses: list[Loss], guarded: bool) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)
            assert await sessions.certain.commit([], [Put("number", b"1")])  # a slot is there
            way.lose(*losses)
            guards = [Absent("twice")] if guarded else []
            first = await sessions.certain.commit(guards, [Put("number", b"2"), Put("twice", b"")])
            assert first is not None
            entry = await one.backend.get("number")
            assert entry is not None
            assert entry.version == first
            await one.backend.commit([], [Put("number", b"9")])
            await way.arrive()
            assert await number(one) == 9, "it came when it was not waited for any more"
            assert way.lost == len(losses)

    clients.play(story)


def test_the_slot_itself_may_be_made_and_the_answer_be_lost(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)
            way.lose(Loss.DONE, Loss.LATE)
            assert await sessions.certain.commit([], [Put("number", b"1")])
            await way.arrive()
            assert await number(one) == 1

    clients.play(story)


def test_a_guard_that_does_not_hold_is_one_thing_and_a_slot_that_is_gone_another(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            assert await one.certain.commit([], [Put("number", b"1")])
            [slot] = await two.backend.entries(SLOTS)
            await (await one.get()).close()
            assert await one.certain.commit([Absent("number")], [Put("number", b"2")]) is None
            assert await one.certain.commit([], [Put("number", b"3")]) is not None
            assert await number(two) == 3
            assert slot.key not in [each.key for each in await two.backend.entries(SLOTS)]

    clients.play(story)


def test_nothing_is_left_of_the_slots_and_there_are_as_many_as_commits_at_once(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as watcher:
            async with clients() as one:
                for _ in range(3):
                    await asyncio.gather(
                        *(one.certain.commit([], [Put(f"n/{each}", b"")]) for each in range(4))
                    )
                assert 1 <= len(await watcher.backend.names(SLOTS)) <= 4
            assert await watcher.backend.names(SLOTS) == []

    clients.play(story)


def test_who_is_cancelled_leaves_a_commit_that_ends_and_a_slot_that_is_used_again(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            await one.certain.commit([], [Put("number", b"0")])
            for turns in range(6):
                task = asyncio.create_task(one.certain.commit([], [Put("number", b"%d" % turns)]))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled() or task.result()
                await one.certain.settled()
            assert await one.certain.commit([], [Put("number", b"7")])
            assert await number(one) == 7
            assert len(await one.backend.names(SLOTS)) == 1

    clients.play(story)


def test_what_nobody_answers_ends_with_what_is_certain(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)
            assert await sessions.certain.commit([], [Put("number", b"1")])
            way.lose(Loss.LATE)
            waiting = asyncio.create_task(sessions.certain.commit([], [Put("number", b"2")]))
            way.lose(*[Loss.NOT_DONE] * 1000)
            while way.lost < 3:
                await asyncio.sleep(0)
            await (await sessions.get()).close()
            with pytest.raises(ClientError) as told:
                await waiting
            assert isinstance(told.value, ConnectionLost)
            assert told.value.maybe

    clients.play(story)
