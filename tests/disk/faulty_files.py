"""A disk in memory that keeps exactly the promises of `agreed.disk.files`, and no other.

What was written is seen at once, as through the page cache, but only what was synced is sure to be there
after `power_off`; of the rest a `Loss` decides what stays.  A failed sync leaves the cache as it is and
forgets that it still had to be written, as Linux does.  `before_it_is_safe` is called in the middle of every
operation, when what it changes is visible and not yet durable: the worst moment to lose power.
"""
from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from random import Random
from typing import NamedTuple

from agreed.disk.files import SECTOR, Lock, OpenFile


class Loss(Enum):
    """What a loss of power leaves of what was not synced."""

    EVERYTHING = "all of it is lost"
    NOTHING = "all of it happens to be there"
    TORN = "it is there up to some byte, in the order in which it was done"
    SCATTERED = "some sectors and some names are there, in no order"
    NAMES_ONLY = "every change of names is there, no content is"
    CONTENT_ONLY = "all content is there, no change of names is"


class Change(NamedTuple):
    """Bytes put at an offset, or (data None) the file's length set to it."""

    offset: int
    data: bytes | None

    def apply(self, content: bytearray) -> None:
        if self.data is None:
            if len(content) > self.offset:
                del content[self.offset :]
            else:
                content.extend(bytes(self.offset - len(content)))
            return
        content.extend(bytes(max(0, self.offset - len(content))))
        content[self.offset : self.offset + len(self.data)] = self.data

    def sectors(self) -> list[Change]:
        if self.data is None:
            return [self]
        pieces = []
        position = 0
        while position < len(self.data):
            end = min(len(self.data), position + SECTOR - (self.offset + position) % SECTOR)
            pieces.append(Change(self.offset + position, self.data[position:end]))
            position = end
        return pieces


class Inode:
    def __init__(
        self,
        durable: bytes | bytearray = b"",
        visible: bytes | bytearray = b"",
        unsynced: Sequence[Change] = (),
    ) -> None:
        self.durable = bytearray(durable)
        self.visible = bytearray(visible)
        self.unsynced = list(unsynced)

    def change(self, change: Change) -> None:
        change.apply(self.visible)
        self.unsynced.append(change)

    def sync(self) -> None:
        for change in self.unsynced:
            change.apply(self.durable)
        self.unsynced.clear()

    def clone(self) -> Inode:
        return Inode(bytes(self.durable), bytes(self.visible), self.unsynced)

    def after_loss(self, loss: Loss, random: Random) -> Inode:
        content = bytearray(self.durable)
        for change in self._surviving(loss, random):
            change.apply(content)
        return Inode(content, content)

    def _surviving(self, loss: Loss, random: Random) -> list[Change]:
        match loss:
            case Loss.EVERYTHING | Loss.NAMES_ONLY:
                return []
            case Loss.NOTHING | Loss.CONTENT_ONLY:
                return self.unsynced
            case Loss.SCATTERED:
                return [
                    piece for change in self.unsynced for piece in change.sectors() if random.random() < 0.5
                ]
            case Loss.TORN:
                whole = self.unsynced[: random.randint(0, len(self.unsynced))]
                if whole and (torn := whole.pop()).data is not None:
                    whole.append(Change(torn.offset, torn.data[: random.randint(0, len(torn.data))]))
                return whole


class NameChange(NamedTuple):
    """`target` gets the file (None: `target` only loses its name); `source` loses it."""

    target: Path
    inode: Inode | None
    source: Path | None = None

    def apply(self, names: dict[Path, Inode]) -> None:
        if self.source is not None:
            names.pop(self.source, None)
        if self.inode is None:
            names.pop(self.target, None)
        else:
            names[self.target] = self.inode


