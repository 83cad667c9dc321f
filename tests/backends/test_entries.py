"""Keys and commits, as the contract promises them."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Absent, At, Delete, Entry, Put, Stands
from agreed.client.errors import BadArguments, Refused
from tests.backends.conftest import Place


def test_what_is_put_is_there_for_everybody(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            assert await backend.get("deep/down/key") is None
            revision = await backend.commit([], [Put("deep/down/key", b"one")])
            entry = await other.get("deep/down/key")
            assert entry is not None
            assert (entry.key, entry.value, entry.owner) == ("deep/down/key", b"one", 0)
            assert entry.created == entry.modified == revision
            again = await other.commit([], [Put("deep/down/key", b"two")])
            changed = await backend.get("deep/down/key")
            assert changed is not None
            assert changed.value == b"two"
            assert changed.version != entry.version
            assert (changed.created, changed.modified) == (entry.created, again)
            assert again is not None
            assert revision is not None
            assert again > revision

    asyncio.run(story())


def test_a_parent_is_no_key_and_an_empty_value_is_a_value(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            await backend.commit([], [Put("a/b/c", b""), Put("a/x", b"x")])
            assert await backend.get("a") is None
            assert await backend.get("a/b") is None
            entry = await backend.get("a/b/c")
            assert entry is not None
            assert entry.value == b""
            assert await backend.names("a") == ["b", "x"]
            assert [each.key for each in await backend.entries("a")] == ["a/x"]
            assert await backend.names("") == ["a"]
            assert await backend.names("nothing") == []
            assert await backend.entries("nothing") == []

    asyncio.run(story())


def test_a_name_goes_with_the_last_key_below_it(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            await backend.commit([], [Put("a/b", b"1"), Put("c", b"2")])
            await backend.commit([], [Delete("a/b")])
            assert await backend.names("") == ["c"]
            assert await backend.names("a") == []

    asyncio.run(story())


def test_a_value_stays_where_only_children_were_before(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            await backend.commit([], [Put("a/b", b"below")])
            await backend.commit([Absent("a")], [Put("a", b"above")])
            entry = await backend.get("a")
            assert entry is not None
            assert entry.value == b"above"
            assert await backend.names("a") == ["b"]
            assert [each.key for each in await backend.entries("a")] == ["a/b"]
            await backend.commit([], [Delete("a/b")])
            assert await backend.get("a") == entry
            assert await backend.commit([At("a", entry.version)], [Delete("a")]) is not None
            assert await backend.get("a") is None
            assert await backend.names("") == []
            assert await backend.commit([Absent("a")], [Put("a", b"")]) is not None
            assert await backend.get("a") is not None

    asyncio.run(story())


def test_a_commit_happens_as_a_whole_or_not_at_all(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            revision = await backend.commit([], [Put("a", b"1"), Put("b/c", b"2"), Delete("d")])
            entries = await backend.get("a"), await backend.get("b/c")
            assert all(each is not None and each.modified == revision for each in entries)
            assert await backend.commit([Absent("x"), Absent("b/c")], [Put("x", b""), Delete("a")]) is None
            assert await backend.get("x") is None
            assert await backend.get("a") is not None
            moved = await backend.commit([], [Delete("a"), Delete("b/c"), Put("b/d", b"3")])
            assert moved is not None
            assert await backend.get("a") is None
            assert [each.key for each in await backend.entries("b")] == ["b/d"]

    asyncio.run(story())


ABSENT, CHANGED, MADE_ANEW = "absent", "changed", "made anew"


@pytest.mark.parametrize("since", [None, CHANGED, MADE_ANEW, ABSENT])
def test_what_guards_hold_of(place: Place, since: str | None) -> None:
    async def entry_then(story: list[str | None]) -> Entry:
        async with place.backend() as backend:
            await backend.commit([], [Put("k", b"1"), Put("other", b"")])
            entry = await backend.get("k")
            assert entry is not None
            if since in (ABSENT, MADE_ANEW):
                await backend.commit([], [Delete("k")])
            if since in (CHANGED, MADE_ANEW):
                await backend.commit([], [Put("k", b"2")])
            for guard, holds in (
                (At("k", entry.version), since is None),
                (Stands("k", entry.created), since in (None, CHANGED)),
                (Absent("k"), since == ABSENT),
            ):
                assert (await backend.commit([guard], [Put("other", b"x")]) is not None) == holds
                assert (await backend.commit([guard], []) is not None) == holds
            return entry

    asyncio.run(entry_then([since]))


def test_guards_of_the_keys_that_are_changed(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            assert await backend.commit([Absent("k")], [Put("k", b"1")]) is not None
            assert await backend.commit([Absent("k")], [Put("k", b"2")]) is None
            entry = await backend.get("k")
            assert entry is not None
            assert await backend.commit([At("k", entry.version)], [Put("k", b"3")]) is not None
            assert await backend.commit([At("k", entry.version)], [Delete("k")]) is None
            assert await backend.commit([Stands("k", entry.created)], [Delete("k")]) is not None
            assert await backend.commit([Absent("k")], [Delete("k")]) is not None
            assert await backend.get("k") is None

    asyncio.run(story())


def test_of_all_who_want_to_be_first_one_is(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as one, place.backend() as other:
            for number in range(5):
                key = f"race{number}/key"
                tries = [
                    (one, other)[i % 2].commit([Absent(key)], [Put(key, str(i).encode())]) for i in range(8)
                ]
                won = [revision for revision in await asyncio.gather(*tries) if revision is not None]
                assert len(won) == 1
                entry = await one.get(key)
                assert entry is not None
                assert entry.created == won[0]

    asyncio.run(story())


def test_a_counter_that_many_change_loses_nothing(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as one, place.backend() as other:

            async def add(backend: object, times: int) -> None:
                assert backend in (one, other)
                mine = one if backend is one else other
                for _ in range(times):
                    while True:
                        entry = await mine.get("count")
                        if entry is None:
                            done = await mine.commit([Absent("count")], [Put("count", b"1")])
                        else:
                            value = str(int(entry.value) + 1).encode()
                            done = await mine.commit([At("count", entry.version)], [Put("count", value)])
                        if done is not None:
                            break

            await asyncio.gather(*(add(each, 5) for each in (one, other, one, other)))
            entry = await one.get("count")
            assert entry is not None
            assert entry.value == b"20"

    asyncio.run(story())


def test_what_others_have_below_it_is_deleted_only_where_that_can_be(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            await backend.commit([], [Put("a", b"1"), Put("a/b", b"2")])
            if backend.capabilities.deletes_parents:
                await backend.commit([], [Delete("a")])
                assert await backend.get("a") is None
                assert await backend.get("a/b") is not None
            else:
                with pytest.raises(Refused):
                    await backend.commit([], [Delete("a")])
                await backend.commit([], [Delete("a"), Delete("a/b")])
                assert await backend.names("") == []

    asyncio.run(story())


def test_what_was_below_a_key_is_not_in_its_way(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            await backend.commit([], [Put("a", b"1"), Put("a/b/c/d", b"2")])
            await backend.commit([], [Delete("a/b/c/d")])
            assert await backend.commit([], [Delete("a")]) is not None
            assert await backend.get("a") is None

    asyncio.run(story())


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "a/./b", ".."])
def test_a_key_that_is_none_is_refused(place: Place, key: str) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            with pytest.raises(BadArguments):
                await backend.get(key)
            with pytest.raises(BadArguments):
                await backend.commit([], [Put(key, b"")])

    asyncio.run(story())


def test_many_entries_come_in_the_order_of_their_names(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            step = min(300, backend.capabilities.changes)
            for start in range(0, 1200, step):
                keys = [f"many/{number:04}" for number in range(start, min(start + step, 1200))]
                await backend.commit([], [Put(key, key.encode()) for key in reversed(keys)])
            entries = await backend.entries("many")
            assert [each.key for each in entries] == [f"many/{number:04}" for number in range(1200)]
            assert all(each.value == each.key.encode() for each in entries)
            assert await backend.names("many") == [f"{number:04}" for number in range(1200)]

    asyncio.run(story())
