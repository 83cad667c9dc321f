"""Large answers of Range, made in slices: a million keys in one turn would keep the node from its work.

To read, convert and encode a million keys takes a second or two.  A leader that says nothing for so long is
thought dead, and the cluster elects another because somebody listed everything.  So a range of many keys is
read a few thousand keys a turn, all at the one revision at which it began: the history keeps what is
overwritten meanwhile.  Ranges are made one after the other, in the order in which they came: so one of them
at a time takes memory.

A hundred clients that list nine thousand keys each at the same moment, perhaps after a restart, are as many
keys.  So a turn has `KEYS_PER_TURN` for all of them: ranges for which nothing is left wait for the next one,
in the order in which they came.  Short ones never wait.

A compaction may overtake the reading, or a snapshot may replace the store.  Then it begins again at the
revision that is now, which is as good an answer; after `RESTARTS_MOST` times it is made in one turn, late but
certain.  Where a revision was asked for and is gone, the client is told so.

What is filtered, or sorted by anything but its keys, has to be looked at as a whole before its first record
is known: each slice is filtered and sorted when it is read, and when all of them are there they are merged, a
slice a turn.  Their records are kept meanwhile, so nothing overtakes that.

Made as a whole: the joining of the parts at the end (some ten milliseconds per hundred megabytes).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import msgspec

from agreed.replica.etcd.calls import Call
from agreed.store.mvcc import History
from agreed.store.ranges import count_in
from agreed.store.records import Record
from agreed.types import Revision
from agreed.wire.etcd import errors, translate
from agreed.wire.etcd.messages import RangeRequest, RangeResponse
from agreed.wire.grpc.status import Status

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

LARGE: Final = 10_000
"""Keys; fewer are read in one turn: some ten milliseconds."""

SLICE: Final = 4_000
"""Keys looked at in one turn: about four milliseconds."""

SHORT: Final = 100
"""Keys; so many are read whenever they are asked for."""

KEYS_PER_TURN: Final = 10_000
"""Of ranges that are not short, before others have their turn."""

RESTARTS_MOST: Final = 3


@runtime_checkable
class TakesParts(Protocol):
    """A transport that can write a reply in parts and put them together."""

    def written(self, part: msgspec.Struct) -> bytes: ...

    def reply_written(self, call: Call, parts: list[bytes]) -> None:
        """The parts of one message, each with other fields, or more of the one that is repeated."""


class _Reading:
    """One range under way.

    `left`: how many records are to be read still; `sorted_slices`: those of what is rearranged; `merged`:
    what of them is to be written still."""

    __slots__ = (
        "call",
        "count",
        "found",
        "history",
        "left",
        "merged",
        "next_key",
        "parts",
        "request",
        "restarts",
        "revision",
        "sorted_slices",
    )

    def __init__(self, call: Call, request: RangeRequest) -> None:
        self.call = call
        self.request = request
        self.restarts = -1
        self.history: History | None = None
        self.revision: Revision = 0
        self.next_key = request.key
        self.left = 0
        self.count = 0
        self.found = 0
        self.sorted_slices: list[list[Record]] = []
        self.merged: Iterator[Record] | None = None
        self.parts: list[bytes] = []


class LargeRanges:
    """`answer` makes one of them at once, and as a whole."""

    def __init__(self, front: EtcdClients, answer: Callable[[Call, RangeRequest], None]) -> None:
        self._front = front
        self._answer = answer
        self._waiting: deque[_Reading] = deque()
        self._delayed: deque[tuple[Call, RangeRequest, int]] = deque()
        """For which this turn has no keys left, and about how many they need."""
        self._keys_left = KEYS_PER_TURN
        front.on_turn.append(self._turn)

    def takes(self, call: Call, request: RangeRequest) -> bool:
        """Whether this one is made here, and not at once."""
        if not request.range_end or request.count_only:
            return False
        store = self._front.replica.store
        count = count_in(store.flat.history.keys, request.key, request.range_end)
        limit = translate.range_operation(request).limit
        if limit > 0:
            count = min(count, limit)
        if count <= SHORT:
            return False
        if store.flat.range_refusal(translate.range_operation(request), store.revision) is not None:
            return False
        if count > LARGE and isinstance(call.transport, TakesParts):
            self._waiting.append(_Reading(call, request))
            return True
        if self._delayed or not self._fits(count):
            self._delayed.append((call, request, count))
            return True
        self._keys_left -= count
        return False

    def _fits(self, count: int) -> bool:
        return count <= self._keys_left or self._keys_left == KEYS_PER_TURN

    def _turn(self) -> bool:
        delayed = self._delayed
        while delayed and (delayed[0][0].closed or self._fits(delayed[0][2])):
            call, request, count = delayed.popleft()
            if call.closed:
                continue
            refusal = self._front.may_read(call, request.key, request.range_end)
            if refusal is not None:
                call.fail(refusal)
            else:
                self._keys_left -= count
                self._answer(call, request)
        self._keys_left = KEYS_PER_TURN
        more = self._slice_of_the_first()
        return more or bool(delayed)

    def _slice_of_the_first(self) -> bool:
        """Of those that are made in slices; whether there is more to do."""
        waiting = self._waiting
        while waiting and waiting[0].call.closed:
            waiting.popleft()
        if waiting and self._slice(waiting[0]):
            waiting.popleft()
        return bool(waiting)

    def _slice(self, reading: _Reading) -> bool:
        """Whether it is answered now."""
        if reading.merged is not None:
            return self._write(reading, reading.merged)
        history = self._front.replica.store.flat.history
        overtaken = reading.history is not history or history.compacted > reading.revision
        refusal = self._begin(reading, history) if overtaken else None
        if refusal is not None:
            reading.call.fail(refusal)
            return True
        size = SLICE if reading.restarts < RESTARTS_MOST else len(history.keys)
        request = reading.request
        found = history.range(reading.next_key, request.range_end, reading.revision)
        records = tuple(islice(found, min(size, reading.left)))
        if records:
            reading.next_key = records[-1].key + b"\0"
            reading.left -= len(records)
            if translate.rearranged(request):
                wanted = translate.arranged(request, list(records))
                reading.found += len(wanted)
                reading.sorted_slices.append(wanted)
            else:
                self._add(reading, RangeResponse(kvs=translate.key_values(request, records)))
        if len(records) == size and reading.left:
            return False
        if translate.rearranged(request):
            merged = translate.merged(request, reading.sorted_slices)
            reading.merged = islice(merged, request.limit) if 0 < request.limit < reading.found else merged
            return False
        self._finish(reading, more=0 < request.limit < reading.count)
        return True

    def _write(self, reading: _Reading, merged: Iterator[Record]) -> bool:
        """A slice of what was read and put in order; whether that was the last."""
        records = tuple(islice(merged, SLICE))
        if records:
            self._add(reading, RangeResponse(kvs=translate.key_values(reading.request, records)))
        if len(records) == SLICE:
            return False
        self._finish(reading, more=0 < reading.request.limit < reading.found)
        return True

    def _begin(self, reading: _Reading, history: History) -> Status | None:
        """From the first key on; or why not: what was asked for is gone, or not for this caller any more."""
        front, request = self._front, reading.request
        store = front.replica.store
        if 0 < request.revision < history.compacted:
            return errors.COMPACTED
        refusal = front.may_read(reading.call, request.key, request.range_end)
        if refusal is not None:
            return refusal
        reading.restarts += 1
        reading.history = history
        reading.revision = request.revision if request.revision > 0 else store.revision
        reading.next_key = request.key
        reading.count = history.count(request.key, request.range_end, reading.revision)
        limit = translate.range_operation(request).limit
        reading.left = min(limit, reading.count) if limit > 0 else reading.count
        reading.found, reading.sorted_slices, reading.parts = 0, [], []
        self._add(reading, RangeResponse(front.header()))
        return None

    def _add(self, reading: _Reading, part: RangeResponse) -> None:
        transport = reading.call.transport
        assert isinstance(transport, TakesParts)
        reading.parts.append(transport.written(part))

    def _finish(self, reading: _Reading, *, more: bool) -> None:
        call = reading.call
        self._add(reading, RangeResponse(more=more, count=reading.count))
        transport = call.transport
        assert isinstance(transport, TakesParts)
        call.replied()
        transport.reply_written(call, reading.parts)
