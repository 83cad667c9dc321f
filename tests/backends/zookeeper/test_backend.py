"""What is particular to ZooKeeper's protocol: shared connections, sessions that run out, kazoo beside us."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest

from agreed.backends.contract import Absent, Changes, Delete, Kind, Layout, Put
from agreed.backends.errors import Unsupported
from agreed.backends.zookeeper import connect
from agreed.client.errors import BadArguments, Forked, NoChildrenForEphemerals, SessionClosed, TimedOut
from agreed.errors import ConfigurationError
from tests.backends.conftest import Place, in_peace, owned
from tests.backends.test_changes import is_there, until
from tests.node.running import DEADLINE_S, client_of


def test_the_first_session_is_the_connection_that_is_there_already(place: Place) -> None:
    async def story() -> None:
        async with place.leash() as leash, place.backend(by=leash) as backend:
            first = await backend.open_session(10.0)
            assert leash.connections == 1
            second = await backend.open_session(10.0)
            assert leash.connections == 2
            await first.close()
            assert await backend.get("k") is None
            third = await backend.open_session(10.0)
            assert leash.connections == 3
            assert len({first.id, second.id, third.id}) == 3

    asyncio.run(story())


def test_a_time_which_the_server_does_not_grant_is_not_granted_in_silence(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            with pytest.raises(ConfigurationError, match="40 s"):
                await backend.open_session(3600.0)

    asyncio.run(story())


def test_a_backend_outlives_its_own_session(place: Place) -> None:
    async def story() -> None:
        ttl_s = place.shortest_ttl_s
        async with (
            place.backend() as other,
            place.leash() as leash,
            place.backend(by=leash, session_timeout_s=ttl_s) as backend,
            backend.changes("a", below=False) as here,
            backend.changes("a", below=True) as below,
        ):
            session = await owned(backend, "mine", ttl_s)
            leash.close()
            asking = [asyncio.ensure_future(backend.get("a")), asyncio.ensure_future(backend.names(""))]
            async with asyncio.timeout(DEADLINE_S):
                while await other.get("mine") is not None:
                    await asyncio.sleep(0.05)
            await other.commit([], [Put("a", b"1")])
            await leash.open()
            entry, names = await asyncio.gather(*asking)
            assert names == ["a"]
            assert entry is not None
            assert session.ended
            assert await here.wait(DEADLINE_S)
            assert await below.wait(DEADLINE_S)
            for value in (b"2", b"3"):
                await other.commit([], [Put("a", value)])
                await until(here, is_there(backend, "a", value))
                await until(below, is_there(backend, "a", value))
            assert await backend.commit([], [Put("b", b"")]) is not None
            again = await backend.open_session(ttl_s)
            assert again.id not in (0, session.id)

    asyncio.run(story())


async def opened(changes: Changes) -> None:
    async with changes:
        pass


def test_a_process_that_was_forked_is_refused(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            session = await backend.open_session(10.0)
            calls: list[Callable[[], Coroutine[Any, Any, object]]] = [
                lambda: backend.get("k"),
                lambda: backend.commit([], [Put("k", b"")]),
                lambda: backend.commit([], [Put("k", b"", session)]),
                lambda: backend.enter("line", session, uuid4().hex, b"", Kind.WRITER, Layout.KAZOO),
                lambda: backend.leave("line", session, uuid4().hex),
                lambda: backend.open_session(10.0),
                lambda: opened(backend.changes("k", below=True)),
            ]
            child = os.fork()
            if child == 0:
                refused = 0
                try:
                    for call in calls:
                        try:
                            call().send(None)
                        except Forked:
                            refused += 1
                finally:
                    os._exit(refused)
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            assert os.waitstatus_to_exitcode(status) == len(calls)
            assert await backend.get("k") is None
            assert not session.ended

    asyncio.run(story())


def test_no_call_waits_longer_than_it_may_for_a_new_session(place: Place) -> None:
    async def story() -> None:
        async with (
            place.leash() as leash,
            place.backend(by=leash, request_timeout_s=0.3) as backend,
            backend.changes("k", below=True) as changes,
        ):
            with in_peace(backend):
                session = await backend.open_session(10.0)
                await session.close()
            leash.close()
            calls = [
                backend.get("k"),
                backend.entries(""),
                backend.commit([], [Put("k", b"")]),
                backend.line("line", Layout.KAZOO),
            ]
            assert await changes.wait(DEADLINE_S)
            async with asyncio.timeout(10.0):  # a connection is looked for longer than that
                for failed in await asyncio.gather(*calls, changes.wait(), return_exceptions=True):
                    assert isinstance(failed, TimedOut)
                    assert not failed.maybe
            asking = asyncio.ensure_future(backend.get("k"))
            await asyncio.sleep(0.05)
            await backend.close()
            with pytest.raises((SessionClosed, TimedOut)):
                await asking

    asyncio.run(story())


def test_who_is_cancelled_on_closing_renews_nothing(place: Place) -> None:
    async def story() -> None:
        async with place.leash() as leash, place.backend(by=leash) as backend:
            session = await backend.open_session(11.0)
            leash.close()
            closing = asyncio.ensure_future(session.close())
            await asyncio.sleep(0.05)
            closing.cancel()
            await asyncio.wait([closing])
            assert session.ended

    asyncio.run(story())


def test_many_sessions_come_and_go_at_once(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:

            async def one(number: int) -> None:
                session = await backend.open_session(11.0)
                mark = uuid4().hex
                await backend.enter("line", session, mark, b"", Kind.WRITER, Layout.KAZOO)
                assert await backend.commit([Absent(f"n/{number}")], [Put(f"n/{number}", b"", session)])
                if number % 2:
                    await backend.leave("line", session, mark)
                await session.close()

            await asyncio.gather(*(one(number) for number in range(30)))
            assert await backend.line("line", Layout.KAZOO) == ()
            assert await backend.names("") == []

    asyncio.run(story())


def test_what_zookeeper_cannot_is_said(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            one, other = await backend.open_session(10.0), await backend.open_session(10.0)
            with pytest.raises(Unsupported):
                await backend.commit([], [Put("a", b"", one), Put("b", b"", other)])
            await backend.commit([], [Put("a", b"", one)])
            with pytest.raises(NoChildrenForEphemerals):
                await backend.commit([], [Put("a/b", b"")])
            await backend.commit([], [Put("c/d", b"")])
            with pytest.raises(NoChildrenForEphemerals):
                await backend.commit([], [Put("c", b"", one)])
            with pytest.raises(BadArguments):
                await backend.commit([], [Put("e", b""), Delete("e")])

    asyncio.run(story())


def test_kazoo_and_we_stand_in_one_line(place: Place) -> None:
    async def story() -> None:
        directory = f"/{place.root}/lock"
        with client_of(place.service.address) as client:
            async with place.backend() as backend:
                session = await backend.open_session(10.0)
                mark = uuid4().hex
                await backend.enter("lock", session, mark, b"ours", Kind.WRITER, Layout.KAZOO)
                lock = client.Lock(directory, "theirs")
                assert not await asyncio.to_thread(lock.acquire, blocking=False)
                waiting = asyncio.ensure_future(asyncio.to_thread(lock.acquire))
                async with asyncio.timeout(DEADLINE_S):
                    while len(line := await backend.line("lock", Layout.KAZOO)) < 2:
                        await asyncio.sleep(0.01)
                assert line[0].mark == mark
                assert line[1].mark == lock.prefix[:32]
                assert await asyncio.to_thread(lock.contenders) == ["ours", "theirs"]
                assert not waiting.done()
                await backend.leave("lock", session, mark)
                assert await asyncio.wait_for(waiting, DEADLINE_S)
                behind = await backend.enter("lock", session, mark, b"", Kind.WRITER, Layout.KAZOO)
                assert [each.mark for each in behind.line] == [lock.prefix[:32], mark]
                async with backend.changes(behind.line[0].key, below=False) as changes:
                    await asyncio.to_thread(lock.release)
                    await until(changes, is_there(backend, behind.line[0].key, None))

    asyncio.run(story())


def test_who_may_not_is_told_so(place: Place) -> None:
    """By the user of the URL."""

    async def story() -> None:
        address = place.service.address
        owner = await connect(f"zk://me:it%40s@{address}/{place.root}")
        stranger = await connect(f"agreed://{address}/{place.root}", user="other", password="x")
        try:
            assert (owner.capabilities.name, stranger.capabilities.name) == ("ZooKeeper", "agreed")
            await owner.commit([], [Put("k", b"")])
            assert await stranger.get("k") is not None
        finally:
            await owner.close()
            await stranger.close()

    asyncio.run(story())
