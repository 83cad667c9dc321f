"""Sessions, as the contract promises them."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Absent, Delete, Put
from agreed.client.errors import ClientError
from agreed.errors import ConfigurationError
from tests.backends.conftest import Place, owned, with_connections_to_cut
from tests.node.running import DEADLINE_S


def test_what_was_made_with_a_session_goes_with_it(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            session = await backend.open_session(10.0)
            assert session.ttl_s == 10.0
            assert not session.ended
            assert 0 < session.remaining_s() <= 10.0
            await backend.commit([], [Put("a/mine", b"1", session), Put("a/stays", b"")])
            entry = await other.get("a/mine")
            assert entry is not None
            assert entry.owner == session.id != 0
            await other.commit([], [Put("a/mine", b"2")])
            changed = await other.get("a/mine")
            assert changed is not None
            assert (changed.owner, changed.created, changed.value) == (session.id, entry.created, b"2")
            ended: list[str] = []
            session.on_end(lambda: ended.append("told"))
            session.on_end(lambda: ended.append("not told"))()
            await session.close()
            assert session.ended
            assert session.remaining_s() == 0
            session.on_end(lambda: ended.append("late"))
            assert ended == ["told", "late"]
            assert await other.names("a") == ["stays"]
            # What the closed session was for does not end with it.
            assert await backend.get("a/stays") is not None

    asyncio.run(story())


def test_a_session_puts_over_what_is_there_without_owning_it(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            session = await backend.open_session(10.0)
            await backend.commit([], [Put("k", b"1")])
            await backend.commit([], [Put("k", b"2", session)])
            await session.close()
            entry = await backend.get("k")
            assert entry is not None
            assert (entry.value, entry.owner) == (b"2", 0)

    asyncio.run(story())


def test_sessions_do_not_share_their_end(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            sessions = [await backend.open_session(each) for each in (10.0, 10.0, 12.0)]
            assert len({each.id for each in sessions}) == 3
            assert [each.ttl_s for each in sessions] == [10.0, 10.0, 12.0]
            for number, session in enumerate(sessions):
                assert await backend.commit([Absent(f"{number}")], [Put(f"{number}", b"", session)])
            await sessions[0].close()
            assert await backend.names("") == ["1", "2"]
            assert not sessions[1].ended
            await backend.commit([], [Delete("1")])
            assert await backend.names("") == ["2"]

    asyncio.run(story())


def test_a_time_that_no_server_grants_is_refused(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            for ttl_s in (0.0, -1.0, 1e12):
                with pytest.raises(ConfigurationError):
                    await backend.open_session(ttl_s)

    asyncio.run(story())


def test_closing_the_backend_ends_its_sessions(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as other:
            async with place.backend() as backend:
                session = await backend.open_session(10.0)
                another = await backend.open_session(11.0)
                await backend.commit([], [Put("one", b"", session)])
                await backend.commit([], [Put("two", b"", another)])
            assert session.ended
            assert another.ended
            assert await other.names("") == []
            with pytest.raises(ClientError):
                await backend.get("one")
            with pytest.raises(ClientError):
                await backend.open_session(10.0)
            await backend.close()

    asyncio.run(story())


@with_connections_to_cut
def test_a_session_that_nobody_renews_runs_out(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            session = await owned(backend, "k", place.shortest_ttl_s)
            ended = asyncio.Event()
            session.on_end(ended.set)
            leash.close()
            async with asyncio.timeout(DEADLINE_S):
                while session.remaining_s() > 0:
                    await asyncio.sleep(0.02)
                while await other.get("k") is not None:
                    await asyncio.sleep(0.02)
                await leash.open()
                await ended.wait()
            assert session.ended

    asyncio.run(story())
