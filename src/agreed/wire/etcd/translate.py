"""Requests of the KV service as commands of the store, and what came of them as replies.

A request is looked over first (`*_fault`), in etcd's order and with its words; what passes becomes a command
by a function of the request alone.  The store refuses the rest when the command is applied (`status_of`).

What etcd does with the records of a range (filter, sort, cut, leave values out) is done here, when the reply
is made: the store reads the whole range then, as etcd does.
"""
from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import msgspec

from agreed.store.commands import DeleteRange, Guard, Put, Range, Transaction
from agreed.store.duplicate_keys import has_duplicate_keys
from agreed.store.records import Record
from agreed.store.results import DeleteRangeResult, PutResult, RangeResult, Refusal, TransactionResult
from agreed.types import Revision
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    DeleteRangeResponse,
    KeyValue,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    RequestOp,
    ResponseHeader,
    ResponseOp,
    SortOrder,
    SortTarget,
    TxnRequest,
    TxnResponse,
)
from agreed.wire.grpc.status import Code, Status

MAX_TXN_OPS: Final = 128
"""etcd's default.  Of compares, or of operations in one branch, whichever are more; what is nested shares
the rest."""

MAX_REQUEST_BYTES: Final = 1_572_864
"""etcd's default.  Of a request in etcd's own log, which is what it measures."""

REQUEST_OVERHEAD_BYTES: Final = 24
"""What etcd's log adds to a request, about."""

# --- faults -----------------------------------------------------------------------------------------------

_SORT_TARGETS = frozenset(map(int, SortTarget))


def range_fault(request: RangeRequest) -> Status | None:
    if not request.key:
        return errors.EMPTY_KEY
    if request.sort_target not in _SORT_TARGETS:
        return errors.INVALID_SORT_OPTION
    return None


def put_fault(request: PutRequest) -> Status | None:
    if not request.key:
        return errors.EMPTY_KEY
    if request.ignore_value and request.value:
        return errors.VALUE_PROVIDED
    if request.ignore_lease and request.lease:
        return errors.LEASE_PROVIDED
    return None


def delete_fault(request: DeleteRangeRequest) -> Status | None:
    return None if request.key else errors.EMPTY_KEY


def txn_fault(
    request: TxnRequest,
    operations_most: int = MAX_TXN_OPS,
    is_too_much: Callable[[Transaction], bool] = lambda command: False,
) -> Status | None:
    """`is_too_much`: whether it has more operations, or they look at more, than what is done in one turn."""
    fault = _operations_fault(request, operations_most)
    if fault is not None:
        return fault
    command = transaction(request)
    if is_too_much(command):
        return errors.TOO_MANY_OPS
    return errors.DUPLICATE_KEY if has_duplicate_keys(command) else None


def _operations_fault(request: TxnRequest, most: int) -> Status | None:
    """`most`: operations at this level; what is nested may have what its parent left."""
    count = max(len(request.compare), len(request.success), len(request.failure))
    if count > most:
        return errors.TOO_MANY_OPS
    for compare in request.compare:
        if not compare.key:
            return errors.EMPTY_KEY
    for operation in (*request.success, *request.failure):
        fault = _operation_fault(operation, most - count)
        if fault is not None:
            return fault
    return None


def _operation_fault(operation: RequestOp, most: int) -> Status | None:
    if operation.request_range is not None:
        return range_fault(operation.request_range)
    if operation.request_put is not None:
        return put_fault(operation.request_put)
    if operation.request_delete_range is not None:
        return delete_fault(operation.request_delete_range)
    if operation.request_txn is not None:
        return _operations_fault(operation.request_txn, most)
    return errors.KEY_NOT_FOUND


def too_large(request_bytes: int, most: int = MAX_REQUEST_BYTES) -> bool:
    return request_bytes + REQUEST_OVERHEAD_BYTES > most


# --- commands ---------------------------------------------------------------------------------------------


