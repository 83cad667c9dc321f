"""Nodes of ours, as `agreed serve` runs them, or a variant of it that is to be judged.

Snapshots are taken often, and the ticks are short, so that sessions can be: what is rare in a month must
happen in minutes.
"""
from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence

import agreed
from agreed.consensus import protocols
from agreed.errors import MalformedInput
from agreed.torture.address import Address
from agreed.torture.client import Client
from agreed.torture.network import Caller, Who
from agreed.torture.node import Node
from agreed.torture.systems import words
from agreed.torture.systems.system import Role
from agreed.torture.systems.tree import read_tree
from agreed.torture.zookeeper_client import ZooKeeperClient
from agreed.wire.peer.codec import Decoder
from agreed.wire.peer.messages import Hello

SERVE = (sys.executable, "-m", "agreed", "serve")

FLAGS = (
    *("--tick-ms", "1000"),
    *("--snapshot-entries", "2000"),
    *("--snapshot-bytes", "1000000"),
    *("--sweep-every-ms", "1000"),
)

SESSION_MS = 4_000

FAULTS = frozenset(
    {
        *("kill", "pause", "partition", "oneway", "delay", "loss", "clock", "disk-full", "disk-failing"),
        "disk-slow",
        *("membership", "transfer", "rolling-restart"),
    }
)

OPERATOR = "operator"
"""Who speaks on the peer port and is no node."""


class Agreed:
    """`serve`: the command that runs a node, without its flags; `flags` go to every node; `consensus`: one of
    `protocols.NAMES`."""

    name = "agreed"
    workloads = frozenset({"register", "set", "queue", "lock", "counter", "watch", "list-append"})
    uses_libc = True

    def __init__(
        self, serve: Sequence[str] = SERVE, flags: Sequence[str] = (), consensus: str = protocols.RAFT
    ) -> None:
        self._serve = list(serve)
        self._flags = ["--consensus", consensus, *FLAGS, *flags]
        self._consensus = consensus
        # Only Raft's members can be changed.
        self.faults = FAULTS if consensus == protocols.RAFT else FAULTS - {"membership"}

    def version(self) -> str:
        return f"agreed {agreed.__version__} ({self._consensus})"

    def command(self, node: Node, nodes: Sequence[Node]) -> list[str]:
        peers = ",".join(f"{each.name}={each.host}:{each.peer_front}" for each in nodes)
        return [
            *self._serve,
            *("--name", node.name),
            *("--data", str(node.data)),
            *("--peers", peers),
            *("--listen", f"{node.host}:{node.peer_port}"),
            *("--zookeeper", f"{node.host}:{node.client_port}"),
            *self._flags,
            *(["--join"] if node.joining else []),
        ]

    def peer_fronts(self, node: Node) -> list[tuple[int, int]]:
        return [(node.peer_front, node.peer_port)]

    def who(self, nodes: Sequence[Node]) -> Who:
        return _caller

    async def role(self, node: Node) -> Role | None:
        return await words.role(node.client_address)

    def client(self, name: str, addresses: Sequence[Address], dice: random.Random) -> Client:
        return ZooKeeperClient(name, addresses, dice, SESSION_MS)

    async def digest(self, node: Node) -> Mapping[str, object]:
        return await read_tree(node.client_address)


def _caller(first: bytes) -> Caller | None:
    try:
        messages = Decoder().receive_data(first)
    except MalformedInput:
        return Caller("", first)
    if not messages:
        return None
    return Caller(messages[0].member.name if isinstance(messages[0], Hello) else OPERATOR, first)
