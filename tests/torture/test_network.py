"""What the relay between two processes does to what they say: passes it, keeps it, delays it, breaks it."""
from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agreed.torture.network import Caller, Network, Rule
from agreed.torture.processes import LOOPBACK, free_ports

SOON_S = 30.0
NOT_YET_S = 0.15


class Echo:
    """A server that says back what it is told, and counts who has called."""

    def __init__(self) -> None:
        [self.port] = free_ports(1)
        self.calls = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        while said := await reader.read(1000):
            writer.write(said)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def fronted(network: Network, **options: object) -> AsyncIterator[tuple[Echo, int]]:
    echo = Echo()
    [front] = free_ports(1)
    server = await asyncio.start_server(echo.serve, LOOPBACK, echo.port)
    await network.open_front("n2", front, echo.port, **options)  # type: ignore[arg-type]
    try:
        yield echo, front
    finally:
        await network.close()
        server.close()


def played(story: Callable[[Network], Awaitable[None]]) -> None:
    asyncio.run(_with_a_network(story))


async def _with_a_network(story: Callable[[Network], Awaitable[None]]) -> None:
    async with asyncio.timeout(4 * SOON_S):
        await story(Network(random.Random(1)))


async def said(reader: asyncio.StreamReader, count: int) -> bytes:
    async with asyncio.timeout(SOON_S):
        return await reader.readexactly(count)


async def is_silent(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(NOT_YET_S):
            await reader.read(1)
    except TimeoutError:
        return True
    return False


def test_what_is_said_is_heard_and_answered() -> None:
    async def story(network: Network) -> None:
        async with fronted(network, source="n1") as (_, port):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"hello")
            assert await said(reader, 5) == b"hello"

    played(story)


@pytest.mark.parametrize("direction", [("n1", "n2"), ("n2", "n1")])
def test_behind_a_cut_nothing_is_heard_and_afterwards_all_of_it(direction: tuple[str, str]) -> None:
    async def story(network: Network) -> None:
        async with fronted(network, source="n1") as (_, port):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"a")
            assert await said(reader, 1) == b"a"
            cut = Rule(frozenset({direction}), cut=True)
            network.add(cut)
            writer.write(b"bc")
            assert await is_silent(reader)
            network.remove(cut)
            assert await said(reader, 2) == b"bc"

    played(story)


def test_a_cut_of_others_does_not_matter() -> None:
    async def story(network: Network) -> None:
        async with fronted(network, source="n1") as (_, port):
            network.add(Rule(frozenset({("n3", "n2"), ("n2", "n3")}), cut=True))
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"a")
            assert await said(reader, 1) == b"a"

    played(story)


def test_two_cuts_hold_until_both_are_over() -> None:
    async def story(network: Network) -> None:
        async with fronted(network, source="n1") as (_, port):
            one, other = (Rule(frozenset({("n1", "n2")}), cut=True) for _ in range(2))
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"a")
            assert await said(reader, 1) == b"a"
            network.add(one)
            network.add(other)
            network.remove(one)
            writer.write(b"b")
            assert await is_silent(reader)
            network.remove(other)
            assert await said(reader, 1) == b"b"

    played(story)


def test_no_connection_comes_about_where_one_direction_is_cut() -> None:
    """Half of a handshake is none."""

    async def story(network: Network) -> None:
        async with fronted(network, source="n1") as (echo, port):
            cut = Rule(frozenset({("n2", "n1")}), cut=True)
            network.add(cut)
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"a")
            assert await is_silent(reader)
            assert echo.calls == 0
            network.remove(cut)
            assert await said(reader, 1) == b"a"

    played(story)


def test_where_the_rule_says_so_connections_break_when_the_cut_is_over() -> None:
    async def story(network: Network) -> None:
        async with fronted(network, source="n1") as (_, port):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"a")
            assert await said(reader, 1) == b"a"
            cut = Rule(frozenset({("n1", "n2")}), cut=True, reset=True)
            network.add(cut)
            writer.write(b"b")
            assert await is_silent(reader)
            network.remove(cut)
            async with asyncio.timeout(SOON_S):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)

    played(story)


def test_delay_keeps_the_order() -> None:
    async def story(network: Network) -> None:
        async with fronted(network, source="n1") as (_, port):
            network.add(Rule(frozenset({("n1", "n2")}), delay_s=0.05, jitter_s=0.05))
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            began = asyncio.get_running_loop().time()
            for number in range(5):
                writer.write(bytes([number]))
                await asyncio.sleep(0.01)
            assert await said(reader, 5) == bytes(range(5))
            assert asyncio.get_running_loop().time() - began >= 0.05

    played(story)


def test_with_loss_all_of_it_comes_or_the_connection_breaks() -> None:
    async def story(network: Network) -> None:
        async with fronted(network, source="n1") as (_, port):
            network.add(Rule(frozenset({("n1", "n2")}), loss=0.5))
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            sent = b"abcdefgh"
            for number in range(len(sent)):
                writer.write(sent[number : number + 1])
                await asyncio.sleep(0.01)
            writer.write_eof()
            async with asyncio.timeout(SOON_S):
                heard = await reader.read(100)
            assert sent.startswith(heard)

    played(story)


def test_the_caller_is_known_by_what_it_says_first() -> None:
    def who(first: bytes) -> Caller | None:
        return Caller("n1", first.upper()) if first.endswith(b".") else None

    async def story(network: Network) -> None:
        async with fronted(network, who=who) as (_, port):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"it is ")
            await asyncio.sleep(0.02)
            writer.write(b"me.")
            assert await said(reader, 9) == b"IT IS ME."
            network.add(Rule(frozenset({("n1", "n2")}), cut=True))
            writer.write(b"more")
            assert await is_silent(reader)

    played(story)
