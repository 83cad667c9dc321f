"""The channel for calls by etcd's protocol: what is repeated and where, and what is told of what failed."""
from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import cast

import pytest

from agreed.backends.etcd.calls import failure
from agreed.client import etcd_channel
from agreed.client.errors import TooLarge, UnknownAnswer
from agreed.client.etcd_channel import CallFailed, EtcdChannel
from agreed.torture.processes import free_ports
from agreed.wire.etcd import messages as m
from agreed.wire.etcd.protobuf import decode, encode
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.client import ClientConnection
from agreed.wire.grpc.events import Called, FromClient, Message
from agreed.wire.grpc.server import ServerConnection
from agreed.wire.grpc.status import Code, Status
from agreed.wire.http2.limits import Limits
from tests.node.certified import Certified

RANGE, PUT = "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Put"
WATCH, AUTHENTICATE = "/etcdserverpb.Watch/Watch", "/etcdserverpb.Auth/Authenticate"
UNARY = {path for path, method in METHODS.items() if method.kind.name == "UNARY"}

Answers = Callable[["Protocol", FromClient], None]


class Protocol(asyncio.Protocol):
    """One connection at the server; `answers` is called with each event of it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.machine = ServerConnection(UNARY, Limits())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._server.connections.append(self)

    def data_received(self, data: bytes) -> None:
        for event in self.machine.receive_data(data, 0):
            self._server.heard.append(event)
            self._server.answers(self, event)
        self.write()

    def write(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.machine.take())


class Server:
    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.heard: list[FromClient] = []
        self.connections: list[Protocol] = []
        self.address = ""

    @property
    def called(self) -> list[Called]:
        return [event for event in self.heard if isinstance(event, Called)]


@contextlib.asynccontextmanager
async def serving(answers: Answers, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(answers)
    listener = await asyncio.get_running_loop().create_server(
        lambda: Protocol(server), "127.0.0.1", 0, ssl=context
    )
    server.address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for connection in server.connections:
            connection.transport.abort()


def run(story: Coroutine[object, object, None]) -> None:
    async def within_its_time() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(within_its_time())


def obliging(connection: Protocol, event: FromClient) -> None:
    if isinstance(event, Called):
        connection.machine.reply(event.stream, encode(METHODS[event.path].reply()))


def hanging_up(connection: Protocol, event: FromClient) -> None:
    if isinstance(event, Called):
        connection.transport.abort()


def silent(connection: Protocol, event: FromClient) -> None:
    pass


def refusing(code: Code, text: str) -> Answers:
    def answers(connection: Protocol, event: FromClient) -> None:
        if isinstance(event, Called):
            connection.machine.finish(event.stream, Status(code, text))

    return answers


def test_a_call_is_answered() -> None:
    def answers(connection: Protocol, event: FromClient) -> None:
        assert isinstance(event, Called)
        assert event.message is not None
        request = decode(m.RangeRequest, event.message)
        found = m.KeyValue(key=request.key, value=b"v")
        connection.machine.reply(event.stream, encode(m.RangeResponse(kvs=(found,), count=1)))

    async def story() -> None:
        async with serving(answers) as server, EtcdChannel([server.address]) as channel:
            asked = [channel.call(RANGE, m.RangeRequest(key=b"%d" % number)) for number in range(50)]
            replies = await asyncio.gather(*asked)
            assert [reply.kvs[0].key for reply in replies] == [b"%d" % number for number in range(50)]
            assert len(server.connections) == 1

    run(story())


def test_a_read_is_asked_elsewhere_and_a_write_is_not() -> None:
    async def story() -> None:
        async with serving(hanging_up) as bad, serving(obliging) as good:
            async with EtcdChannel([bad.address, good.address]) as channel:
                await channel.call(RANGE, m.RangeRequest(key=b"k"), repeatable=True)
                assert (len(bad.called), len(good.called)) == (1, 1)
            async with EtcdChannel([bad.address, good.address]) as channel:
                with pytest.raises(CallFailed) as failed:
                    await channel.call(PUT, m.PutRequest(key=b"k"))
                assert failed.value.maybe
                assert len(good.called) == 1

    run(story())


@pytest.mark.parametrize(
    ("code", "surely_not_done"),
    [
        (Code.INVALID_ARGUMENT, True),
        (Code.RESOURCE_EXHAUSTED, True),
        (Code.PERMISSION_DENIED, True),
        (Code.UNKNOWN, False),
        (Code.INTERNAL, False),
    ],
)
def test_a_refusal_is_told_as_it_is(code: Code, surely_not_done: bool) -> None:
    async def story() -> None:
        async with serving(refusing(code, "no")) as server, EtcdChannel([server.address]) as channel:
            with pytest.raises(CallFailed, match="Put: no") as failed:
                await channel.call(PUT, m.PutRequest(key=b"k"), repeatable=True)
            assert failed.value.status == Status(code, "no")
            assert failed.value.surely_not_done == surely_not_done
            assert len(server.called) == 1

    run(story())


def test_of_a_write_whose_answer_is_too_large_nobody_says_that_it_was_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The code is that with which a server refuses a request; but here it is the answer that was refused."""
    monkeypatch.setattr(etcd_channel, "LIMITS", Limits(max_message_bytes=1_000))

    def answers(connection: Protocol, event: FromClient) -> None:
        if isinstance(event, Called):
            before = m.KeyValue(key=b"k", value=bytes(2_000))
            connection.machine.reply(event.stream, encode(m.PutResponse(prev_kv=before)))

    async def story() -> None:
        async with serving(answers) as server, EtcdChannel([server.address]) as channel:
            with pytest.raises(CallFailed, match="larger than max") as failed:
                await channel.call(PUT, m.PutRequest(key=b"k", prev_kv=True))
            assert failed.value.maybe
            assert len(server.called) == 1
            assert isinstance(failure(failed.value, "k", changes=True), UnknownAnswer)
            assert isinstance(failure(failed.value, "k", changes=False), TooLarge)

    run(story())