def put_operation(request: PutRequest) -> Put:
    return Put(
        request.key,
        None if request.ignore_value else request.value,
        None if request.ignore_lease else request.lease,
        0,
        request.prev_kv,
    )


def delete_operation(request: DeleteRangeRequest) -> DeleteRange:
    return DeleteRange(request.key, request.range_end or None, request.prev_kv)


def range_operation(request: RangeRequest) -> Range:
    if request.count_only:
        limit = 1
    elif request.limit > 0 and not rearranged(request):
        limit = request.limit
    elif request.limit > 0 and request.sort_order == SortOrder.NONE and not _filtered(request):
        # etcd's: without an order it reads in the order of keys, one more than asked for, and sorts those.
        limit = request.limit + 1
    else:
        limit = 0
    return Range(request.key, request.range_end or None, max(request.revision, 0), limit)


def transaction(request: TxnRequest) -> Transaction:
    return Transaction(
        tuple([_guard(compare) for compare in request.compare]),
        tuple([_operation(operation) for operation in request.success]),
        tuple([_operation(operation) for operation in request.failure]),
    )


def _operation(operation: RequestOp) -> Put | DeleteRange | Range | Transaction:
    if operation.request_range is not None:
        read = range_operation(operation.request_range)
        # Alone, a range at a negative revision is one of now; in a transaction it is refused: compacted.
        return msgspec.structs.replace(read, revision=min(read.revision, operation.request_range.revision))
    if operation.request_put is not None:
        return put_operation(operation.request_put)
    if operation.request_delete_range is not None:
        return delete_operation(operation.request_delete_range)
    assert operation.request_txn is not None, "looked over before"
    return transaction(operation.request_txn)


_RELATIONS: Final = {
    CompareResult.EQUAL: "=",
    CompareResult.GREATER: ">",
    CompareResult.LESS: "<",
    CompareResult.NOT_EQUAL: "!=",
}
_TARGETS: Final = {
    CompareTarget.VERSION: ("version", "version"),
    CompareTarget.CREATE: ("create_revision", "create_revision"),
    CompareTarget.MOD: ("modify_revision", "mod_revision"),
    CompareTarget.VALUE: ("value", "value"),
    CompareTarget.LEASE: ("lease", "lease"),
}


def _guard(compare: Compare) -> Guard:
    """The member of the union that does not belong to the target is not looked at.  In etcd, what compares
    nothing finds both sides equal, and a relation that nobody knows always holds."""
    range_end = compare.range_end or None
    relation = _RELATIONS.get(compare.result)  # type: ignore[call-overload]
    target, field = _TARGETS.get(compare.target, ("version", ""))  # type: ignore[call-overload]
    if field == "value":
        if relation is None:
            # Of a key that is there, that is; which is what its value being no less than nothing says.
            return Guard(compare.key, range_end, "value", "!=", _NO_VALUE)
        return Guard(compare.key, range_end, "value", relation, compare.value or b"")
    if relation is None or not field:
        holds = relation is None or relation == "="
        return Guard(compare.key, range_end, "version", "!=" if holds else "=", -1)
    return Guard(compare.key, range_end, target, relation, getattr(compare, field) or 0)


_NO_VALUE: Final = bytes(64) + b"no value is this"


def only_reads(request: TxnRequest) -> bool:
    """Such a transaction is a read, and needs no place in the log."""
    return all(operation.request_range is not None for operation in (*request.success, *request.failure))


def only_serializable(request: TxnRequest) -> bool:
    """Of one that only reads: whether none of its reads asks to be linearizable.  Also true of one without
    any read, as in etcd."""
    return all(
        operation.request_range is not None and operation.request_range.serializable
        for operation in (*request.success, *request.failure)
    )


# --- replies ----------------------------------------------------------------------------------------------


def key_value(record: Record) -> KeyValue:
    return KeyValue(
        record.key,
        record.create_revision,
        record.modify_revision,
        record.version,
        record.value or b"",
        record.lease,
    )


