"""Transactions: guards on what was, operations that see each other, one revision, all or nothing."""
from __future__ import annotations

import pytest

from agreed.store.commands import (
    Compact,
    DeleteRange,
    GrantLease,
    Guard,
    Put,
    Range,
    SetConfiguration,
    Transaction,
)
from agreed.store.duplicate_keys import DEPTH_MOST
from agreed.store.events import EventKind
from agreed.store.invariants import check
from agreed.store.machine import Store
from agreed.store.records import Record
from agreed.store.results import (
    DeleteRangeResult,
    Done,
    PutResult,
    RangeResult,
    Refusal,
    TransactionResult,
)


@pytest.fixture
def store() -> Store:
    return begun()


def begun() -> Store:
    """Revision 1: the members.  Lease 5.  2: k.  3: k again, on the lease.  4: l."""
    store = Store()
    store.execute(SetConfiguration(b"server.1=..."))
    store.execute(GrantLease(5, 60_000, b"", None))
    for put in (Put(b"k", b"one"), Put(b"k", b"two", 5), Put(b"l", b"ell")):
        done(store, put)
    return store


def done(store: Store, *operations: Put | DeleteRange | Range | Transaction) -> TransactionResult:
    result = store.execute(Transaction((), operations, ()))
    assert isinstance(result, TransactionResult), result
    check(store)
    return result


def test_numbers_of_a_key(store: Store) -> None:
    def numbers() -> tuple[int, int, int, int] | None:
        k = store.flat.get(b"k")
        return None if k is None else (k.version, k.create_revision, k.modify_revision, k.lease)

    assert numbers() == (2, 2, 3, 5)
    done(store, Put(b"k", None, None))
    assert numbers() == (3, 2, 5, 5), "value and lease were kept"
    done(store, Put(b"k", b"three"))
    assert numbers() == (4, 2, 6, 0), "a put without a lease detaches"
    done(store, DeleteRange(b"k", None))
    assert numbers() is None
    done(store, Put(b"k", b"anew"))
    assert numbers() == (1, 8, 8, 0)


GUARDS = [
    (Guard(b"k", None, "version", "=", 2), True),
    (Guard(b"k", None, "version", ">", 2), False),
    (Guard(b"k", None, "create_revision", "<", 3), True),
    (Guard(b"k", None, "modify_revision", "=", 3), True),
    (Guard(b"k", None, "lease", "=", 5), True),
    (Guard(b"k", None, "value", "=", b"two"), True),
    (Guard(b"k", None, "value", "<", b"two"), False),
    (Guard(b"k", None, "value", ">", b"one"), True),
    (Guard(b"x", None, "version", "=", 0), True),
    (Guard(b"x", None, "create_revision", "<", 1), True),
    (Guard(b"x", None, "lease", "!=", 0), False),
    (Guard(b"x", None, "value", "=", b""), False),
    (Guard(b"x", None, "value", "!=", b"two"), False),
    (Guard(b"k", b"m", "version", ">", 0), True),
    (Guard(b"k", b"m", "version", ">", 1), False),
    (Guard(b"x", b"z", "version", "=", 0), True),
    (Guard(b"x", b"z", "value", "!=", b"two"), False),
]


@pytest.mark.parametrize(("guard", "holds"), GUARDS)
def test_a_guard(store: Store, guard: Guard, holds: bool) -> None:
    result = store.execute(Transaction((guard,), (), ()))
    assert result == TransactionResult(holds, None if holds else 0, ())


BAD_GUARDS = [
    Guard(b"k", None, "weight", "=", 2),
    Guard(b"k", None, "version", "<=", 2),
    Guard(b"k", None, "version", "=", b"2"),
    Guard(b"k", None, "value", "=", 2),
]


@pytest.mark.parametrize("guard", BAD_GUARDS)
def test_a_guard_that_makes_no_sense(store: Store, guard: Guard) -> None:
    assert store.execute(Transaction((guard,), (), ())) is Refusal.BAD_ARGUMENTS


def test_a_guard_names_a_key(store: Store) -> None:
    guard = Guard(b"", None, "version", "=", 0)
    assert store.execute(Transaction((guard,), (), ())) is Refusal.EMPTY_KEY


def test_the_first_guard_that_fails_is_numbered_and_the_other_branch_is_taken(store: Store) -> None:
    holds, fails = Guard(b"k", None, "version", "=", 2), Guard(b"k", None, "version", "=", 7)
    result = store.execute(Transaction((holds, fails, fails), (Put(b"yes", b""),), (Put(b"no", b""),)))
    assert result == TransactionResult(False, 1, (PutResult(None),))
    assert store.flat.get(b"yes") is None
    assert store.flat.get(b"no") is not None


