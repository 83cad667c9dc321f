"""What must hold of a store after every command, whatever the commands were.

Each invariant is a function that tells what is wrong, and `check` asks them all.  They look at everything, so
they are for tests and simulations, where they run after every step, and for a store that was just restored.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from agreed.store.mvcc import is_tombstone
from agreed.store.paths import ROOT, name_of, parent_of, valid_path
from agreed.store.quota import Quota, limits_bound, read_limits
from agreed.store.records import CONTAINER, OPEN_ACL, Record
from agreed.store.state import State
from agreed.store.tree import CONFIGURATION, UNDELETABLE
from agreed.types import Revision, Stamp


class Progress(NamedTuple):
    """What may only grow."""

    revision: Revision
    stamp_ms: Stamp


class InvariantBroken(AssertionError):
    """The name of the invariant, and where it does not hold."""


def check(state: State, before: Progress | None = None) -> Progress:
    """Raises `InvariantBroken`; returns what to pass as `before` after the next command."""
    for invariant in INVARIANTS:
        for complaint in invariant(state):
            raise InvariantBroken(f"{invariant.__name__}: {complaint}")
    if before is not None and (state.revision < before.revision or state.stamp_ms < before.stamp_ms):
        raise InvariantBroken(f"time_goes_forward: {before} came before {state.revision}, {state.stamp_ms}")
    return Progress(state.revision, state.stamp_ms)


# --- the tree -------------------------------------------------------------------------------------


def every_key_has_its_place(state: State) -> Iterator[str]:
    """A key is named by its record, its parent stands before it and knows it; there are no other children."""
    records = state.tree.records
    seen: set[bytes] = set()
    for path, record in records.items():
        if record.key != path or not valid_path(path):
            yield f"the record at {path!r} says {record.key!r}"
        if path != ROOT:
            if parent_of(path) not in seen:
                yield f"the parent of {path!r} does not stand before it"
            elif name_of(path) not in (records[parent_of(path)].children or ()):
                yield f"{path!r} is not among its parent's children"
        seen.add(path)
        for name in record.children or ():
            if path.rstrip(b"/") + b"/" + name not in records:
                yield f"{path!r} has a child {name!r} that is not there"
    for path in UNDELETABLE - seen:
        yield f"{path!r} is gone"
    if state.tree.deferred is not None:
        yield "places of deleted keys are still kept"


def numbers_of_a_key_make_sense(state: State) -> Iterator[str]:
    for path, record in state.tree.records.items():
        if not record.create_revision <= record.modify_revision <= state.revision:
            yield f"{path!r} was modified before it was created, or after now"
        if not record.create_revision <= record.children_revision <= state.revision:
            yield f"the children of {path!r} changed before it was created, or after now"
        if not record.created_ms <= record.modified_ms <= state.stamp_ms:
            yield f"{path!r} was modified at a time before it was created, or after now"
        children = len(record.children) if record.children else 0
        if path not in UNDELETABLE and 0 <= record.children_created < children:
            yield f"{path!r} has more children than were ever created"
        if record.version == -1 and path != CONFIGURATION:
            yield f"{path!r} has the version that means any"


def access_lists_are_interned(state: State) -> Iterator[str]:
    for path, record in state.tree.records.items():
        if not record.acl or (record.acl == OPEN_ACL and record.acl is not OPEN_ACL):
            yield f"{path!r} has an empty list, or an open one that is not OPEN_ACL itself"


def ephemeral_keys_and_sessions_agree(state: State) -> Iterator[str]:
    records = state.tree.records
    for path, record in records.items():
        if record.lease:
            lease = state.leases.get(record.lease)
            if lease is None or path not in lease.tree_keys:
                yield f"{path!r} hangs on lease {record.lease:#x}, which does not know it"
            if record.children:
                yield f"{path!r} is ephemeral and has children"
    for lease in state.leases:
        if (lease.owner is None) != (lease.credentials is None):
            yield f"lease {lease.id:#x} is neither a session nor a plain lease"
        for path in lease.tree_keys:
            found = records.get(path)
            if found is None or found.lease != lease.id:
                yield f"lease {lease.id:#x} claims {path!r}"


def idle_keys_are_known(state: State) -> Iterator[str]:
    tree = state.tree
    expiring = [(r.modified_ms + r.flags, r.key) for r in tree.records.values() if r.flags > 0]
    if sorted(expiring) != list(tree.expiring):
        yield f"{list(tree.expiring)} are thought to have a time to live"
    emptied = {key for key, record in tree.records.items() if _is_emptied(record)}
    if emptied != set(tree.emptied):
        yield f"{set(tree.emptied)} are thought to be emptied containers"


def what_is_used_of_a_quota_is_true(state: State) -> Iterator[str]:
    tree = state.tree
    expected: dict[bytes, Quota] = {}
    for path, record in tree.records.items():
        bound = limits_bound(path)
        if bound is not None:
            limits = read_limits(record.value)
            expected[bound] = Quota(
                *tree.weigh(bound), limits.get(b"countHardLimit", -1), limits.get(b"byteHardLimit", -1)
            )
    if expected != tree.quotas.table:
        yield f"{tree.quotas.table} is kept, {expected} is true"


# --- the flat space -------------------------------------------------------------------------------


def history_agrees_with_its_log(state: State) -> Iterator[str]:
    history = state.flat.history
    versions: dict[bytes, list[Record]] = {}
    newest: Revision = 0
    for record in history.log:
        if record.modify_revision < newest or record.modify_revision > state.revision:
            yield f"the version of {record.key!r} at {record.modify_revision} is not in order"
        newest = record.modify_revision
        versions.setdefault(record.key, []).append(record)
    if versions != history.versions or sorted(versions) != list(history.keys):
        yield "versions and log tell different stories"
    if {key for key, found in versions.items() if len(found) > 1} != set(history.replaced):
        yield "a compaction would miss something"


def versions_follow_each_other(state: State) -> Iterator[str]:
    for key, versions in state.flat.history.versions.items():
        previous = None
        for record in versions:
            if is_tombstone(record):
                if previous is None or is_tombstone(previous):
                    yield f"{key!r} was deleted while it was not there"
            elif previous is None or is_tombstone(previous):
                begun = (record.version, record.create_revision) == (1, record.modify_revision)
                if previous is not None and not begun:
                    yield f"{key!r} does not begin anew at {record.modify_revision}"
            elif (record.version, record.create_revision) != (previous.version + 1, previous.create_revision):
                yield f"{key!r} makes a leap at {record.modify_revision}"
            previous = record


def flat_keys_and_leases_agree(state: State) -> Iterator[str]:
    history = state.flat.history
    for key in history.keys:
        record = history.newest(key)
        if record is not None and record.lease:
            lease = state.leases.get(record.lease)
            if lease is None or key not in lease.flat_keys:
                yield f"{key!r} hangs on lease {record.lease:#x}, which does not know it"
    for lease in state.leases:
        for key in lease.flat_keys:
            record = history.newest(key)
            if record is None or record.lease != lease.id:
                yield f"lease {lease.id:#x} claims {key!r}"


# --- the feed -------------------------------------------------------------------------------------


def feed_is_in_order(state: State) -> Iterator[str]:
    last = state.feed.compacted
    for position, event in enumerate(state.feed.events):
        lowest = last if position else last + 1
        if not lowest <= event.revision <= state.revision:
            yield f"event number {position} of revision {event.revision} is not in order"
        last = event.revision


def _is_emptied(record: Record) -> bool:
    return record.flags == CONTAINER and record.children_created != 0 and not record.children


INVARIANTS: Final[tuple[Callable[[State], Iterator[str]], ...]] = (
    every_key_has_its_place,
    numbers_of_a_key_make_sense,
    access_lists_are_interned,
    ephemeral_keys_and_sessions_agree,
    idle_keys_are_known,
    what_is_used_of_a_quota_is_true,
    history_agrees_with_its_log,
    versions_follow_each_other,
    flat_keys_and_leases_agree,
    feed_is_in_order,
)
