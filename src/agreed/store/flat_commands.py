"""The commands on the flat space: `Transaction`, which all reads and writes of it are made of, and `Compact`.

A transaction goes through three steps, as in etcd:

1. all guards are judged, also those of nested transactions, on what was true before it; that decides which
   operations will be done;
2. these are looked over (`_refusal`): what cannot be done refuses the whole transaction, before anything is
written; 3. they are done in order, at one revision; a read sees what came before it in the transaction.

So no transaction is ever done in part, and none has to be undone.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import eq, gt, lt, ne
from typing import Any, Final

import msgspec

from agreed.store.commands import Compact, DeleteRange, Guard, Put, Range, Transaction
from agreed.store.events import Event, EventKind, Space
from agreed.store.mvcc import tombstone
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

DEPTH_MOST: Final = 32
"""How deep transactions may be nested; they are done by recursion."""

_RELATIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {"=": eq, "!=": ne, "<": lt, ">": gt}
_NUMBERS: Final = frozenset({"version", "create_revision", "modify_revision", "lease"})


class _Chosen(msgspec.Struct, frozen=True):
    """A transaction whose guards have been judged, and the operations which that leaves to do."""

    failed_guard: int | None
    operations: tuple[Put | DeleteRange | Range | _Chosen, ...]


def transaction(state: State, command: Transaction, origin: NodeId) -> TransactionResult | Refusal:
    """Consumes a revision if it writes."""
    chosen = _choose(state, command)
    if isinstance(chosen, Refusal):
        return chosen
    refusal = _refusal(state, list(_flattened(chosen)))
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


def delete_flat(state: State, key: bytes, revision: Revision) -> Record:
    """Deletes a key that is there, and tells of it."""
    record = state.flat.history.newest(key)
    assert record is not None, "only keys that are there are deleted"
    state.flat.history.append(tombstone(key, revision, state.stamp_ms))
    _move(state, key, record.lease, 0)
    _tell(state, Event(revision, EventKind.DELETED, Space.FLAT, record, record))
    return record


# --- 1. guards ------------------------------------------------------------------------------------


def _choose(state: State, command: Transaction, depth: int = 0) -> _Chosen | Refusal:
    if depth > DEPTH_MOST:
        return Refusal.BAD_ARGUMENTS
    failed_guard = None
    for number, guard in enumerate(command.guards):
        holds = _holds(state, guard)
        if isinstance(holds, Refusal):
            return holds
        if not holds and failed_guard is None:
            failed_guard = number
    operations: list[Put | DeleteRange | Range | _Chosen] = []
    for operation in command.then if failed_guard is None else command.otherwise:
        if isinstance(operation, Transaction):
            nested = _choose(state, operation, depth + 1)
            if isinstance(nested, Refusal):
                return nested
            operations.append(nested)
        else:
            operations.append(operation)
    return _Chosen(failed_guard, tuple(operations))


def _holds(state: State, guard: Guard) -> bool | Refusal:
    """An absent key (or an empty range) has 0 for every number, and no value which anything could be said
    of."""
    relation = _RELATIONS.get(guard.relation)
    if relation is None or not guard.key:
        return Refusal.BAD_ARGUMENTS
    records = list(state.flat.history.range(guard.key, guard.range_end))
    if guard.target == "value" and isinstance(guard.operand, bytes):
        return bool(records) and all(relation(record.value, guard.operand) for record in records)
    if guard.target in _NUMBERS and isinstance(guard.operand, int):
        present = [getattr(record, guard.target) for record in records] or [0]
        return all(relation(number, guard.operand) for number in present)
    return Refusal.BAD_ARGUMENTS


# --- 2. what cannot be done
# -----------------------------------------------------------------------------------


def _flattened(chosen: _Chosen) -> Iterator[Put | DeleteRange | Range]:
    for operation in chosen.operations:
        if isinstance(operation, _Chosen):
            yield from _flattened(operation)
        else:
            yield operation


def _refusal(state: State, operations: list[Put | DeleteRange | Range]) -> Refusal | None:
    """A key may be written once in a transaction, and not be put and deleted: of two versions at one revision
    nobody could ever read the first."""
    history = state.flat.history
    put_keys: set[bytes] = set()
    for operation in operations:
        if not operation.key:
            return Refusal.BAD_ARGUMENTS
        if isinstance(operation, Range):
            refusal = state.flat.range_refusal(operation, state.revision)
            if refusal is not None:
                return refusal
        elif isinstance(operation, Put):
            if operation.key in put_keys:
                return Refusal.BAD_ARGUMENTS
            put_keys.add(operation.key)
            if (operation.value is None or operation.lease is None) and history.newest(operation.key) is None:
                return Refusal.NO_KEY
            if operation.lease and operation.lease not in state.leases.table:
                return Refusal.NO_LEASE
    for operation in operations:
        if isinstance(operation, DeleteRange) and any(
            contains(operation.key, operation.range_end, key) for key in put_keys
        ):
            return Refusal.BAD_ARGUMENTS
    return None


# --- 3. doing it
# ------------------------------------------------------------------------------------------------


def _perform(state: State, chosen: _Chosen, revision: Revision) -> TransactionResult:
    results: list[PutResult | DeleteRangeResult | RangeResult | TransactionResult] = []
    for operation in chosen.operations:
        if isinstance(operation, _Chosen):
            results.append(_perform(state, operation, revision))
        elif isinstance(operation, Put):
            results.append(_put(state, operation, revision))
        elif isinstance(operation, DeleteRange):
            found = list(state.flat.history.range(operation.key, operation.range_end))
            deleted = tuple(delete_flat(state, record.key, revision) for record in found)
            results.append(DeleteRangeResult(deleted))
        else:
            read = state.flat.range(operation, revision)
            assert isinstance(read, RangeResult), "looked over before"
            results.append(read)
    return TransactionResult(chosen.failed_guard is None, chosen.failed_guard, tuple(results))


def _put(state: State, operation: Put, revision: Revision) -> PutResult:
    history = state.flat.history
    key = operation.key
    previous = history.newest(key)
    stamp_ms = state.stamp_ms
    lease = operation.lease
    if previous is None:
        assert lease is not None, "looked over before"
        record = Record(
            key,
            operation.value,
            revision,
            revision,
            0,
            stamp_ms,
            stamp_ms,
            1,
            0,
            0,
            lease,
            operation.flags,
            OPEN_ACL,
            None,
        )
        event = Event(revision, EventKind.CREATED, Space.FLAT, record, None)
    else:
        record = msgspec.structs.replace(
            previous,
            value=previous.value if operation.value is None else operation.value,
            modify_revision=revision,
            modified_ms=stamp_ms,
            version=previous.version + 1,
            lease=previous.lease if lease is None else lease,
            flags=operation.flags,
        )
        event = Event(revision, EventKind.CHANGED, Space.FLAT, record, previous)
    history.append(record)
    _move(state, key, previous.lease if previous is not None else 0, record.lease)
    _tell(state, event)
    return PutResult(previous)


def _move(state: State, key: bytes, from_lease: LeaseId, to_lease: LeaseId) -> None:
    if from_lease != to_lease:
        if from_lease:
            state.leases.table[from_lease].flat_keys.pop(key, None)
        if to_lease:
            state.leases.table[to_lease].flat_keys[key] = None


def _tell(state: State, event: Event) -> None:
    state.fresh.append(event)
    state.feed.events.append(event)
