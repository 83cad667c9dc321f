"""One text for two faces: work that is written once and runs with blocking calls or with awaited ones.

    def close(account) -> Work[int]:
        row = yield lambda: connection.execute("...")         one call; its result comes back
        done = yield Together((prepare(a), prepare(b)))       several pieces of work at once
        yield Later(tidy())                                   somewhen, beside what follows
        return row

    run(close(a))                    each call is simply made
    await run_async(close(a))        what each call returns is awaited

Atomic commit is delicate, and two copies of it would differ one day.  So whoever talks to a database or to
the cluster is a generator of calls, and only these two functions know what a call returns.

What a call raises is raised at its `yield`.  `Together` gives a list, in its order, of what each piece of
work has returned or raised (an `Exception` as a value; KeyboardInterrupt and its like come out, once all
have ended). A piece of work that is given up at a `yield` (the process dies there) has made all calls before
it and none after it: that is what the tests of every crash point rely on.
"""
from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

Value = TypeVar("Value")

Call: TypeAlias = Callable[[], Any]


class Together(NamedTuple):
    """Pieces of work that need not wait for each other."""

    works: Sequence[Work[Any]]


class Later(NamedTuple):
    """Work for whose end nobody waits: tidying, which somebody else does if it does not happen."""

    work: Work[Any]


Work: TypeAlias = Generator[Call | Together | Later, Any, Value]

MOST_THREADS = 64
"""Of all synchronous transactions of the process together, beside the threads in which they run."""


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="agreed-transactions")


# A forked process has inherited the pool, and none of its threads.
os.register_at_fork(after_in_child=_threads.cache_clear)


# --- with blocking calls ----------------------------------------------------------------------------------


def run(work: Work[Value]) -> Value:
    """In this thread; all pieces but the first of `Together` in others."""
    answer: Any = None
    failure: BaseException | None = None
    while True:
        try:
            wanted = work.send(answer) if failure is None else work.throw(failure)
        except StopIteration as end:
            value: Value = end.value
            return value
        answer, failure = None, None
        try:
            if isinstance(wanted, Together):
                answer = _together(wanted.works)
            elif isinstance(wanted, Later):
                _threads().submit(_result, wanted.work)
            else:
                answer = wanted()
        except BaseException as error:
            failure = error


def _result(work: Work[Any]) -> Any:
    try:
        return run(work)
    except Exception as error:
        return error


def _together(works: Sequence[Work[Any]]) -> list[Any]:
    others: list[Future[Any]] = [_threads().submit(_result, work) for work in works[1:]]
    try:
        first = [_result(work) for work in works[:1]]
    finally:
        # Whoever is interrupted here must not go on to roll back what another thread is still preparing.
        rest = [other.result() for other in others]
    return first + rest


# --- with awaited ones ------------------------------------------------------------------------------------


async def run_async(work: Work[Value]) -> Value:
    """In this task; the pieces of `Together` in tasks of their own."""
    answer: Any = None
    failure: BaseException | None = None
    while True:
        try:
            wanted = work.send(answer) if failure is None else work.throw(failure)
        except StopIteration as end:
            value: Value = end.value
            return value
        answer, failure = None, None
        try:
            if isinstance(wanted, Together):
                answer = await _gathered(wanted.works)
            elif isinstance(wanted, Later):
                _later(wanted.work)
            else:
                answer = await wanted()
        except BaseException as error:
            failure = error


async def _result_async(work: Work[Any]) -> Any:
    try:
        return await run_async(work)
    except Exception as error:
        return error


async def _gathered(works: Sequence[Work[Any]]) -> list[Any]:
    context = contextvars.copy_context()
    tasks = [asyncio.create_task(_result_async(work), context=context.copy()) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        await asyncio.wait(tasks)
        raise


_tidying: set[asyncio.Task[Any]] = set()
"""The event loop alone would let them be collected before they have ended."""


def _later(work: Work[Any]) -> None:
    task = asyncio.create_task(_result_async(work))
    _tidying.add(task)
    task.add_done_callback(_tidying.discard)
