"""What an etcd client is told of keys: every option of a read, every kind of write, in etcd's words."""

from __future__ import annotations

from typing import Any

import pytest

from agreed.replica.etcd import kv
from agreed.replica.settings import Settings
from agreed.store.alarms import AlarmKind
from agreed.store.commands import SetAlarm
from agreed.store.records import OPEN_ACL
from agreed.store.work import PART_KEYS
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    CompactionRequest,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    SortOrder,
    SortTarget,
    TxnRequest,
)
from agreed.wire.grpc.status import Status
from agreed.wire.zookeeper.messages import CreateMode, CreateRequest
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Caller

ALL = (b"\0", b"\0")


@pytest.fixture
def caller() -> Caller:
    return Caller(Alone())


@pytest.fixture
def filled(caller: Caller) -> Caller:
    """Revisions 2 to 6: five keys, with values in the opposite order."""
    for number in range(5):
        caller.ask("KV/Put", PutRequest(b"k%d" % number, b"v%d" % (9 - number)))
    return caller


def keys(caller: Caller, **options: Any) -> tuple[list[bytes], bool, int]:
    reply = caller.ask("KV/Range", RangeRequest(*ALL, **options)).reply
    return [kv.key for kv in reply.kvs], reply.more, reply.count


def put(key: bytes, value: bytes = b"") -> RequestOp:
    return RequestOp(request_put=PutRequest(key, value))


def get(key: bytes, **options: Any) -> RequestOp:
    return RequestOp(request_range=RangeRequest(key, **options))


def delete(key: bytes, range_end: bytes = b"") -> RequestOp:
    return RequestOp(request_delete_range=DeleteRangeRequest(key, range_end))


def txn(caller: Caller, *success: RequestOp, compare: tuple[Compare, ...] = ()) -> Any:
    return caller.ask("KV/Txn", TxnRequest(compare, success, ())).reply


def test_the_first_put_of_an_empty_cluster_is_revision_two(caller: Caller) -> None:
    assert caller.ask("KV/Range", RangeRequest(b"a")).reply.header.revision == 1
    assert caller.ask("KV/Put", PutRequest(b"a")).reply.header.revision == 2


def test_what_was_put_is_read_with_its_revisions(caller: Caller) -> None:
    first = caller.ask("KV/Put", PutRequest(b"a", b"1")).reply
    second = caller.ask("KV/Put", PutRequest(b"a", b"2", prev_kv=True)).reply
    assert second.header.revision == first.header.revision + 1
    assert (second.prev_kv.value, second.prev_kv.version) == (b"1", 1)
    read = caller.ask("KV/Range", RangeRequest(b"a")).reply
    (kv,) = read.kvs
    assert (kv.value, kv.version, read.count, read.more) == (b"2", 2, 1, False)
    assert (kv.create_revision, kv.mod_revision) == (first.header.revision, second.header.revision)
    assert read.header.revision == second.header.revision


def test_the_header_says_who_speaks() -> None:
    caller = Caller(Alone(Settings(cluster=77)))
    header = caller.ask("KV/Range", RangeRequest(b"a")).reply.header
    assert (header.cluster_id, header.member_id, header.raft_term) == (77, 1, 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ([b"k0", b"k1", b"k2", b"k3", b"k4"], False, 5)),
        ({"limit": 2}, ([b"k0", b"k1"], True, 5)),
        ({"limit": -1}, ([b"k0", b"k1", b"k2", b"k3", b"k4"], False, 5)),
        ({"limit": 5}, ([b"k0", b"k1", b"k2", b"k3", b"k4"], False, 5)),
        ({"count_only": True, "limit": 1}, ([], False, 5)),
        ({"min_mod_revision": 4}, ([b"k2", b"k3", b"k4"], False, 5)),
        ({"max_mod_revision": 3, "limit": 1}, ([b"k0"], True, 5)),
        ({"min_create_revision": 3, "max_create_revision": 5}, ([b"k1", b"k2", b"k3"], False, 5)),
        ({"sort_order": SortOrder.DESCEND, "limit": 1}, ([b"k4"], True, 5)),
        ({"sort_order": SortOrder.ASCEND, "limit": 1}, ([b"k0"], True, 5)),
        # Without an order etcd reads one more than asked for, and sorts those.
        ({"sort_target": SortTarget.VALUE, "limit": 2}, ([b"k2", b"k1"], True, 5)),
        ({"sort_target": SortTarget.MOD, "sort_order": SortOrder.DESCEND, "limit": 1}, ([b"k4"], True, 5)),
        ({"sort_target": SortTarget.CREATE, "limit": 1}, ([b"k0"], True, 5)),
        ({"revision": 3}, ([b"k0", b"k1"], False, 2)),
        ({"revision": -3}, ([b"k0", b"k1", b"k2", b"k3", b"k4"], False, 5)),
        (
            {"sort_target": SortTarget.VERSION, "limit": (1 << 63) - 1},
            ([b"k0", b"k1", b"k2", b"k3", b"k4"], False, 5),
        ),
        ({"sort_order": 9, "limit": 1}, ([b"k0"], True, 5)),
        ({"serializable": True, "limit": 1}, ([b"k0"], True, 5)),
    ],
    ids=str,
)
def test_options_of_a_read(
    filled: Caller, options: dict[str, Any], expected: tuple[list[bytes], bool, int]
) -> None:
    assert keys(filled, **options) == expected


