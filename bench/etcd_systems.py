"""How a node of each system that speaks the etcd API is started, and three of them together.

etcd is Debian's package with its defaults, except that requests may be as large and the store as big as the
measurements need.  Ours is `agreed serve` with its defaults and a port for etcd's clients.
`NodePorts.client` is that port in both; ours has its port for ZooKeeper's clients at `election`.
"""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from pathlib import Path

import msgspec

from bench.cluster import Cluster
from bench.four_letter import ServerState
from bench.generator import CannotMeasure
from bench.systems import Agreed as AgreedForZooKeeper
from bench.systems import NodePorts

QUOTA_BYTES = 8 << 30
ANSWER_WITHIN_S = 3.0


class Etcd:
    name = "etcd"

    def version(self) -> str:
        ended = subprocess.run(
            [self._program(), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
        return ended.stdout.partition("\n")[0].replace(" Version:", "")

    @staticmethod
    def _program() -> str:
        found = shutil.which("etcd", path="/usr/bin")
        if found is None:
            raise CannotMeasure("Debian's etcd is not installed: run tools/peers.sh")
        return found

    def command(self, number: int, ports: list[NodePorts], directory: Path) -> list[str]:
        own = ports[number]
        members = ",".join(f"n{i + 1}=http://127.0.0.1:{each.peer}" for i, each in enumerate(ports))
        return [
            self._program(),
            *("--name", f"n{number + 1}"),
            *("--data-dir", str(directory / "data")),
            *("--listen-client-urls", f"http://127.0.0.1:{own.client}"),
            *("--advertise-client-urls", f"http://127.0.0.1:{own.client}"),
            *("--listen-peer-urls", f"http://127.0.0.1:{own.peer}"),
            *("--initial-advertise-peer-urls", f"http://127.0.0.1:{own.peer}"),
            *("--initial-cluster", members),
            *("--quota-backend-bytes", str(QUOTA_BYTES)),
            *("--logger", "zap", "--log-level", "warn"),
        ]

    def term(self, ports: NodePorts) -> int:
        return int(status(ports)["raftTerm"])


class Agreed(AgreedForZooKeeper):
    def command(self, number: int, ports: list[NodePorts], directory: Path) -> list[str]:
        swapped = [NodePorts(client=each.election, peer=each.peer, election=each.client) for each in ports]
        return [
            *super().command(number, swapped, directory),
            *("--etcd", f"127.0.0.1:{ports[number].client}"),
        ]

    def term(self, ports: NodePorts) -> int:
        return int(status(ports)["raftTerm"])


def status(ports: NodePorts) -> dict[str, str]:
    """What a node says of itself.  Raises CannotMeasure where it does not."""
    address = f"http://127.0.0.1:{ports.client}/v3/maintenance/status"
    try:
        with urllib.request.urlopen(address, b"{}", ANSWER_WITHIN_S) as answer:
            said = msgspec.json.decode(answer.read())
    except (OSError, msgspec.DecodeError) as problem:
        raise CannotMeasure(f"a node does not tell its state: {problem}") from None
    return {**said, "member_id": said.get("header", {}).get("member_id", "none")}


class EtcdCluster(Cluster):
    """Three nodes that are asked who leads in the language of etcd."""

    def states(self) -> list[ServerState | None]:
        return [self._state(ports) for ports in self.ports]

    @staticmethod
    def _state(ports: NodePorts) -> ServerState | None:
        try:
            said = status(ports)
        except CannotMeasure:
            return None
        leader = said.get("leader", "0")
        if leader == "0":
            return None
        return ServerState("leader" if said["member_id"] == leader else "follower", 0, 0)
