"""A disk in memory that keeps the promises of `agreed.disk.files`, no others, and breaks in every known way.

What was written is seen at once, as through the page cache; what was synced is still there after a loss of
power; of the rest anything may be left.  The real log, snapshots and recovery run on it.

A job of the node (a batch of saves, a piece of a snapshot) runs through at the moment at which it begins, for
there are no threads here; but what it syncs becomes durable only when the job ends, some time later
(`begin`, `finish`).  If the node dies in between, the job got to some point of itself: what it would have
done after that point is undone, what it synced before that point is durable (`interrupt`).

    slow                every job takes longer (the node asks `extra_us`)
    full                nothing new can be made; what was preallocated can still be written
    failing sync        the kernel could not write, says so once, and forgets that it still had to: what was
                        written is seen until power is lost, and then it is gone
    read errors         reading raises
    rot                 a bit flips, durably
    misdirected write   what was to be written here is written there
    loss of power       each sector that was not synced is old or new
"""
from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from agreed.disk.files import SECTOR, Lock, OpenFile
from agreed.sim.streams import Stream

DIRECTORY = Path("/data")

PAGE = 4096
"""Bytes that the operating system remembers, writes and forgets together."""


def _error(number: int, path: Path) -> OSError:
    return OSError(number, errno.errorcode[number], str(path))


