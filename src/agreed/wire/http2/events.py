"""What `receive_data` of an HTTP/2 connection tells, in the order in which it came."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from agreed.wire.http2.fields import Fields


class HeadersReceived(msgspec.Struct, frozen=True, gc=False):
    """A request begins (server), or the answer to one (client); `ended`: and there is no body."""

    stream: int
    fields: Fields
    ended: bool


class DataReceived(msgspec.Struct, frozen=True, gc=False):
    """A part of the body, without padding.  The window it took is already on its way back."""

    stream: int
    data: bytes
    ended: bool


class TrailersReceived(msgspec.Struct, frozen=True, gc=False):
    """Fields behind the body: they end the stream."""

    stream: int
    fields: Fields


class StreamReset(msgspec.Struct, frozen=True, gc=False):
    """The stream is gone, with all that waited to be sent on it.  `ours`: because the peer broke a rule, or
    was too much for us; it has been told."""

    stream: int
    code: int
    ours: bool = False


class Drained(msgspec.Struct, frozen=True, gc=False):
    """What had waited on this stream for the peer's windows has been sent."""

    stream: int


class GoawayReceived(msgspec.Struct, frozen=True, gc=False):
    """The peer takes no new streams; those above `last_stream` it has not looked at and will not."""

    last_stream: int
    code: int
    text: bytes


class PingAnswered(msgspec.Struct, frozen=True, gc=False):
    payload: bytes


Event: TypeAlias = (
    HeadersReceived | DataReceived | TrailersReceived | StreamReset | Drained | GoawayReceived | PingAnswered
)
