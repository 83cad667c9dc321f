"""One thread for what would make the loop wait, job after job.

It is not an executor of the standard library: Python waits for the threads of those when the process ends,
and a node whose disk hangs in the middle of a snapshot could only be killed.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class JobThread:
    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """A job keeps what goes wrong in it to itself."""
        self._jobs.put(job)

    async def stop(self, within_s: float) -> None:
        """What has not begun is not done any more; what has is waited for, but not for longer than that."""
        self._stopping = True
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, within_s)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._stopping:
                job()
