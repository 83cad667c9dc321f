"""What the tests of running nodes share: a cluster in a directory, and a client that writes all the while.

The cluster is `agreed.cli.playground.Playground`: real processes on loopback, ended with the test.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry

from agreed.cli.playground import Playground
from agreed.cli.status import survey

DEADLINE_S = 30.0

Value = TypeVar("Value")


def wait_until(holds: Callable[[], Value | None], what: str, deadline_s: float = DEADLINE_S) -> Value:
    """What it said when it was neither false nor None."""
    deadline = time.monotonic() + deadline_s
    while not (said := holds()):
        assert time.monotonic() < deadline, f"after {deadline_s:.0f} s still not: {what}"
        time.sleep(0.02)
    return said


def leading(cluster: Playground) -> str:
    """The node that leads, once one does: while a loaded machine elects anew, nobody may for a moment."""
    return wait_until(cluster.leader, "somebody leads")


def agreed(cluster: Playground, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, asking the whole cluster."""
    return subprocess.run(
        [sys.executable, "-m", "agreed", *arguments, "--node", ",".join(cluster.peer_addresses)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def votes(cluster: Playground) -> dict[str, str]:
    return {row.name: row.vote for row in survey(cluster.peer_addresses, 2)}


def change(cluster: Playground, verb: str, name: str, vote: str) -> None:
    """`agreed member VERB NAME`, after which its vote is `vote`.  While a loaded machine elects anew nobody
    can do it, or nobody knows whether it was done; then it is asked again."""

    def done() -> bool:
        if agreed(cluster, "member", verb, name).returncode == 0:
            return True
        now = votes(cluster)
        return "voter" in now.values() and now.get(name, "") == vote

    wait_until(done, f"{verb} {name}")


def transfer(cluster: Playground, name: str) -> None:
    """It leads when this returns.  Who stands still takes over nothing, and is asked again."""

    def leads() -> bool:
        told = agreed(cluster, "transfer-leader", name)
        return told.returncode == 0 and cluster.leader() == name

    wait_until(leads, f"{name} leads")


def log_of(cluster: Playground, name: str) -> str:
    return cluster.log_of(name).read_text("utf-8", "replace")


def playground(directory: Path, *flags: str, size: int = 3, tls: ssl.SSLContext | None = None) -> Playground:
    directory.mkdir(parents=True, exist_ok=True)
    return Playground(directory, size=size, flags=flags, tls=tls)


@contextmanager
def running(
    directory: Path, *flags: str, size: int = 3, tls: ssl.SSLContext | None = None
) -> Iterator[Playground]:
    with playground(directory, *flags, size=size, tls=tls) as cluster:
        cluster.start_all()
        cluster.wait_until_serving(DEADLINE_S)
        yield cluster


def connected(hosts: str, timeout_s: float = 10.0, **options: object) -> KazooClient:
    client = KazooClient(hosts, timeout=timeout_s, **options)
    client.start(timeout=DEADLINE_S)
    return client


@contextmanager
def client_of(hosts: str, **options: object) -> Iterator[KazooClient]:
    client = connected(hosts, **options)
    try:
        yield client
    finally:
        client.stop()
        client.close()


class Writer:
    """Creates /written/0, /written/1, ... one after the other, whatever happens; keeps what was acknowledged.

    A creation without an answer is asked for again; that it is there already is then an answer, too."""

    def __init__(self, hosts: str) -> None:
        self.acknowledged: list[str] = []
        self._retry = KazooRetry(max_tries=-1, delay=0.02, max_delay=0.2)
        self._client = connected(hosts)
        self._client.ensure_path("/written")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            path = f"/written/{number}"
            try:
                self._client.create(path, str(number).encode())
            except NodeExistsError:
                pass
            except (KazooException, KazooTimeoutError):
                time.sleep(0.02)
                continue
            self.acknowledged.append(path)
            number += 1

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(DEADLINE_S)
        self._client.stop()
        self._client.close()

    def go_on(self, more: int = 10) -> None:
        """Return when so many more writes were acknowledged: the cluster serves."""
        goal = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= goal, f"{more} more writes are acknowledged")

    def missing(self, hosts: str) -> list[str]:
        """What was acknowledged until now and is not there."""
        expected = set(self.acknowledged)
        with client_of(hosts) as client:
            client.sync("/written")
            there = {f"/written/{name}" for name in client.get_children("/written")}
        return sorted(expected - there)
