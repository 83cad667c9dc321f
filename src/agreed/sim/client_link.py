"""One connection of a client with a node: bytes in both directions, in order, until it breaks somewhere."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agreed.sim.trace import CLIENT_BYTES, SERVER_BYTES

if TYPE_CHECKING:
    from agreed.sim.clients import Client
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node


class ClientLink:
    def __init__(self, cluster: Cluster, node: Node, client: Client) -> None:
        self.world = cluster.world
        self.node, self.client = node, client
        self.id = node.accept(self)
        self.open = True
        """The client has not left it and has not seen it break."""
        self._boot = node.boot
        self._bits = client.link_bits
        low, high = cluster.plan.conditions.latency_us
        self._low, self._spread = low, high - low + 1
        self._up_at = self._down_at = self.world.now
        self._held = False
        self._kept: list[bytes] = []
        self._lost_at: int | None = None
        self._bytes: type[Any]
        self._closed: type[Any]
        opened, self._bytes, self._closed = client.says
        self._up(opened(self.id, "10.0.0.1", 1_000 + self.id))

    @property
    def stands(self) -> bool:
        """The server knows of it, too."""
        return self.node.boot == self._boot and self.id in self.node.links

    def _delay(self) -> int:
        return self._low + (self._bits(16) * self._spread >> 16)

    def _up(self, event: object) -> None:
        self._up_at = max(self._up_at, self.world.now + self._delay())
        self.world.at(self._up_at, self._arrived, event)

    def _arrived(self, event: object, _: object = None) -> None:
        node = self.node
        if node.boot != self._boot or self.id not in node.links:
            return
        if isinstance(event, self._bytes):
            if self._held:
                self._kept.append(event.data)
                return
            self.world.trace.event(
                self.world.now, SERVER_BYTES, node.number, self.client.number, event.data
            )
            self.client.heard_by(node, self)
        elif isinstance(event, self._closed):
            del node.links[self.id]
        node.happened(event)

    def hold(self, held: bool) -> None:
        self._held = held
        if not held:
            kept, self._kept = self._kept, []
            for data in kept:
                self.world.later(0, self._arrived, self._bytes(self.id, data))

    def send(self, data: bytes) -> None:
        if self._bits(4) == 0:
            cut = self._bits(16) * len(data) >> 16
            if cut:
                self._up(self._bytes(self.id, data[:cut]))
                data = data[cut:]
        self._up(self._bytes(self.id, data))

    def to_client(self, data: bytes) -> None:
        self._down_at = max(self._down_at, self.world.now + self._delay())
        self.world.at(self._down_at, self._received, data)

    def _received(self, data: bytes, _: object) -> None:
        if self.open and (self._lost_at is None or self.world.now < self._lost_at):
            self.world.trace.event(
                self.world.now, CLIENT_BYTES, self.client.number, self.node.number, data
            )
            self.client.received(self, data)

    def closed_by_server(self) -> None:
        """After all that was written to it."""
        del self.node.links[self.id]
        self._down_at = max(self._down_at, self.world.now + self._delay())
        self.world.at(self._down_at, self._lost)
        self.world.later(1, self._closed_there, self._boot)

    def _closed_there(self, boot: int, _: object) -> None:
        if self.node.boot == boot:
            self.node.happened(self._closed(self.id))

    def server_died(self, silently: bool) -> None:
        """What is on its way may be lost; with its machine nobody is left to say that it is gone."""
        if self._bits(1):
            self._lost_at = self.world.now + self._delay()
        if not silently:
            self.world.at(max(self._down_at, self.world.now + self._delay()), self._lost)

    def _lost(self, _: object, __: object) -> None:
        if self.open:
            self.open = False
            self.client.lost(self)

    def abort(self) -> None:
        """The client goes; what it has sent may still arrive."""
        self.open = False
        if self.node.boot != self._boot or self.id not in self.node.links:
            return
        if self._bits(1):
            self._up(self._closed(self.id))
        else:
            del self.node.links[self.id]
            self.world.later(self._delay(), self._closed_there, self._boot)
