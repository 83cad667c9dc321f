"""Snapshots: whole states of the store, each standing for the log up to its mark.

    create(mark) -> SnapshotWriter      write(bytes) ..., finish(): one of our own
    receive(mark) -> SnapshotReceiver   write(offset, bytes) ..., finish(): one from a peer, byte for byte
    load(index) -> SnapshotFile         verified from the first byte to the last
    pieces(index)                       its payload, for restoring the store
    read_chunk(index, offset, size)     its raw bytes, for sending it

A snapshot is written aside and gets its name, `<index>-<term>.snapshot`, only after all of it is synced; the
directory is synced before `finish` returns.  So a file with that name was whole once, and one that does not
verify has rotted.  The two newest are kept, and so is the log after the older of them
(`log_needed_from`): if the newest rots, the older one and the log still are the whole state.

Data is synced every 16 MiB, not only at the end: the log waits in the same queue, and a sync of a gigabyte
at the end would stop the node for longer than an election takes.
"""
from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from agreed.consensus.machine import SnapshotMark
from agreed.disk.files import Files, OpenFile, disk_failure
from agreed.disk.snapshot_format import (
    MAX_PIECE,
    BadSnapshot,
    SnapshotScan,
    encode_header,
    encode_piece,
    encode_trailer,
)
from agreed.errors import CorruptData, MalformedInput
from agreed.types import Index, Term

KEPT = 2
"""How many snapshots stay on disk."""

SYNCED_EVERY = 16 << 20
"""Bytes."""

_SUFFIX = ".snapshot"
_WRITING = ".snapshot.new"
_RECEIVING = ".snapshot.part"


class SnapshotName(msgspec.Struct, frozen=True, order=True):
    """What the name of a snapshot's file tells; sorts by age."""

    index: Index
    term: Term


class SnapshotFile(msgspec.Struct, frozen=True):
    """A whole, verified, durable snapshot."""

    mark: SnapshotMark
    size: int
    """Of the file, in bytes."""
    digest: bytes
    """SHA-256 of the payload: equal on two nodes if their states at this mark are."""


class Chunk(NamedTuple):
    """Raw bytes of a snapshot's file; `done`: the file ends with them."""

    data: bytes
    done: bool


class Snapshots:
    """The snapshots of one data directory."""

    def __init__(self, directory: Path, files: Files) -> None:
        self._directory = directory
        self._files = files
        self._being_sent: dict[Index, tuple[Path, OpenFile]] = {}

    def list(self) -> list[SnapshotName]:
        """Oldest first; by name only.  Raises DiskFailed."""
        with disk_failure(self._directory, "listing"):
            return snapshot_names(self._files.names(self._directory))

    @property
    def log_needed_from(self) -> Index:
        """The log before this index is in every snapshot that is kept: `Wal.forget_before` may have it.

        1 as long as there are fewer snapshots than are kept: the first one has no older one to fall back on.
        """
        names = self.list()
        return names[-KEPT].index + 1 if len(names) >= KEPT else 1

    def create(self, mark: SnapshotMark) -> SnapshotWriter:
        """Begin a snapshot of our own.  Raises DiskFailed."""
        return SnapshotWriter(self, self._directory, self._files, mark)

    def receive(self, mark: SnapshotMark) -> SnapshotReceiver:
        """Begin to receive this snapshot, or go on with what is held of it.

        What is held of any other is removed: there is one leader to receive from.  Raises DiskFailed.
        """
        path = self.receiving_path(mark)
        with disk_failure(path, "taking up"):
            for name in self._files.names(self._directory):
                if name.endswith(_RECEIVING) and name != path.name:
                    self._files.unlink(self._directory / name)
        return SnapshotReceiver(self, self._directory, self._files, mark)

    def load(self, index: Index) -> SnapshotFile:
        """Read and verify all of it.  Raises CorruptData (also where there is none), DiskFailed."""
        name = self._find(index)
        if name is None:
            raise CorruptData(f"{self._directory}: no snapshot of index {index}")
        path = snapshot_path(self._directory, name)
        with disk_failure(path, "reading"):
            file = self._files.open_for_reading(path)
            try:
                return verify_snapshot(file, name)
            except BadSnapshot as error:
                raise CorruptData(f"{path}, {error}") from error
            finally:
                file.close()

    def pieces(self, index: Index) -> Iterator[bytes]:
        """Its payload, in the pieces in which it was written.

        Raises CorruptData (possibly after some pieces), DiskFailed.
        """
        name = self._find(index)
        if name is None:
            raise CorruptData(f"{self._directory}: no snapshot of index {index}")
        path = snapshot_path(self._directory, name)
        with disk_failure(path, "opening"):
            file = self._files.open_for_reading(path)
        try:
            scan = SnapshotScan(file)
            with disk_failure(path, "reading"):
                scan.mark()
            pieces = scan.pieces()
            while True:
                with disk_failure(path, "reading"):
                    piece = next(pieces, None)
                if piece is None:
                    return
                yield piece
        except BadSnapshot as error:
            raise CorruptData(f"{path}, {error}") from error
        finally:
            file.close()

    def read_chunk(self, index: Index, offset: int, size: int) -> Chunk | None:
        """Up to `size` raw bytes of the snapshot at `index`.  None: it is not there (any more).

        The file stays open until `close_all_but` leaves it out, so that one which is being sent can still be
        read to its end after newer ones have taken its name away.  Each that is being sent, not only the last
        asked for: two members that catch up on two snapshots in turn would close each other's, and where
        snapshots are taken faster than sent, neither would ever have one whole.  Raises DiskFailed.
        """
        if index not in self._being_sent:
            name = self._find(index)
            if name is None:
                return None
            path = snapshot_path(self._directory, name)
            with disk_failure(path, "opening"):
                self._being_sent[index] = path, self._files.open_for_reading(path)
        path, file = self._being_sent[index]
        with disk_failure(path, "reading"):
            data = file.read(offset, size)
            return Chunk(data, offset + len(data) >= file.size())

    def close_all_but(self, wanted: Collection[Index]) -> None:
        """Of the files that `read_chunk` has opened, those that nobody is sent any more."""
        for index in self._being_sent.keys() - set(wanted):
            self._being_sent.pop(index)[1].close()

    def close(self) -> None:
        self.close_all_but(())

    def receiving_path(self, mark: SnapshotMark) -> Path:
        return self._directory / f"{mark.index:020d}-{mark.term:020d}{_RECEIVING}"

    def set_aside(self, name: SnapshotName) -> Path:
        """Give one that does not verify another name, so that it is no longer counted.  Raises DiskFailed."""
        path = snapshot_path(self._directory, name)
        aside = path.with_name(path.name + ".bad")
        self.close_all_but(self._being_sent.keys() - {name.index})
        with disk_failure(path, "renaming"):
            self._files.rename(path, aside)
            self._files.fsync_directory(self._directory)
        return aside

    def remove_old(self) -> None:
        """All but the newest ones.  Raises DiskFailed."""
        old = self.list()[:-KEPT]
        for name in old:
            path = snapshot_path(self._directory, name)
            with disk_failure(path, "removing"):
                self._files.unlink(path)
        if old:
            with disk_failure(self._directory, "syncing the directory"):
                self._files.fsync_directory(self._directory)

    def _find(self, index: Index) -> SnapshotName | None:
        return next((name for name in reversed(self.list()) if name.index == index), None)


