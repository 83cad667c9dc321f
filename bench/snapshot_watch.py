"""When a node wrote snapshots, seen from outside: its data directory is looked at ten times a second.

Both systems write a snapshot into a file with that word in its name, which grows and then stays as it is; so
one way of looking serves both.  An instant is exact to a tenth of a second.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec

LOOK_EVERY_S = 0.1


class SnapshotSeen(msgspec.Struct, frozen=True):
    """Node number from 0; instants of `time.monotonic()`, from the first sight to the last growth."""

    node: int
    from_s: float
    to_s: float
    bytes: int


class SnapshotWatch:
    """A context manager; `seen` afterwards.  Files that are there at its beginning do not count."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = directories
        self._old = {inode for node, _ in enumerate(directories) for inode in self._look(node)}
        self._seen: dict[int, SnapshotSeen] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> SnapshotWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    @property
    def seen(self) -> list[SnapshotSeen]:
        return sorted(self._seen.values(), key=lambda each: each.from_s)

    def _watch(self) -> None:
        while not self._end.wait(LOOK_EVERY_S):
            now = time.monotonic()
            for node, _ in enumerate(self._directories):
                for inode, size in self._look(node).items():
                    before = self._seen.get(inode)
                    if inode not in self._old and (before is None or size > before.bytes):
                        began = before.from_s if before else now - LOOK_EVERY_S
                        self._seen[inode] = SnapshotSeen(node, began, now, size)

    def _look(self, node: int) -> dict[int, int]:
        """Size by inode: a file keeps its inode when it is written aside and then renamed."""
        found = {}
        for place, _, names in os.walk(self._directories[node]):
            for name in names:
                if "snapshot" in name:
                    try:
                        status = os.stat(os.path.join(place, name))
                    except FileNotFoundError:
                        continue  # purged or renamed between the listing and the look
                    found[status.st_ino] = status.st_size
        return found
