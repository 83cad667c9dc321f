"""The thread on which all synchronous sessions of this process live, and those that call their callbacks.

One event loop is enough for thousands of sessions: they mostly wait.  Callbacks of the program are never
called on it, because one that blocks would stop every session of the process, and one that asks its session
for something would wait for itself.  Each session that has callbacks has a thread for them instead, which
calls them one after the other in the order in which things happened.

A forked process has none of these threads, and the sockets of its parent: it starts a loop of its own, and
the sessions that it has inherited refuse to speak (`Forked`).
"""
from __future__ import annotations

import asyncio
import atexit
import logging
import os
import queue
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from agreed.client.errors import Forked

LOG: Final = logging.getLogger("agreed.client")

Wanted = TypeVar("Wanted")

STOP_WITHIN_S: Final = 2.0


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class LoopThread:
    def __init__(self) -> None:
        self.loop = _new_loop()
        self._process = os.getpid()
        self._left: set[asyncio.Task[object]] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, name="agreed-client", daemon=True)
        self._thread.start()
        atexit.register(self._stop)

    def _stop(self) -> None:
        """Before the interpreter ends: a loop that hears an answer after that calls into what is not there
        any more, and the process ends with a segmentation fault."""
        if os.getpid() == self._process:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(STOP_WITHIN_S)

    def run(
        self,
        coroutine: Coroutine[Any, Any, Wanted],
        unwanted: Callable[[Wanted], Coroutine[Any, Any, object]] | None = None,
    ) -> Wanted:
        """Run it there, and wait here.  Whoever is interrupted while waiting (Ctrl-C) cancels it, not before
        it has begun; if it has ended in that very moment, `unwanted` is done with what nobody takes."""
        if os.getpid() != self._process:
            coroutine.close()
            raise Forked()
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("a synchronous session would wait for itself: use agreed.client.aio here")
        tasks: list[asyncio.Task[Any]] = []

        async def there() -> Wanted:
            task = asyncio.current_task()
            assert task is not None
            tasks.append(task)
            return await coroutine

        future: Future[Wanted] = asyncio.run_coroutine_threadsafe(there(), self.loop)
        try:
            return future.result()
        except BaseException as error:
            if not (future.done() and not future.cancelled() and future.exception() is error):
                self.call(lambda: self._interrupt(tasks, unwanted))
            raise

    def _interrupt(
        self,
        tasks: Sequence[asyncio.Task[Any]],
        unwanted: Callable[[Any], Coroutine[Any, Any, object]] | None,
    ) -> None:
        """There.  What was asked for before this was is a task by now, and has its first turn before the next
        call."""

        def ended(task: asyncio.Task[Any]) -> None:
            if unwanted is not None and not task.cancelled() and task.exception() is None:
                self._left.add(left := self.loop.create_task(unwanted(task.result())))
                left.add_done_callback(self._left.discard)

        def interrupt() -> None:
            for task in tasks:
                task.cancel()
                task.add_done_callback(ended)

        self.loop.call_soon(interrupt)

    def call(self, function: Callable[[], object]) -> None:
        """Soon, there; nobody waits for it."""
        if os.getpid() == self._process:
            self.loop.call_soon_threadsafe(function)


_lock = threading.Lock()
_shared: LoopThread | None = None


def shared() -> LoopThread:
    """The one of this process."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = LoopThread()
        return _shared


def _after_fork() -> None:
    """In the child: the thread is not here, and another thread of the parent may have held the lock."""
    global _lock, _shared
    _lock = threading.Lock()
    _shared = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Caller:
    """Calls callbacks in order, on a thread that begins with the first of them."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, callback: Callable[[], object]) -> None:
        """From the loop thread only."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="agreed-callbacks", daemon=True)
            self._thread.start()
        self._queue.put(callback)

    def stop(self) -> None:
        """After what is waiting."""
        self._queue.put(None)

    def _run(self) -> None:
        while (callback := self._queue.get()) is not None:
            try:
                callback()
            except Exception:
                LOG.exception("a callback of a session failed")
