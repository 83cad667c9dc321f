"""The commands on the flat space: `Put`, `DeleteRange`, `Transaction`, and `Compact`.

A transaction goes through four steps, as in etcd:

1. no key may be written twice, in whichever branch (`duplicate_keys.py`);
2. all guards are judged, also those of nested transactions, on what was true before it; that decides which
   operations will be done;
3. these are looked over (`_refusal`): what cannot be done refuses the whole transaction, before anything is
   written;
4. they are done in order, at one revision; a read sees what came before it in the transaction.

So no transaction is ever done in part, and none has to be undone.  `Put` and `DeleteRange` alone are nearly
all that a cluster has to do, and take none of these steps.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter, eq, gt, lt, ne
from typing import Any, Final

import msgspec

from agreed.store.commands import Compact, DeleteRange, Guard, Put, Range, Sweep, Transaction
from agreed.store.duplicate_keys import has_duplicate_keys, is_too_deep
from agreed.store.events import Event, EventKind, Space
from agreed.store.mvcc import SWEPT_BY_COMPACTION
from agreed.store.ranges import contains
from agreed.store.records import OPEN_ACL, Record
from agreed.store.results import (
    DeleteRangeResult,
    Done,
    PutResult,
    RangeResult,
    Refusal,
    TransactionResult,
)
from agreed.store.state import State
from agreed.types import LeaseId, NodeId, Revision

_RELATIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {"=": eq, "!=": ne, "<": lt, ">": gt}
_TARGETS: Final = frozenset({"version", "create_revision", "modify_revision", "lease", "value"})

_CREATED, _CHANGED, _DELETED = EventKind.CREATED, EventKind.CHANGED, EventKind.DELETED
_FLAT = Space.FLAT


class _Chosen(msgspec.Struct, frozen=True):
    """A transaction whose guards have been judged, and the operations which that leaves to do."""

    failed_guard: int | None
    operations: Sequence[Put | DeleteRange | Range | _Chosen]


def put(state: State, command: Put, origin: NodeId) -> PutResult | Refusal:
    """Consumes a revision if it is done."""
    if not command.key:
        return Refusal.EMPTY_KEY
    if command.lease and command.lease not in state.leases.table:
        return Refusal.NO_LEASE
    if (command.value is None or command.lease is None) and state.flat.history.newest(command.key) is None:
        return Refusal.NO_KEY
    revision = state.revision + 1
    result = _put(state, command, revision)
    state.revision = revision
    return result


def delete_range(state: State, command: DeleteRange, origin: NodeId) -> DeleteRangeResult | Refusal:
    """Consumes a revision if there was something to delete."""
    if not command.key:
        return Refusal.EMPTY_KEY
    result = _delete(state, command, state.revision + 1)
    if result.deleted:
        state.revision += 1
    return result


def transaction(state: State, command: Transaction, origin: NodeId) -> TransactionResult | Refusal:
    """Consumes a revision if it writes."""
    nests = _nests(command)
    if nests and is_too_deep(command):
        return Refusal.BAD_ARGUMENTS
    # What most ask for, one operation in each branch, has nothing to be compared with.
    if (nests or len(command.then) > 1 or len(command.otherwise) > 1) and has_duplicate_keys(command):
        return Refusal.DUPLICATE_KEY
    chosen = _choose(state, command)
    if isinstance(chosen, Refusal):
        return chosen
    refusal = _refusal(state, list(_flattened(chosen)) if nests else chosen.operations)
    if refusal is not None:
        return refusal
    fed = len(state.feed.events)
    result = _perform(state, chosen, state.revision + 1)
    if len(state.feed.events) > fed:
        state.revision += 1
    return result


def compact(state: State, command: Compact, origin: NodeId) -> Done | Refusal:
    """Consumes no revision."""
    if command.revision > state.revision:
        return Refusal.FUTURE_REVISION
    if command.revision <= state.flat.history.compacted:
        return Refusal.COMPACTED
    state.flat.history.compact(command.revision)
    return Done.DONE


def sweep(state: State, command: Sweep, origin: NodeId) -> Done:
    """Consumes no revision."""
    state.flat.history.sweep(SWEPT_BY_COMPACTION)
    return Done.DONE


def delete_keys(state: State, records: Sequence[Record], revision: Revision) -> None:
    """Deletes keys that are there, and tells of it."""
    state.flat.history.bury([record.key for record in records], revision, state.stamp_ms)
    leases = state.leases.table
    for record in records:
        if record.lease:
            leases[record.lease].flat_keys.pop(record.key, None)
    events = [Event(revision, _DELETED, _FLAT, record, record) for record in records]
    state.fresh += events
    state.feed.events += events


# --- 2. guards ------------------------------------------------------------------------------------


def _nests(command: Transaction) -> bool:
    for branch in (command.then, command.otherwise):
        for operation in branch:
            if type(operation) is Transaction:
                return True
    return False


def _choose(state: State, command: Transaction) -> _Chosen | Refusal:
    failed_guard = None
    for number, guard in enumerate(command.guards):
        holds = _holds(state, guard)
        if isinstance(holds, Refusal):
            return holds
        if not holds and failed_guard is None:
            failed_guard = number
    branch = command.then if failed_guard is None else command.otherwise
    operations: list[Put | DeleteRange | Range | _Chosen] = []
    for operation in branch:
        if isinstance(operation, Transaction):
            nested = _choose(state, operation)
            if isinstance(nested, Refusal):
                return nested
            operations.append(nested)
        else:
            operations.append(operation)
    return _Chosen(failed_guard, operations)


def _holds(state: State, guard: Guard) -> bool | Refusal:
    """An absent key (or an empty range) has 0 for every number, and no value which anything could be said
    of."""
    if not guard.key:
        return Refusal.EMPTY_KEY
    relation, target, operand = _RELATIONS.get(guard.relation), guard.target, guard.operand
    of_its_kind = isinstance(operand, bytes) if target == "value" else isinstance(operand, int)
    if relation is None or not of_its_kind or target not in _TARGETS:
        return Refusal.BAD_ARGUMENTS
    history = state.flat.history
    if guard.range_end is None:
        record = history.newest(guard.key)
        if record is None:
            return target != "value" and relation(0, operand)
        return relation(getattr(record, target), operand)
    records = history.range(guard.key, guard.range_end)
    first = next(records, None)
    if first is None:
        return target != "value" and relation(0, operand)
    return relation(getattr(first, target), operand) and all(
        relation(said, operand) for said in map(attrgetter(target), records)
    )


# --- 3. what cannot be done -----------------------------------------------------------------------


def _flattened(chosen: _Chosen) -> Iterator[Put | DeleteRange | Range]:
    for operation in chosen.operations:
        if isinstance(operation, _Chosen):
            yield from _flattened(operation)
        else:
            yield operation


def _refusal(state: State, operations: Sequence[Put | DeleteRange | Range | _Chosen]) -> Refusal | None:
    """All puts before all reads: of two things that are wrong, a client is told the one etcd tells."""
    deletions: list[DeleteRange] = []
    for operation in operations:
        if isinstance(operation, Put):
            if not operation.key:
                return Refusal.EMPTY_KEY
            keeps = operation.value is None or operation.lease is None
            if keeps and not _is_kept(state, operation, deletions):
                return Refusal.NO_KEY
            if operation.lease and operation.lease not in state.leases.table:
                return Refusal.NO_LEASE
        elif isinstance(operation, DeleteRange):
            if not operation.key:
                return Refusal.EMPTY_KEY
            deletions.append(operation)
    for operation in operations:
        if isinstance(operation, Range):
            refusal = state.flat.range_refusal(operation, state.revision)
            if refusal is not None:
                return refusal
    return None


def _is_kept(state: State, put: Put, deletions: list[DeleteRange]) -> bool:
    """Whether the key is there, and still will be when it is put.  A deletion "from this key on" may stand
    before a put in its range (`duplicate_keys.py`); if that put wants to keep what it deletes, etcd finds
    nothing, and dies of it whenever it reads its log."""
    return state.flat.get(put.key) is not None and not any(
        contains(deletion.key, deletion.range_end, put.key) for deletion in deletions
    )


# --- 4. doing it ----------------------------------------------------------------------------------


def _perform(state: State, chosen: _Chosen, revision: Revision) -> TransactionResult:
    results: list[PutResult | DeleteRangeResult | RangeResult | TransactionResult] = []
    for operation in chosen.operations:
        if isinstance(operation, _Chosen):
            results.append(_perform(state, operation, revision))
        elif isinstance(operation, Put):
            results.append(_put(state, operation, revision))
        elif isinstance(operation, DeleteRange):
            results.append(_delete(state, operation, revision))
        else:
            read = state.flat.range(operation, revision)
            assert isinstance(read, RangeResult), "looked over before"
            results.append(read)
    return TransactionResult(chosen.failed_guard is None, chosen.failed_guard, tuple(results))


def _delete(state: State, operation: DeleteRange, revision: Revision) -> DeleteRangeResult:
    found = tuple(state.flat.history.range(operation.key, operation.range_end))
    if found:
        delete_keys(state, found, revision)
    return DeleteRangeResult(found)


def _put(state: State, operation: Put, revision: Revision) -> PutResult:
    history = state.flat.history
    key = operation.key
    value = operation.value
    lease = operation.lease
    stamp_ms = state.stamp_ms
    previous = history.newest(key)
    if previous is None:
        assert lease is not None, "looked over before"
        record = Record(
            key, value, revision, revision, 0, stamp_ms, stamp_ms, 1, 0, 0, lease, operation.flags,
            OPEN_ACL, None,
        )  # fmt: skip
        if lease:
            _move(state, key, 0, lease)
        event = Event(revision, _CREATED, _FLAT, record, None)
    else:
        if lease is None:
            lease = previous.lease
        elif lease != previous.lease:
            _move(state, key, previous.lease, lease)
        record = Record(
            previous.key, previous.value if value is None else value, previous.create_revision, revision, 0,
            previous.created_ms, stamp_ms, previous.version + 1, 0, 0, lease, operation.flags,
            OPEN_ACL, None,
        )  # fmt: skip
        event = Event(revision, _CHANGED, _FLAT, record, previous)
    history.append(record)
    state.fresh.append(event)
    state.feed.events.append(event)
    return PutResult(previous)


def _move(state: State, key: bytes, from_lease: LeaseId, to_lease: LeaseId) -> None:
    if from_lease:
        state.leases.table[from_lease].flat_keys.pop(key, None)
    if to_lease:
        state.leases.table[to_lease].flat_keys[key] = None
