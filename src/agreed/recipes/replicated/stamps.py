"""The time and the dice of a command: thrown once, by whoever asks for it, and the same on every replica.

    @agreed.command
    def visit(self, who: str) -> str:
        self.seen[who] = agreed.now_ms()
        return agreed.random().choice(sorted(self.seen))

`time.time()` or the module `random` in a command would answer something else on each replica; these two
answer what stands beside the command in the log.

The time is that of the clock of whoever asked, in milliseconds since 1970, but never before that of the
command before it: a clock that is behind does not take the object back.  One that is ahead carries it along.
What `random.Random` draws from one seed is the same on all machines; but only of its method `random` Python
says that it stays the same from version to version.

In a test of the class alone, `with stamped(now_ms=0, seed=1): ...` says what they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from random import Random
from typing import Final, NamedTuple


class _Stamps(NamedTuple):
    now_ms: int
    dice: Random


_STAMPS: Final[ContextVar[_Stamps | None]] = ContextVar("_STAMPS", default=None)


def now_ms() -> int:
    """Of the command that is being run.  Raises RuntimeError outside of one."""
    return _present().now_ms


def random() -> Random:
    """The dice of the command that is being run; one sequence for all of it.  Raises RuntimeError outside of
    one."""
    return _present().dice


@contextlib.contextmanager
def stamped(*, now_ms: int, seed: int) -> Iterator[None]:
    """Within it, these are the time and the dice."""
    token = _STAMPS.set(_Stamps(now_ms, Random(seed)))
    try:
        yield
    finally:
        _STAMPS.reset(token)


def _present() -> _Stamps:
    stamps = _STAMPS.get()
    if stamps is None:
        raise RuntimeError("only a command has a time and dice of its own; elsewhere they are arguments")
    return stamps
