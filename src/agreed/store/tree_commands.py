"""The commands on the tree, each with its guards in the order in which a ZooKeeper server checks them.

The order is part of the contract: of two things that are wrong with a request, a client is told the one that
it would be told by ZooKeeper.  Nothing is changed before the last guard has held.

    Create    session, mode and time to live, a slash and no NUL, ACL, parent, CREATE on the parent, (the
    sequence
              number is appended,) path, exists, parent is ephemeral, quota
    Delete    session, path, parent, DELETE on the parent, key, version, children
    SetData   session, path, key, WRITE, quota, version
    SetAcl    session, path, ACL, key, ADMIN, ACL version
    Check     session, path, key, READ, version

This is the hot path of every node, hence plain: refusals are returned and never raised, what is usual (an
open ACL, an ordinary name, no quota) is asked first and by identity, and what is rare has a function of its
own.
"""
from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from agreed.store.access import allowed, effective_acl
from agreed.store.commands import Check, Create, Delete, RemoveIdle, SetAcl, SetConfiguration, SetData
from agreed.store.events import Event, EventKind, Space
from agreed.store.leases import Lease
from agreed.store.paths import PLAIN, parent_of, valid_name, valid_path
from agreed.store.quota import LIMITS_NAME, STATS_NAME
from agreed.store.records import ADMIN, CONTAINER, CREATE, DELETE, OPEN_ACL, READ, WRITE, Acl, Record
from agreed.store.results import Changed, Created, Done, Refusal
from agreed.store.state import State
from agreed.store.tree import CONFIGURATION, UNDELETABLE
from agreed.types import NodeId, Revision

TTL_MOST_MS: Final = (1 << 40) - 1
"""The longest time to live: about 34.8 years."""

_EPHEMERAL_MODES = frozenset({1, 3})
_SEQUENTIAL_MODES = frozenset({2, 3, 6})
_CONTAINER_MODE = 4
_TTL_MODES = frozenset({5, 6})
_MODES = frozenset(range(7))

_TREE = Space.TREE
_CREATED, _CHANGED, _DELETED = EventKind.CREATED, EventKind.CHANGED, EventKind.DELETED
_DONE = Done.DONE
_BAD_ARGUMENTS = Refusal.BAD_ARGUMENTS


def session_refusal(lease: Lease | None) -> Refusal:
    """Why a session is not served here."""
    return Refusal.NO_LEASE if lease is None or lease.owner is None else Refusal.LEASE_MOVED


# --- the door of each command: a revision and a living session ------------------------------------


def create(state: State, command: Create, origin: NodeId) -> Created | Refusal:
    revision = state.revision = state.revision + 1
    lease = state.leases.table.get(command.lease)
    if lease is None or lease.owner != origin:
        return session_refusal(lease)
    return create_key(state, lease, command, revision)


def set_data(state: State, command: SetData, origin: NodeId) -> Changed | Refusal:
    revision = state.revision = state.revision + 1
    lease = state.leases.table.get(command.lease)
    if lease is None or lease.owner != origin:
        return session_refusal(lease)
    return set_key(state, lease, command, revision)


def delete(state: State, command: Delete, origin: NodeId) -> Done | Refusal:
    revision = state.revision = state.revision + 1
    lease = state.leases.table.get(command.lease)
    if lease is None or lease.owner != origin:
        return session_refusal(lease)
    return delete_key(state, lease, command, revision)


# --- guards and changes; `Multi` comes in here ----------------------------------------------------


def create_key(state: State, lease: Lease, command: Create, revision: Revision) -> Created | Refusal:
    mode = command.mode
    owner = flags = 0
    if mode != 0 or command.ttl_ms != 0:
        if not _valid_mode(mode, command.ttl_ms):
            return _BAD_ARGUMENTS
        owner = lease.id if mode in _EPHEMERAL_MODES else 0
        flags = CONTAINER if mode == _CONTAINER_MODE else command.ttl_ms
    path = command.path
    slash = path.rfind(b"/")
    if slash < 0:
        return _BAD_ARGUMENTS
    acl = OPEN_ACL if command.acl is None else _stored_acl(state, lease, command.acl)
    if acl is None:
        return _unless_nul(path, Refusal.INVALID_ACL)
    tree = state.tree
    records = tree.records
    parent_path = path[:slash] if slash else b"/"
    parent = records.get(parent_path)
    if parent is None:
        return _unless_nul(path, Refusal.NO_PARENT)
    if parent.acl is not OPEN_ACL and not allowed(parent.acl, CREATE, lease.credentials or ()):
        return _unless_nul(path, Refusal.NOT_ALLOWED)
    created = parent.children_created
    if mode in _SEQUENTIAL_MODES:
        path += b"%010d" % created
    name = path[slash + 1 :]
    # The parent is there, so its path is valid; there remains the name (and `//x`, whose parent is found as
    # `/`).
    unusual = name.translate(None, PLAIN) or name in _UNUSUAL_NAMES or slash == 1
    if unusual and not _valid_below(slash, name):
        return _BAD_ARGUMENTS
    if records.get(path) is not None:
        return Refusal.EXISTS
    if parent.lease:
        return Refusal.PARENT_IS_EPHEMERAL
    data = command.data
    quotas = tree.quotas
    if quotas.table and quotas.exceeded(path, 1, len(data) if data is not None else 0):
        return Refusal.QUOTA_EXCEEDED
    stamp_ms = state.stamp_ms
    record = Record(
        path, data, revision, revision, revision, stamp_ms, stamp_ms, 0, 0, 0, owner, flags, acl, None
    )
    children = {} if parent.children is None else parent.children
    children[name] = None
    created += 1
    if created > 0x7FFF_FFFF:
        created = -0x8000_0000
    parent = Record(
        parent.key, parent.value, parent.create_revision, parent.modify_revision, revision,
        parent.created_ms, parent.modified_ms, parent.version, created, parent.acl_version,
        parent.lease, parent.flags, parent.acl, children,
    )  # fmt: skip
    records[parent_path] = parent
    records[path] = record
    tree.data_bytes += len(path) + (len(data) if data is not None else 0)
    if owner:
        lease.tree_keys[path] = None
    if flags or parent.flags:
        tree.note_idle(record)
        tree.note_idle(parent)
    event = Event(revision, _CREATED, _TREE, record, None)
    state.fresh.append(event)
    state.feed.events.append(event)
    if unusual or quotas.table:
        quotas.created(record)
    return Created(record)


