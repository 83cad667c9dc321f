"""The write-ahead log: what a node has promised to remember, in the order in which it promised it.

    append([save, ...])     one write and one fdatasync for the whole batch, however many saves it holds;
                            after a crash the batch is there as a whole or not at all
    write([save, ...])      the same without the fdatasync, for who has other means to sync (kernel_sync.py);
                            `synced` then says what became of it
    start_after(mark)       a snapshot was received that this log does not lead to: the log goes on after it
    forget_before(index)    a snapshot covers the entries before `index`: whole files that hold no other go

Returning means: durable.  Raising `DiskFailed` means: it may or may not be; from then on the log refuses
everything, because neither the operating system nor we know any more what is on disk (files.py tells the
story of fsync).  The only way on is to stop, and to start again from what the disk really holds.

Nothing is overwritten in place: a save that replaces a suffix of the log is a later record, and on replay
the later record wins.

The files (segments.py) are allocated in full when they are made, and zeros are written a step ahead of the
records.  Otherwise each fdatasync would have to write the file system's journal as well, because the file
had grown or a part of it had been used for the first time; measured on ext4 that is 240 instead of 140
microseconds for 10 KiB.  The zeros are also what makes a torn write recognisable (record.py).

The order when one file is full: cut the old one to its length and sync it; make the new one aside with its
first record, sync it; give it its name; sync the directory; only then is anything written into it.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agreed.consensus.machine import Ballot, Save
from agreed.disk.extent import Extent
from agreed.disk.files import Files, OpenFile, disk_failure
from agreed.disk.payloads import (
    FORMAT_VERSION,
    SegmentHeader,
    encode_log_start,
    encode_saves,
    encode_segment_header,
)
from agreed.disk.record import MAX_PAYLOAD, RecordKind, encode_record, record_size
from agreed.disk.replay import Replay
from agreed.disk.segments import PlacedRecord, segment_path
from agreed.errors import DiskFailed
from agreed.types import Identity, Index, Term

SEGMENT_SIZE = 64 << 20
"""Bytes of one log file, if no single batch is larger."""

ZEROED_AHEAD = 512 << 10
"""Bytes of zeros written ahead of the records in one go."""


@dataclass
class _Segment:
    number: int
    highest_index: Index


class Wal:
    """An open log.  Made by `Wal.create` or, from what was read back, by `Wal.resume`."""

    def __init__(
        self,
        directory: Path,
        files: Files,
        identity: Identity,
        extent: Extent,
        ballot: Ballot,
        segment_size: int,
    ) -> None:
        self._directory = directory
        self._files = files
        self._identity = identity
        self._extent = extent
        self._segment_size = segment_size
        self._segments: list[_Segment] = []
        self._failure: DiskFailed | None = None
        self._path: Path
        self._file: OpenFile
        self._position = 0
        self._zeroed_to = 0
        self._capacity = 0
        self._unsynced: tuple[Sequence[Save], int] = ((), 0)
        self.ballot = ballot
        """The last one saved."""

    @classmethod
    def create(
        cls, directory: Path, files: Files, identity: Identity, *, segment_size: int = SEGMENT_SIZE
    ) -> Wal:
        """The log of a new data directory; durable when this returns.  Raises DiskFailed."""
        wal = cls(directory, files, identity, Extent(0, 0), Ballot(0, None), segment_size)
        wal._begin_segment(1, 0)
        return wal

    @classmethod
    def resume(
        cls, directory: Path, files: Files, replay: Replay, *, segment_size: int = SEGMENT_SIZE
    ) -> Wal:
        """Go on after what was replayed.  Raises DiskFailed."""
        wal = cls(directory, files, replay.identity, replay.extent, replay.ballot, segment_size)
        wal._segments = [_Segment(segment.number, segment.highest_index) for segment in replay.segments]
        wal._path = segment_path(directory, wal._segments[-1].number)
        wal._position = wal._zeroed_to = replay.segments[-1].end
        with disk_failure(wal._path, "taking up the log"):
            wal._file = files.open(wal._path)
            wal._capacity = wal._file.size()
            if replay.torn is not None:
                wal._cut_torn_tail()
            assert replay.last_record is not None
            wal._write_again(replay.last_record)
        return wal

    @property
    def last_index(self) -> Index:
        return self._extent.last_index

    @property
    def failure(self) -> DiskFailed | None:
        """Why this log refuses everything, or None."""
        return self._failure

    def term_at(self, index: Index) -> Term | None:
        """None where the log has no such position.  (That of the entry before the first one is known.)"""
        return self._extent.term_at(index)

    def append(self, saves: Sequence[Save]) -> None:
        """Make all of them durable, in their order.

        Raises DiskFailed, now and ever after; ValueError, with nothing written, where the entries would leave
        a gap in the log or the batch is larger than 1 GiB.
        """
        if not saves:
            return
        self._check_contiguous(saves)
        self._write(RecordKind.SAVES, encode_saves(saves))
        self._note(saves)

    def write(self, saves: Sequence[Save]) -> OpenFile | None:
        """As `append`, but only written: `synced` must be called with what became of syncing the file that is
        returned, before anything else is asked of this log.

        None, with nothing written, where they need a new file: that takes longer, and is for `append`.
        """
        self._refuse_after_failure()
        self._check_contiguous(saves)
        payload = encode_saves(saves)
        if self._position + record_size(len(payload)) > self._capacity:
            return None
        self._unsynced = (saves, self._put(RecordKind.SAVES, payload))
        return self._file

    def synced(self, error: OSError | None) -> None:
        """What was written is durable; or it is not, which raises DiskFailed now and ever after."""
        saves, self._position = self._unsynced
        with self._refusing_after(self._path, "write or fdatasync"):
            if error is not None:
                raise error
        self._note(saves)

    def _note(self, saves: Sequence[Save]) -> None:
        extent, segment = self._extent, self._segments[-1]
        for save in saves:
            for entry in save.entries:
                extent.put(entry)
                if entry.index > segment.highest_index:
                    segment.highest_index = entry.index
        self.ballot = saves[-1].ballot

    def start_after(self, index: Index, term: Term) -> None:
        """A received snapshot with this last entry is durable, and is the state from now on.

        If the log has that very entry, what follows it stays (Raft §7) and nothing is written.  Otherwise
        all of the log is void, durably: entries that contradict the snapshot must not come back after a
        restart, where they would make this node's log look longer than it is and win it, or others, votes.
        Raises DiskFailed.
        """
        if self._extent.term_at(index) == term:
            return
        self._write(RecordKind.LOG_START, encode_log_start(index, term))
        self._extent.start_after(index, term)

    def forget_before(self, index: Index) -> None:
        """Remove the files that hold nothing but entries before `index`, the oldest first.

        To be called with `Snapshots.log_needed_from`.  The entries of other files stay readable, so less may
        be forgotten than allowed.  Raises DiskFailed.
        """
        self._refuse_after_failure()
        removed = 0
        while len(self._segments) > 1 and self._segments[0].highest_index < index:
            path = segment_path(self._directory, self._segments[0].number)
            with self._refusing_after(path, "removing"):
                self._files.unlink(path)
            self._segments.pop(0)
            removed += 1
        if removed:
            with self._refusing_after(self._directory, "syncing the directory"):
                self._files.fsync_directory(self._directory)

    def close(self) -> None:
        """Nothing is written: what is durable already is."""
        self._file.close()

    def _cut_torn_tail(self) -> None:
        """Not only skipped: its remains behind a later, shorter record would look like a rotten one."""
        self._file.truncate(self._position)
        self._file.preallocate(self._capacity)
        self._file.fsync()

    def _write_again(self, last: PlacedRecord) -> None:
        """The last record may be one that was never synced: the process was killed between write and
        fdatasync, or fdatasync failed and left the page in memory, marked as clean, so that a sync alone
        would do nothing.  Replay found it there; from now on the node vouches for it, and a loss of power
        would take it.  Every record before it was synced before it was written.
        """
        record = last.record
        self._file.write(
            last.offset, encode_record(record.kind, record.payload, self._segments[-1].number, last.offset)
        )
        self._file.fsync()

    def _check_contiguous(self, saves: Sequence[Save]) -> None:
        last_index = self._extent.last_index
        for save in saves:
            for entry in save.entries:
                if not 0 < entry.index <= last_index + 1:
                    raise ValueError(f"entry {entry.index} would follow entry {last_index} in the log")
                last_index = entry.index

    def _write(self, kind: RecordKind, payload: bytes) -> None:
        """One record, durable when this returns."""
        self._refuse_after_failure()
        if len(payload) > MAX_PAYLOAD:
            raise ValueError(f"a batch of {len(payload)} bytes; at most {MAX_PAYLOAD} can be saved at once")
        if self._position + record_size(len(payload)) > self._capacity:
            self._roll(record_size(len(payload)))
        end = self._put(kind, payload)
        with self._refusing_after(self._path, "write or fdatasync"):
            self._file.fdatasync()
        self._position = end

    def _put(self, kind: RecordKind, payload: bytes) -> int:
        """Write a record that fits into the file; where it ends."""
        position = self._position
        data = encode_record(kind, payload, self._segments[-1].number, position)
        end = position + len(data)
        if end > self._zeroed_to:
            self._zeroed_to = min(end + ZEROED_AHEAD, self._capacity)
            data += bytes(self._zeroed_to - end)
        with self._refusing_after(self._path, "write or fdatasync"):
            self._file.write(position, data)
        return end

    def _roll(self, needed: int) -> None:
        with self._refusing_after(self._path, "finishing"):
            self._file.truncate(self._position)
            self._file.fsync()
            self._file.close()
        self._begin_segment(self._segments[-1].number + 1, needed)

    def _begin_segment(self, number: int, needed: int) -> None:
        path = segment_path(self._directory, number)
        extent = self._extent
        header = SegmentHeader(
            FORMAT_VERSION, self._identity, extent.last_index, extent.last_term, self.ballot
        )
        first = encode_record(RecordKind.SEGMENT, encode_segment_header(header), number, 0)
        capacity = max(self._segment_size, len(first) + needed)
        zeroed_to = min(len(first) + ZEROED_AHEAD, capacity)
        aside = path.with_name(path.name + ".new")
        with self._refusing_after(path, "making it"):
            file = self._files.create(aside)
            file.preallocate(capacity)
            file.write(0, first + bytes(zeroed_to - len(first)))
            file.fsync()
            self._files.rename(aside, path)
            self._files.fsync_directory(self._directory)
        self._path, self._file = path, file
        self._position, self._zeroed_to, self._capacity = len(first), zeroed_to, capacity
        self._segments.append(_Segment(number, 0))

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise DiskFailed(f"the log refuses everything since this: {self._failure}") from self._failure

    @contextmanager
    def _refusing_after(self, path: Path, doing: str) -> Iterator[None]:
        """A failure of the block is the last thing this log does."""
        try:
            with disk_failure(path, doing):
                yield
        except DiskFailed as failure:
            self._failure = failure
            raise
