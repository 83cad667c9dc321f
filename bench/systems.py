"""How one node of each system is configured and started.

ZooKeeper is Debian's package, started with the flags of its own start script (zkServer.sh), except that the
heap is bounded (`-Xmx`): Debian sets no bound and the JVM would then take a quarter of the machine.  Its
settings are the defaults of its sample configuration: tickTime 2000, initLimit 10, syncLimit 5, forceSync on,
snapCount 100,000. Two settings differ, and neither touches speed: the administration port is off, and so is
the bound of 60 connections per client address.

Ours is `agreed serve` with no option but who it is and where, unless a measurement says otherwise.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import msgspec

from agreed.cli.operator import status
from agreed.errors import AgreedError
from agreed.torture.systems.zookeeper import JARS, JAVA_LIBRARIES
from bench.four_letter import ask_state
from bench.generator import CannotMeasure

NODES = 3
LOGGING_CONFIGURATION = Path("/etc/zookeeper/conf_example")


class NodePorts(msgspec.Struct, frozen=True):
    """All on the loopback interface.  `election` is ZooKeeper's second port between nodes."""

    client: int
    peer: int
    election: int


class System(Protocol):
    name: str

    def version(self) -> str:
        """For the report.  Raises CannotMeasure where the system is not installed."""

    def command(self, number: int, ports: list[NodePorts], directory: Path) -> list[str]:
        """How node `number` (from 0) is started; writes its configuration below `directory`."""

    def term(self, ports: NodePorts) -> int:
        """Of the leader, asked at the leader.  Raises CannotMeasure if it does not answer."""


class ZooKeeper:
    name = "zookeeper"

    def __init__(self, heap_mib: int = 1000) -> None:
        self.heap_mib = heap_mib

    def version(self) -> str:
        if not (JAVA_LIBRARIES / "zookeeper.jar").exists() or shutil.which("java") is None:
            raise CannotMeasure("Debian's ZooKeeper is not installed: run tools/peers.sh")
        query = ["dpkg-query", "--show", "--showformat=${Version}", "libzookeeper-java"]
        package = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False).stdout
        java = subprocess.run(
            ["java", "--version"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
        return f"ZooKeeper {package or 'of unknown version'}, {java.splitlines()[0]}, -Xmx{self.heap_mib}m"

    def command(self, number: int, ports: list[NodePorts], directory: Path) -> list[str]:
        own = ports[number]
        data = directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        (data / "myid").write_text(f"{number + 1}\n")
        members = [f"server.{i + 1}=127.0.0.1:{p.peer}:{p.election}" for i, p in enumerate(ports)]
        settings = [
            "tickTime=2000",
            "initLimit=10",
            "syncLimit=5",
            f"dataDir={data}",
            f"clientPort={own.client}",
            "clientPortAddress=127.0.0.1",
            "maxClientCnxns=0",
            "admin.enableServer=false",
            *members,
        ]
        configuration = directory / "zoo.cfg"
        configuration.write_text("\n".join(settings) + "\n")
        return [
            "java",
            f"-Dzookeeper.log.dir={directory}",
            "-Dzookeeper.log.file=zookeeper.log",
            "-Dzookeeper.root.logger=INFO,ROLLINGFILE",
            "-XX:+HeapDumpOnOutOfMemoryError",
            "-XX:OnOutOfMemoryError=kill -9 %p",
            "-cp",
            self._class_path(),
            f"-Xmx{self.heap_mib}m",
            "-Dcom.sun.management.jmxremote",
            "-Dcom.sun.management.jmxremote.local.only=true",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            str(configuration),
        ]

    def term(self, ports: NodePorts) -> int:
        """ZooKeeper calls it epoch, and puts it into the upper half of every zxid."""
        state = ask_state(ports.client)
        if state is None:
            raise CannotMeasure(f"the leader on port {ports.client} does not answer")
        return state.zxid >> 32

    @staticmethod
    def _class_path() -> str:
        jars = [str(JAVA_LIBRARIES / f"{name}.jar") for name in JARS]
        return ":".join([str(LOGGING_CONFIGURATION), *jars])


class Agreed:
    """`name`: what it is called in tables, where ours with some options stands beside ours with others."""

    def __init__(self, options: tuple[str, ...] = (), name: str = "ours") -> None:
        self.options = options
        self.name = name

    def version(self) -> str:
        from importlib.metadata import version

        self._program()
        return ", ".join([f"agreed {version('agreed')}", f"Python {sys.version.split()[0]}", *self.options])

    def command(self, number: int, ports: list[NodePorts], directory: Path) -> list[str]:
        peers = ",".join(f"n{i + 1}=127.0.0.1:{p.peer}" for i, p in enumerate(ports))
        return [
            str(self._program()),
            "serve",
            "--name",
            f"n{number + 1}",
            "--data",
            str(directory / "data"),
            "--peers",
            peers,
            "--zookeeper",
            f"127.0.0.1:{ports[number].client}",
            *self.options,
        ]

    def term(self, ports: NodePorts) -> int:
        try:
            return int(status(f"127.0.0.1:{ports.peer}", timeout_s=5.0).term)
        except AgreedError as error:
            raise CannotMeasure(f"the leader does not tell its term: {error}") from error

    @staticmethod
    def _program() -> Path:
        program = Path(sys.executable).with_name("agreed")
        if not os.access(program, os.X_OK):
            raise CannotMeasure(f"no `agreed` beside {sys.executable}: install the package there")
        return program