def _without_value(record: Record) -> KeyValue:
    return KeyValue(
        record.key, record.create_revision, record.modify_revision, record.version, b"", record.lease
    )


def _filtered(request: RangeRequest) -> bool:
    return bool(
        request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    )


def rearranged(request: RangeRequest) -> bool:
    """Whether a limit counts only after the whole range was looked at."""
    by_key = request.sort_target == SortTarget.KEY and request.sort_order <= SortOrder.ASCEND
    return not by_key or _filtered(request)


_SORT_KEYS: Final[dict[int, Callable[[Record], Any]]] = {
    SortTarget.KEY: attrgetter("key"),
    SortTarget.VERSION: attrgetter("version"),
    SortTarget.CREATE: attrgetter("create_revision"),
    SortTarget.MOD: attrgetter("modify_revision"),
    SortTarget.VALUE: lambda record: record.value or b"",
}


def arranged(request: RangeRequest, records: list[Record]) -> list[Record]:
    """What of these is wanted, in the order that is wanted; a limit is not looked at."""
    low, high = request.min_mod_revision, request.max_mod_revision
    oldest, newest = request.min_create_revision, request.max_create_revision
    if _filtered(request):
        records = [
            record
            for record in records
            if (not low or record.modify_revision >= low)
            and (not high or record.modify_revision <= high)
            and (not oldest or record.create_revision >= oldest)
            and (not newest or record.create_revision <= newest)
        ]
    order = _order(request)
    if order != SortOrder.NONE:
        records.sort(key=_SORT_KEYS[request.sort_target], reverse=order == SortOrder.DESCEND)
    return records


def _order(request: RangeRequest) -> SortOrder:
    if request.sort_order in (SortOrder.ASCEND, SortOrder.DESCEND):
        return SortOrder(request.sort_order)
    by_key = request.sort_target == SortTarget.KEY or request.sort_order != SortOrder.NONE
    return SortOrder.NONE if by_key else SortOrder.ASCEND


def merged(request: RangeRequest, parts: Sequence[Sequence[Record]]) -> Iterator[Record]:
    """What `arranged` would make of all of them, of what it has made of each of them in their order: not done
    before it is asked for."""
    order = _order(request)
    if order == SortOrder.NONE:
        return chain.from_iterable(parts)
    key = _SORT_KEYS[request.sort_target]
    return heapq.merge(*parts, key=key, reverse=order == SortOrder.DESCEND)


def key_values(request: RangeRequest, records: Iterable[Record]) -> tuple[KeyValue, ...]:
    shown = _without_value if request.keys_only else key_value
    return tuple([shown(record) for record in records])


def range_reply(request: RangeRequest, result: RangeResult, header: ResponseHeader) -> RangeResponse:
    if request.count_only:
        return RangeResponse(header, (), False, result.count)
    records, more = result.records, result.more
    if rearranged(request):
        wanted = arranged(request, list(records))
        more = 0 < request.limit < len(wanted)
        records = tuple(wanted[: request.limit] if more else wanted)
    return RangeResponse(header, key_values(request, records), more, result.count)


def put_reply(request: PutRequest, result: PutResult, header: ResponseHeader) -> PutResponse:
    if request.prev_kv and result.previous is not None:
        return PutResponse(header, key_value(result.previous))
    return PutResponse(header)


def delete_reply(
    request: DeleteRangeRequest, result: DeleteRangeResult, header: ResponseHeader
) -> DeleteRangeResponse:
    previous = tuple([key_value(record) for record in result.deleted]) if request.prev_kv else ()
    return DeleteRangeResponse(header, len(result.deleted), previous)


def txn_reply(
    request: TxnRequest, result: TransactionResult, header: ResponseHeader, before: Revision
) -> TxnResponse:
    """`before`: the store's revision before the transaction.  What is read in it before it has written says
    so in its own header, as in etcd."""
    return TxnResponse(header, result.succeeded, _Replies(before, header.revision).of(request, result))


