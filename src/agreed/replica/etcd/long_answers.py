"""Unary answers with a great many items, written some thousands a turn: a million leases in one turn would
keep the node from its work for seconds, and a leader that says nothing for so long is thought dead.

    answers.reply(call, parts)     `parts`: messages of the kind of the reply, each with other fields than the
                                   one before it, or with more of the one that is repeated

What the parts are made of must not change before they are asked for.  Transports that cannot put parts
together (a node that passes on what another was asked) are given the whole at once, by who asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.large_ranges import TakesParts

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

ITEMS: Final = 4_000
"""Of a part: some milliseconds."""


class LongAnswers:
    def __init__(self, front: EtcdClients) -> None:
        self._under_way: deque[tuple[Call, Iterator[msgspec.Struct], list[bytes]]] = deque()
        front.on_turn.append(self._turn)

    def reply(self, call: Call, parts: Iterator[msgspec.Struct]) -> None:
        assert isinstance(call.transport, TakesParts)
        self._under_way.append((call, parts, []))

    def _turn(self) -> bool:
        """One part of the first of them; whether there is more to do."""
        under_way = self._under_way
        while under_way and under_way[0][0].closed:
            under_way.popleft()
        if not under_way:
            return False
        call, parts, written = under_way[0]
        transport = call.transport
        assert isinstance(transport, TakesParts)
        part = next(parts, None)
        if part is not None:
            written.append(transport.written(part))
            return True
        under_way.popleft()
        call.replied()
        transport.reply_written(call, written)
        return bool(under_way)


def is_long(call: Call, items: int) -> bool:
    """Whether an answer with so many is better made in parts, and can be."""
    return items > ITEMS and isinstance(call.transport, TakesParts)
