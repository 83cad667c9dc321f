"""A node's conversations with the others: who is dialled, who is let in, what is handed to the replica.

The words and decisions are the shipped ones (`wire.peer`, `replica.founding`); here is only what
`agreed.node.dial` and `agreed.node.listen` do with sockets.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from agreed.consensus.members import Members
from agreed.errors import MalformedInput
from agreed.replica import events
from agreed.replica.acquaintances import Acquaintances
from agreed.replica.founding import Caller, Holders
from agreed.sim.network import Connection, Network
from agreed.sim.world import MS
from agreed.wire.peer.codec import encode
from agreed.wire.peer.messages import PROTOCOL_VERSION, Hello, HelloReply, OperatorHello

if TYPE_CHECKING:
    from agreed.sim.node import Node

FIRST_WAIT_MS = 20
LONGEST_WAIT_MS = 500

FAREWELL_MS = 5_000
"""As `agreed.node.shell` has it: how long one still speaks with a member that was removed."""

NO_MEMBERS = Members(())


class Peers:
    """Of one life of a node."""

    def __init__(self, node: Node, network: Network) -> None:
        self._node = node
        self._network = network
        self._boot = node.boot
        self._known: set[str] = set()
        self._acquaintances = Acquaintances(node.name, {})
        self._wait_ms: dict[str, int] = {}
        self._callers: dict[str, Connection] = {}
        self._admission = node.parts.admission()
        self._holders = Holders()
        self._members: Members | None = None
        self._last_message: object = None
        self._last_frame = b""

    # --- who is dialled -----------------------------------------------------------------------------------

    def know(self, names: set[str]) -> None:
        """The peers there are now; connections to others are closed."""
        names = names - {self._node.name}
        for name in sorted(self._known - names):
            connection = self._callers.pop(name, None)
            if connection is not None:
                self._network.close(connection, self._node)
        new = sorted(names - self._known)
        self._known = names
        for name in new:
            self._wait_ms[name] = FIRST_WAIT_MS
            self._network.dial(self._node, name)

    def unreachable(self, name: str) -> None:
        """Try again later."""
        if name in self._known:
            wait_ms = self._wait_ms[name]
            self._wait_ms[name] = min(2 * wait_ms, LONGEST_WAIT_MS)
            self._node.world.later(wait_ms * MS, self._again, name)

    def _again(self, name: str, _: object) -> None:
        if self._node.boot == self._boot and name in self._known and name not in self._callers:
            self._network.dial(self._node, name)

    def connected(self, name: str, connection: Connection) -> None:
        if name not in self._known or name in self._callers:
            self._network.close(connection, self._node)
            return
        self._callers[name] = connection
        self._network.send(connection, encode(self.hello()))

    def lost(self, connection: Connection) -> None:
        """A connection that we dialled is gone."""
        name = connection.far.name
        if self._callers.get(name) is connection:
            del self._callers[name]
            if connection.ready:
                self._wait_ms[name] = FIRST_WAIT_MS
                self._node.happened(events.PeerClosed(name))
            self.unreachable(name)

    def left(self, connection: Connection) -> None:
        """A connection that we accepted is gone."""
        if connection.peer is not None:
            self._acquaintances.hung_up(connection.peer.name)
            self.know(set(self._acquaintances.addresses))
            self._node.happened(events.PeerClosed(connection.peer.name))

    # --- what is said -------------------------------------------------------------------------------------

    def hello(self) -> Hello:
        node = self._node
        if not node.serving:
            me, boot = node.member(), node.boot_number
            return Hello(PROTOCOL_VERSION, 0, me, 0, boot, NO_MEMBERS, NO_MEMBERS, 0, 0)
        replica = node.replica
        identity = node.recovered.identity
        return Hello(
            PROTOCOL_VERSION, identity.cluster, node.member(), identity.life, node.boot_number,
            node.founders, replica.members, *replica.log_end,
        )  # fmt: skip

    def send(self, name: str, message: object) -> None:
        """What cannot be sent now is dropped."""
        connection = self._callers.get(name)
        if connection is None or not connection.ready or not connection.near_open:
            return
        if message is not self._last_message:
            # The same append goes to every follower that is not behind.
            self._last_message, self._last_frame = message, encode(message)
        self._network.send(connection, self._last_frame)
        trace = self._node.world.trace
        if trace.telling:
            self._node.cluster.story.sent(self._node, name, message, self._last_frame)

    def answered(self, connection: Connection, data: bytes) -> None:
        """The far end of a connection that we dialled has said something: its hello, or nothing we want."""
        try:
            messages = connection.reply_decoder.receive_data(data)
        except MalformedInput:
            self._network.reset(connection, self._node)
            return
        for message in messages:
            if not isinstance(message, HelloReply) or not self._greeted(connection.far.name, message):
                self._network.close(connection, self._node)
                self._callers.pop(connection.far.name, None)
                self.unreachable(connection.far.name)
                return
            if not connection.ready:
                connection.ready = True
                self._node.happened(events.PeerOpened(connection.far.name))

    def _greeted(self, peer: str, reply: HelloReply) -> bool:
        node = self._node
        if not node.serving:
            node.founding_heard(reply.hello)
            return reply.hello.cluster == 0
        if reply.refusal is not None or reply.hello.member.name != peer:
            return False
        return reply.hello.cluster in (0, node.recovered.identity.cluster)

    # --- what is heard ------------------------------------------------------------------------------------

    def received(self, connection: Connection, data: bytes) -> None:
        """On a connection that we accepted."""
        try:
            messages = connection.decoder.receive_data(data)
        except MalformedInput:
            self._node.world.mark("damaged message refused")
            self._network.reset(connection, self._node)
            return
        node = self._node
        for message in messages:
            caller = connection.peer
            if caller is not None:
                replaced = node.serving and caller.is_replaced(self._holder_of(caller.name))
                if replaced or isinstance(message, Hello | HelloReply | OperatorHello):
                    self._network.reset(connection, self._node)
                    return
                if node.world.trace.telling:
                    node.cluster.story.heard(node, caller.name, message, data)
                node.heard(caller.name, message)
            elif not isinstance(message, Hello) or not self._greet(connection, message):
                self._network.close(connection, node)
                return
            if connection.far.boot != connection.far_boot:
                return

    def _greet(self, connection: Connection, hello: Hello) -> bool:
        node = self._node
        if not node.serving:
            node.founding_heard(hello)
            self._network.answer(connection, encode(HelloReply(self.hello(), None)))
            return True
        refusal = self._admission.refuse(self.hello(), hello)
        member = hello.cluster == node.recovered.identity.cluster
        if refusal is None and member:
            connection.peer = Caller(hello.member, self._holder_of(hello.member.name))
            self._acquaintances.called(hello.member)
            self.know(set(self._acquaintances.addresses))
        else:
            stranger = hello.member
            node.happened(
                events.StrangerSeen(
                    stranger.name, stranger.identity, stranger.address, stranger.client_address
                )
            )
        self._network.answer(connection, encode(HelloReply(self.hello(), refusal)))
        return refusal is None

    def _holder_of(self, name: str) -> int:
        return self._holders.of(name, self._node.replica.members)

    # --- members ------------------------------------------------------------------------------------------

    def follow_members(self, members: Members) -> None:
        """Speak with those who belong to the cluster, and a while longer with those who are leaving it."""
        if members is self._members:
            return
        self._members = members
        leaving = self._acquaintances.members_changed(members)
        self.know(set(self._acquaintances.addresses))
        if leaving:
            self._node.world.later(FAREWELL_MS * MS, self._forget, leaving)

    def _forget(self, leaving: frozenset[str], _: object) -> None:
        if self._node.boot == self._boot:
            self._acquaintances.forget(leaving)
            self.know(set(self._acquaintances.addresses))
