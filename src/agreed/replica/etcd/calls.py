"""One call under way: what a service sees of it, whether it came over gRPC, the JSON gateway or a WebSocket.

A service is given the call and its first request; it answers now or later, from a callback.  After `closed`
nothing that is said here has any effect, so a service that comes too late does no harm.

    unary            `reply(message)` or `fail(status)`
    server stream    `send(message)` any number of times, then `end()` or `fail(status)`
    bidirectional    the same; requests after the first come in through `on_message`, and `on_ended` tells
                     that there will be no more
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from agreed.types import Instant
from agreed.wire.etcd.errors import TOO_MANY_REQUESTS
from agreed.wire.etcd.services import Kind, Method
from agreed.wire.grpc.status import OK, Code, Status

LATER = Status(Code.UNKNOWN, "not known yet")
"""Said by who admits calls, where he has to ask the cluster first and goes on with the call himself."""


EARLY_MOST = 1_000
EARLY_MOST_BYTES = 4 * 1024 * 1024
"""Requests on a stream that nobody listens to yet: a thousand of two megabytes each would be a lot."""


class Transport(Protocol):
    """The connection a call came over."""

    def messages(self, call: Call, messages: Sequence[msgspec.Struct]) -> None:
        """Messages of the answer, which leave together."""

    def reply(self, call: Call, message: msgspec.Struct) -> None:
        """The one message of a unary answer, and success: the hot path."""

    def ended(self, call: Call, status: Status) -> None:
        """The end of the answer."""

    def backlog(self, call: Call) -> int:
        """Bytes of messages that the client has not taken yet, for its flow control."""


class Caller(msgspec.Struct, frozen=True):
    """Who calls.  `token` of the metadata (`token`, or `authorization` without `Bearer `); `certificate` is
    the common name of a verified TLS certificate."""

    address: str
    port: int
    token: str | None = None
    certificate: str | None = None


class Call:
    """`deadline` None: the client waits for ever.  `user` is set before a service sees the call: the name of
    who calls, None while nobody has to say (authentication is off)."""

    __slots__ = (
        "auth_revision",
        "caller",
        "closed",
        "deadline",
        "early",
        "early_bytes",
        "metadata",
        "method",
        "on_closed",
        "on_drained",
        "on_ended",
        "on_message",
        "request_bytes",
        "stream",
        "timer",
        "transport",
        "user",
    )

    def __init__(
        self,
        transport: Transport,
        stream: int,
        method: Method,
        metadata: Mapping[str, str],
        caller: Caller,
        deadline: Instant | None,
    ) -> None:
        self.transport = transport
        self.stream = stream
        self.method = method
        self.metadata = metadata
        self.caller = caller
        self.deadline = deadline
        self.user: str | None = None
        self.auth_revision: int | None = None
        """Under which rules of access it was found out who calls (`store.users`), where the token says so;
        None: under those that are in force when it is asked."""
        self.request_bytes = 0
        """How long its first request was on the wire, as protobuf; 0 where nobody knows."""
        self.timer: dict[Call, None] | None = None
        """Where it stands until its deadline, or its end."""
        self.early: list[msgspec.Struct | None] | None = None
        """What came on the stream before its service was told of the call; None among it: no more."""
        self.early_bytes = 0
        self.closed = False
        self.on_message: Callable[[msgspec.Struct], None] | None = None
        self.on_ended: Callable[[], None] | None = None
        self.on_closed: Callable[[], None] | None = None
        """The call is over before the service ended it: cancelled, too late, or its connection is gone."""
        self.on_drained: Callable[[], None] | None = None
        """The backlog is gone: more may be sent."""

    def _close(self) -> None:
        self.closed = True
        self.early = None
        if self.timer is not None:
            self.timer.pop(self, None)

    def reply(self, message: msgspec.Struct) -> None:
        if not self.closed:
            self._close()
            self.transport.reply(self, message)

    def replied(self) -> None:
        """Its transport is given the reply in parts."""
        self._close()

    def send(self, *messages: msgspec.Struct) -> None:
        """Several that are known at once cost less than one after the other."""
        if not self.closed:
            self.transport.messages(self, messages)

    def end(self) -> None:
        self.fail(OK)

    def fail(self, status: Status) -> None:
        if not self.closed:
            self._close()
            self.transport.ended(self, status)

    def abandon(self, status: Status) -> None:
        """Ended from outside of its service: too late, or the node cannot go on with it."""
        if not self.closed:
            self.fail(status)
            if self.on_closed is not None:
                self.on_closed()

    # --- said by the transport ------------------------------------------------------------------------------

    def heard(self, message: msgspec.Struct, size_bytes: int = 0) -> None:
        """One more request.  Who calls may have to be found out first: what comes meanwhile is kept.  Where
        one request is all there is, nobody will ever listen to another."""
        if self.on_message is not None:
            self.on_message(message)
        elif self.method.kind is Kind.BIDIRECTIONAL:
            self.early_bytes += size_bytes
            self._keep(message)

    def no_more(self) -> None:
        """The client will ask for nothing more on this stream."""
        if self.on_ended is not None:
            self.on_ended()
        else:
            self._keep(None)

    def _keep(self, message: msgspec.Struct | None) -> None:
        if self.early is None:
            self.early = []
        self.early.append(message)
        if len(self.early) > EARLY_MOST or self.early_bytes > EARLY_MOST_BYTES:
            self.abandon(TOO_MANY_REQUESTS)

    def catch_up(self) -> None:
        """The service knows of the call now."""
        early, self.early = self.early, None
        for message in early or ():
            if message is None:
                if self.on_ended is not None:
                    self.on_ended()
            elif self.on_message is not None:
                self.on_message(message)

    @property
    def backlog(self) -> int:
        return 0 if self.closed else self.transport.backlog(self)

    def abandoned(self) -> None:
        """Said by the transport: the client has cancelled, its time is over, or its connection is gone."""
        if not self.closed:
            self._close()
            if self.on_closed is not None:
                self.on_closed()
