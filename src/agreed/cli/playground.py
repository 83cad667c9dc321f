"""A few nodes as processes of this machine, to play with, to demonstrate on, and to test against.

    with Playground(directory) as cluster:
        cluster.start_all()
        cluster.wait_until_serving()
        cluster.hosts                       "127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183"
        cluster.kill("n2")                  as if its power went: SIGKILL
        cluster.start("n2")                 back, with what is on its disk

Real processes, real sockets, real files: what is shown here is what a cluster does, only close together.  All
of it is on loopback.  Each node is a process group of its own, so that Ctrl-C in the terminal reaches us and
not them, and they end in order and not all at once; leaving the context ends every node.
"""
from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from agreed.cli.operator import NoAnswer, status
from agreed.errors import AgreedError
from agreed.wire.peer.messages import StatusReply

LOOPBACK = "127.0.0.1"

STOP_WITHIN_S = 10.0
"""A node that has not ended this long after SIGTERM is killed."""

POLL_S = 0.02

LIBC = ctypes.CDLL(None)
PARENT_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of prctl(2)."""


class NotServing(AgreedError):
    """The nodes did not come to serve within the time given, or one of them ended."""

    surely_not_done = True


class Place(msgspec.Struct, frozen=True):
    """Where one node of the playground lives."""

    name: str
    peer_address: str
    client_address: str
    data: Path


def free_ports(count: int) -> list[int]:
    """Ports of loopback which nobody listens on now; somebody may before we do.

    They lie below the range from which systems draw the ports of outgoing connections: a client could be
    given the port of a node that is down for a moment, and the node could not come back."""
    candidates = random.sample(range(12_000, 32_000), 2_000)
    found = list(itertools.islice(filter(is_free, candidates), count))
    if len(found) < count:
        raise NotServing("no free ports were found")
    return found


def is_free(port: int) -> bool:
    """Whether nobody listens at this port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _end_with_parent() -> None:
    """Run in the new process: the kernel ends it when we end, however we end."""
    LIBC.prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


class Playground:
    """Nodes n1, n2, ... with their data under `directory`; a context manager that ends them all.

    `client_ports` and `peer_ports`: one a node, drawn freely where not given.  `flags` go to every node.
    `output`: "inherit", "pipe" (then read `processes[name].stdout`) or "file" (`directory/n1.log`)."""

    def __init__(
        self,
        directory: Path,
        *,
        size: int = 3,
        client_ports: Sequence[int] | None = None,
        peer_ports: Sequence[int] | None = None,
        flags: Sequence[str] = (),
        output: str = "file",
    ) -> None:
        ports = free_ports(2 * size)
        clients, peers = client_ports or ports[:size], peer_ports or ports[size:]
        self.directory = directory
        self.places = {
            f"n{number}": Place(
                f"n{number}", f"{LOOPBACK}:{peer}", f"{LOOPBACK}:{client}", directory / f"n{number}"
            )
            for number, (client, peer) in enumerate(zip(clients, peers, strict=True), start=1)
        }
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self._founders = tuple(self.places)
        self._flags = list(flags)
        self._output = output

    def __enter__(self) -> Playground:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    @property
    def hosts(self) -> str:
        """What a ZooKeeper client is given to connect to."""
        return ",".join(place.client_address for place in self.places.values())

    @property
    def peer_addresses(self) -> list[str]:
        return [place.peer_address for place in self.places.values()]

    def grow(self) -> str:
        """A place for one more node, which `start` will let wait for `agreed member add`; its name."""
        name = f"n{len(self.places) + 1}"
        client, peer = free_ports(2)
        place = Place(name, f"{LOOPBACK}:{peer}", f"{LOOPBACK}:{client}", self.directory / name)
        self.places[name] = place
        return name

    def start(self, name: str, *, join: bool = False) -> None:
        """Start this node; it need not serve yet when we return."""
        place = self.places[name]
        join = join or name not in self._founders
        known = self.places if join else self._founders
        peers = ",".join(
            f"{each.name}={each.peer_address};{each.client_address}"
            for each in self.places.values()
            if each.name in known
        )
        command = [sys.executable, "-m", "agreed", "serve", "--name", name, "--data", str(place.data)]
        command += ["--peers", peers, "--zookeeper", place.client_address, *self._flags]
        command += ["--join"] if join else []
        place.data.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            stdout: IO[str] | int | None = None
            if self._output == "pipe":
                stdout = subprocess.PIPE
            elif self._output == "file":
                stdout = opened.enter_context(self.log_of(name).open("a", encoding="utf-8"))
            self.processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT if stdout is not None else None,
                text=True,
                errors="replace",
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
                env={key: value for key, value in os.environ.items() if not key.startswith("AGREED_")},
            )

    def start_all(self) -> None:
        for name in self.places:
            self.start(name)

    def log_of(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def kill(self, name: str) -> None:
        """As if its power went: no farewell, nothing flushed."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def stop_all(self) -> None:
        """Ask every node to end, then make sure of it."""
        running = [process for process in self.processes.values() if process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_WITHIN_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def status_of(self, name: str, timeout_s: float = 1.0) -> StatusReply | None:
        """How the node sees itself; None while it does not answer."""
        try:
            return status(self.places[name].peer_address, timeout_s)
        except NoAnswer:
            return None

    def leader(self) -> str | None:
        """The node which leads in the newest term that any of them knows, or None."""
        answers = [answer for name in self.places if (answer := self.status_of(name)) is not None]
        leading = [answer for answer in answers if answer.role == "leader"]
        return max(leading, key=lambda answer: answer.term).name if leading else None

    def wait_until_serving(self, timeout_s: float = 20.0, names: Sequence[str] | None = None) -> None:
        """Return when these nodes (default: all) know a leader and have no problem.  Raises `NotServing`."""
        deadline = time.monotonic() + timeout_s
        waiting = list(names or self.places)
        problem: str | None = "no answer"
        while waiting:
            name = waiting[0]
            code = self.processes[name].poll()
            if code is not None:
                raise NotServing(f"{name} ended with code {code}{self._last_words(name)}")
            answer = self.status_of(name)
            if answer is not None and answer.leader is not None and answer.problem is None:
                waiting.pop(0)
                continue
            if answer is not None:
                problem = answer.problem or "it knows no leader"
            if time.monotonic() > deadline:
                why = f"{problem}{self._last_words(name)}"
                raise NotServing(f"{name} does not serve after {timeout_s:.0f} s: {why}")
            time.sleep(POLL_S)

    def _last_words(self, name: str) -> str:
        log = self.log_of(name)
        if self._output != "file" or not log.exists():
            return ""
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
        return "; its last words:\n    " + "\n    ".join(lines)
