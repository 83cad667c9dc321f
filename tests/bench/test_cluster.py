"""Whatever happens, no server is left behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from bench.cluster import Cluster
from bench.generator import CannotMeasure
from bench.systems import NodePorts

SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    connection.recv(4)
    connection.sendall(f"Zxid: 0x5\\nMode: {sys.argv[2]}\\nNode count: 5\\n".encode())
    connection.close()
"""


class Actors:
    """Three processes that play a cluster, in these roles; `dies` ends at once with a last word."""

    name = "actors"

    def __init__(self, roles: tuple[str, ...] = ("follower", "leader", "follower")) -> None:
        self.roles = roles

    def version(self) -> str:
        return "1"

    def command(self, number: int, ports: list[NodePorts], directory: Path) -> list[str]:
        if self.roles[number] == "dies":
            return [sys.executable, "-c", "raise SystemExit('the disk is full')"]
        return [sys.executable, "-c", SERVER, str(ports[number].client), self.roles[number]]

    def term(self, ports: NodePorts) -> int:
        return 1


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_inside_three_nodes_serve_and_afterwards_nothing_is_left(tmp_path: Path) -> None:
    with Cluster(Actors(), tmp_path) as cluster:
        pids = [process.pid for process in cluster.processes]
        assert cluster.leader() == 1
        assert cluster.addresses()[0] == cluster.addresses(1)[0]
        assert len(set(cluster.addresses())) == 3
        assert all(
            usage.resident_kib > 0 and usage.peak_kib >= usage.resident_kib for usage in cluster.usage()
        )
    assert not any(map(is_alive, pids))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_inside_leaves_nothing_either(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Cluster(Actors(), tmp_path) as cluster:
        pids = [process.pid for process in cluster.processes]
        raise ZeroDivisionError
    assert not any(map(is_alive, pids))


def test_a_node_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotMeasure, match="the disk is full"),
        Cluster(Actors(("leader", "dies", "follower")), tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_leaders_are_not_a_cluster_that_serves(tmp_path: Path) -> None:
    cluster = Cluster(Actors(("leader", "leader", "follower")), tmp_path)
    try:
        with pytest.raises(CannotMeasure, match="did not serve"):
            cluster.start(patience_s=1.0)
    finally:
        cluster.close()


def test_a_node_that_was_killed_has_no_usage_but_a_reason(tmp_path: Path) -> None:
    with Cluster(Actors(), tmp_path) as cluster:
        cluster.processes[2].kill()
        with pytest.raises(CannotMeasure, match="a node of actors ended"):
            cluster.usage()
