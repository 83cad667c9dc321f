"""Rules of the flat space, each broken in one place, and the test that notices.

The comparison with plain rules (`test_flat_against_plain_rules.py`) finds most of them as well, but draws its
examples, and may need a thousand."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import pytest

from agreed.store import duplicate_keys, flat_commands, guarded, lease_commands
from agreed.store.commands import DeleteRange, Guard, Transaction
from agreed.store.events import Event
from agreed.store.leases import Lease
from agreed.store.machine import Store
from agreed.store.mvcc import History
from agreed.store.records import Record
from agreed.store.results import Done, Refusal
from agreed.store.snapshot import Reader
from agreed.store.state import State
from tests.store import (
    test_duplicate_keys,
    test_flat,
    test_flat_commands,
    test_guarded,
    test_lease_commands,
    test_mvcc,
    test_snapshot,
)


def users_of_the_table() -> None:
    for command, refusal in test_guarded.FOR_U:
        test_guarded.test_what_a_user_may(test_guarded.with_users(), command, refusal)


def impossible_transactions() -> None:
    for operations, refusal in test_flat_commands.IMPOSSIBLE:
        test_flat_commands.test_what_cannot_be_done_refuses_all_of_it(
            test_flat_commands.begun(), operations, refusal
        )


def what_a_compaction_keeps() -> None:
    for compacted, kept in test_mvcc.KEPT:
        test_mvcc.test_a_compaction_forgets_all_that_cannot_be_read_any_more(
            test_mvcc.begun(), compacted, kept
        )


def ranges_of_the_table() -> None:
    for asked, expected in test_flat.TABLE:
        test_flat.test_a_range(test_flat.begun(), asked, expected)


def guards_of_the_table() -> None:
    for guard, holds in test_flat_commands.GUARDS:
        test_flat_commands.test_a_guard(test_flat_commands.begun(), guard, holds)


def duplicates_of_the_table() -> None:
    for row in test_duplicate_keys.TABLE:
        test_duplicate_keys.test_in_either_branch(*row)


def two_versions_at_one_revision() -> None:
    test_flat_commands.test_of_two_versions_at_one_revision_the_later_counts(test_flat_commands.begun())


def plain_leases() -> None:
    test_lease_commands.test_a_plain_lease_consumes_a_revision_only_when_keys_go_with_it(Store())


def events_of_a_transaction() -> None:
    test_flat_commands.test_operations_see_what_came_before_them_at_one_revision(test_flat_commands.begun())


def forgets_a_deletion_where_a_watch_may_begin(history: History, record: Record) -> bool:
    if record.version == 0 and record.modify_revision == history.compacted:
        return False
    return SURVIVES(history, record)


def shows_what_was_there_a_moment_before(history: History, record: Record) -> Record | None:
    return history.at(record.key, record.modify_revision)


def counts_what_there_is_now(history: History, key: bytes, end: bytes | None, at: int | None = None) -> int:
    return COUNT(history, key, end)


def finds_nothing_twice(command: Transaction) -> bool:
    return False


def compares_all_deletions(operations: Sequence[Any]) -> tuple[set[bytes], Any]:
    put, deleted = WRITTEN(operations)
    deletions = [each for each in operations if isinstance(each, DeleteRange) and each.range_end == b"\0"]
    if any(key >= each.key for key in put for each in deletions):
        raise duplicate_keys._Twice
    return put, deleted


def says_something_of_an_absent_value(state: State, guard: Guard) -> bool | Refusal:
    if guard.target == "value" and guard.range_end is None and state.flat.get(guard.key) is None:
        return guard.relation == "!="
    return HOLDS(state, guard)


def leaves_deleted_keys_on_their_lease(state: State, records: Sequence[Record], revision: int) -> None:
    kept = [(record.lease, record.key) for record in records if record.lease]
    DELETE_KEYS(state, records, revision)
    for lease, key in kept:
        state.leases.table[lease].flat_keys[key] = None


def ends_a_lease_at_a_revision_of_its_own(state: State, lease: Lease) -> Done:
    state.revision += not lease.flat_keys and lease.owner is None
    return END(state, lease)


def tells_of_a_put_without_a_revision(state: State, command: Any, revision: int) -> Any:
    result = PUT(state, command, revision)
    event = state.feed.events[-1]
    state.feed.events[-1] = Event(event.revision - 1, event.kind, event.space, event.record, event.previous)
    return result


def forgets_how_far_it_has_swept(reader: Reader) -> None:
    FINISH(reader)
    reader._state.flat.history.swept = 0


def forgets_how_many_leases_there_were(reader: Reader) -> None:
    FINISH(reader)
    reader._state.leases.granted = 0


def looks_not_into_nested_transactions(state: State, asked: object) -> Any:
    """CVE-2026-33343 of etcd."""
    if isinstance(asked, Transaction):
        flat = [one for one in (*asked.then, *asked.otherwise) if not isinstance(one, Transaction)]
        asked = Transaction(asked.guards, tuple(flat), ())
    return NEEDS(state, asked)


def looks_at_the_branch_that_is_likely(state: State, asked: object) -> Any:
    if isinstance(asked, Transaction):
        asked = Transaction(asked.guards, asked.then, ())
    return NEEDS(state, asked)


SURVIVES, COUNT, FINISH = History.survives, History.count, Reader.finish
WRITTEN = duplicate_keys._written
HOLDS, DELETE_KEYS, PUT = flat_commands._holds, flat_commands.delete_keys, flat_commands._put
END, NEEDS = lease_commands._end, guarded._needs

sweeping = test_snapshot.test_a_node_goes_on_sweeping_where_the_snapshot_was_taken
counting = test_snapshot.test_leases_are_counted_on_by_a_node_that_was_restored

MUTANTS: list[tuple[object, str, Callable[..., Any], Callable[[], None]]] = [
    (History, "survives", forgets_a_deletion_where_a_watch_may_begin, what_a_compaction_keeps),
    (History, "before", shows_what_was_there_a_moment_before, two_versions_at_one_revision),
    (History, "count", counts_what_there_is_now, ranges_of_the_table),
    (flat_commands, "has_duplicate_keys", finds_nothing_twice, impossible_transactions),
    (duplicate_keys, "_written", compares_all_deletions, duplicates_of_the_table),
    (flat_commands, "_holds", says_something_of_an_absent_value, guards_of_the_table),
    (flat_commands, "delete_keys", leaves_deleted_keys_on_their_lease, two_versions_at_one_revision),
    (lease_commands, "_end", ends_a_lease_at_a_revision_of_its_own, plain_leases),
    (flat_commands, "_put", tells_of_a_put_without_a_revision, events_of_a_transaction),
    (Reader, "finish", forgets_how_far_it_has_swept, sweeping),
    (Reader, "finish", forgets_how_many_leases_there_were, counting),
    (guarded, "_needs", looks_not_into_nested_transactions, users_of_the_table),
    (guarded, "_needs", looks_at_the_branch_that_is_likely, users_of_the_table),
]


IDS = [wrong.__name__ for _, _, wrong, _ in MUTANTS]


@pytest.mark.parametrize(("place", "name", "wrong", "hunt"), MUTANTS, ids=IDS)
def test_a_broken_rule_is_noticed(
    place: object, name: str, wrong: Callable[..., Any], hunt: Callable[[], None]
) -> None:
    with mock.patch.object(place, name, wrong), pytest.raises((AssertionError, KeyError)):
        hunt()
