"""Ensembles of real processes: three nodes of ours, or a real ZooKeeper, behind one interface.

An `Ensemble` picks free loopback ports, gives each node a data directory of its own, starts it as a user
would, and waits (always with a deadline) until the four-letter word `srvr` says that it serves.  Nodes can
be killed, ended, frozen and started again; what a node wrote to its output is kept beside its data and
shown when something fails. Only processes that were started here are ever signalled, and all of them are
gone after `stop`.

The nodes of ours agree by the protocol that the variable AGREED_CONSENSUS names, else by Raft: so everything
here is run on another one with `AGREED_CONSENSUS=vr python -m pytest tests/acceptance`.

`Cluster` runs `agreed serve`; `ZooKeeperEnsemble` is the peer that our answers are compared with.  The peer
is the one that `agreed.torture.systems.zookeeper` finds.
"""
from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from agreed.consensus import protocols
from agreed.torture.processes import LOOPBACK, NotServing, ServerProcess, free_ports, last_lines
from agreed.torture.systems.zookeeper import NOT_INSTALLED as NO_ZOOKEEPER
from agreed.torture.systems.zookeeper import class_path as zookeeper_classpath

__all__ = ["NO_ZOOKEEPER", "Cluster", "Node", "NotServing", "ZooKeeperEnsemble", "zookeeper_classpath"]

CONSENSUS = os.environ.get("AGREED_CONSENSUS", protocols.RAFT)

changes_members = pytest.mark.skipif(
    CONSENSUS != protocols.RAFT, reason="the members of a cluster can be changed with Raft only"
)

SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
"""What makes `digest super:test` a super user."""

JAAS_TEXT = """\
Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_super="super_secret"
    user_jaasuser="jaas_password";
};
"""

def four_letter_word(port: int, word: bytes, timeout_s: float = 10.0) -> str:
    """What the server answers to `word` (`srvr`, `ruok`, ...); OSError where nobody listens."""
    with socket.create_connection((LOOPBACK, port), timeout_s) as connection:
        connection.sendall(word)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer.decode("utf-8", "replace")


