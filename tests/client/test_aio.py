"""The asynchronous session with real servers: what it says, and what happens when they die."""
from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from agreed.cli.playground import Playground
from agreed.client import aio, errors
from agreed.client.values import (
    Change,
    Check,
    Create,
    Created,
    Delete,
    Permission,
    SessionState,
    SetData,
    WatchEvent,
    WatchKind,
)
from agreed.wire.zookeeper.messages import GetDataRequest, SetDataRequest, Stat
from agreed.wire.zookeeper.reply_codec import header_reply
from tests.acceptance.cluster import ZooKeeperEnsemble
from tests.client.servers import ScriptedServer, StoreServer
from tests.node.running import DEADLINE_S, running
from tests.node.test_clients import _certificate


@pytest.fixture(scope="module")
def one_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("one"), size=1) as cluster:
        yield cluster.hosts


@pytest.fixture(scope="module")
def zookeeper() -> Iterator[str]:
    with ZooKeeperEnsemble(1) as ensemble:
        yield ensemble.hosts


@pytest.fixture(params=["one_node", pytest.param("zookeeper", marks=pytest.mark.peer("zookeeper"))])
def url(request: pytest.FixtureRequest) -> str:
    hosts = request.getfixturevalue(request.param)
    test = request.node.name.partition("[")[0]
    return f"agreed://{hosts}/{test}"


async def soon(events: list[WatchEvent], many: int) -> list[WatchEvent]:
    async with asyncio.timeout(DEADLINE_S):
        while len(events) < many:
            await asyncio.sleep(0.01)
    return events


def test_nodes_are_made_changed_and_deleted(url: str) -> None:
    async def story() -> None:
        async with await aio.connect(url) as session:
            await session.ensure_path("/deep/down")
            await session.ensure_path("/deep/down")
            made = await session.create("/a", b"one")
            assert (made.path, made.stat.version) == ("/a", 0)
            with pytest.raises(errors.NodeExists):
                await session.create("/a")
            assert (await session.set("/a", b"two", 0)).version == 1
            with pytest.raises(errors.BadVersion):
                await session.set("/a", b"three", 0)
            data, stat = await session.get("/a", fresh=True)
            assert (data, stat.version) == (b"two", 1)
            assert await session.exists("/missing", fresh=True) is None
            numbered = await session.create("/a/n-", b"", sequential=True, ephemeral=True)
            assert numbered.path == "/a/n-0000000000"
            assert numbered.stat.ephemeral_owner == session.id
            assert (await session.children("/a")).names == ("n-0000000000",)
            with pytest.raises(errors.NotEmpty):
                await session.delete("/a")
            await session.delete(numbered.path)
            await session.delete("/a", 1)
            with pytest.raises(errors.NoNode):
                await session.get("/a")
            assert (await session.children("/")).names == ("deep",)
            assert session.zxid > 0
            assert session.remaining_s() <= session.timeout_s

    asyncio.run(story())


def test_a_multi_happens_as_a_whole_or_not_at_all(url: str) -> None:
    async def story() -> None:
        async with await aio.connect(url) as session:
            await session.ensure_path("/")
            made, changed, nothing = await session.multi(
                [Create(path="/m", data=b"1"), SetData("/m", b"2", 0), Check("/m", 1)]
            )
            assert (made.path if isinstance(made, Created) else made) == "/m"
            assert isinstance(changed, Stat)
            assert nothing is None
            with pytest.raises(errors.NoNode) as raised:
                await session.multi([Delete("/m"), Delete("/missing"), Create(path="/x")])
            assert (raised.value.index, raised.value.path) == (1, "/missing")
            found = await session.get_many(["/m", "/x"])
            assert found[0] is not None
            assert (found[0].data, found[1]) == (b"2", None)
            assert await session.multi([]) == ()

    asyncio.run(story())


def test_watches_tell_once_and_those_that_stay_tell_all(url: str) -> None:
    async def story() -> None:
        async with await aio.connect(url) as session, await aio.connect(url) as other:
            await session.ensure_path("/up/down")
            once: list[WatchEvent] = []
            assert await session.exists("/up/down/w", watch=once.append) is None
            await session.children("/up/down", watch=once.append)
            # Not on /up/down: a ZooKeeper before 3.9 forgets the watch above for this one (ZOOKEEPER-4466).
            staying = await session.watch("/up", WatchKind.RECURSIVE)
            await other.create("/up/down/w", b"")
            await other.set("/up/down/w", b"1")
            await other.delete("/up/down/w")
            assert await soon(once, 2) == [
                WatchEvent(Change.CREATED, "/up/down/w"),
                WatchEvent(Change.CHILDREN, "/up/down"),
            ]
            changes = [(await staying.next(DEADLINE_S)).change for _ in range(3)]
            assert changes == [Change.CREATED, Change.DATA, Change.DELETED]
            staying.close()
            await other.create("/up/w", b"")
            assert [event.change async for event in staying] == [Change.ENDED]
            assert len(once) == 2

    asyncio.run(story())