def test_operations_see_what_came_before_them_at_one_revision(store: Store) -> None:
    result = done(store, Put(b"m", b"new"), Range(b"m", None), DeleteRange(b"k", b"m"), Range(b"a", b"\0"))
    put, first, deleted, second = result.results
    assert put == PutResult(None)
    assert isinstance(first, RangeResult)
    assert [record.value for record in first.records] == [b"new"]
    assert isinstance(deleted, DeleteRangeResult)
    assert [record.key for record in deleted.deleted] == [b"k", b"l"]
    assert isinstance(second, RangeResult)
    assert [record.key for record in second.records] == [b"m"]
    assert store.revision == 5
    told = [(event.kind, event.record.key) for event in store.feed.since(4)]  # type: ignore[union-attr]
    assert told == [(EventKind.CREATED, b"m"), (EventKind.DELETED, b"k"), (EventKind.DELETED, b"l")]


def test_a_revision_is_consumed_by_what_writes(store: Store) -> None:
    done(store, Range(b"k", None), DeleteRange(b"absent", None))
    assert store.revision == 4


def test_nested_guards_are_judged_on_what_was_true_before(store: Store) -> None:
    """As in etcd: which branches are taken is known before anything is done."""
    absent = Guard(b"new", None, "version", "=", 0)
    nested = Transaction((absent,), (Put(b"taken", b"then"),), (Put(b"taken", b"otherwise"),))
    result = done(store, Put(b"new", b""), nested)
    assert result.results[1] == TransactionResult(True, None, (PutResult(None),))
    taken = store.flat.get(b"taken")
    assert taken is not None
    assert (taken.value, taken.modify_revision) == (b"then", 5)


IMPOSSIBLE: list[tuple[tuple[Put | DeleteRange | Range | Transaction, ...], Refusal]] = [
    ((Put(b"x", b"", 99),), Refusal.NO_LEASE),
    ((Put(b"x", None),), Refusal.NO_KEY),
    ((Put(b"x", b"", None),), Refusal.NO_KEY),
    ((Put(b"x", None, 99),), Refusal.NO_KEY),
    ((Put(b"", b""),), Refusal.EMPTY_KEY),
    ((DeleteRange(b"", None),), Refusal.EMPTY_KEY),
    ((Range(b"", b"\0"),), Refusal.EMPTY_KEY),
    ((Put(b"x", b"1"), Put(b"x", b"2")), Refusal.DUPLICATE_KEY),
    ((Put(b"x", b"1"), Transaction((), (Put(b"x", b"2"),), ())), Refusal.DUPLICATE_KEY),
    ((Put(b"x", b"1"), DeleteRange(b"a", b"z")), Refusal.DUPLICATE_KEY),
    ((DeleteRange(b"a", b"z"), Put(b"x", b"1")), Refusal.DUPLICATE_KEY),
    ((Range(b"k", None, 5),), Refusal.FUTURE_REVISION),
    ((Range(b"k", None, 1),), Refusal.COMPACTED),
    ((DeleteRange(b"a", b"\0"), Put(b"k", b"", None)), Refusal.NO_KEY),
    ((Transaction((), (DeleteRange(b"a", b"\0"),), ()), Put(b"k", None)), Refusal.NO_KEY),
    ((Range(b"k", None, 5), Put(b"x", b"", 99)), Refusal.NO_LEASE),
    ((Put(b"y", b"", 99), Put(b"x", None)), Refusal.NO_LEASE),
]


@pytest.mark.parametrize(("operations", "refusal"), IMPOSSIBLE)
def test_what_cannot_be_done_refuses_all_of_it(
    store: Store, operations: tuple[Put | DeleteRange | Range | Transaction, ...], refusal: Refusal
) -> None:
    store.execute(Compact(2))
    before = list(store.capture().pieces())
    assert store.execute(Transaction((), (Put(b"first", b""), *operations), ())) is refusal
    assert list(store.capture().pieces()) == before


def test_what_is_not_done_may_be_impossible(store: Store) -> None:
    result = store.execute(Transaction((), (), (Put(b"x", b"", 99),)))
    assert isinstance(result, TransactionResult)


def test_transactions_are_nested_only_so_deep(store: Store) -> None:
    def nested(depth: int) -> Transaction:
        return Transaction((), (nested(depth - 1),) if depth else (Put(b"deep", b""),), ())

    assert isinstance(store.execute(nested(DEPTH_MOST)), TransactionResult)
    assert store.execute(nested(DEPTH_MOST + 1)) is Refusal.BAD_ARGUMENTS


