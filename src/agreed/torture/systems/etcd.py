"""A real etcd: Debian's package `etcd-server`, spoken to through its JSON gateway.

Sequential and ephemeral nodes, which locks need, are made of leases and transactions (`etcd_session.py`).
Its nodes are programs in Go, which ask the kernel and not libc, so that clocks and disks cannot be broken
from outside.
"""
from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from agreed.torture.address import Address
from agreed.torture.client import Client, NotAsked
from agreed.torture.etcd_client import EtcdClient, ask, encoded
from agreed.torture.etcd_session import EtcdSession
from agreed.torture.network import Caller, Who
from agreed.torture.node import Node
from agreed.torture.processes import NotServing
from agreed.torture.systems.system import Role

NOT_INSTALLED = "etcd is not installed (Debian package `etcd-server`)"

STATUS_WITHIN_S = 1.0
READ_WITHIN_S = 30.0


class Etcd:
    """With syncs to the disk on, and its own defaults but for frequent snapshots."""

    name = "etcd"
    workloads = frozenset({"register", "set", "list-append", "lock"})
    faults = frozenset({"kill", "pause", "partition", "oneway", "delay", "loss", "rolling-restart"})
    uses_libc = False

    def version(self) -> str:
        ended = subprocess.run(
            [self._program(), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
        return ended.stdout.partition("\n")[0].replace("Version: ", "")

    @staticmethod
    def _program() -> str:
        found = shutil.which("etcd")
        if found is None:
            raise NotServing(NOT_INSTALLED)
        return found

    def command(self, node: Node, nodes: Sequence[Node]) -> list[str]:
        everybody = ",".join(f"{each.name}={_peer_url(each.host, each.peer_front)}" for each in nodes)
        clients = f"http://{node.client_address}"
        node.disk.mkdir(parents=True, exist_ok=True)
        return [
            self._program(),
            *("--name", node.name),
            *("--data-dir", str(node.data)),
            *("--listen-client-urls", clients),
            *("--advertise-client-urls", clients),
            *("--listen-peer-urls", _peer_url(node.host, node.peer_port)),
            *("--initial-advertise-peer-urls", _peer_url(node.host, node.peer_front)),
            *("--initial-cluster", everybody),
            *("--initial-cluster-token", "torture"),
            *("--snapshot-count", "1000"),
            *("--logger", "zap"),
        ]

    def peer_fronts(self, node: Node) -> list[tuple[int, int]]:
        return [(node.peer_front, node.peer_port)]

    def who(self, nodes: Sequence[Node]) -> Who:
        by_url = {_peer_url(node.host, node.peer_front).encode(): node.name for node in nodes}
        return lambda first: _caller(first, by_url)

    async def role(self, node: Node) -> Role | None:
        status = await ask(node.client_address, "/v3/maintenance/status", {}, STATUS_WITHIN_S)
        if status is None:
            return None
        leader = status.get("leader")
        return Role(leader == status["header"].get("member_id"), leader not in (None, "0"))

    def client(self, name: str, addresses: Sequence[Address], dice: random.Random) -> Client:
        """Only who locks needs a session."""
        kind = EtcdSession if name.startswith("lock-") else EtcdClient
        return kind(name, addresses, dice)

    async def digest(self, node: Node) -> Mapping[str, object]:
        """After a linearizable read, so that it has caught up, all of its own keys."""
        everything = {"key": encoded("\0"), "range_end": encoded("\0")}
        caught_up = {"key": encoded("/"), "limit": "1"}
        if await ask(node.client_address, "/v3/kv/range", caught_up, READ_WITHIN_S) is None:
            raise NotAsked(f"{node.name} does not answer")
        answer = await ask(
            node.client_address, "/v3/kv/range", {**everything, "serializable": True}, READ_WITHIN_S
        )
        if answer is None:
            raise NotAsked(f"{node.name} does not answer")
        return {found["key"]: tuple(sorted(found.items())) for found in answer.get("kvs", [])}


def _peer_url(host: str, port: int) -> str:
    return f"http://{host}:{port}"


def _caller(first: bytes, by_url: Mapping[bytes, str]) -> Caller | None:
    """Members name their own addresses in a header of each request; what probes the round trip does not."""
    head, whole, _ = first.partition(b"\r\n\r\n")
    if not whole:
        return None
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"x-peerurls":
            return Caller(by_url.get(value.strip(), ""), first)
    return Caller("", first)
