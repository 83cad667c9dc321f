"""Everybody sees who is there, for as long as he is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from unittest import mock

import pytest

from agreed.backends.contract import Change, Delete, Guard, Put
from agreed.recipes.errors import MembershipLost
from agreed.recipes.group import Group
from tests.recipes.conftest import Clients, nobody_is_left
from tests.recipes.lossy import Loss, lossy


def test_members_are_seen_in_the_order_in_which_they_came(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = Group(one, "workers"), Group(two, "workers")
            async with mine.join(b"1") as first:
                async with yours.join(b"2") as second:
                    assert first.token < second.token
                    for group in (mine, yours):
                        members = await group.members()
                        assert [each.info for each in members] == [b"1", b"2"]
                        assert [each.id for each in members] == [first.id, second.id]
                        assert [each.token for each in members] == [first.token, second.token]
                    await second.inform(b"two")
                    assert [each.info for each in await mine.members()] == [b"1", b"two"]
                assert [each.info for each in await yours.members()] == [b"1"]
                again = await mine.join(b"3").acquire()
                assert len(await yours.members()) == 2
                await again.leave()
            await nobody_is_left(one, "workers/members")

    clients.play(story)


def test_who_follows_sees_who_comes_goes_and_dies(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, Group(two, "workers").follow() as states:
            assert await states.next(30.0) == []
            membership = await Group(one, "workers").join(b"1").acquire()
            [member] = await states.next(30.0)
            assert (member.info, member.id, member.session) == (
                b"1",
                membership.id,
                membership.session.id,
            )
            await membership.session.close()
            assert await states.next(30.0) == []
            assert membership.lost

    clients.play(story)


def test_the_body_of_a_member_ends_with_his_session(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            with pytest.raises(MembershipLost):
                async with Group(one, "workers").join() as membership:
                    await membership.session.close()
                    await asyncio.Event().wait()
            async with clients() as two:
                membership = await Group(two, "workers").join().acquire()
                await one.backend.commit([], [Delete(membership.key)])
                await one.backend.commit([], [Put(membership.key, b"somebody else")])
                entry = await one.backend.get(membership.key)
                assert entry is not None
                assert entry.value == b"somebody else"
                asked: list[Change] = []
                commit = two.backend.commit

                async def kept(guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
                    asked.extend(changes)
                    return await commit(guards, changes)

                with (
                    mock.patch.object(two.backend, "commit", kept),
                    pytest.raises(MembershipLost, match="deleted by somebody else"),
                ):
                    await membership.inform(b"still here")
                # What stands there afterwards says nothing: the key bears the mark of a place that is lost,
                # and is cleaned away with it.
                assert not [change for change in asked if isinstance(change, Put)]

    clients.play(story)


@pytest.mark.parametrize("loss", [Loss.DONE, Loss.NOT_DONE, Loss.LATE])
def test_what_a_member_says_last_stands_there_also_where_answers_are_lost(
    clients: Clients, loss: Loss
) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            async with Group(sessions, "workers").join(b"1") as membership:
                way.lose(loss)
                await membership.inform(b"2")
                way.lose(loss)
                await membership.inform(b"3")
                await way.arrive()
                assert [each.info for each in await Group(two, "workers").members()] == [b"3"]
            await sessions.close()

    clients.play(story)


def test_who_is_cancelled_while_he_joins_is_no_member(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            for turns in range(6):
                task = asyncio.create_task(Group(one, "workers").join().acquire())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    await (await task).leave()
                except asyncio.CancelledError:
                    pass
            await nobody_is_left(one, "workers/members")

    clients.play(story)
