"""Requests of etcd's KV service and commands of the store: what is refused before, and what is meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.store.commands import DeleteRange, Guard, Put, Range, Transaction
from agreed.store.machine import Store
from agreed.store.results import Refusal, TransactionResult
from agreed.wire.etcd import errors, translate
from agreed.wire.etcd.messages import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    ResponseHeader,
    SortOrder,
    SortTarget,
    TxnRequest,
)
from agreed.wire.grpc.status import Code, Status


def put(key: bytes) -> RequestOp:
    return RequestOp(request_put=PutRequest(key))


def get(key: bytes, *, serializable: bool = False) -> RequestOp:
    return RequestOp(request_range=RangeRequest(key, serializable=serializable))


def delete(key: bytes, range_end: bytes = b"") -> RequestOp:
    return RequestOp(request_delete_range=DeleteRangeRequest(key, range_end))


def nested(success: tuple[RequestOp, ...], failure: tuple[RequestOp, ...] = ()) -> RequestOp:
    return RequestOp(request_txn=TxnRequest((), success, failure))


def txn(*success: RequestOp, failure: tuple[RequestOp, ...] = ()) -> TxnRequest:
    return TxnRequest((), success, failure)


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        (txn(), None),
        (txn(*[get(b"a")] * 128), None),
        (txn(*[get(b"a")] * 129), errors.TOO_MANY_OPS),
        (TxnRequest((Compare(key=b"a"),) * 129), errors.TOO_MANY_OPS),
        (txn(get(b"a"), nested((get(b"a"),) * 126)), None),
        (txn(get(b"a"), nested((get(b"a"),) * 127)), errors.TOO_MANY_OPS),
        (txn(RequestOp()), errors.KEY_NOT_FOUND),
        (txn(put(b"")), errors.EMPTY_KEY),
        (txn(failure=(delete(b""),)), errors.EMPTY_KEY),
        (TxnRequest((Compare(),)), errors.EMPTY_KEY),
        (txn(nested((get(b""),))), errors.EMPTY_KEY),
        (txn(put(b"a"), put(b"a")), errors.DUPLICATE_KEY),
        (txn(put(b"a"), failure=(put(b"a"),)), None),
        (txn(failure=(put(b"a"), put(b"a"))), errors.DUPLICATE_KEY),
        (txn(put(b"b"), delete(b"a", b"c")), errors.DUPLICATE_KEY),
        (txn(put(b"c"), delete(b"a", b"c")), None),
        (txn(delete(b"a", b"c"), delete(b"b", b"d")), None),
        (txn(nested((put(b"a"),), (put(b"a"),))), None),
        (txn(put(b"a"), nested((put(b"a"),))), errors.DUPLICATE_KEY),
        (txn(nested((put(b"a"),)), nested((), (put(b"a"),))), errors.DUPLICATE_KEY),
        (txn(delete(b"a"), nested((put(b"a"),))), errors.DUPLICATE_KEY),
        (txn(put(b"a"), nested((), (delete(b"a"),))), errors.DUPLICATE_KEY),
        (txn(put(b"a"), nested((delete(b"b"),), (put(b"c"),))), None),
    ],
    ids=lambda value: value.message if isinstance(value, Status) else None,
)
def test_transactions_that_are_refused_before_they_are_proposed(
    request_: TxnRequest, fault: Status | None
) -> None:
    assert translate.txn_fault(request_) == fault


@pytest.mark.parametrize(
    ("request_", "operation"),
    [
        (RangeRequest(b"a"), Range(b"a", None)),
        (RangeRequest(b"a", b"b", 3, 9), Range(b"a", b"b", 9, 3)),
        (RangeRequest(b"a", b"\0", -1, -9), Range(b"a", b"\0")),
        (RangeRequest(b"a", b"b", count_only=True), Range(b"a", b"b", 0, 1)),
        # What is cut only after it was sorted or filtered is read whole.
        (RangeRequest(b"a", b"b", 3, sort_order=SortOrder.DESCEND), Range(b"a", b"b")),
        (RangeRequest(b"a", b"b", 3, 0, SortOrder.ASCEND, SortTarget.VALUE), Range(b"a", b"b")),
        (RangeRequest(b"a", b"b", 3, sort_target=SortTarget.VALUE), Range(b"a", b"b", 0, 4)),
        (RangeRequest(b"a", b"b", 3, min_mod_revision=1), Range(b"a", b"b")),
        (RangeRequest(b"a", b"b", 3, sort_order=SortOrder.ASCEND), Range(b"a", b"b", 0, 3)),
    ],
    ids=str,
)
def test_reads(request_: RangeRequest, operation: Range) -> None:
    assert translate.range_operation(request_) == operation


def test_writes() -> None:
    assert translate.put_operation(PutRequest(b"a", b"1", 7, prev_kv=True)) == Put(b"a", b"1", 7, 0, True)
    assert translate.put_operation(PutRequest(b"a", ignore_value=True)) == Put(b"a", None, 0)
    assert translate.put_operation(PutRequest(b"a", b"1", ignore_lease=True)) == Put(b"a", b"1", None)
    assert translate.delete_operation(DeleteRangeRequest(b"a", b"b")) == DeleteRange(b"a", b"b")


@pytest.mark.parametrize(
    ("compare", "guard"),
    [
        (Compare(key=b"a"), Guard(b"a", None, "version", "=", 0)),
        (
            Compare(CompareResult.GREATER, CompareTarget.MOD, b"a", mod_revision=5, range_end=b"b"),
            Guard(b"a", b"b", "modify_revision", ">", 5),
        ),
        (
            Compare(CompareResult.NOT_EQUAL, CompareTarget.VALUE, b"a", value=b"v"),
            Guard(b"a", None, "value", "!=", b"v"),
        ),
        # The member of another target does not count.
        (
            Compare(CompareResult.LESS, CompareTarget.CREATE, b"a", version=5),
            Guard(b"a", None, "create_revision", "<", 0),
        ),
        (Compare(CompareResult.EQUAL, CompareTarget.VALUE, b"a"), Guard(b"a", None, "value", "=", b"")),
    ],
    ids=str,
)
def test_guards(compare: Compare, guard: Guard) -> None:
    assert translate.transaction(TxnRequest((compare,))).guards == (guard,)


@pytest.mark.parametrize(
    ("compare", "holds"),
    [
        (Compare(9, CompareTarget.VERSION, b"a", version=5), True),
        (Compare(9, CompareTarget.VALUE, b"a", value=b"5"), True),
        (Compare(9, CompareTarget.VALUE, b"absent", value=b"5"), False),
        (Compare(CompareResult.EQUAL, 9, b"a"), True),
        (Compare(CompareResult.NOT_EQUAL, 9, b"a"), False),
        (Compare(CompareResult.GREATER, 9, b"a"), False),
    ],
    ids=str,
)
def test_numbers_that_no_enumeration_knows_mean_what_they_mean_in_etcd(compare: Compare, holds: bool) -> None:
    store = Store()
    store.execute(Put(b"a", b"1"))
    result = store.execute(translate.transaction(TxnRequest((compare,))))
    assert isinstance(result, TransactionResult)
    assert result.succeeded is holds


def test_what_only_reads() -> None:
    assert translate.only_reads(txn(get(b"a")))
    assert not translate.only_reads(txn(get(b"a"), failure=(put(b"a"),)))
    assert not translate.only_reads(txn(nested((get(b"a"),))))
    assert not translate.only_serializable(txn(get(b"a"), get(b"b", serializable=True)))
    assert translate.only_serializable(txn(get(b"a", serializable=True)))
    assert translate.only_serializable(txn())


def test_each_refusal_of_the_store_has_a_status() -> None:
    assert translate.status_of(Refusal.NO_LEASE) == errors.LEASE_NOT_FOUND
    for refusal in Refusal:
        assert translate.status_of(refusal).code is not Code.OK


KEYS = st.sampled_from([b"a", b"b", b"c"])
OPERATIONS = st.recursive(
    st.one_of(
        KEYS.map(put),
        KEYS.map(get),
        st.builds(delete, KEYS, st.one_of(KEYS, st.just(b""))),
    ),
    lambda inner: st.builds(nested, *[st.lists(inner, max_size=2).map(tuple)] * 2),
    max_leaves=6,
)


@given(st.lists(OPERATIONS, max_size=4).map(tuple))
def test_what_passes_the_store_can_do_and_the_reply_has_a_part_for_each_operation(
    operations: tuple[RequestOp, ...],
) -> None:
    request = txn(*operations)
    if translate.txn_fault(request) is not None:
        return
    store = Store()
    store.execute(Put(b"b", b"1"))
    before = store.revision
    result = store.execute(translate.transaction(request))
    assert isinstance(result, TransactionResult)
    assert (store.revision > before) is translate.wrote(result)
    header = ResponseHeader(revision=store.revision)
    assert len(translate.txn_reply(request, result, header, before).responses) == len(operations)


def test_a_transaction_of_the_store_is_what_was_asked_for() -> None:
    request = TxnRequest((), (put(b"a"), nested((get(b"b"),))), (delete(b"c"),))
    assert translate.transaction(request) == Transaction(
        (), (Put(b"a", b""), Transaction((), (Range(b"b", None),), ())), (DeleteRange(b"c", None),)
    )
