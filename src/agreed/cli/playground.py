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

import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from agreed.cli.operator import NoAnswer, status
from agreed.torture.processes import LOOPBACK, NotServing, ServerProcess, free_ports, is_free, last_lines
from agreed.wire.peer.messages import StatusReply

__all__ = ["NotServing", "Place", "Playground", "free_ports", "is_free"]

POLL_S = 0.02


class Place(msgspec.Struct, frozen=True):
    """Where one node of the playground lives."""

    name: str
    peer_address: str
    client_address: str
    data: Path
    etcd_address: str | None = None


class Playground:
    """Nodes n1, n2, ... with their data under `directory`; a context manager that ends them all.

    `client_ports` and `peer_ports`: one a node, drawn freely where not given; `etcd`: each has a port for
    etcd clients as well (a free one, or these).  `flags` go to every node.
    `output`: "inherit", "pipe" (then read `processes[name].stdout`) or "file" (`directory/n1.log`).
    `tls`: how to ask nodes whose flags make their peer port speak TLS."""

    def __init__(
        self,
        directory: Path,
        *,
        size: int = 3,
        client_ports: Sequence[int] | None = None,
        peer_ports: Sequence[int] | None = None,
        flags: Sequence[str] = (),
        output: str = "file",
        tls: ssl.SSLContext | None = None,
        etcd: bool | Sequence[int] = False,
    ) -> None:
        ports = free_ports(3 * size)
        if not isinstance(etcd, bool):
            ports[2 * size :] = etcd
        clients, peers = client_ports or ports[:size], peer_ports or ports[size : 2 * size]
        self.directory = directory
        self.places = {
            f"n{number}": self._place(number, client, peer, port if etcd else None)
            for number, (client, peer, port) in enumerate(
                zip(clients, peers, ports[2 * size :], strict=True), start=1
            )
        }
        self.processes: dict[str, ServerProcess] = {}
        self._founders = tuple(self.places)
        self.flags = list(flags)
        self._output = output
        self._tls = tls

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
    def etcd_endpoints(self) -> str:
        """The same for an etcd client; empty where there is no port for it."""
        return ",".join(place.etcd_address for place in self.places.values() if place.etcd_address)

    @property
    def peer_addresses(self) -> list[str]:
        return [place.peer_address for place in self.places.values()]

    def grow(self) -> str:
        """A place for one more node, which `start` will let wait for `agreed member add`; its name."""
        client, peer, port = free_ports(3)
        place = self._place(len(self.places) + 1, client, peer, port if self.etcd_endpoints else None)
        self.places[place.name] = place
        return place.name

    def _place(self, number: int, client: int, peer: int, etcd: int | None) -> Place:
        name = f"n{number}"
        return Place(
            name,
            f"{LOOPBACK}:{peer}",
            f"{LOOPBACK}:{client}",
            self.directory / name,
            f"{LOOPBACK}:{etcd}" if etcd else None,
        )

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
        command += ["--peers", peers, "--zookeeper", place.client_address, *self.flags]
        command += ["--etcd", place.etcd_address] if place.etcd_address else []
        command += ["--join"] if join else []
        outputs = {"inherit": None, "pipe": subprocess.PIPE, "file": self.log_of(name)}
        self.processes[name] = ServerProcess(
            command, output=outputs[self._output], last_signal=signal.SIGTERM
        )

    def start_all(self) -> None:
        for name in self.places:
            self.start(name)

    def log_of(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def kill(self, name: str) -> None:
        """As if its power went: no farewell, nothing flushed."""
        self.processes[name].kill()

    def stop_all(self) -> None:
        """Ask every node to end, then make sure of it."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.end()

    def status_of(self, name: str, timeout_s: float = 1.0) -> StatusReply | None:
        """How the node sees itself; None while it does not answer."""
        try:
            return status(self.places[name].peer_address, timeout_s, self._tls)
        except NoAnswer:
            return None

    def leader(self) -> str | None:
        """The node which leads in the newest term that any of them knows, or None."""
        answers = [answer for name in self.places if (answer := self.status_of(name)) is not None]
        leading = [answer for answer in answers if answer.leads]
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
        words = last_lines(self.log_of(name), 8) if self._output == "file" else ""
        return "; its last words:\n    " + words.replace("\n", "\n    ") if words else ""