def wait_until(condition: Callable[[], bool], deadline_s: float, what: str) -> None:
    """Ask until `condition` holds; NotServing with `what` in its message after `deadline_s` seconds."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise NotServing(f"after {deadline_s:.0f} s still not: {what}")
        time.sleep(0.02)


class Node:
    """One server process: its ports, its directory, and the ways to end it and to bring it back."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        ports = free_ports(5)
        self.client_port, self.peer_port, self.election_port, self.secure_port, self.etcd_port = ports
        self.data_directory = directory / "data"
        self.log_file = directory / "output.log"
        self.command: list[str] = []
        self.process: ServerProcess | None = None

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.client_port}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    @property
    def frozen(self) -> bool:
        return self.process is not None and self.process.paused

    def start(self) -> None:
        assert not self.running, f"{self.name} runs already"
        self.data_directory.mkdir(parents=True, exist_ok=True)
        self.process = ServerProcess(self.command, output=self.log_file, directory=self.directory)

    def kill(self) -> None:
        """SIGKILL: the process gets no chance to write or to say anything more."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def terminate(self, deadline_s: float = 20) -> int:
        """SIGTERM, and wait; returns the exit code.  SIGKILL and an exception where it does not end."""
        process, self.process = self.process, None
        code = process.end(deadline_s) if process is not None else 0
        if code == -signal.SIGKILL:
            raise NotServing(f"{self.name} did not end within {deadline_s:.0f} s of SIGTERM")
        return code

    def freeze(self) -> None:
        """SIGSTOP: the process stands still, its connections stay open and say nothing."""
        assert self.process is not None
        self.process.pause()

    def thaw(self) -> None:
        assert self.process is not None
        self.process.resume()

    def srvr(self) -> str | None:
        """The answer to `srvr`, or None where the node does not answer."""
        if not self.running or self.frozen:
            return None
        try:
            return four_letter_word(self.client_port, b"srvr")
        except OSError:
            return None

    def mode(self) -> str | None:
        """`leader`, `follower`, `standalone`, ...; None while the node does not serve."""
        for line in (self.srvr() or "").splitlines():
            if line.startswith("Mode: "):
                return line.removeprefix("Mode: ").strip()
        return None

    def resident_bytes(self) -> int:
        """The memory of the process."""
        assert self.process is not None
        return self.process.resident_bytes()

    def log_tail(self, lines: int = 40) -> str:
        return last_lines(self.log_file, lines) or "(no output)"


class Ensemble:
    """Nodes that are started, watched and ended together.  A context manager: `with Cluster(3) as
    cluster:`."""

    description = "ensemble"
    node_type: type[Node] = Node

    def __init__(
        self, size: int = 3, *, keep_directory: Path | None = None, in_memory: bool = False
    ) -> None:
        """`in_memory`: the data may lie in memory, where durability is not the question."""
        self._temporary = keep_directory is None
        parent = "/dev/shm" if in_memory and os.access("/dev/shm", os.W_OK) else None
        self.directory = keep_directory or Path(tempfile.mkdtemp(prefix="ensemble-", dir=parent))
        names = [self.node_name(number) for number in range(1, size + 1)]
        self.nodes = [self.node_type(name, self.directory / name) for name in names]
        for node in self.nodes:
            node.directory.mkdir(parents=True, exist_ok=True)

    def node_name(self, number: int) -> str:
        return f"n{number}"

    def command_for(self, node: Node) -> list[str]:
        raise NotImplementedError

    @property
    def hosts(self) -> str:
        return ",".join(node.address for node in self.nodes)

    def start(self, deadline_s: float = 60) -> Self:
        """Start every node and wait until all of them serve and one leads."""
        for node in self.nodes:
            node.command = self.command_for(node)
            node.start()
        try:
            self.wait_until_serving(self.nodes, deadline_s)
        except BaseException:
            self.stop(failed=True)
            raise
        return self

    def wait_until_serving(self, nodes: Sequence[Node] | None = None, deadline_s: float = 60) -> None:
        """Wait until the given nodes (default: all that run) serve, and one node of the ensemble leads."""

        def serving() -> bool:
            wanted = [node for node in self.nodes if node.running] if nodes is None else nodes
            for node in wanted:
                if not node.running:
                    code = node.process.returncode if node.process else None
                    raise NotServing(f"{node.name} ended by itself (exit code {code})\n{node.log_tail()}")
            modes = [node.mode() for node in wanted]
            return all(modes) and self.leader() is not None

        try:
            wait_until(serving, deadline_s, f"{self.description} serves")
        except NotServing as problem:
            raise NotServing(f"{problem}\n{self.logs()}") from None

    def leader(self) -> Node | None:
        """The node which says that it leads (a standalone one counts); None while nobody does."""
        for node in self.nodes:
            if node.mode() in ("leader", "standalone"):
                return node
        return None

    def wait_for_leader(self, deadline_s: float = 30) -> Node:
        found: list[Node] = []

        def led() -> bool:
            leader = self.leader()
            if leader is not None:
                found.append(leader)
            return leader is not None

        wait_until(led, deadline_s, f"{self.description} has a leader")
        return found[0]

    def restart(self, node: Node, deadline_s: float = 60) -> None:
        node.start()
        self.wait_until_serving([node], deadline_s)

    def stop(self, *, failed: bool = False) -> None:
        """End every process started here; the directory goes too, unless something failed."""
        for node in self.nodes:
            with contextlib.suppress(NotServing, ProcessLookupError):
                node.kill()
        if self._temporary and not failed:
            shutil.rmtree(self.directory, ignore_errors=True)

    def logs(self, lines: int = 40) -> str:
        return "\n".join(f"=== {node.name} ({node.log_file})\n{node.log_tail(lines)}" for node in self.nodes)

    def __enter__(self) -> Self:
        if not any(node.running for node in self.nodes):
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if problem is not None and sys.stderr is not None:
            print(f"what the nodes of the {self.description} said:\n{self.logs()}", file=sys.stderr)
        self.stop(failed=problem is not None)


class Cluster(Ensemble):
    """`size` nodes of ours.  `options` are added to every command line; `consensus`: what they speak."""

    description = "cluster"

    def __init__(
        self,
        size: int = 3,
        *,
        options: Sequence[str] = (),
        keep_directory: Path | None = None,
        in_memory: bool = False,
        command: Sequence[str] = (sys.executable, "-m", "agreed", "serve"),
        consensus: str = CONSENSUS,
    ) -> None:
        super().__init__(size, keep_directory=keep_directory, in_memory=in_memory)
        self._command = list(command)
        self._options = ["--consensus", consensus, *options]

    def peers(self) -> str:
        return ",".join(f"{node.name}={LOOPBACK}:{node.peer_port}" for node in self.nodes)

    def command_for(self, node: Node) -> list[str]:
        return [
            *self._command,
            *("--name", node.name),
            *("--data", str(node.data_directory)),
            *("--peers", self.peers()),
            *("--zookeeper", node.address),
            *self._options,
        ]


LOG4J_TEXT = """\
log4j.rootLogger=WARN, CONSOLE
log4j.appender.CONSOLE=org.apache.log4j.ConsoleAppender
log4j.appender.CONSOLE.layout=org.apache.log4j.PatternLayout
log4j.appender.CONSOLE.layout.ConversionPattern=%d %p %c: %m%n
"""

JAVA_PROPERTIES = (
    "-Dfile.encoding=UTF-8",
    "-Djava.awt.headless=true",
    "-Dreadonlymode.enabled=true",
    "-Dzookeeper.extendedTypesEnabled=true",
    "-Dzookeeper.enforceQuota=true",
    "-Dzookeeper.admin.enableServer=false",
    "-Dzookeeper.forceSync=no",
    # no container may vanish in the middle of a comparison
    "-Dznode.container.checkIntervalMs=86400000",
    f"-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}",
    "-Dzookeeper.authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
)


class ZooKeeperEnsemble(Ensemble):
    """A real ZooKeeper of 1 (standalone) or more nodes, with every optional feature switched on."""

    description = "ZooKeeper ensemble"

    def __init__(self, size: int = 1, *, keep_directory: Path | None = None, reconfig: bool = True) -> None:
        super().__init__(size, keep_directory=keep_directory, in_memory=True)
        classpath = zookeeper_classpath()
        if classpath is None:
            raise NotServing(NO_ZOOKEEPER)
        self._classpath = classpath
        self._reconfig = reconfig

    def node_name(self, number: int) -> str:
        return str(number)

    def _configuration(self, node: Node) -> str:
        lines = [
            "tickTime=2000",
            "initLimit=10",
            "syncLimit=5",
            f"dataDir={node.data_directory}",
            "maxClientCnxns=0",
            "4lw.commands.whitelist=*",
            f"reconfigEnabled={'true' if self._reconfig else 'false'}",
            f"clientPort={node.client_port}",
            f"clientPortAddress={LOOPBACK}",
        ]
        if len(self.nodes) > 1:
            lines += [f"server.{n.name}={LOOPBACK}:{n.peer_port}:{n.election_port}" for n in self.nodes]
        return "\n".join(lines) + "\n"

    def command_for(self, node: Node) -> list[str]:
        node.data_directory.mkdir(parents=True, exist_ok=True)
        (node.data_directory / "myid").write_text(node.name)
        (node.directory / "zoo.cfg").write_text(self._configuration(node))
        (node.directory / "jaas.conf").write_text(JAAS_TEXT)
        (node.directory / "log4j.properties").write_text(LOG4J_TEXT)
        return [
            *("java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", self._classpath),
            *JAVA_PROPERTIES,
            f"-Djava.security.auth.login.config={node.directory / 'jaas.conf'}",
            f"-Dlog4j.configuration=file:{node.directory / 'log4j.properties'}",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            str(node.directory / "zoo.cfg"),
        ]


def version_of(node: Node) -> tuple[int, ...]:
    """(3, 9, 3) out of the first line of `srvr`."""
    first = (node.srvr() or "").splitlines()[0]
    return tuple(int(part) for part in first.split(":")[1].strip().split("-")[0].split("."))