def set_key(state: State, lease: Lease, command: SetData, revision: Revision) -> Changed | Refusal:
    path = command.path
    tree = state.tree
    previous = tree.records.get(path)
    if previous is None:
        return Refusal.NO_KEY if valid_path(path) else _BAD_ARGUMENTS
    acl = previous.acl
    if acl is not OPEN_ACL and not allowed(acl, WRITE, lease.credentials or ()):
        return Refusal.NOT_ALLOWED
    data = command.data
    quotas = tree.quotas
    if quotas.table and quotas.exceeded(path, 0, _length(data) - _length(previous.value)):
        return Refusal.QUOTA_EXCEEDED
    version = previous.version
    if command.version != version and command.version != -1:
        return Refusal.BAD_VERSION
    version = version + 1 if -1 < version < 0x7FFF_FFFF else next_version(version)
    children = previous.children
    record = Record(
        previous.key, data, previous.create_revision, revision, previous.children_revision,
        previous.created_ms, state.stamp_ms, version, previous.children_created, previous.acl_version,
        previous.lease, previous.flags, acl, children,
    )  # fmt: skip
    tree.records[path] = record
    if data is not previous.value:
        tree.data_bytes += _length(data) - _length(previous.value)
    if previous.flags > 0:
        tree.forget_idle(previous)
        tree.note_idle(record)
    event = Event(revision, _CHANGED, _TREE, record, previous)
    state.fresh.append(event)
    state.feed.events.append(event)
    if quotas.table:
        quotas.changed(record, previous)
    return Changed(record, len(children) if children else 0)


def delete_key(state: State, lease: Lease, command: Delete, revision: Revision) -> Done | Refusal:
    path = command.path
    slash = path.rfind(b"/")
    if slash < 0 or path in UNDELETABLE:
        return _BAD_ARGUMENTS
    records = state.tree.records
    parent = records.get(path[:slash] if slash else b"/")
    if parent is None:
        return _unless_nul(path, Refusal.NO_PARENT)
    if parent.acl is not OPEN_ACL and not allowed(parent.acl, DELETE, lease.credentials or ()):
        return _unless_nul(path, Refusal.NOT_ALLOWED)
    record = records.get(path)
    if record is None:
        return _unless_nul(path, Refusal.NO_KEY)
    if command.version != -1 and command.version != record.version:
        return Refusal.BAD_VERSION
    if record.children:
        return Refusal.NOT_EMPTY
    remove_key(state, record, parent, revision)
    return _DONE


def check_key(state: State, lease: Lease, command: Check, revision: Revision) -> Done | Refusal:
    record = state.tree.records.get(command.path)
    if record is None:
        return Refusal.NO_KEY if valid_path(command.path) else _BAD_ARGUMENTS
    if record.acl is not OPEN_ACL and not allowed(record.acl, READ, lease.credentials or ()):
        return Refusal.NOT_ALLOWED
    if command.version != -1 and command.version != record.version:
        return Refusal.BAD_VERSION
    return _DONE


def set_acl(state: State, command: SetAcl, origin: NodeId) -> Changed | Refusal:
    state.revision += 1
    lease = state.leases.table.get(command.lease)
    if lease is None or lease.owner != origin:
        return session_refusal(lease)
    tree = state.tree
    previous = tree.records.get(command.path)
    if previous is None and not valid_path(command.path):
        return _BAD_ARGUMENTS
    acl = OPEN_ACL if command.acl is None else _stored_acl(state, lease, command.acl)
    if acl is None:
        return Refusal.INVALID_ACL
    if previous is None:
        return Refusal.NO_KEY
    if not allowed(previous.acl, ADMIN, lease.credentials or ()):
        return Refusal.NOT_ALLOWED
    if command.version != -1 and command.version != previous.acl_version:
        return Refusal.BAD_VERSION
    # No event: no kind of watch of ZooKeeper tells of a new ACL, and mzxid and mtime stay.
    record = replace(previous, acl=acl, acl_version=next_version(previous.acl_version))
    tree.records[record.key] = record
    return Changed(record, len(record.children) if record.children else 0)