class FaultyFiles:
    """`Files` in memory.

    `fail` is asked before each operation (its name, its path) and may answer with an errno.
    """

    def __init__(self) -> None:
        self.visible: dict[Path, Inode] = {}
        self.durable: dict[Path, Inode] = {}
        self.unsynced: list[NameChange] = []
        self.locked: set[Path] = set()
        self.before_it_is_safe: Callable[[], None] = lambda: None
        self.fail: Callable[[str, Path], int | None] = lambda operation, path: None

    # --- Files ------------------------------------------------------------------------------------------

    def create(self, path: Path) -> OpenFile:
        self.refuse("create", path)
        inode = Inode()
        self._rename(NameChange(path, inode))
        return self.handle(path, inode)

    def open(self, path: Path) -> OpenFile:
        self.refuse("open", path)
        return self.handle(path, self._find(path))

    def open_for_reading(self, path: Path) -> OpenFile:
        return self.open(path)

    def names(self, directory: Path) -> list[str]:
        return sorted(path.name for path in self.visible if path.parent == directory)

    def make_directory(self, path: Path) -> None:
        pass

    def rename(self, source: Path, target: Path) -> None:
        self.refuse("rename", target)
        self._rename(NameChange(target, self._find(source), source))

    def unlink(self, path: Path) -> None:
        self.refuse("unlink", path)
        self._find(path)
        self._rename(NameChange(path, None))

    def fsync_directory(self, path: Path) -> None:
        self.refuse("fsync_directory", path)
        self.before_it_is_safe()
        for change in self.unsynced:
            change.apply(self.durable)
        self.unsynced.clear()

    def lock(self, path: Path) -> Lock:
        if path in self.locked:
            raise BlockingIOError(errno.EWOULDBLOCK, "locked")
        self.locked.add(path)
        return MemoryLock(self, path)

    # --- for tests --------------------------------------------------------------------------------------

    def handle(self, path: Path, inode: Inode) -> OpenFile:
        """Mutants give out handles that break a promise."""
        return FaultyFile(self, path, inode)

    def refuse(self, operation: str, path: Path) -> None:
        number = self.fail(operation, path)
        if number is not None:
            raise OSError(number, os.strerror(number), str(path))

    def kill(self) -> None:
        """The process ends; the operating system goes on, and with it the cache."""
        self.locked.clear()

    def clone(self) -> FaultyFiles:
        copies: dict[int, Inode] = {}

        def copy(inode: Inode) -> Inode:
            return copies.setdefault(id(inode), inode.clone())

        other = type(self)()
        other.visible = {path: copy(inode) for path, inode in self.visible.items()}
        other.durable = {path: copy(inode) for path, inode in self.durable.items()}
        other.unsynced = [
            NameChange(change.target, change.inode and copy(change.inode), change.source)
            for change in self.unsynced
        ]
        return other

    def power_off(self, loss: Loss, random: Random) -> FaultyFiles:
        """The disk as it is found when power is back."""
        names = dict(self.durable)
        for change in self._surviving_names(loss, random):
            change.apply(names)
        other = type(self)()
        other.durable = {path: inode.after_loss(loss, random) for path, inode in names.items()}
        other.visible = dict(other.durable)
        return other

    def _surviving_names(self, loss: Loss, random: Random) -> list[NameChange]:
        match loss:
            case Loss.EVERYTHING | Loss.CONTENT_ONLY:
                return []
            case Loss.NOTHING | Loss.NAMES_ONLY:
                return self.unsynced
            case Loss.TORN:
                return self.unsynced[: random.randint(0, len(self.unsynced))]
            case Loss.SCATTERED:
                return [change for change in self.unsynced if random.random() < 0.5]

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        """Behind everybody's back, and durably."""
        inode = self.visible[path]
        for content in (inode.durable, inode.visible):
            Change(offset, data).apply(content)

    def flip(self, path: Path, offset: int, bit: int) -> None:
        self.overwrite(path, offset, bytes([self.visible[path].visible[offset] ^ 1 << bit]))

    def cut(self, path: Path, size: int) -> None:
        inode = self.visible[path]
        for content in (inode.durable, inode.visible):
            Change(size, None).apply(content)

    def _rename(self, change: NameChange) -> None:
        change.apply(self.visible)
        self.unsynced.append(change)
        self.before_it_is_safe()

    def _find(self, path: Path) -> Inode:
        if path not in self.visible:
            raise FileNotFoundError(errno.ENOENT, "not found", str(path))
        return self.visible[path]


class FaultyFile:
    def __init__(self, files: FaultyFiles, path: Path, inode: Inode) -> None:
        self.files = files
        self.path = path
        self.inode = inode

    def write(self, offset: int, data: bytes) -> None:
        number = self.files.fail("write", self.path)
        if number is not None:
            self.inode.change(Change(offset, data[: len(data) // 2]))
            raise OSError(number, os.strerror(number), str(self.path))
        self.inode.change(Change(offset, data))
        self.files.before_it_is_safe()

    def read(self, offset: int, size: int) -> bytes:
        self.files.refuse("read", self.path)
        return bytes(self.inode.visible[offset : offset + size])

    def size(self) -> int:
        return len(self.inode.visible)

    def preallocate(self, size: int) -> None:
        self.files.refuse("preallocate", self.path)
        if size > self.size():
            self.inode.change(Change(size, None))
            self.files.before_it_is_safe()

    def truncate(self, size: int) -> None:
        self.files.refuse("truncate", self.path)
        self.inode.change(Change(size, None))
        self.files.before_it_is_safe()

    def fdatasync(self) -> None:
        self._sync("fdatasync")

    def fsync(self) -> None:
        self._sync("fsync")

    def close(self) -> None:
        pass

    def _sync(self, operation: str) -> None:
        number = self.files.fail(operation, self.path)
        if number is not None:
            # The pages are marked clean although they were never written: the next sync finds nothing to do.
            self.inode.unsynced.clear()
            raise OSError(number, os.strerror(number), str(self.path))
        self.files.before_it_is_safe()
        self.inode.sync()


class MemoryLock:
    def __init__(self, files: FaultyFiles, path: Path) -> None:
        self._files = files
        self._path = path

    def release(self) -> None:
        self._files.locked.discard(self._path)
