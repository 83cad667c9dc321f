"""ZooKeeper's clients and etcd's work on one cluster while its leaders are killed; both histories are judged.

The spaces of the two are apart, so each has workloads of its own; the nodes, the log and the revision are the
same, and so is what happens to them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from agreed.check.history import Status
from agreed.torture.address import Address
from agreed.torture.client import Client
from agreed.torture.faults.fault import Scene
from agreed.torture.node import Node
from agreed.torture.report import lines
from agreed.torture.run import Plan, run
from agreed.torture.systems.agreed import Agreed
from agreed.torture.systems.etcd import Etcd

THROUGH_ETCD = ("set", "list-append", "lock")
THROUGH_ZOOKEEPER = ("register", "queue")


class Both(Agreed):
    """etcd's clients have a port that ZooKeeper's election would have; no relay stands before it."""

    def command(self, node: Node, nodes: Sequence[Node]) -> list[str]:
        self._etcd = [Address(each.host, each.election_port) for each in nodes]
        return [*super().command(node, nodes), "--etcd", f"{node.host}:{node.election_port}"]

    def client(self, name: str, addresses: Sequence[Address], dice: random.Random) -> Client:
        if name != "set-up" and name.startswith(THROUGH_ETCD):
            return Etcd().client(name, self._etcd, dice)
        return super().client(name, addresses, dice)


@pytest.mark.timeout(600)
def test_both_histories_are_right_through_killed_leaders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[Node] = []

    def leader(scene: Scene, dice: random.Random, most: int) -> list[Node]:
        if scene.leader is None or scene.leader not in scene.free_nodes():
            return []
        killed.append(scene.leader)
        return [scene.leader]

    monkeypatch.setattr(Scene, "pick", leader)
    workloads = [*THROUGH_ZOOKEEPER, *THROUGH_ETCD]
    for seconds in (15, 60):  # a machine with much to do does less in its time
        plan = Plan(Both(), 3, seconds, workloads, ["kill"], 7, tmp_path / f"nodes-{seconds}")
        report = asyncio.run(run(plan))
        told = "\n".join(lines(report))
        assert not report.violated, told
        if killed and all(judged.count(Status.OK) > 10 for judged in report.workloads.values()):
            return
    pytest.fail(told)
