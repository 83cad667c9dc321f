"""What was agreed of the flat keys, revision by revision, and whether an etcd client was told that.

The same as `truth.py` for the other space of keys: learned from the node that is first to apply a revision,
and asked by whoever is told anything.  At the end it judges what watchers were told
(`agreed.check.watches`).
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agreed.check.verdict import Outcome as Answer
from agreed.check.watches import WatchRecord, Write, watches
from agreed.sim.outcome import Broken
from agreed.store.events import Event, EventKind
from agreed.store.ranges import contains
from agreed.store.records import Record
from agreed.wire.etcd.messages import (
    DeleteRangeRequest,
    KeyValue,
    PutRequest,
    RangeRequest,
    RangeResponse,
    TxnRequest,
    TxnResponse,
)


class FlatTruth:
    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.watched: list[WatchRecord] = []
        """All that all watchers were told, in the order in which it arrived."""
        self._records: dict[bytes, tuple[list[int], list[Record | None]]] = {}
        self.when_deleted: Callable[[Record], None] = lambda record: None
        self._written: dict[bytes, int] = {}
        """Values that a client wrote -> revision.  No client writes the same value twice."""

    def learn(self, event: Event) -> None:
        record, revision = event.record, event.revision
        gone = event.kind is EventKind.DELETED
        revisions, records = self._records.setdefault(record.key, ([], []))
        revisions.append(revision)
        records.append(None if gone else record)
        if gone:
            self.when_deleted(record)
        self.writes.append(Write(revision, record.key.decode(), None if gone else record.value, gone))
        if record.value and not gone:
            first = self._written.setdefault(record.value, revision)
            if first != revision:
                raise Broken("done twice", f"{record.value!r} is put at {first} and again at {revision}")

    def at(self, key: bytes, revision: int) -> Record | None:
        revisions, records = self._records.get(key, ((), ()))
        position = bisect_right(revisions, revision)
        return records[position - 1] if position else None

    def newest(self) -> Iterator[tuple[bytes, Record | None]]:
        for key, (_, records) in self._records.items():
            yield key, records[-1]

    # --- answers ------------------------------------------------------------------------------------------

    def check(self, request: object, reply: Any) -> None:
        """Raises `Broken` where this cannot be the answer to that request."""
        revision = reply.header.revision
        problem = self._problem(request, reply, revision, revision)
        if problem is not None:
            raise Broken("a false answer", f"{type(request).__name__} at revision {revision}: {problem}")

    def _problem(self, request: object, reply: Any, before: int, after: int) -> str | None:
        """`before` is what a read sees; a write is at `after`."""
        match request:
            case RangeRequest():
                return self._range(request, reply, request.revision if request.revision > 0 else before)
            case PutRequest():
                found = self._written.get(request.value)
                if found is None:
                    return f"{request.value!r} was acknowledged and never done"
                return None if found == after else f"{request.value!r} was put at revision {found}"
            case DeleteRangeRequest() if reply.deleted:
                record = self.at(request.key, after)
                return f"{request.key!r} was deleted, and is there" if record is not None else None
            case TxnRequest():
                return self._txn(request, reply, after)
        return None

    def _range(self, request: RangeRequest, reply: RangeResponse, revision: int) -> str | None:
        end = request.range_end or None
        true = {
            key: record
            for key in self._records
            if contains(request.key, end, key) and (record := self.at(key, revision)) is not None
        }
        told: dict[bytes, KeyValue] = {kv.key: kv for kv in reply.kvs}
        if not request.limit and told.keys() != true.keys():
            return f"told of {sorted(told)}, not of {sorted(true)}, as of {revision}"
        if reply.count != len(true):
            return f"told that there are {reply.count} keys, not {len(true)}, as of {revision}"
        for key, kv in told.items():
            record = true.get(key)
            if record is None or (kv.mod_revision, kv.create_revision, kv.version, kv.lease) != (
                record.modify_revision, record.create_revision, record.version, record.lease,
            ):  # fmt: skip
                return f"told {kv}, and it was {record}"
            if not request.keys_only and kv.value != record.value:
                return f"told {kv.value!r}, and it was {record.value!r}"
        return None

    def _txn(self, request: TxnRequest, reply: TxnResponse, revision: int) -> str | None:
        operations = request.success if reply.succeeded else request.failure
        if len(operations) != len(reply.responses):
            return f"{len(operations)} operations have {len(reply.responses)} answers"
        writes = any(each.request_range is None for each in operations)
        for operation, response in zip(operations, reply.responses, strict=True):
            asked = operation.request_put or operation.request_range or operation.request_delete_range
            told = response.response_put or response.response_range or response.response_delete_range
            if told is None or (not writes and operation.request_range is None):
                return f"{asked} has no answer of its kind"
            if writes and operation.request_range is not None:
                continue
            problem = self._problem(asked, told, revision, revision)
            if problem is not None:
                return problem
        return None

    # --- the end ------------------------------------------------------------------------------------------

    def judge_watches(self, settled: int) -> None:
        """Whoever still watches has seen all up to there."""
        verdict = watches(self.watched, self.writes, {}, settled)
        if verdict.outcome is Answer.VIOLATED:
            finding = verdict.findings[0]
            raise Broken(f"watches: {finding.name}", "; ".join(finding.steps))

    def check_kept(self, node: str, present: Sequence[Record]) -> None:
        kept = {record.key: record for record in present}
        for key, record in self.newest():
            found = kept.pop(key, None)
            if record is None:
                if found is not None:
                    raise Broken("not what was agreed", f"{node} has {key!r}, which was deleted")
            elif found is None or (found.modify_revision, found.value) != (
                record.modify_revision, record.value,
            ):  # fmt: skip
                raise Broken("not what was agreed", f"{node} has {found} at {key!r}, not {record}")
        if kept:
            raise Broken("not what was agreed", f"{node} has {sorted(kept)}, which nobody put")