def test_who_answers_too_late_is_told_so_with_the_deadline() -> None:
    async def story() -> None:
        async with serving(silent) as server, EtcdChannel([server.address]) as channel:
            timeout_s = 0.1
            while not server.called and timeout_s < 60:  # how soon it is connected is up to the machine
                timeout_s *= 2
                with pytest.raises(CallFailed) as failed:
                    await channel.call(PUT, m.PutRequest(key=b"k"), timeout_s=timeout_s)
            assert failed.value.status.code is Code.DEADLINE_EXCEEDED
            assert failed.value.maybe
            [called] = server.called
            assert called.timeout_ms is not None
            assert called.timeout_ms <= 1000 * timeout_s

    run(story())


def test_where_nobody_listens_nothing_was_done() -> None:
    async def story() -> None:
        async with EtcdChannel([f"127.0.0.1:{free_ports(1)[0]}"]) as channel:
            with pytest.raises(CallFailed) as failed:
                await channel.call(PUT, m.PutRequest(key=b"k"), timeout_s=0.3)
            assert failed.value.surely_not_done

    run(story())


def test_a_server_that_is_about_to_end_gets_no_new_calls() -> None:
    def answers(connection: Protocol, event: FromClient) -> None:
        obliging(connection, event)
        connection.machine.shut_down()

    async def story() -> None:
        async with serving(answers) as server, EtcdChannel([server.address]) as channel:
            for _ in range(3):
                await channel.call(RANGE, m.RangeRequest(key=b"k"), repeatable=True)
            assert len(server.connections) == 3

    run(story())


def test_a_password_is_shown_once_and_a_forgotten_token_asked_for_anew() -> None:
    given: list[str] = []

    def answers(connection: Protocol, event: FromClient) -> None:
        assert isinstance(event, Called)
        if event.path == AUTHENTICATE:
            given.append(f"token-{len(given)}")
            connection.machine.reply(event.stream, encode(m.AuthenticateResponse(token=given[-1])))
        elif event.metadata.get("token") != "token-1" and len(server.called) > 3:
            refusing(Code.UNAUTHENTICATED, "etcdserver: invalid auth token")(connection, event)
        else:
            obliging(connection, event)

    async def story() -> None:
        nonlocal server
        async with serving(answers) as server:
            async with EtcdChannel([server.address], user="root", password="word") as channel:
                for _ in range(5):
                    await channel.call(PUT, m.PutRequest(key=b"k"))
            assert given == ["token-0", "token-1"]

    server = Server(silent)
    run(story())


