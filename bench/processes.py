"""What a server process has used so far; `agreed.torture.processes` tells how it is started and ended."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from agreed.torture.processes import ServerProcess

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Usage(msgspec.Struct, frozen=True):
    """`cpu_s` is user and system time of all threads.  Memory is resident, in KiB; `peak_kib` since the
    start."""

    cpu_s: float
    resident_kib: int
    peak_kib: int


class MeasuredProcess(ServerProcess):
    """A running server, and what it uses."""

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
