"""The network between nodes: connections that carry bytes, and everything that can befall them.

A node dials each other node and sends on the connections it dialled; on those it accepted it only receives
(and answers the hello).  A connection is as TCP has it: in order and whole, until it breaks; a cut is
silence, and who hears nothing for `UNHEARD_MS` gives up.  With `loose_frames` each message travels on its
own instead, and may be lost, doubled, replayed or overtaken: worse than TCP, and no more than Raft asks for.

Everything that befalls a link is drawn from that link's own dice, one number for each message.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from agreed.replica.founding import Caller
from agreed.sim.plan import Conditions
from agreed.sim.streams import Stream
from agreed.sim.trace import CLOSED, CONNECTED, FRAME
from agreed.sim.world import MS, World
from agreed.wire.peer.codec import Decoder

if TYPE_CHECKING:
    from agreed.sim.node import Node

UNHEARD_MS = 5_000
"""As `agreed.node.sockets` asks of TCP."""

RETRANSMITTED_AFTER_MS = 200
"""What a lost packet costs a stream."""

OVERTAKES_PERMILLE = 250
"""How often a message that travels on its own may overtake those before it."""

REMEMBERED_FRAMES = 16
"""Of each link, for replays."""


class Link:
    """The way from one node to another: what befalls it now, and its dice."""

    __slots__ = (
        "bits", "blocked", "corrupt", "double", "extra_us", "lose", "remembered", "replay", "troubled",
    )  # fmt: skip

    def __init__(self, stream: Stream) -> None:
        self.bits = stream.bits
        self.blocked = 0
        """How many cuts go through it."""
        self.extra_us = 0
        self.lose = self.double = self.replay = self.corrupt = 0
        """Permille."""
        self.troubled = False
        """Any of these."""
        self.remembered: list[bytes] = []

    def look(self) -> None:
        self.troubled = bool(self.lose or self.double or self.replay or self.corrupt)


class Connection:
    """From who dialled (`near`) to who accepted (`far`); each end notices its end in its own time."""

    __slots__ = (
        "back", "decoder", "far", "far_boot", "far_open", "held", "held_back", "last_at", "last_back_at",
        "link", "near", "near_boot", "near_open", "peer", "ready", "reply_decoder", "stalled_since",
    )  # fmt: skip

    def __init__(self, near: Node, far: Node, link: Link, back: Link) -> None:
        self.near, self.far = near, far
        self.near_boot, self.far_boot = near.boot, far.boot
        self.near_open = self.far_open = True
        self.link, self.back = link, back
        self.decoder, self.reply_decoder = Decoder(), Decoder()
        self.ready = False
        """The far end has answered our hello."""
        self.peer: Caller | None = None
        """Who dialled, once the far end has admitted it."""
        self.last_at = self.last_back_at = 0
        self.held: list[bytes] = []
        self.held_back: list[bytes] = []
        """Sent into a cut, in either direction: TCP will send it again."""
        self.stalled_since: int | None = None

    @property
    def near_alive(self) -> bool:
        return self.near_open and self.near.boot == self.near_boot

    @property
    def far_alive(self) -> bool:
        return self.far_open and self.far.boot == self.far_boot


class Network:
    def __init__(self, world: World, conditions: Conditions) -> None:
        self.world = world
        self.nodes: dict[str, Node] = {}
        self.connections: dict[Connection, None] = {}
        self._low, high = conditions.latency_us
        self._spread = high - self._low + 1
        self.loose = conditions.loose_frames
        """Whether messages travel each on its own."""
        self._links: dict[tuple[str, str], Link] = {}

    def link(self, source: str, target: str) -> Link:
        link = self._links.get((source, target))
        if link is None:
            link = self._links[source, target] = Link(self.world.stream("link", source, target))
        return link

    def links(self, name: str) -> list[Link]:
        """Those of "from>to", where "*" is everybody."""
        source, _, target = name.partition(">")
        names = sorted(self.nodes)
        return [
            self.link(one, other)
            for one in (names if source == "*" else [source])
            for other in (names if target == "*" else [target])
            if one != other
        ]

    # --- connections --------------------------------------------------------------------------------------

    def dial(self, near: Node, name: str) -> None:
        """Answered, some time later, by `connected` or `unreachable` of the dialling node."""
        link = self.link(near.name, name)
        delay = self._low + (link.bits(16) * self._spread >> 16) + link.extra_us
        self.world.later(2 * delay, self._reached, (near, near.boot), name)

    def _reached(self, caller: tuple[Node, int], name: str) -> None:
        near, boot = caller
        if near.boot != boot:
            return
        far = self.nodes.get(name)
        link, back = self.link(near.name, name), self.link(name, near.name)
        if far is None or not far.up or link.blocked or back.blocked:
            near.peers.unreachable(name)
            return
        self.world.trace.event(self.world.now, CONNECTED, near.number, far.number)
        connection = Connection(near, far, link, back)
        self.connections[connection] = None
        near.peers.connected(name, connection)

    def close(self, connection: Connection, by: Node) -> None:
        """One end closes; the other hears of it, unless the network is cut."""
        if by is connection.near:
            connection.near_open = False
        else:
            connection.far_open = False
        delay = self._low + (connection.link.bits(16) * self._spread >> 16)
        self.world.later(delay, self._end, connection)

    def reset(self, connection: Connection, by: Node) -> None:
        """As `close`; what is on its way is not waited for."""
        if by is connection.near:
            connection.near_open = False
        else:
            connection.far_open = False
        self._end(connection, None)

    def _end(self, connection: Connection, _: object) -> None:
        """What is on its way into a cut tells nobody anything, until they give up."""
        if connection not in self.connections:
            return
        if connection.link.blocked or connection.back.blocked:
            self._stall(connection)
            return
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        connection.held.clear()
        connection.held_back.clear()
        near, far = connection.near, connection.far
        self.world.trace.event(self.world.now, CLOSED, near.number, far.number)
        if connection.near_alive:
            connection.near_open = False
            near.peers.lost(connection)
        if connection.far_alive:
            connection.far_open = False
            far.peers.left(connection)

    def _stall(self, connection: Connection) -> None:
        if connection.stalled_since is None:
            connection.stalled_since = self.world.now
            self.world.later(UNHEARD_MS * MS, self._give_up, connection, self.world.now)

    def _give_up(self, connection: Connection, since: int) -> None:
        if connection.stalled_since == since and connection in self.connections:
            self._forget(connection)

    def died(self, node: Node, silently: bool) -> None:
        """The process is gone; the system it ran on says so to the others, or is gone as well."""
        for connection in list(self.connections):
            if connection.near is node or connection.far is node:
                if silently:
                    connection.near_open &= connection.near is not node
                    connection.far_open &= connection.far is not node
                    self._stall(connection)
                else:
                    self.close(connection, node)

    # --- what is carried ----------------------------------------------------------------------------------

    def send(self, connection: Connection, frame: bytes) -> None:
        """From the near end to the far one."""
        link = connection.link
        bits = link.bits(64)
        arrives = self.world.now + self._low + ((bits & 0xFFFF) * self._spread >> 16) + link.extra_us
        loose = self.loose and connection.ready
        if link.troubled:
            if (bits >> 48) * 1000 >> 16 < link.corrupt:
                frame = _flipped(frame, link.bits(32))
            lost = (bits >> 16 & 0xFFFF) * 1000 >> 16 < link.lose
            if loose:
                if lost:
                    self.world.mark("message lost")
                    return
                self._again(connection, link, frame, arrives)
            elif lost:
                arrives += RETRANSMITTED_AFTER_MS * MS
        if not loose or (bits >> 32 & 0xFFFF) * 1000 >> 16 >= OVERTAKES_PERMILLE:
            if arrives <= connection.last_at:
                arrives = connection.last_at
            connection.last_at = arrives
        if connection.back.blocked:
            self._stall(connection)
        self.world.at(arrives, self._arrive, connection, frame)

    def _again(self, connection: Connection, link: Link, frame: bytes, arrives: int) -> None:
        """What is carried is carried twice, or with it something that this link has carried before, perhaps
        to a process that is gone by now."""
        if link.double and link.bits(16) * 1000 >> 16 < link.double:
            self.world.mark("message doubled")
            self.world.at(arrives + (link.bits(32) * 30 * MS >> 32), self._arrive, connection, frame)
        if not link.replay:
            return
        remembered = link.remembered
        if remembered and link.bits(16) * 1000 >> 16 < link.replay:
            old = remembered[link.bits(32) * len(remembered) >> 32]
            self.world.mark("message replayed")
            self.world.later(link.bits(32) * 300 * MS >> 32, self._arrive, connection, old)
        if len(remembered) < REMEMBERED_FRAMES:
            remembered.append(frame)
        else:
            remembered[link.bits(32) * REMEMBERED_FRAMES >> 32] = frame

    def _arrive(self, connection: Connection, frame: bytes) -> None:
        if connection.link.blocked:
            if connection in self.connections:
                self._stall(connection)
                if not self.loose or not connection.ready:
                    connection.held.append(frame)
            return
        far = connection.far
        if far.boot != connection.far_boot or not connection.far_open:
            if far.up:
                self._end(connection, None)  # the system it runs on knows nothing of this connection
            return
        self.world.trace.event(self.world.now, FRAME, far.number, connection.near.number, frame)
        far.peers.received(connection, frame)

    def answer(self, connection: Connection, frame: bytes) -> None:
        """From the far end to the near one: only ever the answer to a hello."""
        back = connection.back
        arrives = self.world.now + self._low + (back.bits(16) * self._spread >> 16) + back.extra_us
        arrives = connection.last_back_at = max(arrives, connection.last_back_at)
        self.world.at(arrives, self._answered, connection, frame)

    def _answered(self, connection: Connection, frame: bytes) -> None:
        if connection.back.blocked:
            if connection in self.connections:
                self._stall(connection)
                connection.held_back.append(frame)
        elif connection.near_alive:
            self.world.trace.event(
                self.world.now, FRAME, connection.near.number, connection.far.number, frame
            )
            connection.near.peers.answered(connection, frame)

    # --- cuts ---------------------------------------------------------------------------------------------

    def cut(self, source: str, target: str) -> None:
        self.link(source, target).blocked += 1

    def break_between(self, pairs: list[tuple[str, str]]) -> None:
        """Both ends of these connections see them break, whatever the network is like."""
        wanted = set(pairs)
        for connection in list(self.connections):
            if (connection.near.name, connection.far.name) in wanted:
                self._forget(connection)

    def mend(self, source: str, target: str) -> None:
        """One of the cuts through this link is over.  What TCP held back comes through now."""
        link = self.link(source, target)
        link.blocked -= 1
        if link.blocked:
            return
        for connection in list(self.connections):
            if connection.link is link or connection.back is link:
                self._resume(connection)

    def _resume(self, connection: Connection) -> None:
        link, back = connection.link, connection.back
        if not link.blocked and not back.blocked:
            connection.stalled_since = None
            if not (connection.near_alive and connection.far_alive):
                self._forget(connection)
                return
        if not link.blocked:
            held, connection.held = connection.held, []
            arrives = self.world.now
            for frame in held:
                arrives += self._low
                self.world.at(arrives, self._arrive, connection, frame)
            connection.last_at = max(connection.last_at, arrives)
        if not back.blocked:
            held_back, connection.held_back = connection.held_back, []
            for frame in held_back:
                self.world.later(self._low, self._answered, connection, frame)


def _flipped(frame: bytes, number: int) -> bytes:
    position = number % (8 * len(frame))
    changed = bytearray(frame)
    changed[position >> 3] ^= 1 << (position & 7)
    return bytes(changed)