def test_compactions_go_forward_and_not_into_the_future(store: Store) -> None:
    assert store.execute(Compact(5)) is Refusal.FUTURE_REVISION
    assert store.execute(Compact(3)) is Done.DONE
    assert store.execute(Compact(3)) is Refusal.COMPACTED
    assert store.execute(Compact(4)) is Done.DONE
    assert store.flat.history.compacted == 4
    check(store)


def test_a_key_moves_from_lease_to_lease(store: Store) -> None:
    store.execute(GrantLease(6, 60_000, b"", None))
    done(store, Put(b"k", b"", 6))
    five, six = store.leases.get(5), store.leases.get(6)
    assert five is not None
    assert six is not None
    assert (list(five.flat_keys), list(six.flat_keys)) == ([], [b"k"])


def test_put_and_delete_range_alone_are_what_they_are_in_a_transaction(store: Store) -> None:
    before = store.flat.get(b"k")
    assert store.execute(Put(b"k", b"3", None)) == PutResult(before)
    k = store.flat.get(b"k")
    assert k is not None
    assert (k.value, k.version, k.lease, k.modify_revision, store.revision) == (b"3", 3, 5, 5, 5)
    assert store.execute(DeleteRange(b"k", b"z")) == DeleteRangeResult((k, record(store, b"l")))
    assert store.revision == 6
    assert store.execute(DeleteRange(b"k", None)) == DeleteRangeResult(())
    assert store.execute(DeleteRange(b"k", b"z")) == DeleteRangeResult(())
    assert store.revision == 6
    check(store)


def record(store: Store, key: bytes) -> Record:
    versions = store.flat.history.older.get(key) or [store.flat.history.current[key]]
    return versions[-1]


ALONE: list[tuple[Put | DeleteRange, Refusal]] = [
    (Put(b"", b""), Refusal.EMPTY_KEY),
    (Put(b"x", b"", 99), Refusal.NO_LEASE),
    (Put(b"x", None, 99), Refusal.NO_LEASE),
    (Put(b"x", None), Refusal.NO_KEY),
    (Put(b"x", b"", None), Refusal.NO_KEY),
    (DeleteRange(b"", b"\0"), Refusal.EMPTY_KEY),
]


@pytest.mark.parametrize(("command", "refusal"), ALONE)
def test_what_cannot_be_done_alone(store: Store, command: Put | DeleteRange, refusal: Refusal) -> None:
    before = list(store.capture().pieces())
    assert store.execute(command) is refusal
    assert list(store.capture().pieces()) == before


def test_of_two_versions_at_one_revision_the_later_counts(store: Store) -> None:
    """etcd takes such transactions, so they are taken here."""
    put = Transaction((), (Put(b"k", b"new", 5),), ())
    delete = Transaction((), (DeleteRange(b"k", None),), ())
    done(store, put, delete)
    assert store.flat.get(b"k") is None
    five = store.leases.get(5)
    assert five is not None
    assert list(five.flat_keys) == []
    done(store, DeleteRange(b"l", b"\0"), Put(b"l", b"anew"))
    ell = store.flat.get(b"l")
    assert ell is not None
    assert (ell.version, ell.create_revision, ell.modify_revision) == (1, 6, 6)
    history = store.flat.history
    told = [(r.key, r.modify_revision, r.version) for r in history.since(4)]
    assert told == [(b"k", 5, 3), (b"k", 5, 0), (b"l", 6, 0), (b"l", 6, 1)]
    before = [history.before(r) for r in history.since(4)]
    assert [None if r is None else r.value for r in before] == [b"two", b"two", b"ell", b"ell"]
    store.execute(Compact(5))
    check(store)
    assert [r.version for r in history.since(4)] == [0, 0, 1]


def test_the_first_put_of_a_cluster_is_revision_2() -> None:
    """What leaders say while the cluster is being founded moves it no further, nor do leases without keys."""
    store = Store()
    store.begin(1_000, 2)
    assert store.execute(SetConfiguration(b"server.1=...", 1)) is Refusal.STALE
    assert store.execute(SetConfiguration(b"server.1=...", 2)) is Done.DONE
    assert store.execute(SetConfiguration(b"server.1=...", 2)) is Done.DONE
    assert store.revision == 1
    store.execute(GrantLease(5, 60_000, b"", None))
    store.execute(Put(b"k", b""))
    k = store.flat.get(b"k")
    assert k is not None
    assert (k.create_revision, k.modify_revision, store.revision) == (2, 2, 2)
