"""The processes of a fleet (`lock_load.py`) and what they lock on: started, told, heard and ended.

A peer is missing with a reason where its library is not installed: kazoo and pysyncobj in our environment
(`pip install '.[bench]'`), python-etcd3 in one of its own, because it wants a protobuf from before version 4
(`python -m tests.acceptance.etcd.python_etcd3` makes that below `.peers`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO

import msgspec

from agreed.torture.launch import ends_with_us
from agreed.torture.processes import free_ports
from bench.generator import CannotMeasure
from bench.lock_load import Hold, Load
from bench.processes import MeasuredProcess

ROOT = Path(__file__).parents[1]
PYTHON_ETCD3 = ROOT / ".peers" / "python-etcd3"
READY_WITHIN_S = 60.0
AFTER_THE_END_S = 30.0
MEMBERS = 3


class Crossed(Exception):
    """Two held one lock at once."""


def missing(client: str) -> str:
    """Why this client cannot be measured here; "" if it can."""
    if client == "python-etcd3":
        return (
            ""
            if (PYTHON_ETCD3 / "ready").exists()
            else "not installed: python -m tests.acceptance.etcd.python_etcd3"
        )
    if client in ("kazoo", "pysyncobj") and importlib.util.find_spec(client) is None:
        return "not installed: pip install '.[bench]'"
    return ""


def version_of(client: str) -> str:
    from importlib.metadata import version

    return "python-etcd3 0.12.0" if client == "python-etcd3" else f"{client} {version(client)}"


class Worker:
    """One process."""

    def __init__(self, load: Load) -> None:
        python, environment = sys.executable, dict(os.environ)
        if load.client == "python-etcd3":
            python = str(PYTHON_ETCD3 / "venv" / "bin" / "python")
            environment["PYTHONPATH"] = str(next(PYTHON_ETCD3.glob("etcd3-*/")))
        self._said = b""
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._process = subprocess.Popen(
            ends_with_us([python, "-m", "bench.lock_load", load.as_json()]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            cwd=ROOT,
            env=environment,
        )

    def says(self, deadline: float) -> str:
        """The next line.  Raises CannotMeasure where none comes until then (CLOCK_MONOTONIC)."""
        output = self._process.stdout
        assert output is not None
        while b"\n" not in self._said:
            left_s = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([output], [], [], left_s)
            piece = os.read(output.fileno(), 1 << 20) if readable else b""
            if not piece:
                raise CannotMeasure(f"a process of the fleet says nothing more: {self.complaints()}")
            self._said += piece
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def complaints(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace").strip()[-800:] or "it does not say why"

    def tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())
        self._process.stdin.flush()

    def kill(self) -> float:
        """SIGKILL; when that was sent."""
        at = time.monotonic()
        self._process.kill()
        return at

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._complaints):
            if pipe is not None:
                pipe.close()


@contextmanager
def workers(loads: Sequence[Load]) -> Iterator[list[Worker]]:
    """All of them ready."""
    fleet: list[Worker] = []
    try:
        fleet += [Worker(load) for load in loads]
        deadline = time.monotonic() + READY_WITHIN_S
        for worker in fleet:
            if (said := worker.says(deadline)) != "ready":
                raise CannotMeasure(f"not ready but {said}")
        yield fleet
    finally:
        for worker in fleet:
            worker.close()


class HeldBy(msgspec.Struct, frozen=True):
    """`client`: a number among all of the fleet."""

    client: int
    hold: Hold


class Handed(msgspec.Struct, frozen=True):
    """`holds`: those that were had in `seconds`, in order.  The processor time is that of the whole run, in
    which there were `in_all`."""

    seconds: float
    holds: list[HeldBy]
    in_all: int
    clients_used_s: float
    servers_used_s: float


def hand_on(
    loads: Sequence[Load], seconds: float, warmup_s: float, servers_used_s: Callable[[], float]
) -> Handed:
    """Raises CannotMeasure, Crossed."""
    with workers(loads) as fleet:
        begins = time.monotonic() + 0.05
        ends = begins + warmup_s + seconds
        used_before_s = servers_used_s()
        for worker in fleet:
            worker.tell(f"{begins!r} {ends!r}")
        said = [json.loads(worker.says(ends + AFTER_THE_END_S)) for worker in fleet]
        used_s = servers_used_s() - used_before_s
    of_clients = [holds for _, each in said for holds in each]
    found = [HeldBy(number, Hold(*times)) for number, holds in enumerate(of_clients) for times in holds]
    found.sort(key=lambda each: each.hold.had)
    raise_if_crossed(found)
    wanted = [each for each in found if begins + warmup_s <= each.hold.had < ends]
    return Handed(seconds, wanted, len(found), sum(clients_s for clients_s, _ in said), used_s)


def raise_if_crossed(holds: Sequence[HeldBy]) -> None:
    """A measurement is a test as well: whoever lets two in at once is fast at something else."""
    for one, other in pairwise(holds):
        if other.hold.had < one.hold.giving:
            raise Crossed(f"{other} had it while {one} did")


class PySyncObjCluster:
    """Three members in processes of their own."""

    def __init__(self, keep_below: Path | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="bench-pysyncobj-", dir=keep_below))
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(MEMBERS)]
        self._processes: list[MeasuredProcess] = []

    def __enter__(self) -> PySyncObjCluster:
        for number, address in enumerate(self.addresses):
            partners = ",".join(each for each in self.addresses if each != address)
            command = [sys.executable, "-m", "bench.pysyncobj_member", address, partners]
            journal = str(self.root / f"journal{number}")
            output = self.root / f"output{number}.log"
            self._processes.append(MeasuredProcess([*command, journal], output=output, directory=ROOT))
        deadline = time.monotonic() + READY_WITHIN_S
        while not all("ready" in (self.root / f"output{n}.log").read_text() for n in range(MEMBERS)):
            if time.monotonic() > deadline or not all(each.running for each in self._processes):
                words = self._processes[0].last_words()
                self.__exit__()
                raise CannotMeasure(f"pysyncobj does not serve: {words}")
            time.sleep(0.05)
        return self

    def used_s(self) -> float:
        return sum(process.usage().cpu_s for process in self._processes)

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        shutil.rmtree(self.root, ignore_errors=True)


class Figures(msgspec.Struct, frozen=True):
    """`holds_per_s`, and `changes_per_s`: how often it went from one to another.  `cycle`: from asking for it
    to having given it back; `hand_over`: from giving it back to the next one's having it.  `clients`,
    `servers`: processor time for one hold."""

    holds_per_s: float
    changes_per_s: float
    cycle_p50_ms: float
    cycle_p99_ms: float
    hand_over_p50_ms: float
    hand_over_p99_ms: float
    clients_ms: float
    servers_ms: float


def figures(handed: Handed) -> Figures:
    """Raises CannotMeasure where there is nothing to be told."""
    cycles = sorted(each.hold.gone - each.hold.asked for each in handed.holds)
    pairs = list(pairwise(handed.holds))
    if not pairs:
        raise CannotMeasure("the lock was not had twice")
    waits = sorted(other.hold.had - one.hold.giving for one, other in pairs)
    return Figures(
        holds_per_s=round(len(handed.holds) / handed.seconds, 1),
        changes_per_s=round(sum(one.client != other.client for one, other in pairs) / handed.seconds, 1),
        cycle_p50_ms=_share(cycles, 0.5),
        cycle_p99_ms=_share(cycles, 0.99),
        hand_over_p50_ms=_share(waits, 0.5),
        hand_over_p99_ms=_share(waits, 0.99),
        clients_ms=round(handed.clients_used_s / handed.in_all * 1000, 3),
        servers_ms=round(handed.servers_used_s / handed.in_all * 1000, 3),
    )


def _share(values: Sequence[float], part: float) -> float:
    """Of sorted seconds, in milliseconds."""
    return round(values[min(len(values) - 1, int(part * len(values)))] * 1000, 3)
