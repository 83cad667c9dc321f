"""A real database server for a test: a directory of its own, a free port of loopback, a life to be broken.

    with PostgreSQL() as orders, PostgreSQL() as billing:
        connection = psycopg.connect(orders.dsn)
        orders.kill()                      SIGKILL to the server and to everything it has started
        orders.start()                     same port, same data
        orders.wait_until_answering()

Servers that refuse to run as root run as the user of their package, or as nobody.  What a server writes is on
the disk in earnest (its syncs are on, as they are by default), unless it is told to keep it in memory, where
SIGKILL loses as little and a start is faster.  The directory is gone when the server is stopped.
Only processes that were started here are ever signalled, each by its number; when whoever started them ends,
however it ends, the kernel ends them too.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from agreed.torture.processes import NotServing, ServerProcess, free_ports, last_lines

START_WITHIN_S = 60.0
POLL_S = 0.05
MEMORY = "/dev/shm"


class DatabaseServer:
    """One server.  Subclasses know how its data is made, how it is started, and how it is asked."""

    description = "database"
    users: Sequence[str] = ("nobody",)
    """As whom it runs where we are root: the first of these who exists."""
    quick_end = signal.SIGTERM
    """Ends it in order, without waiting for its clients."""

    def __init__(self, in_memory: bool = False) -> None:
        parent = MEMORY if in_memory and os.access(MEMORY, os.W_OK) else None
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.description.lower()}-", dir=parent))
        self.data = self.directory / "data"
        self.log = self.directory / "server.log"
        (self.port,) = free_ports(1)
        self.process: ServerProcess | None = None
        self._user = self._unprivileged()
        if self._user is not None:
            shutil.chown(self.directory, self._user)

    # --- what a subclass says -------------------------------------------------------------------------

    def make_data(self) -> None:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    # --- its life -------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    def start(self) -> None:
        """Start it; it need not answer yet when this returns."""
        assert not self.running, f"{self.description} runs already"
        command, last = self.as_user(self.command()), self.quick_end
        self.process = ServerProcess(command, output=self.log, directory=self.directory, last_signal=last)

    def wait_until_answering(self, within_s: float = START_WITHIN_S) -> None:
        """Until it has recovered and takes connections; started again where it ended too early, as it does
        while what was left by a killed one is still going away.  Raises `NotServing`."""
        deadline = time.monotonic() + within_s
        while not self.answers():
            if time.monotonic() > deadline:
                raise NotServing(f"{self.description} does not answer:\n{last_lines(self.log, 20)}")
            if not self.running:
                self.start()
            time.sleep(POLL_S)

    def kill(self) -> None:
        """SIGKILL to the server and its children at once: nobody is left to finish anything."""
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGSTOP)  # it starts no more children
            for child in children_of(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        process.kill()

    def stop(self) -> None:
        """It ends, and what it wrote is taken away."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.quick_end)
            self.process.end()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.make_data()
            self.start()
            self.wait_until_answering()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(problem, Exception):
            print(f"what the {self.description} said:\n{last_lines(self.log, 40)}", file=sys.stderr)
        self.stop()

    # --- as whom --------------------------------------------------------------------------------------

    def as_user(self, command: Sequence[str]) -> list[str]:
        """The command, run without our privileges where we have some.  (The signal that the kernel sends it
        when we are gone is forgotten by the change of user, so it is set again.)"""
        if self._user is None:
            return list(command)
        group = str(pwd.getpwnam(self._user).pw_gid)
        signal_name = self.quick_end.name.removeprefix("SIG")
        who = (f"--reuid={self._user}", f"--regid={group}", "--clear-groups", f"--pdeathsig={signal_name}")
        return ["setpriv", *who, "--", *command]

    def run(self, command: Sequence[str], text: str | None = None) -> None:
        """One of its programs, to its end, as its user.  Raises `NotServing` with what it said."""
        ended = subprocess.run(
            self.as_user(command), input=text, capture_output=True, text=True, cwd=self.directory, check=False
        )
        if ended.returncode != 0:
            raise NotServing(f"{' '.join(command)}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")

    def _unprivileged(self) -> str | None:
        if os.geteuid() != 0:
            return None
        there = {each.pw_name for each in pwd.getpwall()}
        return next(user for user in self.users if user in there)


def children_of(pid: int) -> list[int]:
    """Those alive now (Linux; elsewhere none are found)."""
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    return []