def test_where_nobody_is_asked_for_a_password_none_is_needed() -> None:
    def answers(connection: Protocol, event: FromClient) -> None:
        if isinstance(event, Called) and event.path == AUTHENTICATE:
            text = "etcdserver: authentication is not enabled"
            connection.machine.finish(event.stream, Status(Code.FAILED_PRECONDITION, text))
        else:
            obliging(connection, event)

    async def story() -> None:
        async with serving(answers) as server:
            async with EtcdChannel([server.address], user="root", password="word") as channel:
                await channel.call(PUT, m.PutRequest(key=b"k"))
                await channel.call(PUT, m.PutRequest(key=b"k"))
            assert len(server.called) == 3

    run(story())


# --- streams ------------------------------------------------------------------------------------------------


def echoing(connection: Protocol, event: FromClient) -> None:
    if isinstance(event, Message):
        request = decode(m.WatchRequest, event.data)
        watch_id = request.create_request.watch_id if request.create_request else -1
        connection.machine.send(event.stream, encode(m.WatchResponse(watch_id=watch_id)))
        if watch_id == 3:
            connection.machine.finish(event.stream, Status(Code.OK))
        if watch_id == 9:
            connection.machine.finish(event.stream, Status(Code.UNAVAILABLE, "etcdserver: no leader"))


def wish(number: int) -> m.WatchRequest:
    return m.WatchRequest(create_request=m.WatchCreateRequest(watch_id=number))


def test_messages_of_a_stream_go_both_ways_until_its_end() -> None:
    async def story() -> None:
        async with serving(echoing) as server, EtcdChannel([server.address]) as channel:
            stream = await channel.stream(WATCH)
            for number in (1, 2, 3):
                stream.send(wish(number))
                assert (await stream.receive()).watch_id == number
            assert await stream.receive() is None

    run(story())


@pytest.mark.parametrize("end", ["by the server", "with the connection"])
def test_a_stream_that_breaks_says_why(end: str) -> None:
    async def story() -> None:
        async with serving(echoing) as server, EtcdChannel([server.address]) as channel:
            stream = await channel.stream(WATCH)
            stream.send(wish(9 if end == "by the server" else 1))
            await stream.receive()
            if end == "with the connection":
                server.connections[0].transport.abort()
            with pytest.raises(CallFailed, match=r"no leader|connection was lost"):
                await stream.receive()

    run(story())


def test_who_does_not_read_is_not_sent_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """And gets everything in its order once he reads."""
    monkeypatch.setattr(etcd_channel, "UNREAD_MOST", 10)
    many, large = 3000, bytes(10_000)

    def flooding(connection: Protocol, event: FromClient) -> None:
        if isinstance(event, Message):
            for number in range(many):
                kept = m.Event(kv=m.KeyValue(value=large))
                connection.machine.send(
                    event.stream, encode(m.WatchResponse(watch_id=number, events=(kept,)))
                )

    async def story() -> None:
        async with serving(flooding) as server, EtcdChannel([server.address]) as channel:
            stream = await channel.stream(WATCH)
            stream.send(wish(1))
            first = await stream.receive()
            assert first.watch_id == 0
            # Time for what would be wrong to happen.
            await asyncio.sleep(0.2)
            machine = server.connections[0].machine
            [number] = [event.stream for event in server.heard if isinstance(event, Message)]
            assert machine.backlog(number) > 0, "everything was taken, though nobody reads"
            for expected in range(1, many):
                assert (await stream.receive()).watch_id == expected

    run(story())


# --- servers that are of no use -----------------------------------------------------------------------------


def deaf(connection: Protocol, event: FromClient) -> None:
    """As a machine that lost its power: the connection stands, and nothing comes back."""
    connection.transport.pause_reading()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AFTER_S", 0.05), ("INTERVAL_S", 0.3), ("ANSWERED_WITHIN_S", 0.3)):
        monkeypatch.setattr(etcd_channel, f"PING_{name}", value)