class SnapshotWriter:
    """One snapshot of our own, on its way to the disk."""

    def __init__(self, snapshots: Snapshots, directory: Path, files: Files, mark: SnapshotMark) -> None:
        self._snapshots = snapshots
        self._files = files
        self._mark = mark
        self._final_path = snapshot_path(directory, SnapshotName(mark.index, mark.term))
        self._path = directory / f"{mark.index:020d}-{mark.term:020d}{_WRITING}"
        self._hash = hashlib.sha256()
        self._payload_size = 0
        self._position = 0
        self._synced_to = 0
        with disk_failure(self._path, "making it"):
            self._file = files.create(self._path)
            self._append(encode_header(mark))

    def write(self, payload: bytes) -> None:
        """The next piece of the payload, 1 byte to 1 GiB; `Snapshots.pieces` gives the same pieces back.

        Raises DiskFailed; then call `abandon`.
        """
        if not 0 < len(payload) <= MAX_PIECE:
            raise ValueError(f"a piece of {len(payload)} bytes")
        self._hash.update(payload)
        self._payload_size += len(payload)
        with disk_failure(self._path, "writing"):
            self._append(encode_piece(payload))

    def finish(self) -> SnapshotFile:
        """Whole, durable, and found by `list` from now on; older ones than are kept are removed.

        Raises DiskFailed; then call `abandon`.
        """
        digest = self._hash.digest()
        with disk_failure(self._path, "finishing"):
            self._append(encode_trailer(self._payload_size, digest))
            publish(self._files, self._file, self._path, self._final_path)
        self._snapshots.remove_old()
        return SnapshotFile(self._mark, self._position, digest)

    def abandon(self) -> None:
        """Remove what was written, as far as the disk lets us."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._files.unlink(self._path)

    def _append(self, data: bytes) -> None:
        self._file.write(self._position, data)
        self._position += len(data)
        if self._position - self._synced_to >= SYNCED_EVERY:
            self._file.fdatasync()
            self._synced_to = self._position


class SnapshotReceiver:
    """One snapshot from a peer, on its way to the disk.  Survives a restart with what it holds."""

    def __init__(self, snapshots: Snapshots, directory: Path, files: Files, mark: SnapshotMark) -> None:
        self._snapshots = snapshots
        self._files = files
        self._mark = mark
        self._final_path = snapshot_path(directory, SnapshotName(mark.index, mark.term))
        self._path = snapshots.receiving_path(mark)
        with disk_failure(self._path, "taking up"):
            if self._path.name in files.names(directory):
                self._file = files.open(self._path)
                self._held = _held(self._file, mark)
                self._file.truncate(self._held)
                _write_again(self._file, self._held)
            else:
                self._file = files.create(self._path)
                self._held = 0
        self._synced_to = self._held

    @property
    def mark(self) -> SnapshotMark:
        return self._mark

    @property
    def held(self) -> int:
        """How many bytes of it, from the first one on, are here: the offset of the chunk to ask for.

        Not necessarily durable.  After a restart only whole pieces count, those that verify.
        """
        return self._held

    def write(self, offset: int, data: bytes) -> int:
        """Take a chunk and return `held`.  One that lies behind `held` is left alone: it would leave a gap.

        Raises DiskFailed; then call `abandon`.
        """
        news = data[self._held - offset :] if offset <= self._held else b""
        if news:
            with disk_failure(self._path, "writing"):
                self._file.write(self._held, news)
                self._held += len(news)
                if self._held - self._synced_to >= SYNCED_EVERY:
                    self._file.fdatasync()
                    self._synced_to = self._held
        return self._held

    def finish(self) -> SnapshotFile:
        """Verify the whole, make it durable and give it its name.

        Raises MalformedInput where it is not a whole snapshot with this mark (what was held is removed: ask
        for it again from its beginning), DiskFailed.
        """
        try:
            with disk_failure(self._path, "verifying"):
                whole = verify_snapshot(self._file, SnapshotName(self._mark.index, self._mark.term))
            if whole.mark != self._mark:
                raise BadSnapshot(0, f"it is of {whole.mark}, and was announced as {self._mark}")
        except BadSnapshot as error:
            self.abandon()
            raise MalformedInput(f"the snapshot received for {self._mark.index}: {error}") from error
        with disk_failure(self._path, "finishing"):
            publish(self._files, self._file, self._path, self._final_path)
        self._snapshots.remove_old()
        return whole

    def abandon(self) -> None:
        """Remove what is held, as far as the disk lets us."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._files.unlink(self._path)


