"""A whole cluster of real processes behind a network that can be broken; started, watched and healed.

    async with Cluster(system, 5, directory, network) as cluster:
        node = await cluster.leader()
        node.process.kill()
        await cluster.heal()              every node runs again and serves

Clients call from a `place` ("c1", "c2"), so that clients too can be cut off from some nodes and not from
others.  All of it is on this machine.
"""
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from agreed.torture.address import Address
from agreed.torture.network import Links, Network
from agreed.torture.node import Node
from agreed.torture.processes import NotServing, ServerProcess, free_ports, last_lines
from agreed.torture.systems.system import System

PLACES = ("c1", "c2")

POLL_S = 0.05

START_WITHIN_S = 60.0


class Cluster:
    """`size` nodes of `system`.  `environment(node)`: variables for that node's process."""

    def __init__(
        self,
        system: System,
        size: int,
        directory: Path,
        network: Links,
        environment: Callable[[Node], Mapping[str, str]] = lambda node: {},
    ) -> None:
        self.system = system
        self.network = network
        self.nodes = [_node(number, directory / f"n{number}", network) for number in range(1, size + 1)]
        self.ended_by_themselves: list[str] = []
        """A sentence for each process that ended although nobody had asked it to."""
        self._environment = environment

    async def __aenter__(self) -> Self:
        await self.network.open()
        try:
            if isinstance(self.network, Network):
                await self._open_fronts(self.network)
            for node in self.nodes:
                self.start(node)
            await self.wait_until_serving(self.nodes, START_WITHIN_S)
        except BaseException:
            await self.stop()
            raise
        return self

    async def _open_fronts(self, network: Network) -> None:
        who = self.system.who(self.nodes)
        for node in self.nodes:
            for front, port in self.system.peer_fronts(node):
                await network.open_front(node.name, front, port, who=who)
            for place, front in node.client_fronts.items():
                await network.open_front(node.name, front, node.client_port, source=place)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Every process that was started here is gone when this returns."""
        for node in self.nodes:
            if node.process is not None:
                node.process.kill()
        await self.network.close()

    @property
    def majority(self) -> int:
        return len(self.nodes) // 2 + 1

    def start(self, node: Node) -> None:
        """Start the process; it need not serve yet when this returns."""
        assert not node.running, f"{node.name} runs already"
        node.directory.mkdir(parents=True, exist_ok=True)
        node.process = ServerProcess(
            self.network.inside(node.name, self.system.command(node, self.nodes)),
            output=node.log,
            environment=self._environment(node),
        )

    def addresses(self, place: str) -> list[Address]:
        """Where clients at this place reach the nodes."""
        source = self.network.source(place)
        return [Address(node.host, node.client_fronts[place], source) for node in self.nodes]

    async def leader(self) -> Node | None:
        """A node which says that it leads."""
        for node in self.nodes:
            if node.running and not (node.process and node.process.paused):
                role = await self.system.role(node)
                if role is not None and role.leads:
                    return node
        return None

    async def wait_until_serving(self, nodes: Sequence[Node], within_s: float) -> None:
        """Raises `NotServing`, with the last words of the first node that does not."""
        deadline = time.monotonic() + within_s
        for node in nodes:
            while True:
                if not node.running:
                    raise NotServing(f"{node.name} ended:\n{last_lines(node.log, 15)}")
                role = await self.system.role(node)
                if role is not None and role.serves:
                    break
                if time.monotonic() > deadline:
                    words = last_lines(node.log, 15)
                    raise NotServing(f"{node.name} does not serve after {within_s:.0f} s:\n{words}")
                await asyncio.sleep(POLL_S)

    def notice_the_dead(self) -> None:
        """Start those that ended by themselves again, and remember that they did."""
        for node in self.nodes:
            if node.troubled or node.process is None or node.running:
                continue
            if time.monotonic() > node.excused_until:
                code = node.process.returncode
                said = last_lines(node.log, 5)
                self.ended_by_themselves.append(f"{node.name} ended by itself with code {code}:\n{said}")
            self.start(node)

    async def restart(self, node: Node, within_s: float = START_WITHIN_S) -> None:
        self.start(node)
        await self.wait_until_serving([node], within_s)


def _node(number: int, directory: Path, network: Links) -> Node:
    name = f"n{number}"
    client, peer, election = free_ports(3)
    peer_front, election_front, *fronts = (
        free_ports(2 + len(PLACES)) if network.relayed else [peer, election, *(client for _ in PLACES)]
    )
    return Node(
        number,
        name,
        directory,
        client,
        peer,
        election,
        peer_front,
        election_front,
        dict(zip(PLACES, fronts, strict=True)),
        network.host(name),
    )


async def until(condition: Callable[[], Awaitable[bool]], within_s: float) -> bool:
    """Ask again and again; False: not within that many seconds."""
    deadline = time.monotonic() + within_s
    while not await condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True
