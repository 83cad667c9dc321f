"""All or none, in one order, and nobody waits in a circle."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Delete, Put
from agreed.recipes.errors import AcquireTimeout, LockLost, NotHeld
from agreed.recipes.grant import Grant
from agreed.recipes.lock import Lock
from agreed.recipes.multilock import MultiGrant, MultiLock
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients, nobody_is_left, until_so_many_wait


def test_many_who_want_some_of_the_same_ones_all_get_them(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            inside: dict[str, int] = {}
            done = 0

            async def work(sessions: Sessions, names: list[str]) -> None:
                nonlocal done
                async with MultiLock(sessions, names, timeout=50.0) as held:
                    held.check()
                    assert 0 < held.remaining() <= 10.0
                    assert sorted(held.tokens) == sorted(names)
                    for name in names:
                        assert name not in inside
                        inside[name] = held.tokens[name]
                    await asyncio.sleep(0.001)
                    for name in names:
                        del inside[name]
                    done += 1

            wanted = (["a", "b"], ["b", "a"], ["b", "c"], ["c", "a"], ["c", "b", "a"])
            async with asyncio.TaskGroup() as group:
                for sessions in (one, two, three):
                    for names in wanted:
                        group.create_task(work(sessions, names))
            assert done == 15
            for name in "abc":
                await nobody_is_left(one, name)

    clients.play(story)


def test_who_cannot_have_all_has_none(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            held = await Lock(one, "b").acquire()
            both = MultiLock(two, ["b", "a"])
            with pytest.raises(AcquireTimeout):
                await both.acquire(0.1)
            await two.tidied()
            free = await Lock(one, "a").try_acquire()
            assert free is not None
            await free.release()
            assert await both.try_acquire() is None
            await two.tidied()
            await nobody_is_left(one, "a")

            waiting = asyncio.create_task(both.acquire())
            await until_so_many_wait(Lock(one, "b"), 1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await two.tidied()
            await nobody_is_left(one, "a")
            assert await Lock(one, "b").waiters() == []
            await held.release()
            got = await both.try_acquire()
            assert got is not None
            assert all((await both.holders()).values())
            assert repr(got).startswith("<MultiGrant of [")
            await got.release()
            with pytest.raises(NotHeld):
                got.check()
            assert await both.holders() == {"a": None, "b": None}

    clients.play(story)


def test_who_loses_one_loses_all(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            grants: list[MultiGrant] = []

            async def work() -> None:
                async with MultiLock(one, ["a", "b"]) as held:
                    grants.append(held)
                    assert await one.backend.commit(held.conditions(), [Put("result", b"")]) is not None
                    [_, second] = held.conditions()
                    await two.backend.commit([], [Delete(second.key)])
                    await asyncio.Event().wait()

            with pytest.raises(LockLost, match=r"b \(token"):
                await work()
            assert grants[0].lost
            assert not grants[0].held
            assert grants[0].remaining() == 0
            assert await one.backend.commit(grants[0].conditions(), [Put("result", b"late")]) is None
            await nobody_is_left(one, "a")

    clients.play(story)


def test_one_that_is_lost_while_the_next_is_waited_for_is_taken_again(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.recipes.grant.LOOK_AFTER_S", 0.0)

    async def story() -> None:
        noticed = asyncio.Event()
        lose = Grant.lose

        def notice(grant: Grant, why: str) -> None:
            lose(grant, why)
            noticed.set()

        monkeypatch.setattr(Grant, "lose", notice)
        async with clients() as one, clients() as two:
            other = await Lock(two, "b").acquire()
            waiting = asyncio.create_task(MultiLock(one, ["a", "b"]).acquire())
            await until_so_many_wait(Lock(two, "b"), 1)
            first = await Lock(two, "a").holder()
            assert first is not None
            await two.backend.commit([], [Delete(first.key)])
            await noticed.wait()
            await other.release()
            held = await waiting
            held.check()
            assert held.tokens["a"] > first.token
            await held.release()

    clients.play(story)


def test_none_is_not_several() -> None:
    with pytest.raises(ValueError, match="one at least"):
        MultiLock(None, [])  # type: ignore[arg-type]
