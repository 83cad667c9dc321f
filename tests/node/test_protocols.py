"""Three nodes that speak another protocol than Raft: the same promises, from outside the same cluster."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from agreed.consensus import protocols
from tests.node.running import (
    DEADLINE_S,
    Writer,
    agreed,
    client_of,
    leading,
    log_of,
    playground,
    running,
    wait_until,
)

pytestmark = pytest.mark.timeout(180)

OTHERS = [name for name in protocols.NAMES if name != protocols.RAFT]


@pytest.mark.parametrize("consensus", OTHERS)
def test_a_killed_leader_is_followed_by_another_and_nothing_is_lost(consensus: str, tmp_path: Path) -> None:
    with running(tmp_path, "--consensus", consensus) as cluster, Writer(cluster.hosts) as writer:
        writer.go_on()
        wait_until(cluster.leader, "somebody says that it leads")
        old = leading(cluster)
        cluster.kill(old)
        writer.go_on()
        wait_until(lambda: cluster.leader() not in (None, old), "another leads")
        cluster.start(old)
        cluster.wait_until_serving(DEADLINE_S)
        assert writer.missing(cluster.places[old].client_address) == []
        answer = agreed(cluster, "member", "remove", old)
        assert answer.returncode != 0
        assert "Raft" in answer.stdout + answer.stderr


@pytest.mark.parametrize("consensus", OTHERS)
def test_all_are_killed_and_come_back_with_what_was_acknowledged(consensus: str, tmp_path: Path) -> None:
    with running(tmp_path, "--consensus", consensus, "--snapshot-entries", "100") as cluster:
        with Writer(cluster.hosts) as writer:
            writer.go_on(250)
            for name in cluster.places:
                cluster.kill(name)
            for name in cluster.places:
                cluster.start(name)
            cluster.wait_until_serving(DEADLINE_S)
            writer.go_on()
            assert writer.missing(cluster.hosts) == []
        for process in cluster.processes.values():
            process.send_signal(signal.SIGTERM)
        for name, process in cluster.processes.items():
            assert process.wait(DEADLINE_S) == 0, log_of(cluster, name)


def test_a_directory_keeps_its_protocol(tmp_path: Path) -> None:
    with running(tmp_path, "--consensus", "zab", size=1) as cluster, client_of(cluster.hosts) as client:
        client.create("/kept")
    with playground(tmp_path, "--consensus", "vr", size=1) as changed:
        changed.start("n1")
        assert changed.processes["n1"].wait(DEADLINE_S) != 0
        assert "start it with --consensus zab" in log_of(changed, "n1")


def test_founders_that_speak_different_protocols_found_nothing(tmp_path: Path) -> None:
    with playground(tmp_path, "--consensus", "multipaxos") as cluster:
        cluster.start("n1")
        cluster.start("n2")
        cluster.flags = ["--consensus", "vr"]
        cluster.start("n3")
        wait_until(lambda: "all nodes of a cluster speak one protocol" in log_of(cluster, "n1"), "n1 says so")
        wait_until(lambda: "all nodes of a cluster speak one protocol" in log_of(cluster, "n3"), "n3 says so")
        assert all(process.poll() is None for process in cluster.processes.values())
