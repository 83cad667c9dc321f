"""The store in pieces: out of a running one, and into a new one.

    capture(state).pieces(500)        -> bytes, bytes, ...      while the store goes on changing
    Reader(state).feed(piece) ...; .finish()                    into a state that is new

Records and leases are immutable, so a capture is a few lists of references, taken in one go; it is turned
into bytes piece by piece, whenever there is time.  Each piece is one MessagePack array, a message of its own:

    Header                  what there is, and how much of everything
    OncePiece, LeasePiece   which commands were done; the leases, without their keys
    UserPiece, TokenPiece   users, roles and tokens of the flat space
    ClusterPiece            alarms, and members as etcd shows them; only where there are any
    TreePiece, FlatPiece    records, in the order of the tree's dict and of the flat log.  Access lists other
                            than the open one stand beside them, each with the positions it applies to

What follows from these is not written but found again: children, the keys of a lease, idle keys, what is used
of a quota.  Two nodes that applied the same log write the same bytes, also if one of them was restored on the
way: the order of everything written is an order of events in the log, and nothing depends on hashes.

The file around the pieces, and the checksums, are not made here.  A piece that is not one raises
`CorruptData`.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

import msgspec
from msgspec.structs import astuple

from agreed.errors import CorruptData
from agreed.store.alarms import Alarm, AlarmKind
from agreed.store.etcd_members import EtcdMember
from agreed.store.events import Feed
from agreed.store.leases import Lease
from agreed.store.once import Life
from agreed.store.paths import ROOT
from agreed.store.quota import QUOTA_PREFIX, limits_bound
from agreed.store.records import OPEN_ACL, Acl, Credential, Record
from agreed.store.state import State
from agreed.store.users import KeyPermission, Token, User
from agreed.types import LeaseId, NodeId, Revision, Stamp

FORMAT: Final = 2
"""Of the pieces.  A reader takes those of format 1 as well (which knew of etcd only keys and leases, and
forgot at once all that a compaction leaves), and refuses later ones."""

PIECE_BYTES_MOST: Final = 1 << 20
"""A piece ends with the record that makes its data as large as this, though it has few records."""

Row = tuple[bytes, bytes | None, int, int, int, int, int, int, int, int, int, int]
"""A record without its ACL and its children, the fields in their order."""

_ROW_SIZE = 12


class Header(msgspec.Struct, frozen=True, array_like=True, tag=0):
    format: int
    revision: Revision
    stamp_ms: Stamp
    configuration: bytes
    compacted: Revision
    lives: int
    leases: int
    tree_records: int
    flat_records: int
    swept: int = 0
    granted: int = 0
    auth_enabled: bool = False
    auth_revision: int = 1
    users: int = 0
    tokens: int = 0
    alarms: int = 0
    members: int = 0


class OncePiece(msgspec.Struct, frozen=True, array_like=True, tag=1):
    lives: list[tuple[NodeId, int, int]]


class LeasePiece(msgspec.Struct, frozen=True, array_like=True, tag=2):
    leases: list[tuple[LeaseId, int, bytes, tuple[Credential, ...] | None, NodeId | None, Revision]]


class TreePiece(msgspec.Struct, frozen=True, array_like=True, tag=3):
    rows: list[Row]
    acls: list[tuple[Acl, list[int]]]


class FlatPiece(msgspec.Struct, frozen=True, array_like=True, tag=4):
    rows: list[Row]
    acls: list[tuple[Acl, list[int]]]


class UserPiece(msgspec.Struct, frozen=True, array_like=True, tag=5):
    users: list[User]
    roles: list[tuple[str, tuple[KeyPermission, ...]]]


class TokenPiece(msgspec.Struct, frozen=True, array_like=True, tag=6):
    tokens: list[tuple[str, str, Stamp]]


class ClusterPiece(msgspec.Struct, frozen=True, array_like=True, tag=7):
    alarms: list[tuple[int, AlarmKind]]
    members: list[EtcdMember]


Piece = Header | OncePiece | LeasePiece | TreePiece | FlatPiece | UserPiece | TokenPiece | ClusterPiece

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Piece)


class Capture:
    """What the store was at the moment of the capture."""

    __slots__ = ("_cluster", "_flat", "_header", "_leases", "_lives", "_tokens", "_tree", "_users")

    def __init__(self, state: State, *, with_tokens: bool = True) -> None:
        """Without tokens where it is to be carried about: each is worth a password."""
        self._tree = list(state.tree.records.values())
        self._flat = list(state.flat.history.log)
        self._leases = list(state.leases)
        self._lives = [(origin, life.life, life.next) for origin, life in state.once.table.items()]
        users = state.users
        self._users = UserPiece(list(users.users.values()), list(users.roles.items()))
        tokens = users.tokens.items() if with_tokens else ()
        self._tokens = [(name, token.user, token.issued_ms) for name, token in tokens]
        self._cluster = ClusterPiece(
            [(alarm.member, alarm.kind) for alarm in state.alarms.table], list(state.etcd_members)
        )
        self._header = Header(
            FORMAT,
            state.revision,
            state.stamp_ms,
            state.configuration,
            state.flat.history.compacted,
            len(self._lives),
            len(self._leases),
            len(self._tree),
            len(self._flat),
            state.flat.history.swept,
            state.leases.granted,
            users.enabled,
            users.revision,
            len(users.users),
            len(self._tokens),
            len(self._cluster.alarms),
            len(self._cluster.members),
        )

    def pieces(self, records_per_piece: int = 500) -> Iterator[bytes]:
        """The same number for all nodes, if their bytes are to be the same."""
        yield _encoder.encode(self._header)
        yield _encoder.encode(OncePiece(self._lives))
        leases = iter(self._leases)
        while some := list(islice(leases, records_per_piece)):
            yield _encoder.encode(LeasePiece([astuple(lease)[:6] for lease in some]))
        if self._users.users or self._users.roles:
            yield _encoder.encode(self._users)
        tokens = iter(self._tokens)
        while part := list(islice(tokens, records_per_piece)):
            yield _encoder.encode(TokenPiece(part))
        if self._cluster.alarms or self._cluster.members:
            yield _encoder.encode(self._cluster)
        yield from _record_pieces(self._tree, records_per_piece, TreePiece)
        yield from _record_pieces(self._flat, records_per_piece, FlatPiece)


def _record_pieces(
    records: list[Record],
    most: int,
    kind: Callable[[list[Row], list[tuple[Acl, list[int]]]], TreePiece | FlatPiece],
) -> Iterator[bytes]:
    rows: list[Row] = []
    acls: dict[Acl, list[int]] = {}
    size = 0
    for record in records:
        if record.acl is not OPEN_ACL:
            acls.setdefault(record.acl, []).append(len(rows))
        rows.append(astuple(record)[:_ROW_SIZE])
        if record.value is not None:
            size += len(record.value)
        if len(rows) >= most or size >= PIECE_BYTES_MOST:
            yield _encoder.encode(kind(rows, list(acls.items())))
            rows, acls, size = [], {}, 0
    if rows:
        yield _encoder.encode(kind(rows, list(acls.items())))


class Reader:
    """Makes a new state into the one that was captured.  Pieces come in the order in which they were made."""

    __slots__ = ("_bounds", "_flagged", "_header", "_state")

    def __init__(self, state: State) -> None:
        self._state = state
        self._header: Header | None = None
        # To be looked at again when all records are there, so that `finish` need not look at all of them.
        self._flagged: list[bytes] = []
        self._bounds: list[tuple[bytes, bytes | None]] = []
        state.tree.records = {}

    def feed(self, data: bytes) -> None:
        """Raises `CorruptData`; the state is of no use then."""
        try:
            piece = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptData(f"a piece of a snapshot cannot be read: {error}") from error
        if isinstance(piece, Header):
            self._begin(piece)
        elif self._header is None:
            raise CorruptData("a snapshot does not begin with its header")
        elif isinstance(piece, OncePiece):
            for origin, life, following in piece.lives:
                self._state.once.table[origin] = Life(life, following)
        elif isinstance(piece, LeasePiece):
            for fields in piece.leases:
                self._state.leases.table[fields[0]] = Lease(*fields, {}, {})
        elif isinstance(piece, TreePiece):
            self._put_tree(piece)
        elif isinstance(piece, UserPiece):
            self._state.users.users.update((user.name, user) for user in piece.users)
            self._state.users.roles.update(piece.roles)
        elif isinstance(piece, TokenPiece):
            self._state.users.tokens.update((name, Token(user, at)) for name, user, at in piece.tokens)
        elif isinstance(piece, ClusterPiece):
            self._state.alarms.table.update((Alarm(*alarm), None) for alarm in piece.alarms)
            self._state.etcd_members.table.update((member.id, member) for member in piece.members)
        else:
            append = self._state.flat.history.append
            for record in self._records(piece):
                append(record)

    def finish(self) -> None:
        """All pieces were fed.  Raises `CorruptData` if they were not all."""
        header, state = self._header, self._state
        if header is None:
            raise CorruptData("a snapshot has no header")
        history = state.flat.history
        found = (len(state.once.table), len(state.leases), len(state.tree), len(history.log))
        told = (header.lives, header.leases, header.tree_records, header.flat_records)
        if found != told:
            raise CorruptData(f"lives, leases, tree and flat records: {told} were announced, {found} came")
        users = state.users
        found = (len(users.users), len(users.tokens), len(state.alarms), len(state.etcd_members))
        told = (header.users, header.tokens, header.alarms, header.members)
        if found != told:
            raise CorruptData(f"users, tokens, alarms and members: {told} were announced, {found} came")
        state.note_guarded()
        for key, newest in history.current.items():
            if newest.lease:
                self._lease(newest.lease).flat_keys[key] = None
        history.swept = min(header.swept, len(history.log))
        tree = state.tree
        for path in self._flagged:
            tree.note_idle(tree.records[path])
        for bound, limits in self._bounds:
            tree.quotas.set_limits(bound, limits)

    def _begin(self, header: Header) -> None:
        if self._header is not None or not 1 <= header.format <= FORMAT:
            raise CorruptData(f"a snapshot has two headers, or a format above {FORMAT}")
        self._header = header
        state = self._state
        state.revision = header.revision
        state.stamp_ms = header.stamp_ms
        state.configuration = header.configuration
        state.flat.history.compacted = header.compacted
        state.leases.granted = header.granted
        state.users.enabled = header.auth_enabled
        state.users.revision = header.auth_revision
        state.feed = Feed(compacted=header.revision)

    def _put_tree(self, piece: TreePiece) -> None:
        tree = self._state.tree
        records = tree.records
        for record in self._records(piece):
            path = record.key
            records[path] = record
            tree.data_bytes += len(path) + (len(record.value) if record.value is not None else 0)
            if path != ROOT:
                slash = path.rfind(b"/")
                parent = records.get(path[:slash] or ROOT)
                if parent is None:
                    raise CorruptData(f"the parent of {path!r} does not stand before it in the snapshot")
                if parent.children is None:
                    parent = records[parent.key] = msgspec.structs.replace(parent, children={})
                    assert parent.children is not None
                parent.children[path[slash + 1 :]] = None
            if record.lease:
                self._lease(record.lease).tree_keys[path] = None
            if record.flags:
                self._flagged.append(path)
            if path.startswith(QUOTA_PREFIX):
                bound = limits_bound(path)
                if bound is not None:
                    self._bounds.append((bound, record.value))

    def _records(self, piece: TreePiece | FlatPiece) -> Iterator[Record]:
        acls: dict[int, Acl] = {}
        for acl, positions in piece.acls:
            acls.update(dict.fromkeys(positions, self._state.tree.intern(acl)))
        for position, row in enumerate(piece.rows):
            yield _record(row, acls.get(position, OPEN_ACL))

    def _lease(self, lease: LeaseId) -> Lease:
        known = self._state.leases.get(lease)
        if known is None:
            raise CorruptData(f"a key hangs on lease {lease:#x}, which the snapshot does not have")
        return known


def _record(row: Row, acl: Acl) -> Record:
    """Equal numbers become one object again, as they were: with a million records that is 100 MB."""
    key, value, created, modified, children, created_ms, modified_ms, *rest = row
    if modified == created:
        modified = created
    if children == created:
        children = created
    if modified_ms == created_ms:
        modified_ms = created_ms
    version, children_created, acl_version, lease, flags = rest
    return Record(
        key,
        value,
        created,
        modified,
        children,
        created_ms,
        modified_ms,
        version,
        children_created,
        acl_version,
        lease,
        flags,
        acl,
        {} if children_created else None,
    )
