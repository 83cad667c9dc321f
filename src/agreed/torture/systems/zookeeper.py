"""A real ZooKeeper: Debian's package, or whatever the variable PEER_ZOOKEEPER_CLASSPATH holds."""
from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from agreed.torture.address import Address
from agreed.torture.client import Client
from agreed.torture.network import Caller, Who
from agreed.torture.node import Node
from agreed.torture.processes import NotServing
from agreed.torture.systems import words
from agreed.torture.systems.system import Role
from agreed.torture.systems.tree import read_tree
from agreed.torture.zookeeper_client import ZooKeeperClient

JAVA_LIBRARIES = Path("/usr/share/java")

JARS = (
    *("zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-log4j12", "log4j-1.2", "snappy-java"),
    *("metrics-core", "netty-buffer", "netty-codec", "netty-common", "netty-handler", "netty-resolver"),
    *("netty-transport", "netty-transport-native-epoll", "netty-transport-native-unix-common"),
)
"""By hand: the manifest in Debian's jar names no netty-codec and no binding for its logging."""

NOT_INSTALLED = "ZooKeeper is not installed (Debian package `zookeeper`, or PEER_ZOOKEEPER_CLASSPATH)"

SESSION_MS = 4_000

LOG4J = """\
log4j.rootLogger=INFO, CONSOLE
log4j.appender.CONSOLE=org.apache.log4j.ConsoleAppender
log4j.appender.CONSOLE.layout=org.apache.log4j.PatternLayout
log4j.appender.CONSOLE.layout.ConversionPattern=%d %p %c: %m%n
"""


def class_path() -> str | None:
    """None where there is no ZooKeeper, or no java."""
    if shutil.which("java") is None:
        return None
    given = os.environ.get("PEER_ZOOKEEPER_CLASSPATH")
    if given:
        return given
    jars = [JAVA_LIBRARIES / f"{name}.jar" for name in JARS]
    return ":".join(map(str, jars)) if all(jar.exists() for jar in jars) else None


class ZooKeeper:
    """With syncs to the disk on, and its own defaults but for short ticks and frequent snapshots."""

    name = "zookeeper"
    workloads = frozenset({"register", "set", "queue", "lock", "counter", "watch", "list-append"})
    faults = frozenset(
        {
            *("kill", "pause", "partition", "oneway", "delay", "loss", "clock", "disk-full", "disk-failing"),
            "disk-slow",
            "rolling-restart",
        }
    )
    uses_libc = True

    def version(self) -> str:
        return f"ZooKeeper ({self._class_path().split(':')[0]})"

    @staticmethod
    def _class_path() -> str:
        found = class_path()
        if found is None:
            raise NotServing(NOT_INSTALLED)
        return found

    def command(self, node: Node, nodes: Sequence[Node]) -> list[str]:
        node.data.mkdir(parents=True, exist_ok=True)
        (node.data / "myid").write_text(f"{node.number}\n", encoding="ascii")
        lines = [
            "tickTime=1000",
            "initLimit=10",
            "syncLimit=5",
            "snapCount=2000",
            f"dataDir={node.data}",
            f"clientPort={node.client_port}",
            f"clientPortAddress={node.host}",
            "maxClientCnxns=0",
            "admin.enableServer=false",
            "4lw.commands.whitelist=*",
        ]
        for each in nodes:
            ports = (each.peer_port, each.election_port)
            if each is not node:
                ports = (each.peer_front, each.election_front)
            lines.append(f"server.{each.number}={each.host}:{ports[0]}:{ports[1]}")
        (node.directory / "zoo.cfg").write_text("\n".join(lines) + "\n", encoding="ascii")
        (node.directory / "log4j.properties").write_text(LOG4J, encoding="ascii")
        return [
            *("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"),
            *("-cp", self._class_path()),
            f"-Dlog4j.configuration=file:{node.directory / 'log4j.properties'}",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            str(node.directory / "zoo.cfg"),
        ]

    def peer_fronts(self, node: Node) -> list[tuple[int, int]]:
        return [(node.peer_front, node.peer_port), (node.election_front, node.election_port)]

    def who(self, nodes: Sequence[Node]) -> Who:
        by_number = {node.number: node for node in nodes}
        return lambda first: _caller(first, by_number)

    async def role(self, node: Node) -> Role | None:
        return await words.role(node.client_address)

    def client(self, name: str, addresses: Sequence[Address], dice: random.Random) -> Client:
        return ZooKeeperClient(name, addresses, dice, SESSION_MS)

    async def digest(self, node: Node) -> Mapping[str, object]:
        return await read_tree(node.client_address)


_FOLLOWER_INFO = struct.Struct(">iqiq")
_ELECTION = struct.Struct(">qq")
_INFO_KINDS = (11, 16)
"""FOLLOWERINFO and OBSERVERINFO, with which a server introduces itself to the leader."""


def _caller(first: bytes, nodes: Mapping[int, Node]) -> Caller | None:
    """On the port for elections a negative version, the number of the server, and the address at which it
    wants to be called back; on the other one a packet of kind FOLLOWERINFO, whose data begins with the
    number.

    A server names the port at which it listens, as its own configuration says; whoever called it back there
    would go past the front, so the address is replaced.  (Ports of five digits: the length stays.)"""
    if len(first) < _ELECTION.size:
        return None
    version, number = _ELECTION.unpack_from(first)
    if version < 0:
        node = nodes.get(number)
        if node is None:
            return Caller("", first)
        listens, is_to_be_called = str(node.election_port).encode(), str(node.election_front).encode()
        return Caller(node.name, first.replace(listens, is_to_be_called))
    if len(first) < _FOLLOWER_INFO.size:
        return None
    kind, _, _, number = _FOLLOWER_INFO.unpack_from(first)
    known = nodes.get(number) if kind in _INFO_KINDS else None
    return Caller(known.name if known else "", first)
