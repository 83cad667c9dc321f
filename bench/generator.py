"""Builds the load generator (generator/*.c) with the system's C compiler, and runs it.

It is C because a generator in Python would use more processor than the servers it measures, on the very
processors they run on.  The binary is built again whenever a source is newer; it is never kept in the
repository.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

SOURCES = Path(__file__).parent / "generator"
BINARY = Path(__file__).parent / "load"

# Time that a run may take beyond its own duration: connecting, preparing keys, draining.
ALLOWANCE_S = 90.0


class CannotMeasure(Exception):
    """The measurement could not be made; the text says why.  Nothing is known about the systems."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the generator.  `operation`: set, get, create (fresh names) or fill (every key once).

    `rate` 0 is the closed loop; otherwise that many requests a second are due at fixed instants, and latency
    counts from the instant each was due.  `slice_s` above 0: the latencies of every so many seconds apart.
    `patience_s`: how long replies are waited for at the end before they count as unanswered."""

    operation: str
    connections: int
    outstanding: int
    seconds: float = 5.0
    warmup_s: float = 1.0
    keys: int = 1000
    bytes: int = 128
    rate: float = 0.0
    directory: str = "/bench"
    existing: bool = False
    slice_s: float = 0.0
    patience_s: float = 5.0

    @property
    def name(self) -> str:
        return f"{self.operation} {self.connections}x{self.outstanding}"


class Slice(msgspec.Struct, frozen=True):
    """Latencies of a while: pairs of microseconds and how many.  Instants are of `time.monotonic()`."""

    from_s: float
    to_s: float
    latencies_us: list[tuple[float, int]]


def percentile_us(slices: Sequence[Slice], share: float) -> float | None:
    """Over all of them together; None without a sample."""
    counts: Counter[float] = Counter()
    for each in slices:
        for latency_us, count in each.latencies_us:
            counts[latency_us] += count
    rank, passed = share * counts.total(), 0
    for latency_us in sorted(counts):
        passed += counts[latency_us]
        if passed > rank or passed == counts.total():
            return latency_us
    return None


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the generator prints.  `sent` counts the warm-up too, `answered` only what was measured."""

    wall_s: float
    sent: int
    answered: int
    throughput: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    longest_silence_ms: float
    errors: int
    first_error: int
    lost: int
    unanswered: int
    unsent: int
    cpu_s: float
    cpu_share: float
    busy_share: float
    cpu_us_per_operation: float
    slices: list[Slice] = []

    @property
    def clean(self) -> bool:
        return not (self.errors or self.lost or self.unanswered)


def build() -> Path:
    """The binary, compiled if need be.  Raises CannotMeasure without a C compiler."""
    sources = sorted(SOURCES.glob("*.c"))
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
    if BINARY.exists() and BINARY.stat().st_mtime > newest:
        return BINARY
    compiler = shutil.which("cc")
    if compiler is None:
        raise CannotMeasure("no C compiler `cc` (on Debian: apt-get install gcc libc6-dev)")
    fresh = BINARY.with_name(f"load.{os.getpid()}")
    command = [compiler, "-O2", "-std=gnu11", "-o", str(fresh), *map(str, sources)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if outcome.returncode:
        raise CannotMeasure(f"the load generator does not compile:\n{outcome.stderr}")
    fresh.replace(BINARY)  # whole or not at all: two runs may build at the same time
    return BINARY


def command_line(load: Load, addresses: list[str]) -> list[str]:
    """Without addresses: against the generator's own responder."""
    where = ["--addresses", ",".join(addresses)] if addresses else ["--null"]
    options = {
        "--operation": load.operation,
        "--connections": load.connections,
        "--outstanding": load.outstanding,
        "--seconds": load.seconds,
        "--warmup": load.warmup_s,
        "--keys": load.keys,
        "--bytes": load.bytes,
        "--rate": load.rate,
        "--directory": load.directory,
        "--slice": load.slice_s,
        "--patience": load.patience_s,
    }
    flags = [text for flag, value in options.items() for text in (flag, str(value))]
    return [str(BINARY), *where, *flags, *(["--existing"] if load.existing else [])]


def start(load: Load, addresses: list[str]) -> subprocess.Popen[str]:
    """For a load that runs beside something else; end it with `finish`."""
    build()
    return subprocess.Popen(
        command_line(load, addresses), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str], load: Load) -> LoadResult:
    """Waits for the end.  Raises CannotMeasure if the generator gave no result in its time."""
    try:
        output, complaint = process.communicate(timeout=load.seconds + load.warmup_s + ALLOWANCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise CannotMeasure(f"{load.name}: the generator did not end in its time") from None
    if process.returncode not in (0, 1) or not output:
        raise CannotMeasure(f"{load.name}: {complaint.strip() or f'exit status {process.returncode}'}")
    *before, last = output.splitlines()
    slices = [msgspec.json.decode(line, type=Slice) for line in before]
    return msgspec.structs.replace(msgspec.json.decode(last, type=LoadResult), slices=slices)


def run(load: Load, addresses: list[str]) -> LoadResult:
    return finish(start(load, addresses), load)


def ceiling(seconds: float = 1.0) -> dict[str, LoadResult]:
    """What the generator itself can do on this machine, by shape; nothing above it could be seen."""
    shapes = [(1, 1), (50, 1), (10, 50)]
    loads = [
        Load(
            operation=operation,
            connections=connections,
            outstanding=outstanding,
            seconds=seconds,
            warmup_s=0.3,
        )
        for operation in ("set", "get")
        for connections, outstanding in shapes
    ]
    return {load.name: run(load, []) for load in loads}
