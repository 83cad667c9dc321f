"""What may happen to a node, and what it asks of the outside.

Everything a replica ever learns comes in as one of these events, and everything it wants done goes out in
`Effects`; so a run of a node is a list of events, and can be repeated.
"""

from __future__ import annotations

import msgspec

from agreed.consensus.machine import LoadChunk, Save, SaveChunk, SnapshotMark
from agreed.types import Instant, NodeId, Stamp

# --- events -----------------------------------------------------------------------------------------------


class TimePassed(msgspec.Struct, frozen=True, gc=False):
    """Said at the start of each turn: the monotonic clock, and the clock on the wall for the leader's
    stamps.  `busy_ms`: how long the turn before it took, in which nothing was heard of anybody."""

    now: Instant
    wall_ms: Stamp
    busy_ms: int = 0


class ClientOpened(msgspec.Struct, frozen=True, gc=False):
    """A ZooKeeper client is there.  `certificate` is the subject of its verified TLS certificate."""

    client: int
    address: str
    port: int
    certificate: str | None = None


class ClientBytes(msgspec.Struct, frozen=True, gc=False):
    client: int
    data: bytes


class ClientClosed(msgspec.Struct, frozen=True, gc=False):
    client: int


class EtcdOpened(msgspec.Struct, frozen=True, gc=False):
    """An etcd client is there; it is numbered together with the others.  `certificate` is the common name of
    its verified TLS certificate."""

    client: int
    address: str
    port: int
    certificate: str | None = None


class EtcdBytes(msgspec.Struct, frozen=True, gc=False):
    client: int
    data: bytes


class EtcdReads(msgspec.Struct, frozen=True, gc=False):
    """Whether the client takes what is written to it.  Said when that changes; at first it does."""

    client: int
    reads: bool


class EtcdClosed(msgspec.Struct, frozen=True, gc=False):
    client: int


class PeerOpened(msgspec.Struct, frozen=True, gc=False):
    """Our connection to this peer stands (again): what was sent before may be lost."""

    peer: NodeId


class PeerClosed(msgspec.Struct, frozen=True, gc=False):
    """A connection with this peer, in either direction, broke."""

    peer: NodeId


class PeerMessage(msgspec.Struct, frozen=True):
    """From a peer whose identity `founding.admit` accepted."""

    source: NodeId
    message: object


class StrangerSeen(msgspec.Struct, frozen=True):
    """A node that is no member (yet) said hello: it may be added under this identity."""

    name: NodeId
    identity: int
    address: str
    client_address: str


class Saved(msgspec.Struct, frozen=True, gc=False):
    serial: int


class DiskStopped(msgspec.Struct, frozen=True, gc=False):
    """A write or fsync failed; nothing more will ever be saved by this process."""

    reason: str


class SnapshotPieceWritten(msgspec.Struct, frozen=True, gc=False):
    """The piece of our own snapshot is on its way to the disk: the next one may come."""


class SnapshotWritten(msgspec.Struct, frozen=True):
    """Our own snapshot is whole and durable; `digest` is the SHA-256 of its payload."""

    mark: SnapshotMark
    digest: bytes


class RestorePiece(msgspec.Struct, frozen=True, gc=False):
    """A piece of a received and verified snapshot."""

    data: bytes


class RestoreEnded(msgspec.Struct, frozen=True):
    """That was its last piece: the store is now to be this snapshot."""

    mark: SnapshotMark


class OperatorAsked(msgspec.Struct, frozen=True):
    """A request of `wire.peer.messages.OperatorRequest`; answered in `Effects.operator_replies`."""

    ticket: int
    request: object


class StopRequested(msgspec.Struct, frozen=True, gc=False):
    """SIGTERM: hand leadership over and tell when we may go (`Effects.stopped`)."""


class PasswordDone(msgspec.Struct, frozen=True, gc=False):
    """What came of `HashPassword` (the hash) or `CheckPassword` (whether it is the one); None: neither can be
    told, for the hash is none, or the password none that can be hashed."""

    job: int
    outcome: bytes | bool | None


# --- effects ----------------------------------------------------------------------------------------------


class StartSnapshot(msgspec.Struct, frozen=True):
    """Open a file for our own snapshot of the store as of this mark."""

    mark: SnapshotMark


class SnapshotPiece(msgspec.Struct, frozen=True, gc=False):
    """Write this; with `last`, finish the file.  Answered by `SnapshotPieceWritten` or `SnapshotWritten`."""

    data: bytes
    last: bool


class HashPassword(msgspec.Struct, frozen=True, gc=False):
    """With bcrypt, which takes its time on purpose: 50 ms at a cost of 10.  Hence not in here."""

    job: int
    password: bytes
    cost: int


class CheckPassword(msgspec.Struct, frozen=True, gc=False):
    job: int
    password: bytes
    password_hash: bytes


class Effects(msgspec.Struct):
    """All lists may be empty.  The order between different kinds does not matter, within a kind it does."""

    send: list[tuple[NodeId, object]] = msgspec.field(default_factory=list)
    write: list[tuple[int, bytes]] = msgspec.field(default_factory=list)
    """To clients: (client, bytes)."""
    close: list[int] = msgspec.field(default_factory=list)
    """Clients to be closed once what was written to them is out."""
    pause: list[int] = msgspec.field(default_factory=list)
    """Do not read from these clients for a while: they ask faster than the cluster can answer."""
    resume: list[int] = msgspec.field(default_factory=list)
    saves: list[Save] = msgspec.field(default_factory=list)
    snapshot: list[StartSnapshot | SnapshotPiece] = msgspec.field(default_factory=list)
    load_chunks: list[LoadChunk] = msgspec.field(default_factory=list)
    save_chunks: list[SaveChunk] = msgspec.field(default_factory=list)
    passwords: list[HashPassword | CheckPassword] = msgspec.field(default_factory=list)
    """Answered by `PasswordDone`."""
    operator_replies: list[tuple[int, object]] = msgspec.field(default_factory=list)
    logs: list[tuple[str, str]] = msgspec.field(default_factory=list)
    """(level, sentence) for the operator's log."""
    more: bool = False
    """Ask again as soon as these are begun."""
    stopped: bool = False
    """Leadership is handed over (or was never ours): the process may end."""
