"""Runs kazoo's own test suite, which ships inside its wheel, against three nodes of ours, and counts.

`python -m tests.acceptance.kazoo_suite` (or `--server zookeeper` for the yardstick).  The suite spends most
of its time in its own sleeps and in starting clusters (some forty of them), so its modules are shared out
among workers, each with a cluster on ports of its own.

Some of its tests write through one client and read through another, on another server, without a `sync`
between: ZooKeeper promises nothing there, and on a slow machine the second server may not have it yet.  So a
test that fails is run once more, by itself, and is named in `again`; one that fails twice has failed.

The variable CI is taken away from the suite: where it is set, kazoo compares versions instead of asking the
server.
"""
from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agreed.torture.launch import ends_with_us
from agreed.torture.processes import free_ports, is_free
from tests.acceptance.cluster import NO_ZOOKEEPER, zookeeper_classpath

# Seconds that each module took beside a real ZooKeeper: only for sharing out the work evenly.
MODULES = {
    "test_client": 130,
    "test_eventlet_handler": 110,
    "test_gevent_handler": 90,
    "test_connection": 70,
    "test_lock": 50,
    "test_cache": 35,
    "test_watchers": 30,
    "test_partitioner": 25,
    "test_sasl": 20,
    "test_queue": 15,
    "test_lease": 15,
    "test_party": 10,
    "test_barrier": 10,
    "test_counter": 8,
    "test_election": 8,
    "test_interrupt": 8,
    "test_build": 6,
    "test_threading_handler": 5,
    "test_exceptions": 1,
    "test_hosts": 1,
    "test_paths": 1,
    "test_retry": 1,
    "test_security": 1,
    "test_selectors_select": 1,
    "test_utils": 1,
}
ROOT = Path(__file__).resolve().parents[2]
PER_TEST_TIMEOUT_S = 180
SECOND_CHANCES_MOST = 3
"""With more failures than these it is not the machine that is slow."""


@dataclass
class Outcome:
    """Names are `Class.test`; `failed` has the reason with each, and so has `again`: those that passed only
    the second time."""

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    logs: Path | None = None

    @property
    def collected(self) -> int:
        return len(self.passed) + len(self.failed) + len(self.skipped)

    def __str__(self) -> str:
        return (
            f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"
            f" of {self.collected} in {self.seconds:.0f} s"
            + (f"; passed the second time: {', '.join(self.again)}" if self.again else "")
        )


