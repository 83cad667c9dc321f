"""The few file operations that durability is made of, and what each of them promises about a crash.

Everything in this package reaches the disk through `Files`, so that a test can put a disk in its place that
loses what was not synced, tears what was being written and fails when it is least welcome.  What a crash
(of the machine, not only of the process) leaves behind:

* `OpenFile.write` promises nothing.  Until `fdatasync` has returned, any sector of it may be there or not, in
  any order, whatever was written before or after.  A sector (512 bytes) is old or new, never half of each.
* `fdatasync` returning makes the file's content and length durable; `fsync` its other attributes as well.
* A failed `fdatasync` promises nothing and can not be repeated: the kernel may have marked the pages clean
  that it failed to write, and the next call then reports success for bytes which are not on disk (the
  PostgreSQL "fsyncgate" of 2018).  Whoever sees one stops using that file.
* `create`, `rename` and `unlink` change a directory, and that change is durable only after
  `fsync_directory`.  A synced file under a name that was not synced is a file that can not be found.
* `rename` is atomic: after a crash the name stands for the old file or the new one.

Every method raises `OSError` as the operating system reports it; the callers turn it into `DiskFailed`.
"""
from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from agreed.errors import DiskFailed

SECTOR = 512
"""What is written whole or not at all.  Disks with larger sectors keep this promise too."""


class OpenFile(Protocol):
    """A file open for reading and writing at given offsets (there is no position to lose)."""

    def write(self, offset: int, data: bytes) -> None:
        """All of `data`, or an `OSError` after which any part of it may be there."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer only where the file ends."""
        ...

    def size(self) -> int: ...

    def preallocate(self, size: int) -> None:
        """The file is at least `size` bytes long, new bytes read as zero, and writing into them will not
        fail for want of space."""
        ...

    def truncate(self, size: int) -> None: ...

    def fdatasync(self) -> None: ...

    def fsync(self) -> None: ...

    def close(self) -> None:
        """No error if it is closed already."""
        ...


class Files(Protocol):
    """The operations on names."""

    def create(self, path: Path) -> OpenFile:
        """A new empty file; one that stood there loses its content."""
        ...

    def open(self, path: Path) -> OpenFile:
        """An existing file, for reading and writing.  `FileNotFoundError` where there is none."""
        ...

    def open_for_reading(self, path: Path) -> OpenFile:
        """As `open`, for those who may look but not touch."""
        ...

    def names(self, directory: Path) -> list[str]:
        """The names in it, sorted."""
        ...

    def make_directory(self, path: Path) -> None:
        """With its parents, durably; no error if it is there."""
        ...

    def rename(self, source: Path, target: Path) -> None: ...

    def unlink(self, path: Path) -> None: ...

    def fsync_directory(self, path: Path) -> None: ...

    def lock(self, path: Path) -> Lock:
        """Hold the file at `path` (made if missing) against every other process until `release` or the end
        of this one.  `BlockingIOError` if somebody else holds it."""
        ...


class Lock(Protocol):
    def release(self) -> None: ...


class RealFile:
    """An `OpenFile` of the operating system."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, offset: int, data: bytes) -> None:
        written = os.pwrite(self._descriptor, data, offset)
        # The kernel may write less than asked: at 2 GiB, at a signal, at a disk that is just full (the next
        # call then says ENOSPC).
        while written < len(data):
            written += os.pwrite(self._descriptor, memoryview(data)[written:], offset + written)

    def read(self, offset: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, offset)
        if len(data) == size or not data:
            return data
        parts = [data]
        missing = size - len(data)
        while missing and (data := os.pread(self._descriptor, missing, offset + size - missing)):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def preallocate(self, size: int) -> None:
        if size > 0:
            os.posix_fallocate(self._descriptor, 0, size)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def fdatasync(self) -> None:
        os.fdatasync(self._descriptor)

    def fsync(self) -> None:
        os.fsync(self._descriptor)

    def fileno(self) -> int:
        """For those who sync it by other means (kernel_sync.py)."""
        return self._descriptor

    def close(self) -> None:
        # Closing a number twice would close somebody else's file that got the number in between.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class RealLock:
    """A `flock` on an open file: the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor


class RealFiles:
    """`Files` of the operating system (Linux and other POSIX systems that have fdatasync).

    What it makes is its owner's alone: the log holds hashes of passwords, and tokens that are worth one."""

    def create(self, path: Path) -> OpenFile:
        return RealFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))

    def open(self, path: Path) -> OpenFile:
        return RealFile(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def open_for_reading(self, path: Path) -> OpenFile:
        return RealFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def names(self, directory: Path) -> list[str]:
        return sorted(os.listdir(directory))

    def make_directory(self, path: Path) -> None:
        missing = []
        directory = path
        while not directory.is_dir():
            missing.append(directory)
            directory = directory.parent
        for directory in reversed(missing):
            directory.mkdir(mode=0o700, exist_ok=True)
            self.fsync_directory(directory.parent)
        if not missing:
            # Whoever made it, this process or the operator, may have ended before its name was durable.
            with suppress(PermissionError):
                self.fsync_directory(path.absolute().parent)

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def fsync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> Lock:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return RealLock(descriptor)


@contextmanager
def disk_failure(path: Path, doing: str) -> Iterator[None]:
    """Turns an `OSError` of the block into a `DiskFailed` that names the file and what was being done."""
    try:
        yield
    except OSError as error:
        raise DiskFailed(f"{path}: {doing} failed: {error.strerror or error}") from error


def replace_file(files: Files, path: Path, content: bytes) -> None:
    """Put `content` in the place of the file at `path`: after a crash it is the old or the new, whole.

    The order is the promise: content before name (else the name may stand for an empty file), name before
    return (else the old file may come back).
    """
    aside = path.with_name(path.name + ".new")
    with disk_failure(path, "replacing"):
        file = files.create(aside)
        try:
            file.write(0, content)
            file.fsync()
        finally:
            file.close()
        files.rename(aside, path)
        files.fsync_directory(path.parent)
