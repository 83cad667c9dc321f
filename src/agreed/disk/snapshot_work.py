"""What a node asks of its snapshots, one job after the other; each call waits for the disk.

    start(mark), write(piece, last)   a snapshot of our own, piece by piece, until it is whole
    load(request)                     a chunk of one of ours, for a member that lacks it
    save(chunk)                       a chunk of the leader's, until that one is whole and verified

A driver calls these from one thread (or simulates one) and tells the replica what came back.
"""
from __future__ import annotations

from collections.abc import Callable

from agreed.consensus.machine import (
    ChunkLoaded,
    ChunkSaved,
    LoadChunk,
    SaveChunk,
    SnapshotMark,
    SnapshotRejected,
)
from agreed.disk.snapshots import SnapshotFile, SnapshotReceiver, Snapshots, SnapshotWriter
from agreed.errors import CorruptData, DiskFailed, MalformedInput
from agreed.types import NodeId

CHUNK_BYTES = 1024 * 1024


class SnapshotWork:
    """`complain` is called, from whichever thread, with what an operator should read."""

    def __init__(
        self, snapshots: Snapshots, complain: Callable[[str], None], chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self._snapshots = snapshots
        self._complain = complain
        self._chunk_bytes = chunk_bytes
        self._mark: SnapshotMark | None = None
        self._writer: SnapshotWriter | None = None
        self._receiver: SnapshotReceiver | None = None
        self._sending: dict[NodeId, SnapshotMark] = {}

    def start(self, mark: SnapshotMark) -> None:
        """The pieces that come now are of this snapshot of our own.  Touches no file."""
        self._mark = mark

    def write(self, piece: bytes, last: bool) -> SnapshotFile | None:
        """The snapshot, once its last piece is durable.  Raises DiskFailed; what was written is abandoned."""
        try:
            if self._writer is None:
                assert self._mark is not None
                self._writer = self._snapshots.create(self._mark)
            self._writer.write(piece)
            if not last:
                return None
            written = self._writer.finish()
            self._writer = None
            return written
        except (DiskFailed, OSError) as error:
            if self._writer is not None:
                self._writer.abandon()
                self._writer = None
            raise _disk_failed(error) from error

    def load(self, request: LoadChunk) -> ChunkLoaded:
        """Never raises: what cannot be read is not there."""
        try:
            mark = self._sending.get(request.target) if request.index and request.offset else None
            if mark is None:
                mark = self._newest_sound(request.target)
            if mark is not None:
                chunk = self._snapshots.read_chunk(mark.index, request.offset, self._chunk_bytes)
                if chunk is not None:
                    return ChunkLoaded(request.target, mark, request.offset, chunk.data, chunk.done)
        except (DiskFailed, CorruptData, OSError) as error:
            self._complain(f"a snapshot cannot be sent: {error}")
        return ChunkLoaded(request.target, None, request.offset, b"", False)

    def _newest_sound(self, target: NodeId) -> SnapshotMark | None:
        """Verified as a whole before the first byte of it leaves, each time: it may have rotted since.

        The story: the other node finds that what it was sent does not match, and asks for it from its
        beginning; who had looked only once sent it the same for ever."""
        self._sending.pop(target, None)
        for name in reversed(self._snapshots.list()):
            try:
                mark = self._sending[target] = self._snapshots.load(name.index).mark
                self._snapshots.close_all_but({each.index for each in self._sending.values()})
                return mark
            except CorruptData as error:
                aside = self._snapshots.set_aside(name)
                self._complain(f"a snapshot cannot be sent: {error}; it is now {aside.name}")
        return None

    def save(self, chunk: SaveChunk) -> ChunkSaved | SnapshotRejected | SnapshotFile:
        """The snapshot, once it is whole, verified and durable: the log is to be started after it, and the
        store restored from it.  Raises DiskFailed."""
        try:
            receiver = self._receiver
            if receiver is not None and receiver.mark != chunk.mark:
                receiver.abandon()
                receiver = None
            if receiver is None:
                receiver = self._receiver = self._snapshots.receive(chunk.mark)
            receiver.write(chunk.offset, chunk.data)
            if not chunk.done:
                return ChunkSaved(chunk.mark, receiver.held)
            self._receiver = None
            return receiver.finish()
        except (CorruptData, MalformedInput) as error:
            self._receiver = None
            self._complain(f"the received snapshot is damaged: {error}")
            return SnapshotRejected(chunk.mark)
        except OSError as error:
            raise _disk_failed(error) from error


def _disk_failed(error: DiskFailed | OSError) -> DiskFailed:
    return error if isinstance(error, DiskFailed) else DiskFailed(str(error))