def snapshot_path(directory: Path, name: SnapshotName) -> Path:
    return directory / f"{name.index:020d}-{name.term:020d}{_SUFFIX}"


def snapshot_names(names: list[str]) -> list[SnapshotName]:
    """The snapshots among these names of files, oldest first."""
    found = []
    for name in names:
        parts = name.removesuffix(_SUFFIX).split("-")
        if name.endswith(_SUFFIX) and len(parts) == 2 and all(len(p) == 20 and p.isdecimal() for p in parts):
            found.append(SnapshotName(int(parts[0]), int(parts[1])))
    return sorted(found)


def is_unfinished(name: str) -> bool:
    """Whether a file of this name was being written aside when the process ended, and is of no more use."""
    return name.endswith(".new")


def receiving_index(name: str) -> Index | None:
    """The index of the snapshot that was being received under this name, None for other names."""
    stem = name.removesuffix(_RECEIVING).split("-")[0]
    return int(stem) if name.endswith(_RECEIVING) and stem.isdecimal() else None


def verify_snapshot(file: OpenFile, name: SnapshotName) -> SnapshotFile:
    """Read all of it.  Raises BadSnapshot."""
    scan = SnapshotScan(file)
    mark = scan.mark()
    if SnapshotName(mark.index, mark.term) != name:
        raise BadSnapshot(0, f"it is of index {mark.index} and term {mark.term}, unlike its name")
    for _ in scan.pieces():
        pass
    return SnapshotFile(mark, scan.held, scan.digest)


def publish(files: Files, file: OpenFile, path: Path, final_path: Path) -> None:
    """Content, then name, then directory: in any other order a crash leaves a name without its content."""
    file.fsync()
    file.close()
    files.rename(path, final_path)
    files.fsync_directory(final_path.parent)


def _held(file: OpenFile, mark: SnapshotMark) -> int:
    """How much of a half received snapshot can be trusted after a restart."""
    scan = SnapshotScan(file)
    try:
        if scan.mark() != mark:
            return 0
        for _ in scan.pieces():
            pass
    except BadSnapshot:
        pass
    return scan.held


def _write_again(file: OpenFile, held: int) -> None:
    """What the process before us wrote may have failed to reach the disk: the kernel says so once, and
    forgets that it still has to.  It is read back all the same, and lost with the power after a sync that has
    nothing to do.  Only what is written again is synced again."""
    for offset in range(0, held, SYNCED_EVERY):
        file.write(offset, file.read(offset, min(SYNCED_EVERY, held - offset)))
        file.fdatasync()


