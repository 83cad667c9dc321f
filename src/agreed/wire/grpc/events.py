"""What happens on a connection that carries calls.  `stream` is the number by which a call is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from agreed.wire.grpc.status import Status


class Called(msgspec.Struct, frozen=True, gc=False):
    """A client calls.  For the methods known as unary `message` is the whole request, and nothing else will
    come; for others it is None, and messages follow.

    `metadata` has the lower-case names of all fields but those of HTTP and gRPC themselves, and `:authority`;
    it is shared with other calls, so nobody may change it.  `timeout_ms`: None to wait for ever."""

    stream: int
    path: str
    metadata: Mapping[str, str]
    timeout_ms: int | None
    message: bytes | None


class Message(msgspec.Struct, frozen=True, gc=False):
    """One more message of a client's stream."""

    stream: int
    data: bytes


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The client has sent its last message, and waits for the rest of the answer."""

    stream: int


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """The call is over, and whatever is said on it goes nowhere: the client has given it up, or has broken
    a rule and been told so."""

    stream: int


class Drained(msgspec.Struct, frozen=True, gc=False):
    """There is no backlog on this call any more."""

    stream: int


class Goaway(msgspec.Struct, frozen=True, gc=False):
    """The other side begins (at a server) or takes (at a client) no new calls on this connection."""

    text: str


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One message from the server."""

    stream: int
    message: bytes


class Finished(msgspec.Struct, frozen=True, gc=False):
    """The end of a call.  `metadata`: of the trailers.  `refused`: the server has surely not looked at it.

    `unsaid`: the status is not the server's word.  What came could not be taken, or ended in the middle; what
    the server has done until then is open, whatever the code."""

    stream: int
    status: Status
    metadata: Mapping[str, str]
    refused: bool = False
    unsaid: bool = False


FromClient: TypeAlias = Called | Message | Ended | Cancelled | Drained | Goaway
FromServer: TypeAlias = Answer | Finished | Drained | Goaway