def test_only_keys_are_read_where_only_they_are_asked_for(filled: Caller) -> None:
    (kv,) = filled.ask("KV/Range", RangeRequest(b"k1", keys_only=True)).reply.kvs
    assert (kv.key, kv.value, kv.mod_revision) == (b"k1", b"", 3)


def test_a_range_that_ends_before_it_begins_is_empty(filled: Caller) -> None:
    reply = filled.ask("KV/Range", RangeRequest(b"k3", b"k1")).reply
    assert (reply.kvs, reply.count) == ((), 0)


def test_keys_are_deleted_and_told_of_where_asked(filled: Caller) -> None:
    reply = filled.ask("KV/DeleteRange", DeleteRangeRequest(b"k1", b"k3", prev_kv=True)).reply
    assert (reply.deleted, [kv.value for kv in reply.prev_kvs]) == (2, [b"v8", b"v7"])
    assert reply.header.revision == 7
    nothing = filled.ask("KV/DeleteRange", DeleteRangeRequest(b"k1")).reply
    assert (nothing.deleted, nothing.header.revision) == (0, 7)


@pytest.mark.parametrize(
    ("method", "request_", "status"),
    [
        ("KV/Range", RangeRequest(), errors.EMPTY_KEY),
        ("KV/Range", RangeRequest(b"a", sort_target=9), errors.INVALID_SORT_OPTION),
        ("KV/Range", RangeRequest(b"a", revision=99), errors.FUTURE_REVISION),
        ("KV/Put", PutRequest(), errors.EMPTY_KEY),
        ("KV/Put", PutRequest(b"a", b"v", ignore_value=True), errors.VALUE_PROVIDED),
        ("KV/Put", PutRequest(b"a", b"", 7, ignore_lease=True), errors.LEASE_PROVIDED),
        ("KV/Put", PutRequest(b"absent", ignore_value=True), errors.KEY_NOT_FOUND),
        ("KV/Put", PutRequest(b"absent", ignore_lease=True), errors.KEY_NOT_FOUND),
        ("KV/Put", PutRequest(b"a", b"", 4242), errors.LEASE_NOT_FOUND),
        ("KV/DeleteRange", DeleteRangeRequest(), errors.EMPTY_KEY),
        ("KV/Compact", CompactionRequest(99), errors.FUTURE_REVISION),
        ("KV/Compact", CompactionRequest(0), errors.COMPACTED),
        ("KV/Txn", TxnRequest((), (put(b"a"), put(b"a"))), errors.DUPLICATE_KEY),
        ("KV/Txn", TxnRequest((), (put(b"b"), get(b"a", revision=99))), errors.FUTURE_REVISION),
    ],
    ids=str,
)
def test_what_is_refused(caller: Caller, method: str, request_: Any, status: Status) -> None:
    caller.ask("KV/Put", PutRequest(b"a", b"1"))
    assert caller.ask(method, request_).status == status
    assert caller.ask("KV/Range", RangeRequest(b"a")).reply.header.revision == 2


