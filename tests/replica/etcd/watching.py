"""Watchers of one node through all that can happen to them, and the judge of what they were told.

Drawn from a seed: keys are put, deleted and written several at a time; watchers begin now, in the past and in
the future, of one key, a prefix and everything, with filters and with what was there before; clients stop
reading and go on, connections break and come back with their bookmark; history is compacted, and now and then
the store jumps ahead as it does when a node takes over a snapshot.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

from agreed.check.verdict import Verdict
from agreed.check.watches import (
    Change,
    Delivered,
    Ended,
    Progressed,
    WatchEvent,
    Watching,
    WatchRecord,
    Write,
    watches,
)
from agreed.replica.settings import Settings
from agreed.store.ranges import prefix_end
from agreed.wire.etcd.messages import (
    CompactionRequest,
    DeleteRangeRequest,
    Event,
    FilterType,
    PutRequest,
    RequestOp,
    TxnRequest,
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
    WatchResponse,
)
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Asked, Caller

KEYS = [b"a1", b"a2", b"b1", b"b2", b"c"]
PUTS, DELETES = frozenset({Change.CREATED, Change.CHANGED}), frozenset({Change.DELETED})


class Watcher:
    """One that comes back with its bookmark as often as it is sent away."""

    def __init__(self, name: str, asked: WatchCreateRequest) -> None:
        self.name = name
        self.asked = asked
        self.bookmark = 0
        """All up to this revision was told."""
        self.stream: Asked | None = None
        self.read = 0


class Run(Caller):
    """`steps` things happen, drawn from the seed."""

    def __init__(self, seed: int, steps: int = 120) -> None:
        super().__init__(Alone(Settings(watch_progress_ms=200)))
        self._dice = random.Random(seed)
        self._unread: dict[int, int] = {}
        self._value = 0
        self._newest = 1
        self.compacted = 0
        self.writes: list[Write] = []
        self.records: list[WatchRecord] = []
        self.watchers: list[Watcher] = []
        self._acts = [
            (self._write, 40), (self._watch, 6), (self._progress, 8), (self._slow, 4), (self._drain, 4),
            (self._break, 4), (self._compact, 1), (self._jump, 2), (self._pause, 4),
        ]  # fmt: skip
        for _ in range(steps):
            act = self._dice.choices([act for act, _ in self._acts], [weight for _, weight in self._acts])[0]
            act()
            self._read()

    def verdict(self) -> Verdict:
        """When everybody has come back and has had time."""
        for watcher in self.watchers:
            if watcher.stream is not None:
                self._drain_one(watcher.stream)
            elif watcher.name not in {each.watcher for each in self.records if isinstance(each, Ended)}:
                self._begin(watcher)
        self.node.pass_ms(500)
        self._read()
        settled = self.node.replica.store.revision
        late = [watcher for watcher in self.watchers if watcher.bookmark > settled]
        records: list[WatchRecord] = [*self.records, *(Ended(watcher.name) for watcher in late)]
        return watches(records, self.writes, {}, settled)

    # --- what happens ---------------------------------------------------------------------------------------

    def backlog(self, call: Any) -> int:
        return self._unread.get(call.stream, 0)

    def _write(self) -> None:
        keys = self._dice.sample(KEYS, self._dice.choice([1, 1, 1, 2, 3]))
        operations, writes = [], []
        for key in keys:
            if self._dice.random() < 0.3:
                operations.append(RequestOp(request_delete_range=DeleteRangeRequest(key)))
                writes.append(Write(None, key.decode(), deleted=True))
            else:
                self._value += 1
                operations.append(RequestOp(request_put=PutRequest(key, b"%d" % self._value)))
                writes.append(Write(None, key.decode(), b"%d" % self._value))
        reply = self.ask("KV/Txn", TxnRequest(success=tuple(operations))).reply
        if reply.header.revision > self._newest:
            self._newest = reply.header.revision
            self.writes += [msgspec.structs.replace(write, revision=self._newest) for write in writes]

    def _watch(self) -> None:
        if len(self.watchers) >= 8:
            return
        key, end = self._dice.choice(
            [(b"a1", b""), (b"c", b""), (b"a", prefix_end(b"a")), (b"b", prefix_end(b"b")), (b"", b"\0")]
        )
        start = self._dice.choice([0, self._newest + 1, self._newest + 3, max(self._newest - 9, 2)])
        filters = self._dice.choice([(), (), (FilterType.NOPUT,), (FilterType.NODELETE,)])
        previous, progress = self._dice.random() < 0.5, self._dice.random() < 0.5
        asked = WatchCreateRequest(key, end, start, progress, filters, previous)
        watcher = Watcher(f"w{len(self.watchers)}", asked)
        self.watchers.append(watcher)
        self._begin(watcher)

    def _begin(self, watcher: Watcher) -> None:
        asked = watcher.asked
        if watcher.bookmark:
            asked = msgspec.structs.replace(asked, start_revision=watcher.bookmark + 1)
        after = (asked.start_revision or self.node.replica.store.revision + 1) - 1
        key = asked.key.decode() if asked.range_end != b"\0" else None
        kinds = DELETES if asked.filters == (0,) else PUTS if asked.filters else PUTS | DELETES
        watcher.bookmark = after
        watcher.read = 0
        self.records.append(Watching(watcher.name, after, key, bool(asked.range_end), kinds))
        watcher.stream = self.begin("Watch/Watch", WatchRequest(create_request=asked))
        if self._dice.random() < 0.7:
            self.node.turn()

    def _pick(self) -> Watcher | None:
        running = [watcher for watcher in self.watchers if watcher.stream is not None]
        return self._dice.choice(running) if running else None

    def _progress(self) -> None:
        watcher = self._pick()
        if watcher is not None and watcher.stream is not None and watcher.stream.call.on_message is not None:
            watcher.stream.call.on_message(WatchRequest(progress_request=WatchProgressRequest()))

    def _slow(self) -> None:
        watcher = self._pick()
        if watcher is not None and watcher.stream is not None:
            self._unread[watcher.stream.call.stream] = Settings().watch_backlog_bytes + 1

    def _drain(self) -> None:
        watcher = self._pick()
        if watcher is not None and watcher.stream is not None:
            self._drain_one(watcher.stream)

    def _drain_one(self, stream: Asked) -> None:
        if self._unread.pop(stream.call.stream, 0) and stream.call.on_drained is not None:
            stream.call.on_drained()
            self.node.turn()

    def _break(self) -> None:
        watcher = self._pick()
        if watcher is not None and watcher.stream is not None:
            watcher.stream.call.abandoned()
            watcher.stream = None
        for gone in self.watchers:
            if gone.stream is None and gone is not watcher and not self._has_ended(gone):
                self._begin(gone)

    def _has_ended(self, watcher: Watcher) -> bool:
        return any(isinstance(each, Ended) and each.watcher == watcher.name for each in self.records)

    def _compact(self) -> None:
        if self._newest > 20:
            self.compacted = self._newest - self._dice.randrange(12)
            self.ask("KV/Compact", CompactionRequest(self.compacted))
            self.compacted = self.node.replica.store.flat.history.compacted

    def _jump(self) -> None:
        """The node takes over a snapshot: what happened in between, nobody tells."""
        front = self.node.replica.etcd
        notify, front.on_change = front.on_change, []
        for _ in range(self._dice.randrange(4)):
            self._write()
        front.on_change = notify
        for restored in front.on_restored:
            restored()

    def _pause(self) -> None:
        self.node.pass_ms(self._dice.choice([50, 250]))

    # --- what is told ---------------------------------------------------------------------------------------

    def _read(self) -> None:
        for watcher in self.watchers:
            stream = watcher.stream
            if stream is not None:
                new, watcher.read = stream.messages[watcher.read :], len(stream.messages)
                for message in new:
                    self._told(watcher, message)

    def _told(self, watcher: Watcher, message: WatchResponse) -> None:
        assert message.header is not None
        if message.canceled:
            assert message.compact_revision, message
            self.records.append(Ended(watcher.name))
            watcher.stream = None
        elif message.events:
            events = [self._event(watcher, event) for event in message.events]
            self.records.append(Delivered(watcher.name, events))
            watcher.bookmark = max(watcher.bookmark, events[-1].revision)
        elif not message.created:
            self.records.append(Progressed(watcher.name, message.header.revision))
            watcher.bookmark = message.header.revision

    def _event(self, watcher: Watcher, event: Event) -> WatchEvent:
        kv = event.kv
        assert kv is not None
        kind = Change.DELETED
        if not event.type:
            kind = Change.CREATED if kv.create_revision == kv.mod_revision else Change.CHANGED
        previous: Any = msgspec.UNSET
        if event.prev_kv is not None:
            previous = event.prev_kv.value
        elif watcher.asked.prev_kv and kv.mod_revision - 1 >= self.compacted:
            previous = None
        return WatchEvent(kv.mod_revision, kv.key.decode(), kind, kv.value, previous)
