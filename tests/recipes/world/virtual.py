"""An event loop in virtual time: when nobody has anything to do, it is the time of the next timer.

A run is the same each time with one seed, and nobody waits for it.  What the recipes draw by themselves
(`random`, the names from `uuid4`) comes from the seed as well while it runs.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, TypeVar
from unittest import mock

Result = TypeVar("Result")

TURNS_MOST: Final = 5_000
"""Without any time going by.  Whoever takes so many does not wait, he spins."""

MARKS: Final[ContextVar[list[str] | None]] = ContextVar("MARKS", default=None)
"""The names that were drawn on behalf of whoever has set it: by them the judge finds what he did."""


class Standstill(Exception):
    """Everybody waits for somebody else, and no timer will come."""


class Spinning(Exception):
    """Somebody is busy and no time goes by."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Without sockets, files and threads."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 1000.0
        self._turns = 0
        self._selector = self  # what is waited for is time only

    def time(self) -> float:
        return self._now_s

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Standstill
        self._turns = 0 if timeout else self._turns + 1
        if self._turns > TURNS_MOST:
            self._turns = 0
            raise Spinning
        self._now_s += timeout
        return []

    def _process_events(self, events: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...


def run(seed: int, main: Coroutine[Any, Any, Result]) -> Result:
    """What is left over when it ends is cancelled: else the next run would meet it."""
    loop = VirtualLoop()
    try:
        with _drawn_from(seed), _clocks(loop):
            try:
                return loop.run_until_complete(main)
            finally:
                with suppress(Standstill, Spinning):
                    loop.run_until_complete(_cancel_the_rest())
    finally:
        loop.close()


async def _cancel_the_rest() -> None:
    for _ in range(10):
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=10.0)
    await asyncio.get_running_loop().shutdown_asyncgens()


@contextmanager
def _clocks(loop: VirtualLoop) -> Iterator[None]:
    def nanoseconds() -> int:
        return int(loop.time() * 1e9)

    with (
        mock.patch("time.time", loop.time),
        mock.patch("time.time_ns", nanoseconds),
        mock.patch("agreed.recipes.follower.seconds", loop.time),
    ):
        yield


@contextmanager
def _drawn_from(seed: int) -> Iterator[None]:
    before = random.getstate()
    names = random.Random(f"names of {seed}")

    def draw() -> uuid.UUID:
        name = uuid.UUID(int=names.getrandbits(128), version=4)
        marks = MARKS.get()
        if marks is not None:
            marks.append(name.hex)
        return name

    random.seed(seed)
    try:
        with mock.patch("uuid.uuid4", draw), mock.patch("secrets.randbits", names.getrandbits):
            yield
    finally:
        random.setstate(before)
