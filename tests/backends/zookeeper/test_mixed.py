"""Locks and elections of kazoo and Curator exclude ours and are excluded by them, on a real ZooKeeper as on
three nodes of ours: who came first has it, whoever that is, and nothing that is added under it is lost.

Curator's semaphore is not among them: it has a lock and a directory of leases beside it, ours stands in line.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple, Protocol

import pytest
from kazoo.client import KazooClient

from agreed.backends.contract import Layout, Put
from agreed.errors import ConfigurationError
from agreed.recipes.election import Election
from agreed.recipes.lock import Lock, ReadWriteLock
from agreed.recipes.obtaining import Obtainable
from agreed.recipes.sessions import Sessions
from tests.acceptance.cluster import Cluster
from tests.backends.conftest import Place, ZooKeeperSpeaking, numbers
from tests.backends.zookeeper.curator import Curator
from tests.backends.zookeeper.kazoo_parties import KazooElection, KazooLock
from tests.node.running import DEADLINE_S, client_of

ROUNDS = 25
"""Of each side."""


class Theirs(Protocol):
    def ask(self) -> None: ...
    def tries(self) -> bool: ...
    def has(self) -> bool: ...
    def obtained(self) -> bool: ...
    def leader(self) -> bytes: ...
    def release(self) -> None: ...
    def add(self, path: str, rounds: int) -> None: ...


class Pair(NamedTuple):
    """What excludes one another.  `theirs` is a class of kazoo, or a kind of `CuratorClient.java`."""

    theirs: str
    ours: Callable[[Sessions], Obtainable[Any]]
    of_curator: bool


def lock_of(layout: Layout) -> Callable[[Sessions], Obtainable[Any]]:
    return lambda sessions: Lock(sessions, "name", value=b"ours", layout=layout)


def election_of(layout: Layout) -> Callable[[Sessions], Obtainable[Any]]:
    return lambda sessions: Election(sessions, "name", value=b"ours", layout=layout)


def both_of(sessions: Sessions, layout: Layout) -> ReadWriteLock:
    return ReadWriteLock(sessions, "name", value=b"ours", layout=layout)


ALONE = {
    "mutex": Pair("mutex", lock_of(Layout.CURATOR), True),
    "selector": Pair("selector", election_of(Layout.CURATOR), True),
    "latch": Pair("latch", election_of(Layout.CURATOR_LATCH), True),
    "write": Pair("write", lambda it: both_of(it, Layout.CURATOR_READ_WRITE).write(), True),
    "kazoo-lock": Pair("Lock", lock_of(Layout.KAZOO), False),
    "kazoo-election": Pair("Election", election_of(Layout.KAZOO), False),
    "kazoo-write": Pair("WriteLock", lambda it: both_of(it, Layout.KAZOO).write(), False),
}

LAYOUTS_WITH_READERS = {"curator": Layout.CURATOR_READ_WRITE, "kazoo": Layout.KAZOO}


def cases(names: dict[str, Any]) -> list[Any]:
    return [
        pytest.param(value, id=name, marks=() if "kazoo" in name else pytest.mark.peer("curator"))
        for name, value in names.items()
    ]


@pytest.fixture(scope="module")
def curator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Curator]:
    with Curator(tmp_path_factory.mktemp("curator")) as process:
        yield process


class Meeting(ZooKeeperSpeaking):
    """They come by another server than we, where there are several."""

    def __init__(self, scheme: str, our_address: str, their_address: str) -> None:
        super().__init__(scheme, scheme, our_address, 4.0)
        self.their_address = their_address


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[Meeting]:
    with Cluster(3, in_memory=True) as cluster:
        yield Meeting("agreed", cluster.nodes[0].address, cluster.nodes[1].address)


@pytest.fixture(scope="module")
def real(zookeeper_server: ZooKeeperSpeaking) -> Meeting:
    return Meeting("zk", zookeeper_server.address, zookeeper_server.address)


@pytest.fixture(
    params=[
        pytest.param("three_nodes", id="agreed"),
        pytest.param("real", id="zookeeper", marks=pytest.mark.peer("zookeeper")),
    ]
)
def meeting(request: pytest.FixtureRequest) -> Meeting:
    found: Meeting = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def kazoo(meeting: Meeting) -> Iterator[KazooClient]:
    with client_of(meeting.their_address) as client:
        yield client


class Stage:
    """Where both meet: `place.root`/name."""

    def __init__(self, meeting: Meeting, kazoo: KazooClient, request: pytest.FixtureRequest) -> None:
        self.place = Place(meeting, f"test{next(numbers)}")
        self._meeting = meeting
        self._kazoo = kazoo
        self._request = request

    def theirs(self, kind: str, *, of_curator: bool) -> Theirs:
        path = f"/{self.place.root}/name"
        if of_curator:
            curator: Curator = self._request.getfixturevalue("curator")
            return curator.make(self._meeting.their_address, kind, path)
        return KazooElection(self._kazoo, path) if kind == "Election" else KazooLock(self._kazoo, kind, path)

    @contextlib.asynccontextmanager
    async def sessions(self) -> AsyncIterator[Sessions]:
        async with self.place.backend() as backend, asyncio.timeout(2 * DEADLINE_S):
            sessions = Sessions(backend, 10.0)
            yield sessions
            await sessions.close()


@pytest.fixture
def stage(meeting: Meeting, kazoo: KazooClient, request: pytest.FixtureRequest) -> Stage:
    return Stage(meeting, kazoo, request)


async def until_one_waits(wanted: Obtainable[Any]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while len(await wanted.waiters()) != 1:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("pair", cases(ALONE))
def test_who_came_first_has_it_and_the_other_one_waits(stage: Stage, pair: Pair) -> None:
    theirs = stage.theirs(pair.theirs, of_curator=pair.of_curator)

    async def story() -> None:
        async with stage.sessions() as sessions:
            ours = pair.ours(sessions)
            await asyncio.to_thread(theirs.ask)
            assert await asyncio.to_thread(theirs.obtained)
            assert await ours.try_acquire() is None
            waiting = asyncio.create_task(ours.acquire())
            await until_one_waits(ours)
            assert not waiting.done()
            await asyncio.to_thread(theirs.release)
            grant = await waiting
            if not isinstance(ours, Election):
                assert not await asyncio.to_thread(theirs.tries)
            await asyncio.to_thread(theirs.ask)
            await until_one_waits(ours)
            assert not await asyncio.to_thread(theirs.has)
            if isinstance(ours, Election):
                assert await asyncio.to_thread(theirs.leader) == b"ours"
            grant.check()
            await grant.release()
            assert await asyncio.to_thread(theirs.obtained)
            assert await ours.try_acquire() is None
            await asyncio.to_thread(theirs.release)
            async with ours:
                assert not await asyncio.to_thread(theirs.has)

    asyncio.run(story())


@pytest.mark.parametrize("pair", cases(ALONE))
def test_nothing_that_either_adds_while_he_has_it_is_lost(stage: Stage, pair: Pair) -> None:
    """A number is read and written, by both in turn, and nothing but the lock is between them."""
    theirs = stage.theirs(pair.theirs, of_curator=pair.of_curator)

    async def story() -> None:
        async with stage.sessions() as sessions:
            backend, ours = sessions.backend, pair.ours(sessions)
            await backend.commit([], [Put("number", b"0")])
            adding = asyncio.create_task(asyncio.to_thread(theirs.add, f"/{stage.place.root}/number", ROUNDS))
            for _ in range(ROUNDS):
                async with ours as grant:
                    found = await backend.get("number")
                    assert found is not None
                    await backend.commit([], [Put("number", b"%d" % (int(found.value) + 1))])
                    grant.check()
            await adding
            found = await backend.get("number")
            assert found is not None
            assert int(found.value) == 2 * ROUNDS

    asyncio.run(story())


@pytest.mark.parametrize("kind", cases({"curator": "curator", "kazoo": "kazoo"}))
def test_readers_are_together_and_keep_writers_out(stage: Stage, kind: str) -> None:
    names = ("read", "write") if kind == "curator" else ("ReadLock", "WriteLock")
    reader, writer = (stage.theirs(each, of_curator=kind == "curator") for each in names)

    async def story() -> None:
        async with stage.sessions() as sessions:
            both = both_of(sessions, LAYOUTS_WITH_READERS[kind])
            await asyncio.to_thread(reader.ask)
            assert await asyncio.to_thread(reader.obtained)
            mine = await both.read().acquire()
            assert await both.write().try_acquire() is None
            await asyncio.to_thread(writer.ask)
            await until_one_waits(both.write())
            late = asyncio.create_task(both.read().acquire())
            async with asyncio.timeout(DEADLINE_S):
                while len(await both.write().waiters()) != 2:
                    await asyncio.sleep(0.005)
            await mine.release()
            assert not await asyncio.to_thread(writer.has)
            await asyncio.to_thread(reader.release)
            assert await asyncio.to_thread(writer.obtained)
            assert not late.done()
            await asyncio.to_thread(writer.release)
            grant = await late
            assert not await asyncio.to_thread(writer.tries)
            assert await asyncio.to_thread(reader.tries)
            assert await both.write().try_acquire() is None
            await asyncio.to_thread(reader.release)
            await grant.release()

    asyncio.run(story())


@pytest.mark.parametrize("layout", [Layout.CURATOR, Layout.CURATOR_LATCH])
def test_where_nobody_would_see_readers_there_are_none(layout: Layout) -> None:
    with pytest.raises(ConfigurationError, match="CURATOR_READ_WRITE"):
        both_of(Sessions(None, 10.0), layout)  # type: ignore[arg-type]