def test_what_was_compacted_cannot_be_read_any_more(caller: Caller) -> None:
    for value in (b"1", b"2", b"3"):
        caller.ask("KV/Put", PutRequest(b"a", value))
    assert caller.ask("KV/Compact", CompactionRequest(3)).reply.header.revision == 4
    assert caller.ask("KV/Compact", CompactionRequest(3)).status == errors.COMPACTED
    assert caller.ask("KV/Range", RangeRequest(b"a", revision=2)).status == errors.COMPACTED
    (kv,) = caller.ask("KV/Range", RangeRequest(b"a", revision=3)).reply.kvs
    assert kv.value == b"2"


def test_a_request_may_be_as_large_as_etcd_allows_and_no_larger(caller: Caller) -> None:
    accepted = caller.begin("KV/Put", PutRequest(b"big", bytes(10)))
    caller.node.turn()
    assert accepted.reply
    for size, status in ((1_572_764 + 12, None), (1_572_844 + 12, errors.REQUEST_TOO_LARGE)):
        asked = caller.begin("KV/Put", PutRequest(b"big"), request_bytes=size)
        caller.node.turn()
        assert asked.status == status or (status is None and asked.reply)


def test_limits_are_those_of_the_settings() -> None:
    caller = Caller(Alone(Settings(etcd_max_request_bytes=1000, etcd_max_txn_ops=2)))
    for size, status in ((900, None), (1000, errors.REQUEST_TOO_LARGE)):
        asked = caller.begin("KV/Put", PutRequest(b"big"), request_bytes=size)
        caller.node.turn()
        assert asked.status == status or (status is None and asked.reply)
    three = tuple(put(b"%d" % number) for number in range(3))
    assert caller.ask("KV/Txn", TxnRequest((), three[:2])).reply.succeeded
    assert caller.ask("KV/Txn", TxnRequest((), three)).status == errors.TOO_MANY_OPS


def test_a_transaction_is_one_revision_and_sees_what_it_did_before(caller: Caller) -> None:
    reply = txn(caller, get(b"a"), put(b"a", b"1"), get(b"a"), delete(b"none"))
    before, written, seen, deleted = reply.responses
    assert reply.header.revision == 2
    assert before.response_range.header.revision == 1
    assert written.response_put.header.revision == 2
    assert [kv.value for kv in seen.response_range.kvs] == [b"1"]
    assert (deleted.response_delete_range.deleted, deleted.response_delete_range.header.revision) == (0, 2)


def test_a_deletion_of_nothing_is_no_write_and_a_negative_revision_is_compacted(caller: Caller) -> None:
    """In a transaction, as recorded; alone, a read at a negative revision is one of now."""
    before = caller.ask("KV/Put", PutRequest(b"a", b"1")).reply.header.revision
    nothing = RequestOp(request_delete_range=DeleteRangeRequest(b"none"))
    put = RequestOp(request_put=PutRequest(b"b"))
    reply = caller.ask("KV/Txn", TxnRequest(success=(nothing, put))).reply
    told = [reply.responses[0].response_delete_range, reply.responses[1].response_put]
    assert [each.header.revision for each in told] == [before, before + 1]
    negative = RangeRequest(b"a", revision=-5)
    assert caller.ask("KV/Range", negative).reply.count == 1
    refused = caller.ask("KV/Txn", TxnRequest(success=(RequestOp(request_range=negative),)))
    assert refused.status == errors.COMPACTED


def test_a_transaction_within_a_transaction_has_an_empty_header(caller: Caller) -> None:
    nested = RequestOp(request_txn=TxnRequest((), (put(b"a"),), ()))
    (response,) = txn(caller, nested).responses
    assert response.response_txn.succeeded
    assert response.response_txn.header.revision == 0
    assert response.response_txn.responses[0].response_put.header.revision == 2


def test_a_transaction_that_only_reads_needs_no_place_in_the_log(filled: Caller) -> None:
    filled.node.saving = False
    reply = txn(filled, get(b"k0"), get(b"k1", keys_only=True))
    assert [len(each.response_range.kvs) for each in reply.responses] == [1, 1]
    assert reply.header.revision == 6
    compared = txn(filled, compare=(Compare(key=b"k0", target=CompareTarget.MOD, mod_revision=2),))
    assert compared.succeeded


def test_the_largest_limit_in_a_transaction_ends_no_node(filled: Caller) -> None:
    """It stood in the log, where one more was asked for: every node ended of it, at every start."""
    most = get(b"k", range_end=b"l", limit=(1 << 63) - 1, sort_target=SortTarget.VERSION)
    reply = txn(filled, most, put(b"x"))
    assert len(reply.responses[0].response_range.kvs) == 5