def test_a_server_that_says_nothing_at_all_is_left(impatient: None) -> None:
    async def story() -> None:
        async with serving(deaf) as bad, serving(obliging) as good:
            async with EtcdChannel([bad.address, good.address]) as channel:
                await channel.call(RANGE, m.RangeRequest(key=b"k"), repeatable=True, timeout_s=30)
                assert (len(bad.called), len(good.called)) == (1, 1)
            async with EtcdChannel([bad.address, good.address]) as channel:
                stream = await channel.stream(WATCH)
                stream.send(wish(1))
                with pytest.raises(CallFailed, match="does not answer"):
                    await stream.receive()

    run(story())


def test_a_server_that_only_takes_its_time_is_not(impatient: None) -> None:
    async def story() -> None:
        async with serving(silent) as server, EtcdChannel([server.address]) as channel:
            asked = asyncio.ensure_future(channel.call(PUT, m.PutRequest(key=b"k")))
            # Time for two pings, and for what would be wrong to happen.
            await asyncio.sleep(0.7)
            [connection] = server.connections
            [called] = server.called
            connection.machine.reply(called.stream, encode(m.PutResponse()))
            connection.write()
            await asked

    run(story())


def test_who_stood_still_himself_does_not_blame_the_server(
    impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For longer than the server has for its answer; that had no time to come, or was not read."""
    ping, stood_still = ClientConnection.ping, 0

    def ping_and_stand_still(machine: ClientConnection, data: bytes) -> None:
        nonlocal stood_still
        ping(machine, data)
        stood_still += 1
        time.sleep(0.6)

    monkeypatch.setattr(ClientConnection, "ping", ping_and_stand_still)

    async def story() -> None:
        async with serving(silent) as server, EtcdChannel([server.address]) as channel:
            asked = asyncio.ensure_future(channel.call(PUT, m.PutRequest(key=b"k")))
            async with asyncio.timeout(30):
                while stood_still < 3:
                    await asyncio.sleep(0.01)
            [connection] = server.connections
            [called] = server.called
            connection.machine.reply(called.stream, encode(m.PutResponse()))
            connection.write()
            await asked

    run(story())


def test_all_that_fails_with_a_connection_goes_to_the_same_next_server() -> None:
    async def story() -> None:
        async with serving(hanging_up) as bad, serving(obliging) as good, serving(obliging) as other:
            async with EtcdChannel([bad.address, good.address, other.address]) as channel:
                asked = [channel.call(RANGE, m.RangeRequest(key=b"k"), repeatable=True) for _ in range(20)]
                await asyncio.gather(*asked)
            assert (len(bad.connections), len(good.connections), len(other.connections)) == (1, 1, 0)

    run(story())


def test_who_gives_up_a_stream_is_served_elsewhere_and_says_what_it_wants() -> None:
    async def story() -> None:
        async with serving(silent) as bad, serving(echoing) as good:
            async with EtcdChannel([bad.address, good.address]) as channel:
                stream = await channel.stream(WATCH, metadata={"hasleader": "true"})
                stream.send(wish(1))
                while not bad.called:
                    await asyncio.sleep(0)
                channel.give_up(stream)
                assert await stream.receive() is None
                stream = await channel.stream(WATCH)
                stream.send(wish(1))
                assert (await stream.receive()).watch_id == 1
                channel.give_up(stream)
            [called] = bad.called
            assert called.metadata["hasleader"] == "true"

    run(story())


def test_by_tls_http_2_is_asked_for(tmp_path: Path) -> None:
    """An etcd speaks HTTP/1 with whoever does not ask."""
    authority = Certified(tmp_path)
    files = authority.sign("server", "server")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(files.certificate, files.key)
    theirs.set_alpn_protocols(["http/1.1", "h2"])

    async def story() -> None:
        ours = ssl.create_default_context(cafile=str(authority.ca))
        async with serving(obliging, theirs) as server, EtcdChannel([server.address], ssl=ours) as channel:
            await channel.call(PUT, m.PutRequest(key=b"k"))
            [connection] = server.connections
            spoken = connection.transport.get_extra_info("ssl_object").selected_alpn_protocol()
            assert spoken == "h2"

    run(story())
