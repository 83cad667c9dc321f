"""Nodes of ours that clients of etcd speak to, through the JSON gateway: the same nodes, another door.

What is asked of them, and how the answers are read, is that of a real etcd (`etcd.py`); how they are started
and what is done to them is ours (`agreed.py`).
"""
from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from agreed.torture.address import Address
from agreed.torture.client import Client
from agreed.torture.node import Node
from agreed.torture.systems.agreed import Agreed
from agreed.torture.systems.etcd import Etcd
from agreed.torture.systems.system import Role


class AgreedEtcd(Agreed):
    name = "agreed-etcd"
    workloads = Etcd.workloads

    def command(self, node: Node, nodes: Sequence[Node]) -> list[str]:
        """ZooKeeper's clients have a port of their own, which nobody is told of."""
        command = ["--etcd" if word == "--zookeeper" else word for word in super().command(node, nodes)]
        return [*command, "--zookeeper", f"{node.host}:{node.election_port}"]

    async def role(self, node: Node) -> Role | None:
        return await Etcd().role(node)

    def client(self, name: str, addresses: Sequence[Address], dice: random.Random) -> Client:
        return Etcd().client(name, addresses, dice)

    async def digest(self, node: Node) -> Mapping[str, object]:
        return await Etcd().digest(node)