def test_only_who_may_may(url: str) -> None:
    async def story() -> None:
        secret = ("digest", b"user:password")
        async with await aio.connect(url, auth=[secret]) as session, await aio.connect(url) as other:
            await session.ensure_path("/")
            await session.create("/mine", b"", acl=(Permission(31, "auth", ""),))
            with pytest.raises(errors.NoAuth):
                await other.get("/mine")
            other.add_auth(*secret)
            await other.get("/mine")
            acl, stat = await other.get_acl("/mine")
            assert acl[0].scheme == "digest"
            await other.set_acl("/mine", (Permission(1, "world", "anyone"),), stat.acl_version)
            with pytest.raises(errors.NoAuth):
                await session.set("/mine", b"")

    asyncio.run(story())


def test_what_is_too_large_is_not_sent(url: str) -> None:
    async def story() -> None:
        async with await aio.connect(url) as session:
            with pytest.raises(errors.TooLarge):
                await session.create("/large", bytes(2_000_000))
            assert session.state is SessionState.CONNECTED

    asyncio.run(story())


def test_a_session_that_is_closed_takes_its_nodes_along(one_node: str) -> None:
    async def story() -> None:
        url = f"agreed://{one_node}"
        async with await aio.connect(url) as other:
            session = await aio.connect(url)
            states: list[SessionState] = []
            session.on_state(states.append)
            gone: list[WatchEvent] = []
            ended: list[WatchEvent] = []
            await session.create("/passing", ephemeral=True)
            await session.get("/passing", watch=ended.append)
            await other.get("/passing", watch=gone.append, fresh=True)
            await session.close()
            assert await soon(gone, 1) == [WatchEvent(Change.DELETED, "/passing")]
            assert states == [SessionState.CLOSED]
            assert [event.path for event in ended] == ["/passing"]
            with pytest.raises(errors.SessionClosed) as raised:
                await session.get("/")
            assert raised.value.surely_not_done
            await session.close()

    asyncio.run(story())


@pytest.mark.parametrize("host", ["127.0.0.1:1", f"{'no-name-is-so-long' * 5}.invalid"])
def test_nobody_answers(host: str) -> None:
    async def story() -> None:
        with pytest.raises(errors.TimedOut) as raised:
            await aio.connect(f"agreed://{host}", connect_timeout_s=0.3)
        assert raised.value.surely_not_done

    asyncio.run(story())


# --- servers that die -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """Each test brings back what it kills."""
    with running(tmp_path_factory.mktemp("three")) as cluster:
        yield cluster


def server_of(cluster: Playground, session: aio.Session) -> str:
    """The node that this session is on."""
    connection = session.driver._connection
    assert connection is not None
    transport = connection[1]._transport
    assert transport is not None
    host, port = transport.get_extra_info("peername")
    [name] = [name for name, place in cluster.places.items() if place.client_address == f"{host}:{port}"]
    return name


def test_a_session_outlives_its_server_with_watches_and_ephemerals(three_nodes: Playground) -> None:
    """One node is killed, then its successor; between, somebody else changes what is watched."""

    async def story() -> None:
        url = f"agreed://{three_nodes.hosts}"
        async with await aio.connect(url) as session, await aio.connect(url) as other:
            states: list[SessionState] = []
            session.on_state(states.append)
            number = session.id
            await session.create("/held", b"", ephemeral=True)
            seen: list[WatchEvent] = []
            await session.get("/held", watch=seen.append)
            await session.exists("/missing", watch=seen.append)
            staying = await session.watch("/held")
            killed = server_of(three_nodes, session)
            three_nodes.kill(killed)
            await changed_by(other)
            data, stat = await session.get("/held", fresh=True, timeout_s=DEADLINE_S)
            assert (data, stat.ephemeral_owner, session.id) == (b"new", number, number)
            assert {event.path for event in await soon(seen, 2)} == {"/held", "/missing"}
            assert (await staying.next(DEADLINE_S)).change in (Change.GAP, Change.DATA)
            assert states[-2:] == [SessionState.SUSPENDED, SessionState.CONNECTED]
            three_nodes.start(killed)
            await asyncio.to_thread(three_nodes.wait_until_serving, DEADLINE_S)

    async def changed_by(other: aio.Session) -> None:
        for wished in ([SetData("/held", b"new")], [Create(path="/missing")]):
            while True:
                try:
                    await other.multi(wished)
                except errors.NodeExists:
                    break
                except errors.Unanswered:
                    continue
                break

    asyncio.run(story())


