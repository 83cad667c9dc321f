"""To hear that something may have changed, as the contract promises it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agreed.backends.contract import Backend, Changes, Delete, Put
from agreed.backends.errors import Unsupported
from agreed.client.errors import ClientError
from tests.backends.conftest import Place, with_connections_to_cut
from tests.node.running import DEADLINE_S

BELOW = pytest.mark.parametrize("below", [False, True])


async def until(changes: Changes, holds: Callable[[], Awaitable[bool]]) -> int:
    """Look, wait, look; how often was looked."""
    looks = 1
    async with asyncio.timeout(DEADLINE_S):
        while not await holds():
            looks += 1
            assert await changes.wait(DEADLINE_S)
    return looks


def is_there(backend: Backend, key: str, value: bytes | None) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        entry = await backend.get(key)
        return (entry.value if entry else None) == value

    return look


@BELOW
def test_a_key_that_comes_changes_and_goes(place: Place, below: bool) -> None:
    async def story() -> None:
        async with (
            place.backend() as backend,
            place.backend() as other,
            backend.changes("a/key", below=below) as changes,
        ):
            for value in (b"1", b"2", b"3"):
                await other.commit([], [Put("a/key", value)])
                await until(changes, is_there(backend, "a/key", value))
            for _ in range(3):
                await other.commit([], [Delete("a/key")])
                await until(changes, is_there(backend, "a/key", None))
                await other.commit([], [Put("a/key", b"again")])
                await until(changes, is_there(backend, "a/key", b"again"))

    asyncio.run(story())


@BELOW
def test_what_changes_while_nobody_waits_is_not_missed(place: Place, below: bool) -> None:
    async def story() -> None:
        async with (
            place.backend() as backend,
            place.backend() as other,
            backend.changes("key", below=below) as changes,
        ):
            await other.commit([], [Put("key", b"1")])
            assert await changes.wait(DEADLINE_S)
            await other.commit([], [Delete("key")])
            assert await changes.wait(DEADLINE_S)

    asyncio.run(story())


def test_below_is_all_that_is_below(place: Place) -> None:
    async def story() -> None:
        async with (
            place.backend() as backend,
            place.backend() as other,
            backend.changes("top", below=True) as changes,
        ):
            for key in ("top/a", "top/b/c/d", "top"):
                await other.commit([], [Put(key, b"1")])
                await until(changes, is_there(backend, key, b"1"))
            await other.commit([], [Delete("top/b/c/d")])
            await until(changes, is_there(backend, "top/b/c/d", None))

    asyncio.run(story())


@BELOW
def test_it_becomes_quiet_and_others_do_not_disturb(place: Place, below: bool) -> None:
    async def story() -> None:
        async with (
            place.backend() as backend,
            place.backend() as other,
            backend.changes("a", below=below) as changes,
        ):
            await other.commit([], [Put("a", b"1")])
            assert await changes.wait(DEADLINE_S)
            async with asyncio.timeout(DEADLINE_S):
                while await changes.wait(0.3):
                    pass
            await other.commit([], [Put("ab", b"1"), Put("b/a", b"")])
            if not below:
                await other.commit([], [Put("a/x", b"1")])
            assert not await changes.wait(0.3)
            await other.commit([], [Put("a", b"2")])
            assert await changes.wait(DEADLINE_S)

    asyncio.run(story())


def test_whoever_watches_all_below_a_key_can_ask_what_was_touched(place: Place) -> None:
    async def story() -> None:
        async with (
            place.backend() as backend,
            place.backend() as other,
            backend.changes("top", below=True) as changes,
        ):
            assert not changes.touched().keys
            keys = {"top", "top/a", "top/b/c"}
            for change in (Put("top/a", b""), Put("top/b/c", b""), Put("top", b""), Delete("top/a")):
                await other.commit([], [Put("top-beside", b""), Put("topmost/x", b"")])
                revision = await other.commit([], [change])
                assert revision is not None
                found: set[str] = set()
                async with asyncio.timeout(DEADLINE_S):
                    while change.key not in found:
                        assert await changes.wait(DEADLINE_S)
                        touched = changes.touched()
                        assert touched.keys is not None
                        found |= touched.keys
                assert found <= keys | {"top/b", "top/_agreed_kept"}
                await backend.get(change.key)
                assert changes.touched().revision >= revision, "it was told, and nothing before it is missing"

    asyncio.run(story())


@with_connections_to_cut
def test_after_a_lost_connection_anything_may_have_been_touched(place: Place) -> None:
    async def story() -> None:
        async with (
            place.backend() as other,
            place.leash() as leash,
            place.backend(by=leash) as backend,
            backend.changes("top", below=True) as changes,
        ):
            leash.close()
            await other.commit([], [Put("top/a", b"")])
            await leash.open()
            async with asyncio.timeout(DEADLINE_S):
                while (touched := changes.touched()).keys is not None:
                    assert "top/a" not in touched.keys, "it was not heard of in order"
                    await changes.wait(0.1)

    asyncio.run(story())


def test_several_watch_one_key_in_different_ways(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            await other.commit([], [Put("k", b"0")])
            async with backend.changes("k", below=False) as here:
                async with backend.changes("k", below=True) as below:
                    async with backend.changes("k", below=False) as third:
                        await other.commit([], [Put("k", b"1")])
                        for each in (here, below, third):
                            await until(each, is_there(backend, "k", b"1"))
                            assert await each.wait(DEADLINE_S)
                    await other.commit([], [Put("k/x", b"1")])
                    await until(below, is_there(backend, "k/x", b"1"))
                # The one with all below it is gone; the other still hears.
                for value in (b"2", b"3"):
                    await other.commit([], [Put("k", value)])
                    await until(here, is_there(backend, "k", value))

    asyncio.run(story())


def test_waiting_ends_when_its_time_is_over(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, backend.changes("k", below=False) as changes:
            assert not await changes.wait(0.0)
            assert not await changes.wait(0.05)
            waiting = asyncio.ensure_future(changes.wait())
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await backend.commit([], [Put("k", b"")])
            assert await changes.wait(DEADLINE_S)

    asyncio.run(story())


@with_connections_to_cut
@BELOW
def test_a_connection_that_was_lost_hides_no_change(place: Place, below: bool) -> None:
    async def story() -> None:
        async with (
            place.backend() as other,
            place.leash() as leash,
            place.backend(by=leash) as backend,
            backend.changes("k", below=below) as changes,
        ):
            for value in (b"1", b"2", b"3"):
                leash.close()
                await other.commit([], [Put("k", value)])
                await leash.open()
                await until(changes, is_there(backend, "k", value))

    asyncio.run(story())


@BELOW
def test_nobody_waits_for_a_backend_that_is_closed(place: Place, below: bool) -> None:
    async def story() -> None:
        async with place.backend() as backend, backend.changes("k", below=below) as changes:
            waiting = asyncio.ensure_future(changes.wait())
            await asyncio.sleep(0.05)
            await backend.close()
            async with asyncio.timeout(DEADLINE_S):
                with pytest.raises(ClientError):
                    await waiting
                    while True:
                        await changes.wait()

    asyncio.run(story())


def test_history_is_told_or_refused(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            if not backend.capabilities.history:
                with pytest.raises(Unsupported):
                    await anext(backend.history("k", below=False, since=None))

    asyncio.run(story())
