"""Members come and go while a client writes, and none of its acknowledged writes is lost."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from agreed.cli.playground import Playground
from agreed.cli.status import survey
from tests.node.running import DEADLINE_S, Writer, agreed, client_of, leading, log_of, running, wait_until

pytestmark = pytest.mark.timeout(180)


def votes(cluster: Playground) -> dict[str, str]:
    return {row.name: row.vote for row in survey(cluster.peer_addresses, 2)}


def _grown(cluster: Playground) -> str:
    name = cluster.grow()
    cluster.start(name)
    wait_until(lambda: agreed(cluster, "member", "add", name).returncode == 0, f"{name} is added")
    wait_until(lambda: agreed(cluster, "member", "promote", name).returncode == 0, f"{name} is promoted")
    wait_until(lambda: votes(cluster).get(name) == "voter", f"{name} votes")
    cluster.wait_until_serving(DEADLINE_S, [name])
    return name


def test_a_cluster_grows_to_five_and_shrinks_to_three_under_a_writing_client(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, Writer(cluster.hosts) as writer:
        writer.go_on()
        newcomers = [_grown(cluster), _grown(cluster)]
        writer.go_on()
        for name in newcomers:
            assert writer.missing(cluster.places[name].client_address) == []
        # The old members go, the leader last: what remains are n3, n4 and n5 or the like.
        leader = leading(cluster)
        leaving = [next(name for name in ("n1", "n2", "n3") if name != leader), leader]
        for name in leaving:
            told = agreed(cluster, "member", "remove", name)
            assert told.returncode == 0, told.stderr
            cluster.kill(name)
            del cluster.places[name]
            writer.go_on()
        assert len(votes(cluster)) == 3
        assert set(votes(cluster).values()) == {"voter"}
        assert writer.missing(cluster.hosts) == []


def test_a_leader_that_removes_itself_knows_that_it_is_done_and_leaves_no_gap(tmp_path: Path) -> None:
    """The others have to speak with it until it has heard that they agree."""
    began = time.monotonic()
    with running(tmp_path, "--election-timeout-ms", "4000-5000") as cluster:
        old = leading(cluster)
        first, began = time.monotonic() - began, time.monotonic()
        told = agreed(cluster, "member", "remove", old)
        assert told.returncode == 0, told.stderr
        wait_until(lambda: cluster.leader() not in (None, old), "somebody else leads")
        # The first leader came when its absence was noticed.
        assert time.monotonic() - began < first, "nobody had to miss it"
        assert "was removed from the cluster" in log_of(cluster, old)


def test_a_client_told_of_the_new_members_finds_them(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, client_of(cluster.hosts) as client:
        before = client.get("/zookeeper/config")[0]
        name = _grown(cluster)
        client.sync("/zookeeper/config")
        after = client.get("/zookeeper/config")[0]
        port = cluster.places[name].client_address.rpartition(":")[2].encode()
        assert port not in before
        assert port in after


def test_leadership_goes_where_it_is_sent_while_a_client_writes(tmp_path: Path) -> None:
    with running(tmp_path) as cluster, Writer(cluster.hosts) as writer:
        for name in ("n1", "n2", "n3"):
            writer.go_on()
            told = agreed(cluster, "transfer-leader", name)
            assert told.returncode == 0, told.stderr
            wait_until(lambda name=name: cluster.leader() == name, f"{name} leads")
        writer.go_on()
        assert writer.missing(cluster.hosts) == []


def test_a_founder_that_was_alone_and_lost_its_disk_does_not_elect_itself(tmp_path: Path) -> None:
    """All that a replaced node knows at first are the founders; here it was the only one."""
    with running(tmp_path, size=1) as cluster:
        newcomers = [_grown(cluster), _grown(cluster)]
        with client_of(cluster.hosts) as client:
            client.create("/kept", b"by the others")
        assert agreed(cluster, "transfer-leader", newcomers[0]).returncode == 0
        wait_until(lambda: cluster.leader() == newcomers[0], "a newcomer leads")
        cluster.kill("n1")
        before = len(log_of(cluster, "n1"))
        shutil.rmtree(cluster.places["n1"].data)
        cluster.start("n1", join=True)
        wait_until(lambda: agreed(cluster, "member", "replace", "n1").returncode == 0, "n1 is replaced")
        wait_until(lambda: votes(cluster).get("n1") == "voter", "n1 votes")
        cluster.wait_until_serving(DEADLINE_S, ["n1"])
        assert "leads term" not in log_of(cluster, "n1")[before:]
        with client_of(cluster.places["n1"].client_address) as client:
            assert client.get("/kept")[0] == b"by the others"
