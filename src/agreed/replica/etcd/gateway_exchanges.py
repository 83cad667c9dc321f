"""One request of the gateway and its answer: how the body becomes requests, and replies become the answer.

    UnaryExchange     the whole body is one JSON value; the answer is one
    StreamExchange    each value of the body is a request, as it comes; the answer is a line for each message,
                      written when there is one (`{"result": ...}`), an error the last line
    PageExchange      a page (`pages.py`), which may have to ask the cluster first; a body is not looked at

An exchange is the transport of its call.  It speaks to the connection through `Outlet`: a whole answer, or
its beginning, pieces and end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from agreed.errors import MalformedInput
from agreed.replica.etcd import gateway_answers as answers
from agreed.replica.etcd.calls import Call, Caller
from agreed.replica.etcd.gateway_answers import Answer, Headers
from agreed.wire.etcd import errors
from agreed.wire.etcd.json_mapping import from_json, joined, to_json
from agreed.wire.etcd.json_syntax import Values
from agreed.wire.etcd.protobuf import encode
from agreed.wire.etcd.services import Kind, Method
from agreed.wire.grpc.status import Code, Status

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

MAX_BODY_BYTES: Final = 4_194_304
"""Of a request as JSON, whatever `etcd_max_request_bytes` is: base64 adds a third, escapes may add more."""


class Outlet(Protocol):
    """The connection, as an exchange sees it."""

    def answer(self, answer: Answer) -> None:
        """All of it."""

    def begin(self, code: int, headers: Headers) -> None: ...

    def piece(self, data: bytes) -> None: ...

    def end(self) -> None: ...

    def unread(self) -> int:
        """Bytes that wait for a client who has stopped reading."""


class Exchange(Protocol):
    def body(self, data: bytes) -> None: ...

    def body_ended(self) -> None: ...

    def drained(self) -> None:
        """The client reads again."""

    def abandoned(self) -> None:
        """The connection is gone."""


class Origin(msgspec.Struct, frozen=True):
    """What the head of the request said of its call."""

    method: Method
    metadata: Mapping[str, str]
    caller: Caller
    timeout_ms: int | None = None


class PageExchange:
    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: Call | None = None
        """The call that the page waits with."""

    def body(self, data: bytes) -> None:
        pass

    def body_ended(self) -> None:
        pass

    def drained(self) -> None:
        pass

    def abandoned(self) -> None:
        if self.waiting is not None:
            self.waiting.abandoned()


def new_call(front: EtcdClients, transport: Any, origin: Origin, request: msgspec.Struct) -> Call:
    timeout_ms = origin.timeout_ms
    deadline = None if timeout_ms is None else front.replica.now + timeout_ms
    call = Call(transport, 0, origin.method, origin.metadata, origin.caller, deadline)
    call.request_bytes = len(encode(request))
    return call


def too_large(front: EtcdClients, call: Call) -> Status | None:
    """As protobuf, as over gRPC."""
    most = front.replica.settings.etcd_max_message_bytes
    return None if call.request_bytes <= most else errors.message_too_large(call.request_bytes, most)


class UnaryExchange:
    __slots__ = ("_body", "_call", "_front", "_origin", "_outlet")

    def __init__(self, front: EtcdClients, outlet: Outlet, origin: Origin) -> None:
        self._front = front
        self._outlet = outlet
        self._origin = origin
        self._body = bytearray()
        self._call: Call | None = None

    def body(self, data: bytes) -> None:
        if self._call is not None:
            return  # A WebSocket goes on talking; this answers its first message.
        # Not a list of pieces: a body in chunks of two bytes would take twenty times its length.
        self._body += data
        length = len(self._body)
        if length > MAX_BODY_BYTES:
            self._body.clear()
            self._outlet.answer(answers.failure(errors.message_too_large(length, MAX_BODY_BYTES)))

    def body_ended(self) -> None:
        if self._call is not None:
            return
        try:
            request = from_json(self._origin.method.request, bytes(self._body))
        except MalformedInput as error:
            self._outlet.answer(answers.failure(Status(Code.INVALID_ARGUMENT, str(error))))
            return
        self._body.clear()
        call = self._call = new_call(self._front, self, self._origin, request)
        refusal = too_large(self._front, call)
        if refusal is not None:
            call.fail(refusal)
        else:
            self._front.dispatch(call, request)

    def drained(self) -> None:
        """It has one answer, and that has not been made yet."""

    def abandoned(self) -> None:
        if self._call is not None:
            self._call.abandoned()

    # --- the transport of the call ------------------------------------------------------------------------

    def reply(self, call: Call, message: msgspec.Struct) -> None:
        self._front.counters.replied[call.method.path] += 1
        self._outlet.answer(answers.reply(message))

    def written(self, part: msgspec.Struct) -> bytes:
        return to_json(part)

    def reply_written(self, call: Call, parts: list[bytes]) -> None:
        self._front.counters.replied[call.method.path] += 1
        self._outlet.answer(answers.reply_written(joined(parts)))

    def messages(self, call: Call, messages: Sequence[msgspec.Struct]) -> None:
        raise AssertionError("a unary call has one reply")

    def ended(self, call: Call, status: Status) -> None:
        self._front.counters.ended[call.method.path, status.code] += 1
        self._outlet.answer(answers.failure(status))

    def backlog(self, call: Call) -> int:
        return 0


class StreamExchange:
    """Of a stream with one request, or with many."""

    __slots__ = ("_begun", "_body_over", "_call", "_front", "_one_request", "_origin", "_outlet", "_values")

    def __init__(self, front: EtcdClients, outlet: Outlet, origin: Origin) -> None:
        self._front = front
        self._outlet = outlet
        self._origin = origin
        self._values = Values(MAX_BODY_BYTES)
        self._one_request = origin.method.kind is Kind.SERVER_STREAM
        self._call: Call | None = None
        self._begun = False
        self._body_over = False

    def body(self, data: bytes) -> None:
        if self._body_over:
            return
        try:
            for value in self._values.feed(data):
                self._request(from_json(self._origin.method.request, value), len(value))
                if self._body_over:
                    return
        except MalformedInput as error:
            self._broken(error)

    def _request(self, request: msgspec.Struct, size_bytes: int) -> None:
        call = self._call
        if call is None:
            self._first(request)
        elif not call.closed:
            call.heard(request, size_bytes)

    def _first(self, request: msgspec.Struct) -> None:
        call = self._call = new_call(self._front, self, self._origin, request)
        refusal = too_large(self._front, call)
        if refusal is not None:
            call.fail(refusal)
        else:
            self._front.dispatch(call, request)
        if self._one_request:
            self._body_over = True

    def _broken(self, error: MalformedInput) -> None:
        """Before the first request it is an answer; after it, the requests just end there, as in etcd."""
        self._body_over = True
        if self._call is None:
            code = Code.INVALID_ARGUMENT if self._one_request else Code.UNKNOWN
            self._outlet.answer(answers.failure(Status(code, str(error))))
        elif not self._call.closed:
            self._call.no_more()

    def body_ended(self) -> None:
        if self._body_over:
            return
        rest = self._values.rest()
        if rest:
            try:
                self._request(from_json(self._origin.method.request, rest), len(rest))
            except MalformedInput as error:
                self._broken(error)
                return
        if self._one_request and self._call is not None:
            return
        self._body_over = True
        if self._call is not None:
            if not self._call.closed:
                self._call.no_more()
        elif self._one_request:
            self._first(self._origin.method.request())
        else:
            self._begin(200)
            self._outlet.end()

    def drained(self) -> None:
        call = self._call
        if call is not None and not call.closed and call.on_drained is not None:
            call.on_drained()

    def abandoned(self) -> None:
        if self._call is not None:
            self._call.abandoned()

    # --- the transport of the call ------------------------------------------------------------------------

    def _begin(self, code: int) -> None:
        if not self._begun:
            self._begun = True
            self._outlet.begin(code, [answers.JSON, answers.FROM_GRPC])

    def messages(self, call: Call, messages: Sequence[msgspec.Struct]) -> None:
        self._begin(200)
        for message in messages:
            self._outlet.piece(answers.chunk(message))

    def reply(self, call: Call, message: msgspec.Struct) -> None:
        self.messages(call, (message,))
        self._front.counters.replied[call.method.path] += 1
        self._outlet.end()

    def ended(self, call: Call, status: Status) -> None:
        self._front.counters.ended[call.method.path, status.code] += 1
        failed = status.code is not Code.OK
        self._begin(answers.HTTP_CODES[status.code])
        if failed:
            self._outlet.piece(answers.stream_failure(status))
        self._outlet.end()

    def backlog(self, call: Call) -> int:
        return self._outlet.unread()
