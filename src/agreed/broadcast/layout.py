"""How a log lies in the store.

    /orders                         its settings
    /orders/extent                  from where on messages are kept, and until where they are packed
    /orders/tail/m-0000000017       one message: that of offset 17
    /orders/segments/0000000000     many messages: those of offset 0 to 999
    /orders/publishers/till-3       who publishes under this name, and the number of its last message
    /orders/consumers/invoices      who consumes under this name, and the offset that it wants next

*Offsets are the store's own sequence numbers.*  To publish is to create sequential nodes below `tail`, in one
multi together with a compare-and-set of the publisher's own node.  So publishers never wait for each other
and never try in vain: the leader's log puts their multis in an order, and the order is the offset.  (The
other way, a compare-and-set on one head of the log, lets one of n concurrent publishers through in each round
trip and sends n - 1 back.)  The compare-and-set of the publisher's node makes it once: the same multi said
again after a lost answer is refused, and the node tells that it was done.

*The tail is packed.*  A node costs the memory of every server some hundred bytes, however small its message.
So when the tail is long, the oldest thousand of its messages are written into one segment and their nodes
deleted, in one multi with a compare-and-set of `extent`.  Readers look at `extent` and at the tail at one
moment (a multiRead), so each message is always in one place of the two.

*What is kept is bounded*, by number and by age.  `first` moves in a multi with the deletion of the segments
and nodes below it.

What bounds the layout: sequence numbers have ten digits and ZooKeeper counts them in 31 bits (2 x 10^9
messages a log); a segment of a thousand messages is one node, so ten million kept messages are 10,000 nodes.
Measured: docs/broadcast.md.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeVar

import msgspec

from agreed.broadcast.errors import LogChanged
from agreed.client.values import Stat

MESSAGE_BYTES_MAX: Final = 500_000
"""Of one payload: two of them must fit into what a server takes in one request."""

SEGMENT_BYTES_MAX: Final = 800_000
"""Of the multi that makes a segment, with the deletions of what goes into it; at least one message."""

PREFIX: Final = "m-"


class Message(NamedTuple):
    """What a subscriber gets.  `published_ms`: milliseconds since 1970, by the clock of the cluster."""

    offset: int
    payload: bytes
    publisher: str
    number: int
    published_ms: int


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a log promises to keep; written once, when it is made.

    retain_messages     this many of the newest messages are kept; None: all
    retain_ms           messages younger than this are kept; None: however old.  With both, a message is
                        dropped when either allows it
    segment_messages    how many messages are packed into one node"""

    retain_messages: int | None = None
    retain_ms: int | None = None
    segment_messages: int = 1000


class Extent(msgspec.Struct, frozen=True, array_like=True):
    """Messages from `first` on are kept; those before `packed` lie in segments, the others in the tail."""

    first: int
    packed: int


class Published(msgspec.Struct, frozen=True, array_like=True):
    """One message in the tail."""

    publisher: str
    number: int
    payload: bytes


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """One message in a segment."""

    publisher: str
    number: int
    published_ms: int
    payload: bytes


class PublisherRecord(msgspec.Struct, frozen=True, array_like=True):
    """`token` names the instance that holds the name now; `number` is that of its last message."""

    token: str
    number: int


class ConsumerRecord(msgspec.Struct, frozen=True, array_like=True):
    """`next_offset` is what is wanted next: everything before it was worked on."""

    token: str
    next_offset: int


Kind = TypeVar("Kind")


def encode(value: msgspec.Struct | list[Packed]) -> bytes:
    return msgspec.msgpack.encode(value)


def decode(data: bytes, kind: type[Kind], path: str) -> Kind:
    """Raises LogChanged."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise LogChanged(f"{path}: {error}") from None


class Places:
    """The paths of one log."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.extent = f"{path}/extent"
        self.tail = f"{path}/tail"
        self.segments = f"{path}/segments"
        self.publishers = f"{path}/publishers"
        self.consumers = f"{path}/consumers"
        self.next_message = f"{path}/tail/{PREFIX}"

    def message(self, offset: int) -> str:
        return f"{self.next_message}{offset:010d}"

    def segment(self, offset: int) -> str:
        return f"{self.segments}/{offset:010d}"

    def publisher(self, name: str) -> str:
        return f"{self.publishers}/{name}"

    def consumer(self, name: str) -> str:
        return f"{self.consumers}/{name}"


def offset_of(path: str) -> int:
    """Of the node of a message.  Raises LogChanged."""
    try:
        return int(path.rpartition(PREFIX)[2])
    except ValueError:
        raise LogChanged(f"{path} is no message") from None


def end_of(tail: Stat) -> int:
    """The next offset: every message was once a child of the tail, and nothing else ever is."""
    return (tail.children_version + tail.children) // 2


def segment_starts(names: Iterable[str]) -> list[int]:
    """The first offsets of segments, from the names of their nodes, in order.  Raises LogChanged."""
    try:
        return sorted(int(name) for name in names)
    except ValueError as error:
        raise LogChanged(f"among the segments: {error}") from None


def good_name(name: str) -> bool:
    """Of a publisher or a consumer: one step of a path."""
    return bool(name) and "/" not in name and name not in (".", "..") and name.isprintable()
