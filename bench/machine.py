"""What the figures were taken on, and how much of it others used meanwhile.

A figure from a shared machine is worth little unless one can see that the machine was shared: each case
records the share of all processor time that went to processes which were neither the nodes nor the generator.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path

import msgspec

from bench.processes import TICKS_PER_S

SYNC_SAMPLES = 200
SYNC_BYTES = 4096


class Machine(msgspec.Struct, frozen=True):
    """`sync_us`: median of an append of 4 KiB with fdatasync, where the nodes keep their data."""

    processor: str
    processors: int
    memory_mib: int
    kernel: str
    file_system: str
    sync_us: float


def describe(directory: Path) -> Machine:
    processor = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory_kib = int(next(line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")))
    return Machine(
        processor=processor,
        processors=len(os.sched_getaffinity(0)),
        memory_mib=memory_kib // 1024,
        kernel=platform.release(),
        file_system=file_system_of(directory),
        sync_us=round(_median_sync_us(directory), 1),
    )


def file_system_of(directory: Path) -> str:
    """Its type (ext4, xfs, tmpfs, ...).  On tmpfs a sync costs nothing, and durable writes cannot be
    measured."""
    path = directory.resolve()
    mounts = {fields[1]: fields[2] for fields in (line.split() for line in _lines("/proc/mounts"))}
    for place in (path, *path.parents):
        if str(place) in mounts:
            return mounts[str(place)]
    return "unknown"


class Sharing:
    """Between its start and `foreign_share`: what others took of the machine's processor time.

    Time in interrupts is left out, since the loopback's own belongs to nobody in particular."""

    def __init__(self) -> None:
        self._busy_s = _busy_s()
        self._began = time.monotonic()

    def foreign_share(self, own_cpu_s: float) -> float:
        """0 to 1, given the processor time of our own processes in the same interval."""
        elapsed_s = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return max(0.0, (_busy_s() - self._busy_s - own_cpu_s) / elapsed_s)


def _busy_s() -> float:
    user, nice, system, _idle, _wait, _irq, _soft, steal = map(int, _lines("/proc/stat")[0].split()[1:9])
    return (user + nice + system + steal) / TICKS_PER_S


def _median_sync_us(directory: Path) -> float:
    path = directory / f".sync-{os.getpid()}"
    samples = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        for _ in range(SYNC_SAMPLES):
            began = time.perf_counter()
            os.write(descriptor, bytes(SYNC_BYTES))
            os.fdatasync(descriptor)
            samples.append((time.perf_counter() - began) * 1e6)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(samples)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
