"""What is put is there, what was said to be so is checked, and who watches misses nothing."""

from __future__ import annotations

import pytest

from agreed.backends.contract import EventKind
from agreed.backends.errors import Unsupported
from agreed.recipes.errors import Conflict
from agreed.recipes.kv import KeyValues
from tests.recipes.conftest import Clients


def test_what_is_put_is_there_for_everybody_until_it_is_deleted(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = KeyValues(one), KeyValues(two)
            assert await mine.get("orders/42") is None
            version = await mine.put("orders/42", b"new")
            entry = await yours.get("orders/42")
            assert entry is not None
            assert (entry.value, entry.version) == (b"new", version)
            assert await yours.put("orders/42", b"paid", if_version=version) > version
            with pytest.raises(Conflict, match="not at version"):
                await mine.put("orders/42", b"sent", if_version=version)
            with pytest.raises(Conflict, match="not at version"):
                await mine.delete("orders/42", if_version=version)
            with pytest.raises(Conflict, match="is there"):
                await mine.put("orders/42", b"new", if_absent=True)
            await mine.delete("orders/42")
            await mine.delete("orders/42")
            assert await yours.get("orders/42") is None
            await yours.put("orders/42", b"again", if_absent=True)
            with pytest.raises(ValueError, match="no version"):
                await mine.put("orders/42", b"", if_absent=True, if_version=1)

    clients.play(story)


def test_a_list_is_of_one_level(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            kv = KeyValues(one)
            for key in ("b/2", "b/1", "b/c/d", "x"):
                await kv.put(key, key.encode())
            assert [entry.key for entry in await kv.list("b")] == ["b/1", "b/2"]
            assert await kv.names("b") == ["1", "2", "c"]
            assert await kv.count("b") == 3
            assert await kv.list("nothing") == []
            assert "x" in await kv.names()

    clients.play(story)


def test_who_follows_sees_the_newest_state_and_that_there_is_none(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            kv = KeyValues(one)
            async with KeyValues(two).follow("a/1") as states, KeyValues(two).follow_list("a") as lists:
                assert await states.next(30.0) is None
                assert await lists.next(30.0) == []
                await kv.put("a/1", b"1")
                state = await states.next(30.0)
                assert state is not None
                assert state.value == b"1"
                assert await lists.next(30.0) == [state]
                await kv.delete("a/1")
                assert await states.next(30.0) is None

    clients.play(story)


def test_who_watches_is_told_every_change_in_order_or_refused_at_once(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = KeyValues(one), KeyValues(two)
            if not one.backend.capabilities.history:
                with pytest.raises(Unsupported, match="follow"):
                    mine.watch("a")
                return
            await yours.put("a/0", b"before")
            async with mine.watch("a", below=True) as events:
                versions = [await yours.put("a/1", b"%d" % number) for number in range(10)]
                await yours.delete("a/1")
                told = [await events.next(30.0) for _ in range(11)]
                with pytest.raises(TimeoutError):
                    await events.next(0.05)
            assert [event.kind for event in told] == [EventKind.PUT] * 10 + [EventKind.DELETED]
            assert [event.revision for event in told[:10]] == versions
            assert [event.entry.value for event in told[:10] if event.entry] == [b"%d" % n for n in range(10)]
            async with mine.watch("a/1", since=versions[7]) as events:
                assert [(await events.next(30.0)).revision for _ in range(2)] == versions[8:]

    clients.play(story)