def wrote(result: TransactionResult) -> bool:
    """Whether it has changed anything, and so has a revision of its own."""
    return any(
        isinstance(each, PutResult)
        or (isinstance(each, DeleteRangeResult) and bool(each.deleted))
        or (isinstance(each, TransactionResult) and wrote(each))
        for each in result.results
    )


class _Replies:
    def __init__(self, before: Revision, after: Revision) -> None:
        self._revision = before
        self._after = after

    def of(self, request: TxnRequest, result: TransactionResult) -> tuple[ResponseOp, ...]:
        branch = request.success if result.succeeded else request.failure
        return tuple(
            [self._one(operation, each) for operation, each in zip(branch, result.results, strict=True)]
        )

    def _one(self, operation: RequestOp, result: object) -> ResponseOp:
        if isinstance(result, PutResult):
            self._revision = self._after
            assert operation.request_put is not None
            return ResponseOp(response_put=put_reply(operation.request_put, result, self._header()))
        if isinstance(result, DeleteRangeResult):
            if result.deleted:
                self._revision = self._after
            assert operation.request_delete_range is not None
            return ResponseOp(
                response_delete_range=delete_reply(operation.request_delete_range, result, self._header())
            )
        if isinstance(result, RangeResult):
            assert operation.request_range is not None
            return ResponseOp(response_range=range_reply(operation.request_range, result, self._header()))
        assert isinstance(result, TransactionResult)
        assert operation.request_txn is not None
        responses = self.of(operation.request_txn, result)
        return ResponseOp(response_txn=TxnResponse(ResponseHeader(), result.succeeded, responses))

    def _header(self) -> ResponseHeader:
        return ResponseHeader(revision=self._revision)


# --- refusals ---------------------------------------------------------------------------------------------

_STATUSES: Final[dict[str, Status]] = {
    "NO_KEY": errors.KEY_NOT_FOUND,
    "NO_LEASE": errors.LEASE_NOT_FOUND,
    "LEASE_EXISTS": errors.LEASE_EXISTS,
    "COMPACTED": errors.COMPACTED,
    "FUTURE_REVISION": errors.FUTURE_REVISION,
    "DUPLICATE_KEY": errors.DUPLICATE_KEY,
    "NO_SPACE": errors.NO_SPACE,
    "CORRUPT": errors.CORRUPT,
    "PERMISSION_DENIED": errors.PERMISSION_DENIED,
    "AUTH_OLD": errors.AUTH_OLD_REVISION,
    "USER_EMPTY": errors.USER_EMPTY,
    "AUTH_NOT_ENABLED": errors.AUTH_NOT_ENABLED,
    "USER_EXISTS": errors.USER_EXISTS,
    "USER_NOT_FOUND": errors.USER_NOT_FOUND,
    "ROLE_EMPTY": errors.ROLE_EMPTY,
    "ROLE_EXISTS": errors.ROLE_EXISTS,
    "ROLE_NOT_FOUND": errors.ROLE_NOT_FOUND,
    "ROLE_NOT_GRANTED": errors.ROLE_NOT_GRANTED,
    "PERMISSION_NOT_GRANTED": errors.PERMISSION_NOT_GRANTED,
    "ROOT_USER_MISSING": errors.ROOT_USER_MISSING,
    "ROOT_ROLE_MISSING": errors.ROOT_ROLE_MISSING,
    "ROOT_IS_NEEDED": errors.INVALID_AUTH_MANAGEMENT,
    "MEMBER_EXISTS": errors.MEMBER_EXISTS,
    "PEER_URL_EXISTS": errors.PEER_URL_EXISTS,
    "NO_MEMBER": errors.MEMBER_NOT_FOUND,
}


def status_of(refusal: Refusal) -> Status:
    """What a refusal of the store is called in etcd."""
    status = _STATUSES.get(refusal.name)
    return status if status is not None else Status(Code.UNKNOWN, f"etcdserver: {refusal.value}")
