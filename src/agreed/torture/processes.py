"""Server processes of this machine: free ports, a life from start to end, and signals to nobody else.

Everything that runs real nodes stands on this: `agreed dev`, `agreed torture`, the tests, the measurements.

    process = ServerProcess(command, output=directory / "n1.log")
    process.pause(); process.resume()          SIGSTOP, SIGCONT
    process.kill()                             as if its power went: SIGKILL, and gone when this returns
    process.end()                              SIGTERM; SIGKILL where that is not enough

A process is signalled by the number it was given when it was started here, and never by a name.  Each is a
process group of its own, so that Ctrl-C in a terminal reaches us and not the servers, which then end in
order; and the kernel ends it when we end, however we end, because a forgotten server would disturb whatever
is run or measured later.  (That holds for the thread which started it: start servers from the main thread.)
"""
from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import random
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from agreed.errors import AgreedError
from agreed.torture.launch import ends_with_us

LOOPBACK = "127.0.0.1"

END_WITHIN_S = 10.0
"""A server that has not ended this long after SIGTERM is killed."""


class NotServing(AgreedError):
    """Nodes did not come to serve within the time given, one of them ended, or they cannot be started."""

    surely_not_done = True


def is_free(port: int) -> bool:
    """Whether nobody listens at this port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class _Taken:
    """Which ports were given to somebody, by any process of this user on this machine that lives: a byte for
    each in a file which nobody reads is locked.  Two who look at the same moment find the same port free, and
    the server that comes later cannot listen."""

    def __init__(self) -> None:
        self._mine: set[int] = set()
        self._file: int | None = None

    def take(self, port: int) -> bool:
        if port in self._mine:
            return False
        if self._file is None:
            place = Path(tempfile.gettempdir(), f"agreed-ports-{os.getuid()}")
            try:
                self._file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as error:
                raise NotServing(f"no ports can be given: {place}: {error.strerror}") from error
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except (BlockingIOError, PermissionError):
            return False
        self._mine.add(port)
        return True


_TAKEN = _Taken()


def free_ports(count: int) -> list[int]:
    """Ports of loopback which nobody listens on now, and which were not given to anybody before whose process
    lives.

    They lie below the range from which systems draw the ports of outgoing connections: a client could be
    given the port of a node that is down for a moment, and the node could not come back."""
    candidates = random.SystemRandom().sample(range(12_000, 32_000), 4_000)
    free = (port for port in candidates if is_free(port) and _TAKEN.take(port))
    found = list(itertools.islice(free, count))
    if len(found) < count:
        raise NotServing("no free ports were found")
    return found


LEFT_BY_FAKETIME = ("faketime_shm_", "sem.faketime_sem_")
"""What a process to which libfaketime tells the time keeps in shared memory, by its number, and cannot take
away when it is killed; an hour of torture would leave a thousand."""


class ServerProcess(subprocess.Popen[str]):
    """A running server.  `output`: a file to which it appends what it says, `subprocess.PIPE` (then read
    `stdout`), or None for our own.

    The server does not get variables that would configure a node of ours (`AGREED_...`), except those in
    `environment`.  `last_signal` is what the kernel sends it when we are gone."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        output: Path | int | None = None,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        last_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.output = output if isinstance(output, Path) else None
        self.paused = False
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("AGREED_")}
        with contextlib.ExitStack() as opened:
            stdout: IO[str] | int | None = output if isinstance(output, int) else None
            if self.output is not None:
                self.output.parent.mkdir(parents=True, exist_ok=True)
                stdout = opened.enter_context(self.output.open("a", encoding="utf-8"))
                stdout.write(f"--- {' '.join(command)}\n")
                stdout.flush()
            super().__init__(
                ends_with_us(command, last_signal),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=None if stdout is None else subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd=directory,
                start_new_session=True,
                env={**inherited, **(environment or {})},
            )

    @property
    def running(self) -> bool:
        """Also while it is paused."""
        return self.poll() is None

    def pause(self) -> None:
        """SIGSTOP: it stands still, its connections stay open and say nothing."""
        self.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        self.send_signal(signal.SIGCONT)
        self.paused = False

    def kill(self) -> None:
        """SIGKILL, and wait: the process gets no chance to write or to say anything more."""
        super().kill()
        self.wait(END_WITHIN_S)
        for name in LEFT_BY_FAKETIME:
            Path("/dev/shm", f"{name}{self.pid}").unlink(missing_ok=True)

    def end(self, within_s: float = END_WITHIN_S) -> int:
        """SIGTERM, and SIGKILL after `within_s` seconds; returns the exit code (negative: the signal)."""
        if self.running:
            self.terminate()
            if self.paused:
                self.resume()
            try:
                self.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.wait()

    def resident_bytes(self) -> int:
        """The memory it holds now (Linux); 0 where it is gone."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def last_words(self, lines: int = 15) -> str:
        """The end of what it said, as far as that went to a file."""
        return last_lines(self.output, lines) if self.output is not None else ""


def last_lines(file: Path, lines: int) -> str:
    """The end of a text file; empty where there is none."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
