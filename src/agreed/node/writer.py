"""Makes the log durable while the loop goes on.

`Save`s are handed over in order; whatever has come in while the disk was busy is written together and made
durable by one fdatasync.  So the slower the disk, the larger the batches.

Where the kernel syncs by itself (disk/kernel_sync.py) the loop writes a batch into the page cache and asks
for the sync, and nobody waits.  What takes longer (a new file of the log, forgetting old ones), and
everything where the kernel cannot, is done by a thread.  One job at a time, so all of them in their order;
and while a sync hangs, nothing is written that could hang the loop.

A failed write or fsync is final: the kernel may have dropped the dirty pages and would report success the
next time ("fsyncgate"), so nothing is tried again and the node is told to stop.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable

from agreed.consensus.machine import Save
from agreed.disk.files import RealFile
from agreed.disk.kernel_sync import KernelSync
from agreed.disk.wal import Wal
from agreed.errors import DiskFailed
from agreed.node.durations import Durations

STOP_WITHIN_S = 5.0

Job = Callable[[], None]


class Writer:
    """To be used in the loop's thread alone."""

    def __init__(
        self,
        wal: Wal,
        saved: Callable[[list[int]], None],
        failed: Callable[[str], None],
        crashed: Callable[[], object],
        kernel: KernelSync | None,
    ) -> None:
        """`crashed` is called from within the handler of what is a mistake of ours, in either thread.

        The writer closes `kernel` when it stops."""
        self._wal = wal
        self._saved = saved
        self._failed = failed
        self._crashed = crashed
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Save | Job] = deque()
        self.syncs = Durations()
        """What batches took, from being handed to the disk until they were durable."""
        self._begun_s = 0.0
        self._serials: list[int] = []
        """Of the saves that are being made durable now."""
        self._busy = self._ended = False
        self._rests = asyncio.Event()
        self._rests.set()
        self._for_thread: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="agreed-writer", daemon=True)
        self._thread.start()
        self._kernel = kernel
        if kernel is not None:
            self._loop.add_reader(kernel.fileno(), self._kernel_synced)

    def submit(self, save: Save) -> None:
        self._add(save)

    def call(self, job: Job) -> None:
        """Another job on the log's files, in its turn between saves (forgetting old segments)."""
        self._add(job)

    async def stop(self) -> None:
        """Returns when everything handed over is durable, has failed, or hangs for longer than anybody waits.

        What hangs was never acknowledged."""
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._rests.wait()
        except TimeoutError:
            return
        self._ended = True
        self._for_thread.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        if self._kernel is not None:
            self._loop.remove_reader(self._kernel.fileno())
            self._kernel.close()

    # --- one job at a time ----------------------------------------------------------------------------

    def _add(self, work: Save | Job) -> None:
        self._waiting.append(work)
        if not self._busy and not self._ended:
            self._begin()

    def _begin(self) -> None:
        """The next job, or all saves up to the next one."""
        self._busy = True
        self._rests.clear()
        waiting = self._waiting
        saves: list[Save] = []
        while waiting and isinstance(waiting[0], Save):
            saves.append(waiting[0])
            waiting.popleft()
        try:
            if saves:
                self._serials = [save.serial for save in saves]
                self._begun_s = self._loop.time()
                if not self._handed_to_kernel(saves):
                    self._for_thread.put(lambda: self._wal.append(saves))
            else:
                job = waiting.popleft()
                assert not isinstance(job, Save)
                self._for_thread.put(job)
        except (DiskFailed, OSError) as error:
            self._fail(str(error))
        except Exception:
            self._end()
            self._crashed()

    def _handed_to_kernel(self, saves: list[Save]) -> bool:
        if self._kernel is None:
            return False
        file = self._wal.write(saves)
        if file is None:
            return False
        assert isinstance(file, RealFile)
        self._kernel.submit(file.fileno())
        return True

    def _kernel_synced(self) -> None:
        assert self._kernel is not None
        try:
            self._wal.synced(self._kernel.result())
        except (DiskFailed, OSError) as error:
            self._fail(str(error))
        except Exception:
            self._end()
            self._crashed()
        else:
            self._done()

    def _run(self) -> None:
        """The thread."""
        while (job := self._for_thread.get()) is not None:
            try:
                job()
            except (DiskFailed, OSError) as error:
                self._loop.call_soon_threadsafe(self._fail, str(error))
            except Exception:
                self._loop.call_soon_threadsafe(self._end)
                self._crashed()
            else:
                self._loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        """The disk first: what waits for it begins before anybody hears of what it has done."""
        serials, self._serials = self._serials, []
        if serials:
            self.syncs.add(self._loop.time() - self._begun_s)
        if self._waiting:
            self._begin()
        else:
            self._busy = False
            self._rests.set()
        if serials:
            self._saved(serials)

    def _fail(self, reason: str) -> None:
        """What was handed over and is not durable never will be."""
        self._end()
        self._failed(reason)

    def _end(self) -> None:
        self._ended = True
        self._rests.set()
