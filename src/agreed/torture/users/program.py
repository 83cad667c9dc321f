"""A user process: `python -m agreed.torture.users.program TASK`, where TASK is a `work.Task` as JSON.

It ends with 0 once it was told that it may leave, and with a traceback if anything happens that is no error
of a service.
"""

from __future__ import annotations

import asyncio
import sys

from agreed.torture.users import asynchronous, synchronous
from agreed.torture.users.diary import Diary
from agreed.torture.users.work import Task, decode


def live(task: Task) -> None:
    diary = Diary(task.diary)
    if task.synchronous:
        synchronous.live(task, diary)
    else:
        asyncio.run(asynchronous.live(task, diary))


if __name__ == "__main__":
    live(decode(sys.argv[1]))