def share_out(workers: int) -> list[list[str]]:
    """Every module to one worker, the longest first, each to the worker with the least to do."""
    shares: list[list[str]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for module, seconds in sorted(MODULES.items(), key=lambda item: -item[1]):
        least = loads.index(min(loads))
        shares[least].append(module)
        loads[least] += seconds
    return shares


def environment(port_offset: int, server: str, logs: Path) -> dict[str, str]:
    chosen = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith(("ZOOKEEPER_", "PYTEST_", "KAZOO_"))
    }
    chosen["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    chosen["ZOOKEEPER_PORT_OFFSET"] = str(port_offset)
    chosen["KAZOO_SUITE_LOGS"] = str(logs)
    # the harness wants to know a version, and where the jars are
    chosen["ZOOKEEPER_VERSION"] = "3.9.3" if server == "ours" else "3.8.0"
    chosen["ZOOKEEPER_CLASSPATH"] = zookeeper_classpath() or "none" if server == "zookeeper" else "none"
    return chosen


def start_worker(
    modules: Sequence[str], port_offset: int, server: str, directory: Path, extra: Sequence[str]
) -> subprocess.Popen[bytes]:
    directory.mkdir()
    (directory / "pytest.ini").write_text("[pytest]\n")
    command = [
        *(sys.executable, "-m", "pytest", "-c", str(directory / "pytest.ini"), "--rootdir", str(directory)),
        *("-p", "no:cacheprovider", "-W", "ignore", "-q", "-ra", "--show-capture=no"),
        *("--timeout", str(PER_TEST_TIMEOUT_S), "--junitxml", str(directory / "junit.xml")),
        *(("-p", "tests.acceptance.kazoo_plugin") if server == "ours" else ()),
        *extra,
        *("--pyargs", *(f"kazoo.tests.{module}" for module in modules)),
    ]
    with (directory / "pytest.log").open("wb") as log:
        return subprocess.Popen(
            ends_with_us(command),
            cwd=directory,
            env=environment(port_offset, server, directory),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def read_results(file: Path, outcome: Outcome) -> None:
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name', '')}"
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if failure is not None:
            outcome.failed[name] = failure.get("message", "") + "\n" + (failure.text or "")[-3000:]
        elif skipped is not None:
            outcome.skipped[name] = skipped.get("message", "")
        else:
            outcome.passed.append(name)


def run_suite(
    *, server: str = "ours", workers: int = 2, extra: Sequence[str] = (), deadline_s: float = 1500
) -> Outcome:
    """Run everything, and say what came of it.  A worker that does not end in time counts as a failure."""
    logs = Path(tempfile.mkdtemp(prefix="kazoo-suite-"))
    outcome = Outcome(logs=logs)
    started = time.monotonic()
    offsets = port_offsets(workers)
    processes = [
        start_worker(share, offset, server, logs / f"worker{number}", extra)
        for number, (share, offset) in enumerate(zip(share_out(workers), offsets, strict=True))
    ]
    _wait_for(processes, logs, outcome, started + deadline_s)
    if 0 < len(outcome.failed) <= SECOND_CHANCES_MOST:
        _second_chance(outcome, server, logs, extra, deadline_s)
    outcome.seconds = time.monotonic() - started
    return outcome


def _wait_for(
    processes: Sequence[subprocess.Popen[bytes]], logs: Path, outcome: Outcome, deadline: float
) -> None:
    for number, process in enumerate(processes):
        try:
            process.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            outcome.failed[f"worker {number}"] = "did not end in time"
            process.wait(30)
    for number, _ in enumerate(processes):
        file = logs / f"worker{number}" / "junit.xml"
        if file.exists():
            read_results(file, outcome)
        else:
            log = (logs / f"worker{number}" / "pytest.log").read_text("utf-8", "replace")
            outcome.failed[f"worker {number}"] = f"left no results:\n{log[-3000:]}"


def _second_chance(
    outcome: Outcome, server: str, logs: Path, extra: Sequence[str], deadline_s: float
) -> None:
    """Exactly those that failed, in a cluster of their own."""
    chosen = " or ".join(f"({name.replace('.', ' and ')})" for name in outcome.failed)
    directory = logs / "again"
    worker = start_worker(list(MODULES), *port_offsets(1), server, directory, [*extra, "-k", chosen])
    try:
        worker.wait(deadline_s)
    except subprocess.TimeoutExpired:
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    if (directory / "junit.xml").exists():
        second = Outcome()
        read_results(directory / "junit.xml", second)
        for name in set(second.passed) & set(outcome.failed):
            outcome.again[name] = outcome.failed.pop(name)
            outcome.passed.append(name)


def port_offsets(workers: int) -> list[int]:
    """For each worker the first of thirty free ports in a row."""
    offsets: list[int] = []
    while len(offsets) < workers:
        offset = free_ports(1)[0] // 100 * 100
        clear = all(abs(offset - other) >= 100 for other in offsets)
        if clear and all(is_free(port) for port in range(offset, offset + 30)):
            offsets.append(offset)
    return offsets


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.kazoo_suite", description=__doc__)
    parser.add_argument("--server", choices=("ours", "zookeeper"), default="ours")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("extra", nargs="*", help="more arguments for pytest, after --")
    options = parser.parse_args()
    if options.server == "zookeeper" and zookeeper_classpath() is None:
        print(NO_ZOOKEEPER)
        return 2
    outcome = run_suite(server=options.server, workers=options.workers, extra=options.extra)
    for name, reason in outcome.failed.items():
        print(f"FAILED {name}\n{reason}")
    for name, reason in outcome.skipped.items():
        print(f"skipped {name}: {reason}")
    print(f"{outcome}; logs in {outcome.logs}")
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(main())
