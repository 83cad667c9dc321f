"""Servers that are found by DNS: what a name server says of them, in which order they are tried, and when it
is asked again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import dns.rcode
import pytest

from agreed.client.errors import ClientError, ServersUnknown, TimedOut
from agreed.client.service_records import Record, ServiceRecords, in_order, look_up
from agreed.client.url import Server
from agreed.errors import ConfigurationError
from tests.client.name_server import LOOPBACK, SILENCE, Said, name_server
from tests.node.certified import Certified
from tests.node.running import DEADLINE_S

NAME = "_agreed._tcp.example"

FOUND: list[tuple[list[str], list[Record]]] = [
    (["0 0 2181 localhost."], [Record(0, 0, Server("localhost", 2181))]),
    (
        ["10 60 2181 n1.example.", "10 40 2182 n2.example.", "20 0 2183 n3.example."],
        [
            Record(10, 60, Server("n1.example", 2181)),
            Record(10, 40, Server("n2.example", 2182)),
            Record(20, 0, Server("n3.example", 2183)),
        ],
    ),
    (["0 0 0 .", "1 2 3 there.example."], [Record(1, 2, Server("there.example", 3))]),
]


@pytest.mark.parametrize(("said", "found"), FOUND)
def test_what_is_read(said: list[str], found: list[Record]) -> None:
    with name_server({NAME: said}) as server:
        assert sorted(asyncio.run(look_up(NAME, DEADLINE_S))) == sorted(found)
        assert server.asked == [NAME]


NOT_FOUND: list[tuple[Said, type[ClientError], str]] = [
    (dns.rcode.NXDOMAIN, ServersUnknown, "no such name"),
    ([], ServersUnknown, "no SRV records"),
    (["0 0 0 ."], ServersUnknown, "no such service"),
    (dns.rcode.SERVFAIL, ServersUnknown, "SERVFAIL"),
    (dns.rcode.REFUSED, ServersUnknown, "REFUSED"),
    (SILENCE, TimedOut, "expired"),
]


@pytest.mark.parametrize(("said", "error", "why"), NOT_FOUND)
def test_what_is_not_there_is_told(said: Said, error: type[ClientError], why: str) -> None:
    """The silent one is given up; the others have the time of the whole test, and are told at once."""
    with name_server({NAME: said}), pytest.raises(error, match=why) as raised:
        asyncio.run(look_up(NAME, 0.2 if said == SILENCE else DEADLINE_S))
    assert NAME in str(raised.value)
    assert raised.value.surely_not_done


def test_who_waits_for_a_name_server_stops_nobody_else() -> None:
    async def story() -> None:
        waiting = asyncio.create_task(look_up(NAME, DEADLINE_S))
        while not server.asked:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    with name_server({NAME: SILENCE}) as server:
        asyncio.run(story())


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns.asyncresolver", None)
    with pytest.raises(ConfigurationError, match=r"install agreed\[dns\]"):
        asyncio.run(look_up(NAME, DEADLINE_S))


# --- orders -----------------------------------------------------------------------------------------------


def record(priority: int, weight: int, host: str) -> Record:
    return Record(priority, weight, Server(host, 1))


FIRST: list[tuple[list[Record], dict[str, float]]] = [
    ([record(1, 0, "a")], {"a": 1.0}),
    ([record(2, 9, "b"), record(1, 1, "a")], {"a": 1.0}),
    ([record(1, 75, "a"), record(1, 25, "b")], {"a": 0.75, "b": 0.25}),
    ([record(1, 10, "a"), record(1, 30, "b"), record(1, 60, "c")], {"a": 0.1, "b": 0.3, "c": 0.6}),
    ([record(1, 0, "a"), record(1, 0, "b")], {"a": 0.5, "b": 0.5}),
    ([record(1, 99, "a"), record(1, 0, "b")], {"a": 0.99, "b": 0.01}),
    ([record(0, 0, "a"), record(65535, 65535, "b")], {"a": 1.0}),
]


@pytest.mark.parametrize(("records", "shares"), FIRST)
def test_the_first_is_drawn_by_priority_and_weight(
    records: list[Record], shares: dict[str, float]
) -> None:
    dice, times = random.Random(7), 4000
    counted = Counter(in_order(records, dice.random)[0].host for _ in range(times))
    assert counted.keys() == shares.keys()
    for host, share in shares.items():
        assert counted[host] / times == pytest.approx(share, abs=0.03), host


def test_each_is_tried_once_and_none_before_those_of_lower_priority() -> None:
    dice = random.Random(11)
    records = [record(n % 3, n % 4 * 10, f"h{n}") for n in range(12)]
    seen = set()
    for _ in range(200):
        order = [server.host for server in in_order(records, dice.random)]
        assert sorted(order) == sorted(each.server.host for each in records)
        assert [int(host[1:]) % 3 for host in order] == [0] * 4 + [1] * 4 + [2] * 4
        seen.add(tuple(order))
    assert len(seen) > 100, "not all clients begin with the same"


# --- connections ------------------------------------------------------------------------------------------


class Visitor(asyncio.Protocol):
    def __init__(self) -> None:
        self.port = 0
        """Where it arrived."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.port = transport.get_extra_info("peername")[1]
        transport.close()


