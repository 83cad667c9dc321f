"""Out in pieces while the store goes on, in again, and the same bytes on every node."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.errors import CorruptData
from agreed.store import flat_commands, machine, mvcc
from agreed.store.commands import (
    AddRole,
    AddUser,
    Batch,
    Checkpoint,
    Compact,
    Create,
    EnableAuth,
    GrantLease,
    GrantPermission,
    GrantRole,
    IssueToken,
    Put,
    RevokeLease,
    SetAlarm,
    SetConfiguration,
    SetData,
    Transaction,
)
from agreed.store.etcd_members import PublishMember
from agreed.store.invariants import check
from agreed.store.machine import Restorer, Store
from agreed.store.records import READ
from agreed.store.results import Done, LeaseResult, Refusal
from agreed.store.snapshot import PIECE_BYTES_MOST
from tests.store import drawn
from tests.store.talk import Client, only, record


def pieces(store: Store, size: int = 500) -> list[bytes]:
    return list(store.capture().pieces(size))


def restored(some: list[bytes]) -> Store:
    restorer = Restorer()
    for piece in some:
        restorer.feed(piece)
    return restorer.finish()


def told(store: Store, events: int) -> list[tuple[object, ...]]:
    return [(e.revision, e.kind, e.space, e.record.key, e.record.value) for e in store.feed.events[-events:]]


restorations = st.sets(st.integers(0, 33))


@settings(max_examples=150)
@given(drawn.all_steps, restorations, st.integers(1, 4))
def test_a_node_that_was_restored_on_the_way_says_and_holds_the_same(
    steps: list[drawn.Step], restorations: set[int], size: int
) -> None:
    same_after_restorations(drawn.GREETING + steps, restorations, size)


OF_ETCD = (drawn.etcd_steps, restorations, st.integers(1, 4), st.integers(1, 3))


@settings(max_examples=150)
@given(*OF_ETCD)
def test_and_with_clients_of_etcd_and_compactions_that_take_their_time(
    steps: list[drawn.Step], restorations: set[int], size: int, swept: int
) -> None:
    same_though_swept_slowly(steps, restorations, size, swept)


def same_though_swept_slowly(steps: list[drawn.Step], restorations: set[int], size: int, swept: int) -> None:
    with (
        mock.patch.object(mvcc, "SWEPT_BY_COMPACTION", swept),
        mock.patch.object(flat_commands, "SWEPT_BY_COMPACTION", swept),
        mock.patch.object(machine, "SWEPT_PER_PAYLOAD", swept),
    ):
        same_after_restorations(drawn.GREETING + drawn.ENABLED + steps, restorations, size)


def same_after_restorations(steps: list[drawn.Step], restorations: set[int], size: int) -> None:
    steady, other = Store(), Store()
    for number, step in enumerate(steps):
        events = len(steady.feed.events)
        result, same = drawn.apply(steady, step), drawn.apply(other, step)
        assert repr(result) == repr(same)
        count = len(steady.feed.events) - events
        if count:
            assert told(steady, count) == told(other, count)
        if number in restorations:
            other = restored(pieces(other, size))
            check(other)
        check(steady)
    assert pieces(steady, size) == pieces(other, size)
    assert steady.tree.quotas.table == other.tree.quotas.table
    assert steady.guarded == other.guarded
    assert steady.flat.history.size_bytes == other.flat.history.size_bytes


SCRIPT = """
import hashlib
from agreed.store.commands import *
from agreed.store.machine import Store
from agreed.store.records import Credential, Permission
store = Store()
for node in ("n1", "n2", "n3"):
    store.admit(Batch(node, 7, 1, [Checkpoint()]))
for lease in range(1, 9):
    store.execute(GrantLease(lease, 1, b"s", (Credential("digest", f"u{lease}:h"),)), "n1")
    for name in "qwertzuiop":
        acl = (Permission(31, "auth", ""), Permission(lease, "world", "anyone"))
        store.execute(Create(lease, b"/%s%d" % (name.encode(), lease), b"", acl, lease % 4), "n1")
        store.execute(Transaction((), (Put(b"%s%d" % (name.encode(), lease), b"", lease),), ()), "n1")
