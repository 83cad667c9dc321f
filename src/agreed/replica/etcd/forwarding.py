"""Calls that only the leader can answer, asked of any node.

    front.forward(call, request)

The call travels to the leader with what its client has shown of who he is, and is judged there once more:
this node may be the last to hear of a change of the rules.  It is answered there by the same handler, and the
answer is given here, with the header of this node: a client is told who spoke to it.  Before it is told that
something was done, this node has caught up with that: whoever adds a member and asks the same node for the
members sees it.  Only who asks a member to be removed itself is told as soon as it sees that it was: nobody
tells it anything any more.

A call is forwarded once.  If the leader changes meanwhile its outcome is unknown, and it fails with
`leader changed`; if nothing is heard at all, with `request timed out`.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from agreed.errors import MalformedInput
from agreed.replica.etcd.calls import Call, Caller
from agreed.replica.etcd.cluster import Census
from agreed.types import Instant, NodeId
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import MemberRemoveRequest, MemberRemoveResponse, ResponseHeader
from agreed.wire.etcd.protobuf import decode, encode
from agreed.wire.etcd.services import METHODS, Kind
from agreed.wire.grpc.status import Code, Status
from agreed.wire.peer.messages import CallAnswered, CallForwarded

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients
    from agreed.replica.replica import Replica

ANSWERED_WITHIN_MS = 7_000


class Forwarding:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._next_ticket = front.replica.requests.first_ticket
        self._waiting: dict[int, tuple[Call, Instant]] = {}
        self._farewells: list[Call] = []
        """Of those who have asked that this node be removed."""
        front.on_round.append(self._round)

    def __call__(self, call: Call, request: msgspec.Struct) -> None:
        replica = self._front.replica
        if replica.machine.leader is None:
            call.fail(errors.NO_LEADER)
            return
        ticket = self._next_ticket
        self._next_ticket += 1
        self._waiting[ticket] = (call, replica.now + ANSWERED_WITHIN_MS)
        if isinstance(request, MemberRemoveRequest) and self._front.member_id == request.ID:
            self._farewells.append(call)
        who = call.caller
        message = CallForwarded(ticket, call.method.path, encode(request), who.token, who.certificate)
        replica.effects.send.append((replica.machine.leader, message))

    def asked(self, source: NodeId, message: CallForwarded) -> None:
        """On the leader.  A peer is believed about certificates: it could write commands of its own."""
        replica = self._front.replica
        transport = _Peer(replica, source, message.ticket)
        method = METHODS.get(message.path)
        if method is None or method.kind is not Kind.UNARY or not replica.leads:
            transport.answer(errors.LEADER_CHANGED, b"")
            return
        who = Caller(source, 0, message.token, message.certificate)
        call = Call(transport, 0, method, {}, who, replica.now + ANSWERED_WITHIN_MS)
        try:
            request = decode(method.request, message.request)
        except MalformedInput as error:
            transport.answer(Status(Code.INTERNAL, str(error)), b"")
            return
        self._front.handle(call, request)

    def answered(self, source: NodeId, message: CallAnswered) -> None:
        call, _ = self._waiting.pop(message.ticket, (None, 0))
        if call is None:
            return
        if message.code != Code.OK:
            call.fail(Status(_code(message.code), message.text))
            return
        try:
            reply = decode(call.method.reply, message.reply)
        except MalformedInput as error:
            call.fail(Status(Code.INTERNAL, str(error)))
            return
        answered = call
        self._front.after_barrier(answered, lambda: answered.reply(self._with_our_header(reply)))

    def removed(self) -> None:
        """This node is no member any more."""
        for call in self._farewells:
            shown = Census(self._front.replica).shown()
            call.reply(MemberRemoveResponse(self._front.header_at(0), shown))

    def leader_changed(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for call, _ in waiting.values():
            call.fail(errors.LEADER_CHANGED)

    def _round(self) -> None:
        now = self._front.replica.now
        self._farewells = [call for call in self._farewells if not call.closed]
        for ticket, (call, until) in list(self._waiting.items()):
            if call.closed or now >= until:
                del self._waiting[ticket]
                call.fail(errors.TIMEOUT)

    def _with_our_header(self, reply: Any) -> Any:
        header = getattr(reply, "header", None)
        if not isinstance(header, ResponseHeader):
            return reply
        return msgspec.structs.replace(reply, header=self._front.header_at(header.revision))


class _Peer:
    """The transport of a call that another node has forwarded."""

    def __init__(self, replica: Replica, source: NodeId, ticket: int) -> None:
        self._replica = replica
        self._source = source
        self._ticket = ticket

    def answer(self, status: Status, reply: bytes) -> None:
        message = CallAnswered(self._ticket, status.code, status.message, reply)
        self._replica.effects.send.append((self._source, message))

    def messages(self, call: Call, messages: Sequence[msgspec.Struct]) -> None:
        """Streams are not forwarded."""

    def reply(self, call: Call, message: msgspec.Struct) -> None:
        self.answer(Status(Code.OK), encode(message))

    def ended(self, call: Call, status: Status) -> None:
        self.answer(status, b"")

    def backlog(self, call: Call) -> int:
        return 0


def _code(number: int) -> Code:
    try:
        return Code(number)
    except ValueError:
        return Code.UNKNOWN
