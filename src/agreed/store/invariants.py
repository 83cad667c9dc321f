"""What must hold of a store after every command, whatever the commands were.

Each invariant is a function that tells what is wrong, and `check` asks them all.  They look at everything, so
they are for tests and simulations, where they run after every step, and for a store that was just restored.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from agreed.store.mvcc import VERSION_BYTES, is_tombstone
from agreed.store.paths import ROOT, name_of, parent_of, valid_path
from agreed.store.quota import Quota, limits_bound, read_limits
from agreed.store.records import CONTAINER, OPEN_ACL, Record
from agreed.store.state import State
from agreed.store.tree import CONFIGURATION, UNDELETABLE
from agreed.store.users import ROOT as USER_ROOT
from agreed.store.users import Access, merged
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
    newest: Revision = 0
    logged: dict[bytes, list[Record]] = {}
    for record in history.log:
        if record.modify_revision < newest or record.modify_revision > state.revision:
            yield f"the version of {record.key!r} at {record.modify_revision} is not in order"
        newest = record.modify_revision
        logged.setdefault(record.key, []).append(record)
    if sorted(history.current) != list(history.keys):
        yield "the sorted keys are not those that have a version"
    if history.older.keys() - history.current.keys() or not all(history.older.values()):
        yield "there are older versions of a key without a newest, or none where some are said to be"
    if [key for key in history.keys if is_tombstone(history.current[key])] != list(history.dead):
        yield "the dead keys are not those whose newest version is a tombstone"
    for key, versions in logged.items():
        held = [*history.older.get(key, ()), *([history.current[key]] if key in history.current else ())]
        gone = len(versions) - len(held)
        # What is gone but still in the log was replaced at or before the compaction, and waits to be swept.
        after = [*versions[1:], None][:gone]
        if gone < 0 or held != versions[gone:] or not all(
            is_tombstone(dead) if later is None else later.modify_revision <= history.compacted
            for dead, later in zip(versions, after, strict=False)
        ):
            yield f"versions and log tell different stories of {key!r}"
    if history.current.keys() - logged.keys():
        yield "versions and log tell different stories"
    for record in history.log[: history.swept]:
        if record.modify_revision <= history.compacted and history.at(record.key, history.compacted) is not (
            None if is_tombstone(record) else record
        ):
            yield f"the version of {record.key!r} at {record.modify_revision} was missed by a sweep"
    size = sum(len(r.key) + len(r.value or b"") + VERSION_BYTES for r in history.log)
    if size != history.size_bytes:
        yield f"{history.size_bytes} bytes are said to be held, {size} are"


def versions_follow_each_other(state: State) -> Iterator[str]:
    history = state.flat.history
    for key in history.keys:
        previous = None
        for record in (*history.older.get(key, ()), history.current[key]):
            if is_tombstone(record):
                unborn = previous is None and record.modify_revision > history.compacted
                if unborn or (previous is not None and is_tombstone(previous)):
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


# --- users, alarms, members -----------------------------------------------------------------------


def users_and_roles_agree(state: State) -> Iterator[str]:
    users = state.users
    for name, user in users.users.items():
        if user.name != name or list(user.roles) != sorted(set(user.roles)):
            yield f"user {name!r} is said to be {user}"
        if any(role != USER_ROOT and role not in users.roles for role in user.roles):
            yield f"user {name!r} has a role that is not there"
    for role, permissions in users.roles.items():
        if len({(each.key, each.range_end) for each in permissions}) < len(permissions):
            yield f"role {role!r} speaks of a range twice"
    if users.enabled and not users.is_root(USER_ROOT):
        yield "nobody could switch authentication off"
    if not users.enabled and users.tokens:
        yield "there are tokens, and nobody has to say who he is"
    if any(token.user not in users.users for token in users.tokens.values()):
        yield "there are tokens of a user who is gone"
    for (name, access), (begins, ends) in users.cached().items():
        roles = users.users[name].roles if name in users.users else ()
        granted = [each for role in roles for each in users.roles.get(role, ())]
        if (begins, ends) != merged([each for each in granted if each.access in (access, Access.READWRITE)]):
            yield f"user {name!r} is thought to have permissions that are not his, or not those that are"


def commands_are_looked_at_when_they_must_be(state: State) -> Iterator[str]:
    if state.guarded is not (state.users.enabled or len(state.alarms) > 0):
        yield f"guarded is {state.guarded}"


def members_are_told_apart(state: State) -> Iterator[str]:
    rows = state.etcd_members.table
    if any(number != row.id for number, row in rows.items()):
        yield "a member stands under the id of another one"
    identities = [row.identity for row in rows.values() if row.identity]
    if len(set(identities)) < len(identities):
        yield "two members are one data directory"


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
    users_and_roles_agree,
    commands_are_looked_at_when_they_must_be,
    members_are_told_apart,
    feed_is_in_order,
)
