"""The store as the buckets of an etcd, and a store out of them: the contents of a snapshot file.

    buckets_of(store, ...)     -> buckets for `wire.etcd.bbolt.Writing`
    store_of(data)             -> a store: the other way

What etcd's own tools open (`etcdctl snapshot status`, `etcdutl snapshot restore`) are the buckets of etcd:

    key                         every version of every flat key: revision -> KeyValue
    lease                       id -> id and time to live, in seconds
    auth, authUsers, authRoles  users, roles, and whether anybody has to say who he is
    alarm, members, meta ...    what an etcd needs in order to start from it

An etcd has nothing like the tree of ZooKeeper's clients.  Where there is one (or a session), the whole store
stands in a bucket of its own besides, as the pieces of our own snapshots; etcd passes it over, and `store_of`
prefers it: if it says the same as the others.  The story: an etcd is started from our snapshot, works for a
year, and is saved again.  It has kept our bucket all the time, and what stands there is a year old.

Within one revision the versions are numbered in their order; where a compaction has taken some
of them an etcd that came so far by itself would show gaps.  Nothing but the order is ever read from these.

Tokens are left out: they are worth a password, and a snapshot is carried about.
"""
from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Annotated, Final

import msgspec

from agreed.errors import CorruptData, MalformedInput
from agreed.store.alarms import Alarm, AlarmKind
from agreed.store.leases import Lease
from agreed.store.machine import Store
from agreed.store.paths import ROOT
from agreed.store.records import OPEN_ACL, Record
from agreed.store.snapshot import Capture, Reader
from agreed.store.users import Access, KeyPermission, User
from agreed.types import Index, LeaseId, Revision, Stamp, Term
from agreed.wire.etcd import messages
from agreed.wire.etcd.bbolt import Bucket, Reading, bucket
from agreed.wire.etcd.messages import AlarmMember, KeyValue, Member
from agreed.wire.etcd.messages.fields import Int64
from agreed.wire.etcd.protobuf import decode, encode
from agreed.wire.etcd.version import CLUSTER_VERSION

OURS: Final = b"agreed"
"""The bucket that etcd does not know."""

_NOTE: Final = b"agreedNote"
"""In `meta`: what no bucket of etcd tells."""

_NUMBER = struct.Struct(">Q")
_REVISION = struct.Struct(">QcQ")
_TOMBSTONE: Final = b"t"
_LARGEST_REVISION: Final = (1 << 62) - 1
"""Far beyond what anybody counts to; a little more, and the next put would not fit into 64 bits."""


class StoredLease(msgspec.Struct, frozen=True, gc=False):
    """etcd's `leasepb.Lease`; times in seconds."""

    ID: Annotated[Int64, 1] = 0
    TTL: Annotated[Int64, 2] = 0
    RemainingTTL: Annotated[Int64, 3] = 0


class Note(msgspec.Struct, frozen=True):
    """The store's revision and clock, which may be ahead of its newest key's."""

    revision: Revision
    stamp_ms: Stamp


# --- out ------------------------------------------------------------------------------------------------


def buckets_of(store: Store, members: Iterable[Member], term: Term, applied: Index) -> list[Bucket]:
    """What the store is at this moment; it may go on changing while they are written."""
    history = store.flat.history
    records = history.kept_until(store.revision)
    entries = _Entries(records)
    pieces = _Pieces(Capture(store, with_tokens=False))
    whole = [Bucket(OURS, pieces.entries, pieces.sizes)] if _has_more(store) else []
    alarms = [AlarmMember(alarm.member, alarm.kind) for alarm in store.alarms.table]
    return [
        Bucket(b"key", entries.entries, entries.sizes),
        bucket(b"lease", dict(_leases(store))),
        bucket(b"meta", _meta(store, term, applied)),
        *map(_of_users, ("auth", "authUsers", "authRoles"), [store] * 3),
        bucket(b"alarm", dict.fromkeys(map(encode, alarms), b"")),
        bucket(b"cluster", {b"clusterVersion": CLUSTER_VERSION.encode()}),
        bucket(b"members", {f"{member.ID:x}".encode(): _member(member) for member in members}),
        bucket(b"members_removed", {}),
        *whole,
    ]


class _Entries:
    """The bucket `key`, made anew each time: a million versions are not kept twice."""

    def __init__(self, records: list[Record]) -> None:
        self._records = records

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        main, sub = 0, 0
        for record in self._records:
            sub = sub + 1 if record.modify_revision == main else 0
            main = record.modify_revision
            key = _REVISION.pack(main, b"_", sub)
            if record.version:
                yield key, encode(_key_value(record))
            else:
                yield key + _TOMBSTONE, encode(KeyValue(record.key))

    def sizes(self) -> Iterator[tuple[bytes, int]]:
        return ((key, len(value)) for key, value in self.entries())