class Inode:
    """`visible`: what a reader sees.  `durable`: what is left without power.  `unsynced`: how to get from one
    to the other, in order: (number of the operation, offset, bytes, or None for a change of length)."""

    __slots__ = ("durable", "forgotten", "unsynced", "visible")

    def __init__(self, content: bytes | bytearray = b"") -> None:
        self.durable = bytearray(content)
        self.visible = bytearray(content)
        self.unsynced: list[tuple[int, int, bytes | None]] = []
        self.forgotten: list[tuple[int, int, bytes | None]] = []
        """What a failed sync has left in the cache and on no list of things to write."""

    def sync(self, number: int) -> None:
        """All that was done before this operation is durable."""
        due = [change for change in self.unsynced if change[0] <= number]
        if due and self.forgotten:
            self._write_forgotten(due)
        for _, offset, data in due:
            _apply(self.durable, offset, data)
        del self.unsynced[: len(due)]

    def _write_forgotten(self, due: list[tuple[int, int, bytes | None]]) -> None:
        """A page that is written again is written as a whole, with what was forgotten on it; and the length.

        Without this, what was forgotten would come back over what was written there later, when `undo` puts
        together what is seen."""
        pages: set[int] = set()
        for _, offset, data in due:
            pages.update(place // PAGE for place, _ in _pieces(offset, data or b"", PAGE))
        left: list[tuple[int, int, bytes | None]] = []
        for number, offset, data in self.forgotten:
            if data is None:
                _apply(self.durable, offset, None)
                left = _shortened(left, offset)
                continue
            for place, piece in _pieces(offset, data, PAGE):
                if place // PAGE in pages:
                    _apply(self.durable, place, piece)
                else:
                    left.append((number, place, piece))
        for _, offset, data in due:
            if data is None:
                left = _shortened(left, offset)
        self.forgotten = left

    def undo(self, first: int, last: int) -> None:
        """The operations of these numbers were never done."""
        kept = [change for change in self.unsynced if not first <= change[0] <= last]
        if len(kept) < len(self.unsynced):
            self.unsynced = kept
            self.visible = bytearray(self.durable)
            for _, offset, data in sorted(self.forgotten + kept, key=lambda change: change[0]):
                _apply(self.visible, offset, data)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        if len(content) > offset:
            del content[offset:]
        else:
            content.extend(bytes(offset - len(content)))
        return
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _shortened(
    writes: list[tuple[int, int, bytes | None]], size: int
) -> list[tuple[int, int, bytes | None]]:
    """What is left of them in a file of this length."""
    kept = [write for write in writes if write[1] < size]
    return [(number, offset, (data or b"")[: size - offset]) for number, offset, data in kept]


def _pieces(offset: int, data: bytes, size: int) -> list[tuple[int, bytes]]:
    """Cut at multiples of `size`: sectors are written or not, pages are remembered or not."""
    pieces = []
    position = 0
    while position < len(data):
        end = min(len(data), position + size - (offset + position) % size)
        pieces.append((offset + position, data[position:end]))
        position = end
    return pieces


class NameChange:
    """`target` stands for `inode` (None: for nothing), `source` for nothing any more."""

    __slots__ = ("inode", "number", "source", "target")

    def __init__(self, number: int, target: Path, inode: Inode | None, source: Path | None = None) -> None:
        self.number, self.target, self.inode, self.source = number, target, inode, source

    def apply(self, names: dict[Path, Inode]) -> None:
        if self.source is not None:
            names.pop(self.source, None)
        if self.inode is None:
            names.pop(self.target, None)
        else:
            names[self.target] = self.inode


class Job:
    """What one job of the node did: the numbers of its operations, and what it synced at which of them."""

    __slots__ = ("first", "last", "syncs")

    def __init__(self, first: int) -> None:
        self.first = first
        self.last = first - 1
        self.syncs: list[tuple[int, Inode | None]] = []


class Disk:
    """`Files` in memory.  One disk belongs to one machine and outlives the processes on it."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.names_seen: dict[Path, Inode] = {}
        self.names_durable: dict[Path, Inode] = {}
        self.unsynced_names: list[NameChange] = []
        self.locked = False
        self.extra_us = 0
        self.full = False
        self.reads_fail = False
        self.syncs_to_fail = 0
        self.writes_to_misdirect = 0
        self.hole: tuple[Inode, int] | None = None
        """Where a write should be that went elsewhere."""
        self.damaged = False
        """Something was once changed on it that nobody had asked for."""
        self.fail_count = 0
        self.on_failure: Callable[[str], None] = lambda what: None
        self._number = 0
        self._job: Job | None = None
        self._running: list[Job] = []

    # --- jobs -------------------------------------------------------------------------------------------

    def begin(self) -> Job:
        """What is done from now until `leave` is one job."""
        job = self._job = Job(self._number + 1)
        self._running.append(job)
        return job

    def leave(self) -> None:
        assert self._job is not None
        self._job.last = self._number
        self._job = None

    def finish(self, job: Job) -> None:
        """The time that it takes is over: what it synced is durable."""
        self._running.remove(job)
        for number, inode in job.syncs:
            self._make_durable(number, inode)

    def interrupt(self) -> None:
        """The process has ended: jobs that had not ended got somewhere.  The locks are gone with it."""
        self.locked = False
        running, self._running = self._running, []
        for job in running:
            reached = job.first - 1 + self.stream.below(job.last - job.first + 2)
            for number, inode in job.syncs:
                if number <= reached:
                    self._make_durable(number, inode)
            for inode in {id(i): i for i in self._inodes()}.values():
                inode.undo(reached + 1, job.last)
            kept = [change for change in self.unsynced_names if not reached < change.number <= job.last]
            if len(kept) < len(self.unsynced_names):
                self.unsynced_names = kept
                self.names_seen = dict(self.names_durable)
                for change in kept:
                    change.apply(self.names_seen)

    def lose_power(self) -> None:
        """After `interrupt`: of what was not synced anything may be left, sector by sector, name by name."""
        stream = self.stream
        way = stream.below(5)
        names = dict(self.names_durable)
        changes = self.unsynced_names
        if way == 1:
            for change in changes:
                change.apply(names)
        elif way == 2:
            for change in changes[: stream.below(len(changes) + 1)]:
                change.apply(names)
        elif way == 3:
            for change in changes:
                if stream.bits(1):
                    change.apply(names)
        self.unsynced_names = []
        self.names_durable = names
        self.names_seen = dict(names)
        for inode in {id(i): i for i in names.values()}.values():
            self._lose(inode, way)

    def _lose(self, inode: Inode, way: int) -> None:
        stream, unsynced = self.stream, inode.unsynced
        if way in (1, 4):
            for _, offset, data in unsynced:
                _apply(inode.durable, offset, data)
        elif way == 2:
            whole = stream.below(len(unsynced) + 1)
            for _, offset, data in unsynced[:whole]:
                _apply(inode.durable, offset, data)
            if whole < len(unsynced) and (torn := unsynced[whole])[2]:
                _apply(inode.durable, torn[1], torn[2][: stream.below(len(torn[2]) + 1)])
        elif way == 3:
            for _, offset, data in unsynced:
                if data is None:
                    if stream.bits(1):
                        _apply(inode.durable, offset, None)
                else:
                    for place, sector in _pieces(offset, data, SECTOR):
                        if stream.bits(1):
                            _apply(inode.durable, place, sector)
        inode.unsynced, inode.forgotten = [], []
        inode.visible = bytearray(inode.durable)

    # --- what goes wrong ----------------------------------------------------------------------------------

    def heal(self) -> None:
        """Nothing fails from now on; what is damaged stays damaged."""
        self.extra_us = self.syncs_to_fail = self.writes_to_misdirect = 0
        self.full = self.reads_fail = False

    def rot(self, dice: Stream) -> str | None:
        """Flips a bit of a file; the name of the file, None where there is nothing to rot."""
        files = [(path, inode) for path, inode in sorted(self.names_durable.items()) if any(inode.durable)]
        if not files:
            return None
        self.damaged = True
        path, inode = dice.pick(files)
        content = inode.durable
        written = len(content.rstrip(b"\0"))
        offset = dice.below(written)
        bit = 1 << dice.below(8)
        content[offset] ^= bit
        if offset < len(inode.visible):
            inode.visible[offset] ^= bit
        return f"bit {bit} at {offset} of {path.name}"

    @property
    def lost_without_a_trace(self) -> bool:
        """A write that was acknowledged is not where it should be, and nothing was written behind it since:
        no reader of this disk can know."""
        if self.hole is None:
            return False
        inode, offset = self.hole
        return not any(inode.durable[offset:])

    def _misdirect(self, inode: Inode, offset: int, data: bytes) -> tuple[Inode, int]:
        """Where this write goes instead."""
        self.writes_to_misdirect -= 1
        self.damaged = True
        self.hole = (inode, offset)
        files = [i for _, i in sorted(self.names_seen.items()) if len(i.visible) > len(data)]
        where = self.stream.pick(files) if files else inode
        last = max(0, len(where.visible.rstrip(b"\0")) - 1)
        place = self.stream.below(last + 1) // SECTOR * SECTOR
        return where, min(place, max(0, len(where.visible) - len(data)))

    def write(self, path: Path, inode: Inode, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if self.full and end > len(inode.visible):
            self.on_failure("no space")
            raise _error(errno.ENOSPC, path)
        if self.writes_to_misdirect and path.suffix == ".wal":
            inode, offset = self._misdirect(inode, offset, data)
            end = offset + len(data)
        self._number += 1
        inode.unsynced.append((self._number, offset, data))
        visible = inode.visible
        if offset > len(visible):
            visible.extend(bytes(offset - len(visible)))
        visible[offset:end] = data

    def resize(self, inode: Inode, size: int) -> None:
        self._number += 1
        inode.unsynced.append((self._number, size, None))
        _apply(inode.visible, size, None)

    def sync(self, path: Path, inode: Inode | None) -> None:
        """None: the directory."""
        if self.syncs_to_fail and inode is not None:
            self.syncs_to_fail -= 1
            self.on_failure("failing sync")
            inode.forgotten += inode.unsynced
            inode.unsynced = []
            raise _error(errno.EIO, path)
        self._number += 1
        if self._job is None:
            self._make_durable(self._number, inode)
        else:
            self._job.syncs.append((self._number, inode))

    def _make_durable(self, number: int, inode: Inode | None) -> None:
        if inode is not None:
            inode.sync(number)
            return
        left = []
        for change in self.unsynced_names:
            if change.number > number or self._under_way(change.number):
                left.append(change)
            else:
                change.apply(self.names_durable)
        self.unsynced_names = left

    def _under_way(self, number: int) -> bool:
        """Whether a job that has not ended did this: then it may not have happened yet.

        One thread syncs the directory while the other is about to rename a file there.  Were the new name
        durable with that, and the job of the other one then interrupted before the sync of its file, an empty
        file would have a name that is given to synced ones only."""
        return any(job.first <= number <= job.last for job in self._running)

    def _inodes(self) -> list[Inode]:
        found = [*self.names_seen.values(), *self.names_durable.values()]
        return found + [change.inode for change in self.unsynced_names if change.inode is not None]

    # --- Files --------------------------------------------------------------------------------------------

    def create(self, path: Path) -> OpenFile:
        if self.full:
            self.on_failure("no space")
            raise _error(errno.ENOSPC, path)
        inode = Inode()
        self._name(path, inode)
        return DiskFile(self, path, inode)

    def open(self, path: Path) -> OpenFile:
        return DiskFile(self, path, self._find(path))

    def open_for_reading(self, path: Path) -> OpenFile:
        return DiskFile(self, path, self._find(path))

    def names(self, directory: Path) -> list[str]:
        return sorted(path.name for path in self.names_seen)

    def make_directory(self, path: Path) -> None:
        pass

    def rename(self, source: Path, target: Path) -> None:
        self._name(target, self._find(source), source)

    def unlink(self, path: Path) -> None:
        self._find(path)
        self._name(path, None)

    def fsync_directory(self, path: Path) -> None:
        self.sync(path, None)

    def lock(self, path: Path) -> Lock:
        if self.locked:
            raise BlockingIOError(errno.EWOULDBLOCK, "locked")
        self.locked = True
        return DiskLock(self)

    def _name(self, target: Path, inode: Inode | None, source: Path | None = None) -> None:
        self._number += 1
        change = NameChange(self._number, target, inode, source)
        change.apply(self.names_seen)
        self.unsynced_names.append(change)

    def _find(self, path: Path) -> Inode:
        inode = self.names_seen.get(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "not found", str(path))
        return inode


class DiskFile:
    """An `OpenFile`."""

    __slots__ = ("_disk", "_inode", "_path")

    def __init__(self, disk: Disk, path: Path, inode: Inode) -> None:
        self._disk, self._path, self._inode = disk, path, inode

    def write(self, offset: int, data: bytes) -> None:
        self._disk.write(self._path, self._inode, offset, data)

    def read(self, offset: int, size: int) -> bytes:
        if self._disk.reads_fail:
            self._disk.on_failure("read error")
            raise _error(errno.EIO, self._path)
        return bytes(self._inode.visible[offset : offset + size])

    def size(self) -> int:
        return len(self._inode.visible)

    def preallocate(self, size: int) -> None:
        if size > len(self._inode.visible):
            if self._disk.full:
                self._disk.on_failure("no space")
                raise _error(errno.ENOSPC, self._path)
            self._disk.resize(self._inode, size)

    def truncate(self, size: int) -> None:
        self._disk.resize(self._inode, size)

    def fdatasync(self) -> None:
        self._disk.sync(self._path, self._inode)

    def fsync(self) -> None:
        self._disk.sync(self._path, self._inode)

    def close(self) -> None:
        pass


class DiskLock:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def release(self) -> None:
        self._disk.locked = False
