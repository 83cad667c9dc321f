"""An operator's day with a real cluster: look, hand over, grow, shrink, and replace a lost disk."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agreed.cli.exits import NO_ANSWER, REFUSED
from agreed.cli.playground import Playground
from tests.node.running import change, leading, transfer, votes, wait_until

DEADLINE_S = 40.0


def run(cluster: Playground, *arguments: str) -> subprocess.CompletedProcess[str]:
    node = ",".join(cluster.peer_addresses)
    return subprocess.run(
        [sys.executable, "-m", "agreed", *arguments, "--node", node],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with Playground(tmp_path_factory.mktemp("operated")) as playground:
        playground.start_all()
        playground.wait_until_serving(60)
        yield playground


def when_all_is_well(cluster: Playground, *arguments: str) -> str:
    """What it says then: while a loaded machine elects anew, nobody leads."""
    told = wait_until(
        lambda: said if (said := run(cluster, "status", *arguments)).returncode == 0 else None, "all is well"
    )
    return told.stdout


def answered(cluster: Playground, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The answer of somebody who leads."""
    return wait_until(
        lambda: told if (told := run(cluster, *arguments)).returncode != NO_ANSWER else None, "an answer"
    )


def test_status_shows_every_member_and_ends_well(cluster: Playground) -> None:
    told = when_all_is_well(cluster)
    assert all(name in told for name in cluster.places)
    assert told.count("leader") == 1


def test_status_for_programs(cluster: Playground) -> None:
    told = json.loads(when_all_is_well(cluster, "--json"))
    assert sorted(row["name"] for row in told) == ["n1", "n2", "n3"]
    [leader] = {row["status"]["leader"] for row in told}
    assert leader in cluster.places
    assert len({row["status"]["cluster"] for row in told}) == 1
    assert all(row["status"]["cluster"] for row in told)
    assert all(row["status"]["resident_bytes"] > 0 for row in told)


def test_leadership_is_handed_to_whom_it_was_asked_for(cluster: Playground) -> None:
    transfer(cluster, next(name for name in cluster.places if name != leading(cluster)))


def test_leadership_is_not_handed_to_a_stranger(cluster: Playground) -> None:
    told = answered(cluster, "transfer-leader", "n9")
    assert told.returncode == REFUSED
    assert "n9" in told.stderr


def test_a_member_that_was_never_heard_of_is_not_added(cluster: Playground) -> None:
    told = answered(cluster, "member", "add", "n9")
    assert told.returncode == REFUSED
    assert "n9" in told.stderr


def test_a_cluster_grows_and_shrinks(cluster: Playground) -> None:
    name = cluster.grow()
    cluster.start(name)
    change(cluster, "add", name, "learner")
    wait_until(lambda: votes(cluster).get(name) == "learner", f"{name} learns")
    change(cluster, "promote", name, "voter")
    wait_until(lambda: votes(cluster).get(name) == "voter", f"{name} votes")
    change(cluster, "remove", name, "")
    wait_until(lambda: not votes(cluster).get(name), f"{name} is out")
    cluster.kill(name)
    del cluster.places[name]


def test_a_lost_disk_is_told_and_replaced(cluster: Playground) -> None:
    name = next(name for name in cluster.places if name != leading(cluster))
    cluster.kill(name)
    shutil.rmtree(cluster.places[name].data)
    cluster.start(name, join=True)
    wait_until(lambda: run(cluster, "status").returncode == REFUSED, "it is told")
    wait_until(lambda: run(cluster, "member", "replace", name).returncode == 0, f"{name} is replaced")
    cluster.wait_until_serving(DEADLINE_S, [name])
    wait_until(lambda: run(cluster, "status").returncode == 0, "all is well again")


def test_a_node_ends_well_when_it_is_told_to(cluster: Playground) -> None:
    name = next(name for name in cluster.places if name != leading(cluster))
    cluster.processes[name].terminate()
    assert cluster.processes[name].wait(DEADLINE_S) == 0, cluster.log_of(name).read_text()[-2000:]
    cluster.start(name)
    cluster.wait_until_serving(DEADLINE_S, [name])


def test_an_address_that_is_taken_is_told_without_a_traceback(cluster: Playground, tmp_path: Path) -> None:
    taken = cluster.places["n1"].client_address
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        peer = f"127.0.0.1:{occupied.getsockname()[1]}"
        for flags in (["--zookeeper", taken], ["--zookeeper", "off", "--listen", peer]):
            told = subprocess.run(
                [sys.executable, "-m", "agreed", "serve", "--data", str(tmp_path / "alone"), *flags],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert told.returncode != 0
            assert "cannot listen" in told.stderr
            assert "Traceback" not in told.stderr


def test_a_change_that_reaches_nobody_has_the_code_of_no_answer() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "agreed", "member", "remove", "n1", "--node", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == NO_ANSWER


def test_a_playground_in_a_terminal_serves_and_ends_with_all_its_nodes(tmp_path: Path) -> None:
    playing = subprocess.Popen(
        [sys.executable, "-u", "-m", "agreed", "dev", "--data", str(tmp_path / "dev")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert playing.stdout is not None
        told = ""
        for line in playing.stdout:
            told += line
            if "Ctrl-C ends all of them" in line:
                break
        assert "KazooClient(" in told, told
        hosts = told.split('KazooClient("')[1].split('"')[0].split(",")
        assert len(hosts) == 3
        playing.send_signal(signal.SIGINT)
        rest, _ = playing.communicate(timeout=40)
        assert playing.returncode == 0, rest
        for host in hosts:
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), 1)
    finally:
        playing.kill()
        playing.wait()