# --- changes without a session --------------------------------------------------------------------


def remove_idle(state: State, command: RemoveIdle, origin: NodeId) -> Done | Refusal:
    """Looked up by the leader in its own tree; by now a child may have come, or new data."""
    revision = state.revision = state.revision + 1
    tree = state.tree
    record = tree.records.get(command.path)
    if record is None:
        return Refusal.NO_KEY
    if record.children:
        return Refusal.NOT_EMPTY
    unchanged = (command.modify_revision, command.children_revision) == (
        record.modify_revision,
        record.children_revision,
    )
    if record.flags == CONTAINER:
        over = record.children_created != 0
    else:
        over = record.flags > 0 and state.stamp_ms - record.modified_ms > record.flags
    if not (unchanged and over):
        return Refusal.STALE
    remove_key(state, record, tree.records[parent_of(record.key)], revision)
    return _DONE


def set_configuration(state: State, command: SetConfiguration, origin: NodeId) -> Done | Refusal:
    """The last line names the revision from which on this configuration is in force.

    The version of the key stays -1, as in ZooKeeper: nobody can set it with a version of his own.  Consumes a
    revision if the configuration is another one than before: what leaders say twice while a cluster is being
    founded must not move its first put from revision 2, where clients of etcd expect it."""
    if command.term != state.term:
        return Refusal.STALE
    if command.text == state.configuration:
        return _DONE
    revision = state.revision = state.revision + 1
    state.configuration = command.text
    previous = state.tree.records[CONFIGURATION]
    record = replace(
        previous,
        value=b"%b\nversion=%x" % (command.text, revision),
        modify_revision=revision,
        modified_ms=state.stamp_ms,
        version=-1,
    )
    state.tree.records[CONFIGURATION] = record
    event = Event(revision, _CHANGED, _TREE, record, previous)
    state.fresh.append(event)
    state.feed.events.append(event)
    return _DONE


def remove_key(state: State, record: Record, parent: Record, revision: Revision) -> None:
    """Takes out a key without children, whatever hangs on it, and tells of it."""
    path = record.key
    tree = state.tree
    children = parent.children
    assert children is not None, "a key stands among its parent's children"
    del children[path[path.rfind(b"/") + 1 :]]
    tree.drop(path)
    tree.data_bytes -= len(path) + _length(record.value)
    parent = Record(
        parent.key, parent.value, parent.create_revision, parent.modify_revision, revision,
        parent.created_ms, parent.modified_ms, parent.version, parent.children_created, parent.acl_version,
        parent.lease, parent.flags, parent.acl, children,
    )  # fmt: skip
    tree.records[parent.key] = parent
    if record.lease:
        state.leases.table[record.lease].tree_keys.pop(path, None)
    if record.flags or parent.flags:
        tree.forget_idle(record)
        tree.note_idle(parent)
    event = Event(revision, _DELETED, _TREE, record, record)
    state.fresh.append(event)
    state.feed.events.append(event)
    if tree.quotas.table:
        tree.quotas.deleted(record)


# --- small print
# ----------------------------------------------------------------------------------------------

_UNUSUAL_NAMES = frozenset({b"", b".", b"..", LIMITS_NAME, STATS_NAME})


def next_version(version: int) -> int:
    """The next data or ACL version, which is Java's int and never -1 again: that means "any" in a request."""
    if version == 0x7FFF_FFFF:
        return -0x8000_0000
    return 0 if version == -2 else version + 1


def _valid_mode(mode: int, ttl_ms: int) -> bool:
    """A time to live belongs to the modes that have one, and to no other."""
    if mode in _TTL_MODES:
        return 0 < ttl_ms <= TTL_MOST_MS
    return mode in _MODES and ttl_ms == 0


def _valid_below(slash: int, name: bytes) -> bool:
    """Whether a name may stand below a parent that is there (`slash` is where it begins).

    The root itself passes: it is refused because it exists."""
    return slash != 1 and (valid_name(name) or (slash == 0 and not name))


def _unless_nul(path: bytes, refusal: Refusal) -> Refusal:
    """A NUL is noticed before anything about the tree; looking for it can wait until something is wrong."""
    return _BAD_ARGUMENTS if b"\0" in path else refusal


def _stored_acl(state: State, lease: Lease, asked: Acl) -> Acl | None:
    acl = effective_acl(asked, lease.credentials or ())
    return None if acl is None else state.tree.intern(acl)


def _length(data: bytes | None) -> int:
    return len(data) if data is not None else 0