for lease in (2, 5):
    store.execute(RevokeLease(lease), "n1")
events = repr([(e.revision, e.record.key) for e in store.feed.events]).encode()
print(hashlib.sha256(b"".join(store.capture().pieces(3)) + events).hexdigest())
"""


def test_nothing_depends_on_hashes() -> None:
    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT]
        return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout

    assert len({run(seed) for seed in ("0", "1", "4711")}) == 1


@pytest.fixture
def store() -> Store:
    """Something of everything."""
    store = Store()
    store.begin(1_000)
    client = Client(store, 1, drawn.ALICE)
    store.execute(GrantLease(5, 60_000, b"", None))
    for path, mode, ttl_ms in (("/a", 0, 0), ("/a/e-", 3, 0), ("/c", 4, 0), ("/c/x", 0, 0), ("/t", 5, 50)):
        client.create(path, b"data", None, mode, ttl_ms)
    client.delete("/c/x")
    client.create("/mine", None, only(READ, "auth", ""))
    client.create("/zookeeper/quota/a")
    client.create("/zookeeper/quota/a/zookeeper_limits", b"countHardLimit=3")
    client.create("/zookeeper/quota/a/zookeeper_stats")
    client.execute(Transaction((), (Put(b"k", b"1", 5), Put(b"l", b"2")), ()))
    client.execute(Transaction((), (Put(b"l", b"3"),), ()))
    store.execute(SetConfiguration(b"server.1=..."))
    store.admit(Batch("n1", 3, 1, [Checkpoint()] * 4))
    return store


def test_everything_comes_back(store: Store) -> None:
    store.execute(Compact(3))
    again = restored(pieces(store, 2))
    check(again)
    assert again.flat.history.compacted == 3
    assert again.execute(Compact(3)) is Refusal.COMPACTED
    assert (again.revision, again.stamp_ms, again.configuration) == (store.revision, 1_000, b"server.1=...")
    assert again.once.last("n1", 3) == 4
    assert again.leases.ephemerals(1) == [b"/a/e-0000000000"]
    lease = again.leases.get(5)
    assert lease is not None
    assert list(lease.flat_keys) == [b"k"]
    assert again.tree.idle(2_000) == store.tree.idle(2_000)
    assert len(again.tree.idle(2_000)) == 2
    assert again.tree.quotas.table == store.tree.quotas.table != {}
    assert record(again, "/mine").acl == record(store, "/mine").acl
    assert record(again, "/mine").value is None
    assert [r.value for r in again.flat.history.range(b"l", None, store.revision - 2)] == [b"2"]
    assert again.feed.since(store.revision - 1) is Refusal.COMPACTED
    assert again.fresh == []


def test_a_capture_is_what_was_true_then_while_the_store_goes_on(store: Store) -> None:
    expected = pieces(store, 2)
    under_way = store.capture().pieces(2)
    written = [next(under_way)]
    client = Client(store, 2)
    for path in ("/a", "/t", "/mine"):
        client.set(path, b"changed meanwhile")
    client.create("/later")
    client.delete("/c")
    client.execute(Transaction((), (Put(b"l", b"later", 2),), ()))
    client.close()
    assert written + list(under_way) == expected


def test_a_piece_ends_with_much_data_though_it_has_few_records() -> None:
    store = Store()
    client = Client(store)
    for number in range(3):
        client.create(f"/{number}", bytes(PIECE_BYTES_MOST // 2))
    sizes = [len(piece) for piece in pieces(store)]
    assert max(sizes) < PIECE_BYTES_MOST + 1_000
    assert len([size for size in sizes if size > PIECE_BYTES_MOST // 2]) == 2


def test_the_bytes_do_not_depend_on_how_equal_lists_came_about(store: Store) -> None:
    again = restored(pieces(store))
    assert record(again, "/a").acl is record(again, "/t").acl


def test_equal_numbers_are_one_object_again(store: Store) -> None:
    """Else a million restored records would take 100 MB more than the same records did before."""
    store.revision = 10**12
    store.execute(Create(1, b"/big", b"", None, 0), "n1")
    big = record(restored(pieces(store)), "/big")
    assert big.create_revision is big.modify_revision
    assert big.create_revision is big.children_revision


def test_a_node_goes_on_sweeping_where_the_snapshot_was_taken() -> None:
    """Its snapshots would differ from those of the others until it is through, else, and it would stop."""
    with (
        mock.patch.object(mvcc, "SWEPT_BY_COMPACTION", 2),
        mock.patch.object(machine, "SWEPT_PER_PAYLOAD", 1),
    ):
        store = Store()
        for key in (b"a", b"b", b"c", b"d", b"a", b"c"):
            store.execute(Put(key, b""))
        store.execute(Compact(6))
        again = restored(pieces(store))
        for _ in range(5):
            assert pieces(again) == pieces(store)
            check(again)
            for each in (store, again):
                each.begin(1)
        assert [record.key for record in store.flat.history.log] == [b"b", b"d", b"a", b"c"]


def test_leases_are_counted_on_by_a_node_that_was_restored() -> None:
    store = Store()
    store.execute(GrantLease(5, 60_000, b"", None))
    store.execute(RevokeLease(5, True))
    again = restored(pieces(store))
    granted = [each.execute(GrantLease(5, 60_000, b"", None)) for each in (store, again)]
    assert granted[0] == granted[1] == LeaseResult(5, 60_000, b"", 2)


def test_what_was_written_before_there_were_users_is_still_read(store: Store) -> None:
    """Format 1 ended with the number of flat records."""
    good = pieces(store, 2)
    header = msgspec.msgpack.decode(good[0])
    again = restored([msgspec.msgpack.encode([header[0], 1, *header[2:10]]), *good[1:]])
    check(again)
    again.leases.granted = store.leases.granted
    assert pieces(again, 2) == good


def test_users_alarms_and_members_come_back(store: Store) -> None:
    for command in (
        *(AddUser("root", b"hash"), AddRole("r"), GrantPermission("r", 2, b"a", b"b")),
        *(GrantRole("root", "root"), EnableAuth(), IssueToken("root", "t", 5), SetAlarm(7, 1, True)),
        PublishMember(7, "n1", ("http://a",), ("http://b", "http://c")),
    ):
        assert store.execute(command) is Done.DONE
    again = restored(pieces(store, 2))
    check(again)
    assert (again.users.enabled, again.users.revision, again.guarded) == (True, 5, True)
    assert again.users.users == store.users.users
    assert again.users.roles == store.users.roles
    assert again.users.tokens == store.users.tokens
    assert again.alarms.table == store.alarms.table
    assert again.etcd_members.table == store.etcd_members.table
    refused([piece for piece in pieces(store) if piece[1] != 6], "announced")


def refused(some: list[bytes], saying: str) -> None:
    with pytest.raises(CorruptData, match=saying):
        restored(some)


def test_what_is_no_snapshot_is_refused(store: Store) -> None:
    good = pieces(store, 2)
    header = msgspec.msgpack.decode(good[0])
    refused([], "no header")
    refused(good[1:], "header")
    refused([good[0], *good], "two headers")
    refused([msgspec.msgpack.encode([*header[:1], 99, *header[2:]])], "format")
    refused(good[:-1], "announced")
    refused([*good, good[-1]], "announced")
    refused([*good, b""], "cannot be read")
    refused([*good, b"\xc1"], "cannot be read")
    refused([*good, msgspec.msgpack.encode([3, [["not", "a", "row"]], []])], "cannot be read")
    refused([good[0], *good[3:]], "hangs on lease|does not stand before")


@given(st.data())
def test_a_damaged_snapshot_is_refused_or_is_a_whole_one(data: st.DataObject) -> None:
    """Checksums find damage; this is only about never failing in any other way."""
    store = Store()
    store.execute(GrantLease(1, 1, b"", ()), "n1")
    store.execute(Create(1, b"/a", b"x", only(READ), 1), "n1")
    store.execute(SetData(1, b"/a", b"y", -1), "n1")
    some = pieces(store, 2)
    number = data.draw(st.integers(0, len(some) - 1))
    piece = bytearray(some[number])
    piece[data.draw(st.integers(0, len(piece) - 1))] = data.draw(st.integers(0, 255))
    some[number] = bytes(piece)
    try:
        restored(some)
    except CorruptData:
        pass
