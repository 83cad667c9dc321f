"""Nodes that end, in every way, and come back: nothing acknowledged is lost, and a wrong disk is refused."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from agreed.cli.playground import Playground
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


def test_a_node_alone_keeps_its_data_over_restarts(tmp_path: Path) -> None:
    with running(tmp_path, size=1) as cluster:
        with client_of(cluster.hosts) as client:
            client.create("/kept", b"for good")
        cluster.processes["n1"].terminate()
        assert cluster.processes["n1"].wait(DEADLINE_S) == 0, log_of(cluster, "n1")
        cluster.start("n1")
        cluster.wait_until_serving(DEADLINE_S)
        with client_of(cluster.hosts) as client:
            assert client.get("/kept")[0] == b"for good"


def test_a_leader_that_is_told_to_end_hands_over_first(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, Writer(cluster.hosts) as writer:
        writer.go_on()
        # Who stands still takes over nothing, and is not waited for longer than an election lasts.
        assert any(_ended_in_order(cluster, writer) for _ in range(4))
        assert writer.missing(cluster.hosts) == []


def _ended_in_order(cluster: Playground, writer: Writer) -> bool:
    """Whether the leader has left another one behind; nobody has to miss it then."""
    old = leading(cluster)

    def elected() -> int:
        return sum(log_of(cluster, name).count("leads term") for name in cluster.places if name != old)

    before = elected()
    cluster.processes[old].send_signal(signal.SIGTERM)
    assert cluster.processes[old].wait(DEADLINE_S) == 0, log_of(cluster, old)
    handed_over = elected() > before
    writer.go_on()
    cluster.start(old)
    cluster.wait_until_serving(DEADLINE_S)
    return handed_over


def test_a_killed_leader_is_followed_by_another_and_comes_back(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, Writer(cluster.hosts) as writer:
        writer.go_on()
        old = leading(cluster)
        cluster.kill(old)
        writer.go_on()
        wait_until(lambda: cluster.leader() not in (None, old), "another one leads")
        cluster.start(old)
        cluster.wait_until_serving(DEADLINE_S)
        assert writer.missing(cluster.places[old].client_address) == []


def _wiped(cluster: Playground, name: str, *, join: bool) -> None:
    cluster.kill(name)
    shutil.rmtree(cluster.places[name].data)
    cluster.start(name, join=join)


def test_a_node_that_lost_its_disk_waits_until_it_is_replaced_and_then_serves(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, Writer(cluster.hosts) as writer:
        writer.go_on()
        name = next(name for name in cluster.places if name != leading(cluster))
        with client_of(cluster.places[name].client_address) as client:
            for number in range(5):
                client.create(f"/before-{number}")
        _wiped(cluster, name, join=False)
        wait_until(
            lambda: f"agreed member replace {name}" in log_of(cluster, name), "it says what is to be done"
        )
        assert cluster.status_of(name) is None, "it takes no part"
        wait_until(lambda: agreed(cluster, "member", "replace", name).returncode == 0, "it is replaced")
        cluster.wait_until_serving(DEADLINE_S, [name])
        # The numbers of its commands begin anew; those of the lost disk must not be taken for them.
        with client_of(cluster.places[name].client_address) as client:
            for number in range(20):
                assert client.create(f"/after-{number}", b"x") == f"/after-{number}"
        writer.go_on()
        assert writer.missing(cluster.places[name].client_address) == []


def test_a_copy_of_a_data_directory_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        name = next(name for name in cluster.places if name != leading(cluster))
        place = cluster.places[name]
        cluster.kill(name)
        shutil.copytree(place.data, tmp_path / "copy")
        cluster.start(name)
        cluster.wait_until_serving(DEADLINE_S)
        imitator = playground(tmp_path / "imitator", size=3)
        copy = replace(imitator.places[name], data=tmp_path / "copy")
        imitator.places = {**cluster.places, name: copy}
        with imitator:
            imitator.start(name)
            said = [other for other in cluster.places if other != name]
            wait_until(
                lambda: all("a copy of the data directory" in log_of(cluster, other) for other in said),
                "the others refuse the copy",
            )
        with client_of(cluster.hosts) as client:
            client.create("/still-serving")


def test_a_data_directory_of_another_node_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, size=1) as cluster:
        cluster.processes["n1"].terminate()
        assert cluster.processes["n1"].wait(DEADLINE_S) == 0
        stranger = playground(tmp_path / "stranger", size=2)
        stranger.places["n2"] = replace(stranger.places["n2"], data=cluster.places["n1"].data)
        with stranger:
            stranger.start("n2")
            assert stranger.processes["n2"].wait(DEADLINE_S) == 78
            assert "belongs to the node n1" in log_of(stranger, "n2")
