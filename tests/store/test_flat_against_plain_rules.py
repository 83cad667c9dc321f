"""The flat space against a second, naive one, through compactions that take their time, and a
restoration; and with a store that was not restored."""

from __future__ import annotations

from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agreed.store import flat_commands, machine, mvcc
from agreed.store.commands import Command, Compact, ExpireLease, GrantLease, Put, Range, RevokeLease, Sweep
from agreed.store.invariants import check
from agreed.store.machine import Restorer, Store
from agreed.store.mvcc import is_tombstone
from agreed.store.records import Record
from agreed.store.results import (
    DeleteRangeResult,
    LeaseResult,
    PutResult,
    RangeResult,
    Refusal,
    TransactionResult,
)
from tests.store import drawn
from tests.store.naive import Refused
from tests.store.naive_etcd import NaiveEtcd, Pair

leases = st.sampled_from((1, 2))
puts = st.builds(Put, drawn.keys, drawn.data, st.sampled_from((0, 0, 1, 2, None)))
operations = st.one_of(puts, puts, drawn.delete_ranges, st.builds(
    Range, drawn.keys, drawn.range_ends, st.integers(0, 12), st.integers(0, 2)))  # fmt: skip
nested = drawn.transactions(operations)
commands: st.SearchStrategy[Command] = st.one_of(
    *(puts, puts, drawn.delete_ranges, drawn.delete_ranges),
    drawn.transactions(operations),
    drawn.transactions(st.one_of(operations, nested)),
    drawn.transactions(st.one_of(operations, drawn.transactions(st.one_of(operations, nested)))),
    *(st.builds(Compact, st.integers(-4, 1)), st.builds(Compact, st.integers(-1, 0))),
    st.just(Sweep()),
    st.builds(GrantLease, leases, st.just(60_000), st.just(b""), st.none()),
    st.builds(RevokeLease, leases, st.just(True)),
    st.builds(ExpireLease, leases, st.integers(0, 3), st.just(0), st.just(True)),
)
"""A compaction is drawn as that many revisions from now, and so are reads."""
reads = st.builds(Range, drawn.keys, drawn.range_ends, st.integers(-6, 1), st.integers(0, 2))


def pair(record: Record) -> tuple[bytes, Pair]:
    return record.key, Pair(
        record.value, record.create_revision, record.modify_revision, record.version, record.lease
    )


def told(result: object) -> tuple[object, ...]:
    """A result in the words of the naive model."""
    if isinstance(result, Refusal):
        return (result.name,)
    if isinstance(result, PutResult):
        return ("put", None if result.previous is None else pair(result.previous)[1])
    if isinstance(result, DeleteRangeResult):
        return ("deleted", [pair(record) for record in result.deleted])
    if isinstance(result, RangeResult):
        return ("range", [pair(record) for record in result.records], result.count, result.more)
    if isinstance(result, TransactionResult):
        return ("txn", result.succeeded, [told(one) for one in result.results])
    return ("granted",) if isinstance(result, LeaseResult) else ("done",)


def compare(store: Store, naive: NaiveEtcd, asked: Range) -> None:
    try:
        expected = naive.read(asked)
        count: object = expected[2]
    except Refused as refusal:
        expected, count = (str(refusal),), Refusal[str(refusal)]
    assert told(store.flat.range(asked, store.revision)) == expected
    assert store.flat.count(asked, store.revision) == count


def compare_changes(store: Store, naive: NaiveEtcd) -> None:
    """What a watch is told from any revision on at which it may begin."""
    history = store.flat.history
    for revision in range(max(naive.compacted - 1, 0), naive.revision + 1):
        records = list(history.since(revision))
        found = [(r.modify_revision, r.key, None if is_tombstone(r) else r.value) for r in records]
        expected = [event for event in naive.events if event[0] > revision]
        # Of several changes of a key at the compacted revision only the last is kept, as in etcd.
        forgotten = [event for event in expected if event not in found]
        assert [event for event in expected if event not in forgotten] == found
        for event in forgotten:
            assert event[0] == naive.compacted
            assert [e[1] for e in expected if e[0] == event[0]].count(event[1]) > 1
        for record in records:
            before = history.before(record)
            then = record.modify_revision - 1
            known = naive.past[then].get(record.key) if then >= naive.compacted else None
            assert (None if before is None else pair(before)[1]) == known


DRAWN = (
    st.lists(commands, min_size=4, max_size=20),
    st.lists(reads, max_size=6),
    st.integers(1, 3),
    st.integers(0, 16),
)


@settings(max_examples=150)
@given(*DRAWN)
def test_the_flat_space_does_what_the_plain_rules_say(
    steps: list[Command], asked: list[Range], swept: int, restored_at: int
) -> None:
    play(steps, asked, swept, restored_at)


def play(steps: list[Command], asked: list[Range], swept: int, restored_at: int) -> None:
    """`swept`: so many versions are looked at in one go; the store is restored after step `restored_at`."""
    store, steady, naive = Store(), Store(), NaiveEtcd()
    with (
        mock.patch.object(mvcc, "SWEPT_BY_COMPACTION", swept),
        mock.patch.object(flat_commands, "SWEPT_BY_COMPACTION", swept),
        mock.patch.object(machine, "SWEPT_PER_PAYLOAD", swept),
    ):
        for number, command in enumerate(steps):
            store.begin(0)
            if isinstance(command, Compact):
                command = Compact(naive.revision + command.revision)
            steady.begin(0)
            steady.execute(command)
            assert told(store.execute(command)) == naive.execute(command), command
            assert store.revision == naive.revision
            check(store)
            if number == restored_at:
                restorer = Restorer()
                for piece in store.capture().pieces(2):
                    restorer.feed(piece)
                store = restorer.finish()
    for one in (Range(b"k", b"\0"), *asked):
        compare(store, naive, replace(one, revision=max(one.revision, 0)))
        compare(store, naive, replace(one, revision=max(naive.revision + one.revision, 0)))
    compare_changes(store, naive)
    assert list(store.capture().pieces()) == list(steady.capture().pieces())
    assert {lease.id: lease.attach_revision for lease in store.leases} == naive.leases
