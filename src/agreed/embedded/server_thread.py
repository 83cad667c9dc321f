"""A server on a thread of its own: what `agreed serve` runs, in a process that has other things to do.

    thread = ServerThread(config)
    thread.start(timeout_s=30)      returns when it accepts clients
    thread.stop()                   ends in order, as after SIGTERM

It leaves the process alone: no signal handlers, no settings of the garbage collector, no other limit of open
files; a mistake of ours silences the node and does not end the process.  What a forked process inherits of it
(the lock on the directory, listening sockets, connections) is put away in the child at once.  The child would
else keep the directory locked and the ports taken when its parent has long been killed, and nobody would
answer there.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

import uvloop

from agreed.disk.recovery import Recovered
from agreed.disk.wal import SEGMENT_SIZE
from agreed.errors import AgreedError
from agreed.node import telemetry
from agreed.node.config import Config
from agreed.node.start import Server, recovered_by

LOG: Final = telemetry.log("embedded")

STOP_WITHIN_S: Final = 15.0
"""More than a server takes that hands over its leadership and then waits for a disk that hangs."""

ServerMaker = Callable[[Config, Recovered], Server]


def whole_server(config: Config, recovered: Recovered) -> Server:
    return Server(config, recovered, LOG, owns_process=False)


class ServerThread:
    def __init__(
        self, config: Config, make: ServerMaker = whole_server, segment_bytes: int = SEGMENT_SIZE
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self.server: Server | None = None
        self._config = config
        self._make = make
        self._segment_bytes = segment_bytes
        self._process = os.getpid()
        self._started: Future[Server] = Future()
        self._stop_asked = False
        self._thread = threading.Thread(target=self._run, name="agreed-node", daemon=True)
        self._failure: AgreedError | None = None
        self._exit_code: int | None = None

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()

    @property
    def failure(self) -> str | None:
        """Why it has ended without having been asked to."""
        if self._failure is not None:
            return str(self._failure)
        return None if not self._exit_code else f"it ended with code {self._exit_code}: the log says why"

    def start(self, timeout_s: float | None = None) -> Server:
        """Raises what `agreed serve` would have refused to start for, and TimeoutError (it is stopped then):
        a new cluster is founded only when all of its members are there."""
        _of_this_process.add(self)
        self._thread.start()
        try:
            return self._started.result(timeout_s)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Returns when it has ended.  Not on its own loop.  A second time: nothing."""
        if os.getpid() == self._process and self._thread.is_alive():
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._ask_to_stop)
            self._thread.join(STOP_WITHIN_S)

    def _ask_to_stop(self) -> None:
        self._stop_asked = True
        if self.server is not None:
            self.server.request_stop()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                self._exit_code = runner.run(self._serve())
        except AgreedError as error:
            self._failure = error
            if self._started.done():
                LOG.error(str(error))
            else:
                self._started.set_exception(error)
        except BaseException as error:
            if self._started.done():
                LOG.exception("the node has ended")
            else:
                self._started.set_exception(error)
            raise
        finally:
            _of_this_process.discard(self)

    async def _serve(self) -> int:
        recovered = recovered_by(self._config, self._segment_bytes)
        try:
            for repair in recovered.repairs:
                LOG.warning(repair)
            server = self.server = self._make(self._config, recovered)
            if self._stop_asked:
                server.request_stop()
            running = asyncio.ensure_future(server.run())
            serves = asyncio.ensure_future(server.serves.wait())
            await asyncio.wait({running, serves}, return_when=asyncio.FIRST_COMPLETED)
            if serves.done():
                self._started.set_result(server)
            code = await running
            if not self._started.done():
                self._started.set_exception(AgreedError("it was stopped before it could serve anybody"))
            return code
        finally:
            recovered.close()

    def forked(self) -> None:
        """In the child: nothing of it is ours.  Numbers of files stay taken, so that whoever closes them
        later, not knowing that, closes nothing else."""
        if self.server is None:
            return
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for descriptor in self.server.descriptors():
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


_of_this_process: set[ServerThread] = set()
_inherited: list[ServerThread] = []
"""Kept: an event loop that is collected in a child closes what it takes for its own."""


def _stop_all() -> None:
    for thread in list(_of_this_process):
        thread.stop()


def _after_fork() -> None:
    for thread in list(_of_this_process):
        thread.forked()
        _inherited.append(thread)
    _of_this_process.clear()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
