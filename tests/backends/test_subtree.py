"""All that is below a key, as the contract promises it."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Backend, Delete, Entry, Put
from agreed.backends.errors import TooMuchBelow
from agreed.client.errors import BadArguments
from tests.backends.conftest import Place, with_connections_to_cut

PLENTY = {"most": 1000, "most_bytes": 1 << 20}


async def found(backend: Backend, key: str) -> list[str]:
    return [entry.key for entry in (await backend.subtree(key, **PLENTY)).entries]


def test_a_key_and_all_below_it_at_any_depth_and_nothing_beside_it(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            assert await found(backend, "") == await found(backend, "top") == []
            keys = ["top", "top/a", "top/a/b/c", "top/z", "top-beside", "topmost/x"]
            for key in reversed(keys):
                await other.commit([], [Put(key, key.encode())])
            assert await found(backend, "top") == ["top", "top/a", "top/a/b/c", "top/z"]
            assert await found(backend, "top/a/b") == ["top/a/b/c"], "what is only a parent is none of them"
            assert await found(backend, "") == sorted(keys)
            below = await backend.subtree("top", **PLENTY)
            entries: list[Entry | None] = [await backend.get(entry.key) for entry in below.entries]
            assert list(below.entries) == entries
            await other.commit([], [Delete("top/a/b/c")])
            assert await found(backend, "top") == ["top", "top/a", "top/z"]

    asyncio.run(story())


def test_what_was_changed_up_to_its_revision_is_in_it(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            before = -1
            for number in range(5):
                revision = await other.commit([], [Put(f"t/{number}", b"")])
                below = await backend.subtree("t", **PLENTY)
                assert revision is not None
                assert below.revision >= revision > before
                assert len(below.entries) == number + 1
                before = below.revision
            await other.commit([], [Delete("t/0")])
            assert (await backend.subtree("t", **PLENTY)).revision > before

    asyncio.run(story())


def test_more_than_one_wants_is_refused_and_more_than_a_page_is_read(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            for start in range(0, 300, 100):
                await backend.commit(
                    [], [Put(f"t/{n % 7}/{n:03}", b"12345") for n in range(start, start + 100)]
                )
            below = await backend.subtree("t", most=300, most_bytes=1 << 20)
            assert sorted(entry.key[-3:] for entry in below.entries) == [f"{n:03}" for n in range(300)]
            assert [entry.key for entry in below.entries] == sorted(entry.key for entry in below.entries)
            with pytest.raises(TooMuchBelow):
                await backend.subtree("t", most=299, most_bytes=1 << 20)
            with pytest.raises(TooMuchBelow):
                await backend.subtree("t", most=300, most_bytes=300 * 5)
            with pytest.raises(BadArguments):
                await backend.subtree("a//b", **PLENTY)

    asyncio.run(story())


@with_connections_to_cut
def test_a_connection_that_is_cut_meanwhile_tears_nothing(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            keys = [f"t/{n % 3}/{n:02}" for n in range(90)]
            await other.commit([], [Put(key, b"") for key in keys])
            for _ in range(3):
                reading = asyncio.ensure_future(found(backend, "t"))
                await asyncio.sleep(0.001)
                leash.cut()
                assert await reading == sorted(keys)

    asyncio.run(story())
