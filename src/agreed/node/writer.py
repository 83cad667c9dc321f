"""The thread that waits for the disk, so that the loop does not.

`Save`s are handed over in order; whatever has come in while the disk was busy is written together and made
durable by one fdatasync.  So the slower the disk, the larger the batches.

A failed write or fsync is final: the kernel may have dropped the dirty pages and would report success the
next time ("fsyncgate"), so nothing is tried again and the node is told to stop.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence

from agreed.consensus.machine import Save
from agreed.errors import DiskFailed

STOP_WITHIN_S = 5.0


class Writer:
    def __init__(
        self,
        append: Callable[[Sequence[Save]], None],
        saved: Callable[[list[int]], None],
        failed: Callable[[str], None],
        crashed: Callable[[], object],
    ) -> None:
        """`crashed` is called in the thread, from within the handler of what is a mistake of ours."""
        self._append = append
        self._saved = saved
        self._failed = failed
        self._crashed = crashed
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Save | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="agreed-writer", daemon=True)
        self._thread.start()

    def submit(self, save: Save) -> None:
        self._queue.put(save)

    def call(self, job: Callable[[], None]) -> None:
        """Another job on the log's files, in its turn between saves (forgetting old segments)."""
        self._queue.put(job)

    def stop(self) -> None:
        """Returns when everything handed over is durable, has failed, or hangs for longer than anybody waits.

        What hangs was never acknowledged."""
        self._queue.put(None)
        self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        while True:
            jobs = [self._queue.get()]
            while not self._queue.empty():
                jobs.append(self._queue.get())
            try:
                if not self._do(jobs):
                    return
            except (DiskFailed, OSError) as error:
                self._loop.call_soon_threadsafe(self._failed, str(error))
                return
            except Exception:
                self._crashed()
                return

    def _do(self, jobs: list[Save | Callable[[], None] | None]) -> bool:
        saves: list[Save] = []
        for job in jobs:
            if isinstance(job, Save):
                saves.append(job)
                continue
            self._write(saves)
            saves = []
            if job is None:
                return False
            job()
        self._write(saves)
        return True

    def _write(self, saves: list[Save]) -> None:
        if saves:
            self._append(saves)
            self._loop.call_soon_threadsafe(self._saved, [save.serial for save in saves])