def _key_value(record: Record) -> KeyValue:
    return KeyValue(
        record.key,
        record.create_revision,
        record.modify_revision,
        record.version,
        record.value or b"",
        record.lease,
    )


def _leases(store: Store) -> Iterator[tuple[bytes, bytes]]:
    for lease in store.leases:
        if lease.credentials is None:
            key = _NUMBER.pack(lease.id & 0xFFFFFFFFFFFFFFFF)
            yield key, encode(StoredLease(lease.id, -(-lease.ttl_ms // 1000)))


def _meta(store: Store, term: Term, applied: Index) -> dict[bytes, bytes]:
    meta = {
        b"consistent_index": _NUMBER.pack(applied),
        b"term": _NUMBER.pack(term),
        _NOTE: msgspec.json.encode(Note(store.revision, store.stamp_ms)),
    }
    compacted = store.flat.history.compacted
    if compacted:
        meta[b"scheduledCompactRev"] = meta[b"finishedCompactRev"] = _REVISION.pack(compacted, b"_", 0)
    return meta


def _of_users(name: str, store: Store) -> Bucket:
    users = store.users
    content: dict[bytes, bytes]
    if name == "auth":
        content = {
            b"authEnabled": b"\1" if users.enabled else b"\0",
            b"authRevision": _NUMBER.pack(users.revision),
        }
    elif name == "authUsers":
        content = {user.name.encode(): encode(_user(user)) for user in users.users.values()}
    else:
        content = {name.encode(): encode(_role(name, given)) for name, given in users.roles.items()}
    return bucket(name.encode(), content)


def _user(user: User) -> messages.User:
    options = messages.UserAddOptions(user.password_hash is None)
    return messages.User(user.name.encode(), user.password_hash or b"", user.roles, options)


def _role(name: str, given: Iterable[KeyPermission]) -> messages.Role:
    permissions = tuple(messages.Permission(each.access, each.key, each.range_end or b"") for each in given)
    return messages.Role(name.encode(), permissions)


def _member(member: Member) -> bytes:
    shown = {"id": member.ID, "peerURLs": member.peerURLs, "name": member.name}
    if member.clientURLs:
        shown["clientURLs"] = member.clientURLs
    if member.isLearner:
        shown["isLearner"] = True
    return msgspec.json.encode(shown)


def _has_more(store: Store) -> bool:
    """Whether there is something that etcd has no bucket for."""
    tree = store.tree.records
    of_clients = (path for path in tree if path != ROOT and not path.startswith(b"/zookeeper"))
    return next(of_clients, None) is not None or any(lease.credentials is not None for lease in store.leases)


class _Pieces:
    """The bucket of our own."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        return ((_NUMBER.pack(number), piece) for number, piece in enumerate(self._capture.pieces()))

    def sizes(self) -> Iterator[tuple[bytes, int]]:
        return ((key, len(piece)) for key, piece in self.entries())


# --- back in --------------------------------------------------------------------------------------------


def store_of(data: bytes | memoryview) -> Store:
    """Raises `CorruptData` or `MalformedInput`."""
    reading = Reading(data)
    if b"key" not in reading.names():
        raise CorruptData("a bbolt database, but not of an etcd")
    store = _whole(reading)
    if store is None or not _says_the_same(store, Reading(data)):
        store = _out_of_buckets(Reading(data))
    # What was true of the members, nodes and logins of the cluster that this is a snapshot of.
    store.etcd_members.table.clear()
    store.once.table.clear()
    store.users.tokens.clear()
    store.configuration = b""
    store.note_guarded()
    return store


def _whole(reading: Reading) -> Store | None:
    """Out of the bucket of our own, where there is one."""
    if OURS not in reading.names():
        return None
    store = Store()
    reader = Reader(store)
    for _, piece in reading.bucket(OURS):
        reader.feed(piece)
    reader.finish()
    return store


def _says_the_same(store: Store, reading: Reading) -> bool:
    """Whether the buckets of etcd are those that this store would make."""
    return all(
        all(ours == theirs for ours, theirs in zip_longest(each.entries(), reading.bucket(each.name)))
        for each in buckets_of(store, (), 0, 0)
        if each.name in _COMPARED
    )


_COMPARED: Final = frozenset({b"key", b"lease", b"auth", b"authUsers", b"authRoles", b"alarm"})


def _out_of_buckets(reading: Reading) -> Store:
    store = Store()
    meta = dict(reading.bucket(b"meta"))
    # An etcd takes old versions away little by little, and a snapshot may be of a moment in between: some of
    # what is not yet finished is gone.  So what was begun counts, as for an etcd that starts from the file.
    compactions = (meta.get(name, bytes(17)) for name in (b"finishedCompactRev", b"scheduledCompactRev"))
    _fill_keys(store, reading, max(_revision(key)[0] for key in compactions))
    note = _note(meta.get(_NOTE))
    store.revision = max(store.revision, note.revision)
    if store.revision > _LARGEST_REVISION:
        raise CorruptData(f"a snapshot is at revision {store.revision}, which cannot be")
    store.stamp_ms = note.stamp_ms
    _fill_users(store, reading)
    for key, _ in reading.bucket(b"alarm"):
        alarm = decode(AlarmMember, key)
        if alarm.alarm in (AlarmKind.NO_SPACE, AlarmKind.CORRUPT):
            store.alarms.table[Alarm(alarm.memberID, AlarmKind(alarm.alarm))] = None
    return store


def _note(data: bytes | None) -> Note:
    if data is None:
        return Note(1, 0)
    try:
        return msgspec.json.decode(data, type=Note)
    except (msgspec.MsgspecError, ValueError) as error:
        raise MalformedInput(f"a snapshot has a note that cannot be read: {error}") from error


def _revision(key: bytes) -> tuple[int, int]:
    if len(key) not in (_REVISION.size, _REVISION.size + 1):
        raise MalformedInput("a revision in a snapshot is not one")
    main, _, sub = _REVISION.unpack(key[: _REVISION.size])
    return main, sub


def _fill_keys(store: Store, reading: Reading, compacted: Revision) -> None:
    for _, content in reading.bucket(b"lease"):
        lease = decode(StoredLease, content)
        store.leases.granted += 1
        store.leases.table[lease.ID] = Lease(
            lease.ID, lease.TTL * 1000, b"", None, None, store.leases.granted, {}, {}
        )
    history = store.flat.history
    history.compacted = compacted
    newest: Revision = 1
    last = b""
    for key, content in reading.bucket(b"key"):
        main, _ = _revision(key)
        kept = decode(KeyValue, content)
        is_tombstone = key[_REVISION.size :] == _TOMBSTONE
        is_whole = is_tombstone or (kept.version > 0 and kept.mod_revision == main)
        # Of a file without a digest this is all that tells of damage.
        if not kept.key or not is_whole or key <= last:
            raise CorruptData(f"a key of a snapshot is broken, at revision {main}")
        newest, last = main, key
        # A lease that is not there is passed over, as an etcd does that starts from such a file.
        lease_id = kept.lease if kept.lease in store.leases.table else 0
        history.append(_record(kept, main, is_tombstone, lease_id))
    store.revision = max(compacted, newest)
    for record in history.current.values():
        held = store.leases.get(record.lease) if record.version else None
        if held is not None:
            held.flat_keys[record.key] = None


def _record(kept: KeyValue, main: Revision, is_tombstone: bool, lease: LeaseId) -> Record:
    version = 0 if is_tombstone else kept.version
    created = 0 if is_tombstone else kept.create_revision
    value = None if is_tombstone else kept.value
    held_by = lease if version else 0
    return Record(kept.key, value, created, main, 0, 0, 0, version, 0, 0, held_by, 0, OPEN_ACL, None)


def _fill_users(store: Store, reading: Reading) -> None:
    users = store.users
    auth = dict(reading.bucket(b"auth"))
    users.enabled = auth.get(b"authEnabled", b"\0") == b"\1"
    users.revision = max(1, int.from_bytes(auth.get(b"authRevision", b"\1")[:8], "big"))
    for _, content in reading.bucket(b"authUsers"):
        user = decode(messages.User, content)
        name = _text(user.name)
        no_password = user.options is not None and user.options.no_password
        users.users[name] = User(
            name, None if no_password else user.password, tuple(sorted(user.roles))
        )
    for _, content in reading.bucket(b"authRoles"):
        role = decode(messages.Role, content)
        users.roles[_text(role.name)] = tuple(
            KeyPermission(_access(given.permType), given.key, given.range_end or None)
            for given in role.keyPermission
        )


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise MalformedInput("a name in a snapshot is not UTF-8") from error


def _access(number: int) -> Access:
    try:
        return Access(number)
    except ValueError as error:
        raise MalformedInput(f"a permission in a snapshot is of the kind {number}") from error
