"""Who is asking: a task, or the thread of the program on whose behalf a task was made.

A lock that may be taken twice by the same one has to know who that is.  The synchronous face runs each call
as a task of its own, and says in `SPEAKS_FOR` for whom.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Final

SPEAKS_FOR: Final[ContextVar[object]] = ContextVar("SPEAKS_FOR", default=None)


def caller() -> object:
    return SPEAKS_FOR.get() or asyncio.current_task()
