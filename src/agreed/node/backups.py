"""Snapshot files of the etcd API: looked at, and made into the data directories of a new cluster.

    opened(path)                      -> Backup: verified as far as it tells of itself
    found(store, members, directory)  -> one data directory per member, which start as one cluster

A snapshot file is a bbolt database with a SHA-256 of it behind (`replica/etcd/backup.py`), of a cluster of
ours or of an etcd.  A database without the digest, as it lies in the directory of an etcd, can be read as
well, and is the operator's responsibility: it may have been copied while it was written.

The new cluster has an identity of its own, and its members have new ones: no node of the old cluster, which
may still run somewhere, is taken for one of them.  What was true of the old one's members, nodes and logins
is left out.  Keys, revisions, leases (with their full time), users, roles and alarms stay.
"""
from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from agreed.consensus.machine import SnapshotMark
from agreed.consensus.members import Member, Members, encode_members
from agreed.disk.files import RealFiles
from agreed.disk.identity import write_identity
from agreed.disk.recovery import recover
from agreed.errors import ConfigurationError, CorruptData, MalformedInput
from agreed.replica.etcd.backup import store_of
from agreed.replica.founding import cluster_number
from agreed.replica.snapshots import RECORDS_PER_PIECE
from agreed.store.machine import Store
from agreed.store.paths import ROOT
from agreed.types import Identity, NodeId

DIGEST_BYTES: Final = 32
_BLOCK: Final = 512
_FIRST: Final = 1
"""Index and term of the entry that the new members take the snapshot for."""


class Summary(msgspec.Struct, frozen=True):
    """`versions` counts all that the history holds, `keys` those that are there now; `znodes` those of
    ZooKeeper's clients."""

    size_bytes: int
    sha256: str
    has_digest: bool
    revision: int
    compacted: int
    keys: int
    versions: int
    leases: int
    users: int
    roles: int
    authentication: bool
    znodes: int


class Backup:
    """An open snapshot file; a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises `ConfigurationError` (no such file), `CorruptData` (its size or its digest is not right)."""
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        size = path.stat().st_size
        # A database is made of whole pages; what is neither that, nor that and a digest, was cut off.
        if size < _BLOCK or size % _BLOCK not in (0, DIGEST_BYTES):
            self._file.close()
            raise CorruptData(f"{path}: {size} bytes are no snapshot, or one that was cut short")
        self._path = path
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._view = memoryview(self._map)
        self.has_digest = size % _BLOCK == DIGEST_BYTES
        self.payload = self._view[:-DIGEST_BYTES] if self.has_digest else self._view[:]
        self.sha256 = hashlib.sha256(self.payload).digest()
        if self.has_digest and self.sha256 != bytes(self._view[-DIGEST_BYTES:]):
            self.close()
            raise CorruptData(f"{path}: its contents do not match the SHA-256 behind them")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        with suppress(BufferError):
            # An error that is on its way still holds pages of it; they go with it.
            self.payload.release()
            self._view.release()
            self._map.close()

    def store(self) -> Store:
        """What it holds.  Raises `CorruptData`."""
        try:
            return store_of(self.payload)
        except (MalformedInput, CorruptData) as error:
            raise CorruptData(f"{self._path}: {error}") from error

    def summary(self, store: Store) -> Summary:
        history = store.flat.history
        return Summary(
            len(self.payload),
            self.sha256.hex(),
            self.has_digest,
            store.revision,
            history.compacted,
            history.count(b"\0", b"\0"),
            len(history.log),
            len(store.leases),
            len(store.users.users),
            len(store.users.roles),
            store.users.enabled,
            sum(path != ROOT and not path.startswith(b"/zookeeper") for path in store.tree.records),
        )


def new_members(addresses: dict[NodeId, str], identity: Callable[[], Identity]) -> Members:
    """Each under an identity that is drawn now."""
    return Members(tuple(Member(name, identity(), address) for name, address in sorted(addresses.items())))


def found(store: Store, members: Members, directory: Path) -> list[Path]:
    """`directory/<name>` for each member.  Raises `ConfigurationError` where one of them holds something
    already, `DiskFailed`."""
    places = [directory / member.name for member in members.voters]
    for place in places:
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise ConfigurationError(f"{place} is there already: a new cluster begins in new directories")
    mark = SnapshotMark(_FIRST, _FIRST, members)
    files = RealFiles()
    for member, place in zip(members.voters, places, strict=True):
        recovered = recover(place, files, name=member.name, fresh_identity=member.identity)
        try:
            writer = recovered.snapshots.create(mark)
            for piece in store.capture().pieces(RECORDS_PER_PIECE):
                writer.write(piece)
            writer.finish()
            recovered.wal.start_after(_FIRST, _FIRST)
            # Last of all: a directory that was not finished belongs to no cluster, and holds what nobody
            # would start on.
            belonging = msgspec.structs.replace(
                recovered.identity, cluster=cluster_number(members), initial_members=encode_members(members)
            )
            write_identity(place, files, belonging)
        finally:
            recovered.close()
    return places