@contextlib.asynccontextmanager
async def listener(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port on which somebody listens."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def nobodys_port() -> int:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        port: int = taken.getsockname()[1]
        return port


def at(*ports: int) -> list[str]:
    """In this order."""
    return [f"{place} 0 {port} localhost." for place, port in enumerate(ports)]


def test_servers_are_tried_in_order_and_those_that_are_not_there_are_passed_over() -> None:
    async def story() -> None:
        async with listener() as first, listener() as second:
            server.says[NAME] = at(nobodys_port(), first, nobodys_port(), second)
            records = ServiceRecords(NAME, None)
            await records.find(DEADLINE_S)
            dial = records.dialer()
            for port in (first, second):
                await dial(visitor := Visitor(), None)
                assert visitor.port == port
            await records.dialer()(visitor := Visitor(), None)
            assert visitor.port == first, "another session begins with the first"
            assert server.asked == [NAME], "so far nobody had a reason to ask again"

    with name_server({}) as server:
        asyncio.run(story())


async def arrives(records: ServiceRecords, port: int) -> None:
    """Sooner or later: whoever stands still for a moment gives up a look-up, and does it again later."""
    dial = records.dialer()
    async with asyncio.timeout(DEADLINE_S):
        while True:
            visitor = Visitor()
            with contextlib.suppress(OSError):
                await dial(visitor, None)
            if visitor.port == port:
                return


def test_a_name_is_looked_up_again_when_none_of_its_servers_is_there() -> None:
    async def story() -> None:
        async with listener() as new:
            server.says[NAME] = at(gone := nobodys_port())
            records = ServiceRecords(NAME, None)
            await records.find(DEADLINE_S)
            with pytest.raises(OSError, match=f"localhost:{gone}"):
                await records.dialer()(Visitor(), None)
            server.says[NAME] = at(new)
            await arrives(records, new)

    with name_server({}) as server:
        asyncio.run(story())


@pytest.mark.parametrize("said", [SILENCE, dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN, []])
def test_servers_that_are_known_are_tried_again_without_a_name_server(said: Said) -> None:
    """Else an outage of DNS would be one of all who lose a connection in it."""

    async def story() -> None:
        async with listener() as port:
            server.says[NAME] = at(port)
            records = ServiceRecords(NAME, None)
            await records.find(DEADLINE_S)
            server.says[NAME] = said
            dial = records.dialer()
            for _ in range(2):
                await dial(visitor := Visitor(), None)
                assert visitor.port == port

    with name_server({}) as server:
        asyncio.run(story())


@pytest.mark.parametrize(("host", "taken"), [("example", True), ("localhost", False)])
def test_a_certificate_is_for_the_domain_and_not_for_the_host_that_dns_tells(
    host: str, taken: bool, tmp_path: Path
) -> None:
    """Whoever forges an answer of DNS has a certificate for the host that he names in it."""
    files = Certified(tmp_path / "ca").sign("server", "n1", (host,))
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(files.certificate, files.key)

    async def story() -> None:
        async with listener(theirs) as port:
            server.says[NAME] = at(port)
            records = ServiceRecords(NAME, ssl.create_default_context(cafile=files.authority))
            await records.find(DEADLINE_S)
            visitor = Visitor()
            refused = pytest.raises(OSError, match="not valid for 'example'")
            with contextlib.nullcontext() if taken else refused:
                await records.dialer()(visitor, None)
            assert (visitor.port == port) is taken

    with name_server({}) as server:
        asyncio.run(story())