def test_writes_wait_for_a_leader_and_each_is_done_once(three_nodes: Playground) -> None:
    async def story() -> None:
        url = f"agreed://{three_nodes.hosts}"
        async with await aio.connect(url) as session:
            await session.create("/count")
            sure = 0
            unanswered: list[errors.Unanswered] = []

            async def write() -> None:
                nonlocal sure
                for _ in range(40):
                    try:
                        await session.set("/count", b"", timeout_s=DEADLINE_S)
                        sure += 1
                    except errors.Unanswered as error:
                        unanswered.append(error)

            async def kill() -> None:
                await asyncio.sleep(0.02)
                async with asyncio.timeout(DEADLINE_S):
                    while (leader := three_nodes.leader()) is None:
                        await asyncio.sleep(0.02)
                three_nodes.kill(leader)

            await asyncio.gather(kill(), *[write() for _ in range(10)])
            version = (await session.get("/count", fresh=True)).stat.version
            assert all(error.maybe for error in unanswered)
            assert 0 < sure <= version <= sure + len(unanswered)

    asyncio.run(story())


def test_by_tls_and_only_with_whom_the_certificate_names(tmp_path: Path) -> None:
    chain, private = _certificate(tmp_path)
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(chain, private)
    ours = ssl.create_default_context(cafile=str(chain))

    async def story() -> None:
        async with StoreServer(ssl=theirs) as server:
            named = server.url.replace("127.0.0.1", "localhost")
            async with await aio.connect(named, ssl=ours) as session:
                await session.create("/a", bytes(300_000))
                assert len((await session.get("/a")).data) == 300_000
            # How soon a certificate is looked at is a matter of the machine.
            why, timeout_s = "", 0.5
            while "certificate" not in why and timeout_s < 60:
                with pytest.raises(errors.TimedOut) as raised:
                    await aio.connect(server.url, ssl=ours, connect_timeout_s=timeout_s)
                why, timeout_s = str(raised.value), 2 * timeout_s
            assert "certificate" in why
            with pytest.raises(errors.TimedOut):
                await aio.connect(named, connect_timeout_s=0.5)

    asyncio.run(story())


# --- a server that breaks when it is told ------------------------------------------------------------------


def test_a_write_that_was_cut_off_may_have_been_done_and_a_read_is_repeated() -> None:
    heard: list[object] = []

    def answers(xid: int, request: object) -> bytes | None:
        heard.append(request)
        if isinstance(request, GetDataRequest) and heard.count(request) == 2:
            return header_reply(xid, 5, -101)
        return None

    async def story() -> None:
        async with ScriptedServer(answers) as server:
            session = await aio.connect(server.url)
            with pytest.raises(errors.ConnectionLost) as raised:
                await session.set("/a", b"x")
            assert raised.value.maybe
            with pytest.raises(errors.NoNode):
                await session.get("/a")
            assert [type(each) for each in heard] == [SetDataRequest, GetDataRequest, GetDataRequest]
            assert [each.session_id for each in server.greetings] == [0, 7, 7]
            session.abandon()

    asyncio.run(story())


def test_the_time_of_a_request_is_that_of_all_its_tries() -> None:
    async def story() -> None:
        async with ScriptedServer(lambda xid, request: None) as server:
            session = await aio.connect(server.url)
            loop = asyncio.get_running_loop()
            timeout_s = 0.5
            # How many tries fit into a time is a matter of the machine.
            while len(server.greetings) <= 2 and timeout_s < 60:
                began = loop.time()
                with pytest.raises(errors.TimedOut):
                    await session.get("/a", timeout_s=timeout_s)
                assert loop.time() - began >= timeout_s
                timeout_s *= 2
            assert len(server.greetings) > 2
            session.abandon()

    asyncio.run(story())


def test_who_stops_waiting_leaves_the_others_their_answers() -> None:
    held: list[tuple[int, object]] = []

    async def story() -> None:
        def answers(xid: int, request: object) -> bytes:
            held.append((xid, request))
            if len(held) < 2:
                return b""
            return b"".join(header_reply(each, 5, -101) for each, _ in held)

        async with ScriptedServer(answers) as server:
            session = await aio.connect(server.url)
            first = asyncio.ensure_future(session.get("/first"))
            while not held:
                await asyncio.sleep(0.001)
            first.cancel()
            with pytest.raises(errors.NoNode) as raised:
                await session.get("/second")
            assert raised.value.path == "/second"
            assert first.cancelled()
            session.abandon()

    asyncio.run(story())


def test_nonsense_from_a_server_ends_the_connection_and_not_the_session() -> None:
    async def story() -> None:
        said = iter([b"\xff" * 40])

        def answers(xid: int, request: object) -> bytes:
            return next(said, header_reply(xid, 5, -101))

        async with ScriptedServer(answers) as server:
            session = await aio.connect(server.url)
            with pytest.raises(errors.NoNode):
                await session.get("/a")
            assert len(server.greetings) == 2
            session.abandon()

    asyncio.run(story())