def test_guards_decide_which_branch_is_done(filled: Caller) -> None:
    guard = Compare(CompareResult.LESS, CompareTarget.VALUE, b"k0", value=b"v")
    reply = filled.ask("KV/Txn", TxnRequest((guard,), (put(b"a"),), (put(b"b"),))).reply
    assert not reply.succeeded
    assert keys(filled)[0][0] == b"b"


def test_reads_of_a_turn_stand_behind_one_barrier_and_see_the_write_before_them(caller: Caller) -> None:
    written = caller.begin("KV/Put", PutRequest(b"a", b"1"))
    caller.node.turn()
    first, second = (caller.begin("KV/Range", RangeRequest(b"a")) for _ in range(2))
    caller.node.turn()
    assert written.reply.header.revision == 2
    assert [asked.reply.count for asked in (first, second)] == [1, 1]


def test_znodes_are_read_as_keys_and_never_written_where_they_are_shown() -> None:
    node = Alone(Settings(znode_view=True))
    node.client().ask(CreateRequest(b"/app", b"1", OPEN_ACL, CreateMode.PERSISTENT))
    caller = Caller(node)
    (kv,) = caller.ask("KV/Range", RangeRequest(b"/.znodes/app")).reply.kvs
    assert (kv.value, kv.version) == (b"1", 1)
    assert caller.ask("KV/Range", RangeRequest(*ALL)).reply.count == 0
    refused = (
        ("KV/Put", PutRequest(b"/.znodes/app")),
        ("KV/DeleteRange", DeleteRangeRequest(b"/.znodes/app")),
        ("KV/Txn", TxnRequest((), (put(b"/.znodes/app"),))),
        ("KV/Txn", TxnRequest((), (get(b"/.znodes/app"),))),
    )
    for method, request_ in refused:
        assert caller.ask(method, request_).status == errors.PERMISSION_DENIED


def test_without_the_view_a_znode_is_no_key(caller: Caller) -> None:
    caller.node.client().ask(CreateRequest(b"/app", b"1", OPEN_ACL, CreateMode.PERSISTENT))
    assert caller.ask("KV/Range", RangeRequest(b"/.znodes/app")).reply.count == 0
    assert caller.ask("KV/Put", PutRequest(b"/.znodes/app")).reply


def test_a_corrupt_cluster_still_answers_what_only_reads(caller: Caller) -> None:
    """As etcd does: where copies differ, looking at them is all that is left to do."""
    caller.ask("KV/Put", PutRequest(b"a", b"1"))
    caller.node.replica.store.execute(SetAlarm(1, AlarmKind.CORRUPT, True))
    found = RequestOp(request_range=RangeRequest(b"a"))
    assert caller.ask("KV/Range", RangeRequest(b"a")).reply.count == 1
    (answer,) = caller.ask("KV/Txn", TxnRequest(success=(found,))).reply.responses
    assert answer.response_range.count == 1
    nested = TxnRequest(success=(RequestOp(request_txn=TxnRequest(success=(found,))),))
    for refused in (TxnRequest(success=(RequestOp(request_put=PutRequest(b"a")),)), nested):
        assert caller.ask("KV/Txn", refused).status == errors.CORRUPT


def test_a_transaction_that_looks_at_too_many_keys_for_one_turn_is_refused(
    filled: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every node would be busy with it for seconds, followers would take the leader for dead, and the next
    one would begin with it again.  It is refused before anybody has to do it, also where it only reads."""
    monkeypatch.setattr(kv, "KEYS_MOST", 3 * (PART_KEYS + 5))
    compare = Compare(CompareResult.GREATER, CompareTarget.MOD, b"k", mod_revision=0, range_end=b"l")
    for success in ((), (put(b"z"),)):
        few, many = TxnRequest((compare,) * 2, success), TxnRequest((compare,) * 4, success)
        assert filled.ask("KV/Txn", few).reply.succeeded
        assert filled.ask("KV/Txn", many).status == errors.TOO_MANY_OPS
    assert filled.ask("KV/DeleteRange", DeleteRangeRequest(b"k", b"l")).reply.deleted == 5
