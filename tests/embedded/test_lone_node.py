"""A node without disk and peers: what clients see of it, its time, and how it begins anew."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from agreed.client.aio import Session
from agreed.client.errors import NoNode
from agreed.client.url import ClusterUrl, Server
from agreed.client.values import Change, SessionState, WatchEvent
from agreed.embedded.clock import VirtualClock
from agreed.embedded.lone_node import LoneNode, NodeFailed
from agreed.replica import events
from agreed.replica.settings import Settings
from tests.embedded.waiting import until


@contextlib.asynccontextmanager
async def session_of(
    node: LoneNode, address: str | None = None, timeout_s: float = 10.0
) -> AsyncIterator[Session]:
    """In memory, or by a socket to `address`."""

    async def in_memory(protocol: asyncio.Protocol, _: Server) -> None:
        node.connect(protocol)

    host, _, port = (address or "memory:0").rpartition(":")
    session = Session(
        ClusterUrl((Server(host, int(port)),), ""),
        session_timeout_s=timeout_s,
        request_timeout_s=30.0,
        dial=None if address else in_memory,
    )
    try:
        await session.wait_connected(30.0)
        yield session
    finally:
        await session.close()


@contextlib.asynccontextmanager
async def standing(clock: VirtualClock | None = None) -> AsyncIterator[LoneNode]:
    node = LoneNode(clock=clock)
    try:
        yield node
    finally:
        node.close()


def test_who_connects_in_memory_and_who_connects_by_a_socket_see_the_same() -> None:
    async def story() -> None:
        async with standing() as node:
            address = await node.listen_to_zookeeper()
            async with session_of(node) as near, session_of(node, address) as far:
                seen: list[WatchEvent] = []
                assert await far.exists("/key", watch=seen.append) is None
                await near.create("/key", b"value")
                assert (await far.get("/key", fresh=True)).data == b"value"
                await until(lambda: [event.change for event in seen] == [Change.CREATED])

    asyncio.run(story())


def test_a_session_is_granted_the_time_it_wishes_for() -> None:
    async def story() -> None:
        async with standing() as node:
            for wished in (0.05, 3600.0):
                async with session_of(node, timeout_s=wished) as session:
                    assert session.timeout_s == wished
        bounded = LoneNode(Settings())
        async with session_of(bounded, timeout_s=1.0) as session:
            assert session.timeout_s == 4.0
        bounded.close()

    asyncio.run(story())


def test_hours_pass_at_once_and_end_what_nobody_renews() -> None:
    async def story() -> None:
        clock = VirtualClock()
        async with standing(clock) as node, session_of(node) as watching:
            async with session_of(node) as holding:
                await holding.create("/held", b"", ephemeral=True)
                seen: list[WatchEvent] = []
                await watching.exists("/held", watch=seen.append)
                clock.advance(3600)
                await holding.get("/held", fresh=True)
                await watching.sync()
                assert not seen
                node.silent.add(holding.id)
                clock.advance(9.5)
                await watching.sync()
                assert not seen
                clock.advance(3)
                await until(lambda: [event.change for event in seen] == [Change.DELETED])
                await until(lambda: holding.state is SessionState.EXPIRED)
            assert watching.state is SessionState.CONNECTED
            created = await watching.create("/later")
            stamped = (await watching.get(created.path)).stat.created_ms
            assert stamped >= clock.wall_ms() - 1000

    asyncio.run(story())


def test_a_client_that_is_gone_keeps_its_session_for_its_time_and_no_longer() -> None:
    async def story() -> None:
        clock = VirtualClock()
        async with standing(clock) as node, session_of(node) as watching:
            async with session_of(node) as gone:
                await gone.create("/held", b"", ephemeral=True)
                gone.abandon()
                await until(lambda: gone.id not in node.replica.zookeeper.sessions.clients)
            clock.advance(9)
            assert await watching.exists("/held") is not None
            clock.advance(4)
            assert await watching.exists("/held") is None

    asyncio.run(story())


def test_what_is_to_go_some_time_after_its_last_child_goes_with_virtual_time() -> None:
    async def story() -> None:
        clock = VirtualClock()
        async with standing(clock) as node, session_of(node) as session:
            await session.create("/line", container=True)
            await session.create("/line/me")
            await session.delete("/line/me")
            clock.advance(600)
            with pytest.raises(NoNode):
                await session.get("/line")

    asyncio.run(story())


def test_a_node_that_is_reset_is_empty_and_knows_nobody_and_its_ports_stay() -> None:
    async def story() -> None:
        async with standing() as node:
            address = await node.listen_to_zookeeper()
            async with session_of(node) as near, session_of(node, address) as far:
                await near.create("/key", b"", ephemeral=True)
                node.reset()
                await until(lambda: near.state is far.state is SessionState.EXPIRED)
            async with session_of(node, address) as session:
                assert (await session.children("/")).names == ("zookeeper",)
                assert await session.exists("/key") is None

    asyncio.run(story())


def test_clients_that_are_dropped_come_back_with_their_sessions() -> None:
    async def story() -> None:
        async with standing() as node, session_of(node) as session:
            states: list[SessionState] = []
            session.on_state(states.append)
            await session.create("/held", b"", ephemeral=True)
            node.drop_clients()
            await until(lambda: SessionState.CONNECTED in states)
            assert states == [SessionState.SUSPENDED, SessionState.CONNECTED]
            assert await session.exists("/held") is not None

    asyncio.run(story())


def test_one_session_can_be_ended_by_name() -> None:
    async def story() -> None:
        clock = VirtualClock()
        async with standing(clock) as node, session_of(node) as watching, session_of(node) as ended:
            await ended.create("/held", b"", ephemeral=True)
            node.expire(ended.id)
            assert await watching.exists("/held") is None
            await until(lambda: ended.state is SessionState.EXPIRED)

    asyncio.run(story())


def test_long_histories_are_forgotten() -> None:
    """Else a program that keeps a counter in memory for a week would have all its values in the log."""

    async def story() -> None:
        node = LoneNode(Settings(session_timeout_ms=(1, 100_000), snapshot_entries=100))
        async with session_of(node) as session:
            await session.create("/counter")
            for number in range(150):
                await session.set("/counter", str(number).encode())
            await until(lambda: node.replica.snapshot_index > 0)
            await session.set("/counter", b"goes on")
        node.close()

    asyncio.run(story())


def test_a_mistake_of_ours_ends_the_node_and_not_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        said: list[str] = []
        node = LoneNode(log=lambda level, sentence: said.append(f"{level}: {sentence}"))
        address = await node.listen_to_zookeeper()
        async with session_of(node, address) as session:

            def fail(event: object) -> None:
                raise RuntimeError("of our own making")

            monkeypatch.setattr(node.replica, "step", fail)
            node.happened(events.StopRequested())
            assert node.failed
            await until(lambda: session.state is SessionState.SUSPENDED)
            session.abandon()
        assert said[-1].startswith("critical: this is a bug")
        with pytest.raises(NodeFailed):
            node.accept()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address.split(":"))

    asyncio.run(story())
