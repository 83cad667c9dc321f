"""One server process: started with its output in a file, ended by its own id, and what it used so far.

A process that is started here dies with the measurement, even if that is killed and cannot clean up: the
kernel is asked to (PR_SET_PDEATHSIG).  A forgotten server would spoil every later measurement on the machine.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path

import msgspec

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Usage(msgspec.Struct, frozen=True):
    """`cpu_s` is user and system time of all threads.  Memory is resident, in KiB; `peak_kib` since the
    start."""

    cpu_s: float
    resident_kib: int
    peak_kib: int


class ServerProcess:
    """A running server.  Use as a context manager, or call `end`."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.command = command
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env={**os.environ, **(environment or {})},
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def usage(self) -> Usage:
        """Raises ProcessLookupError if it is gone."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{self.pid}/status").read_text()
        except FileNotFoundError:
            raise ProcessLookupError(self.pid) from None
        memory = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
        if "VmRSS" not in memory:
            raise ProcessLookupError(self.pid)  # it has ended, and was not waited for yet
        return Usage(
            cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_PER_S,
            resident_kib=int(memory["VmRSS"].split()[0]),
            peak_kib=int(memory["VmHWM"].split()[0]),
        )

    def terminate(self) -> None:
        """SIGTERM, without waiting; `end` waits."""
        if self.running:
            self._process.terminate()

    def end(self, patience_s: float = 10.0) -> None:
        """SIGTERM, then SIGKILL."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL at once, as a crash would."""
        if self.running:
            self._process.kill()
        self._process.wait(10)

    def last_words(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
