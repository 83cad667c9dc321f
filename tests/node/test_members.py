"""Members come and go while a client writes, and none of its acknowledged writes is lost."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from agreed.cli.playground import Playground
from tests.node.running import (
    DEADLINE_S,
    Writer,
    agreed,
    change,
    client_of,
    leading,
    log_of,
    running,
    transfer,
    votes,
    wait_until,
)

pytestmark = pytest.mark.timeout(180)


def _grown(cluster: Playground) -> str:
    name = cluster.grow()
    cluster.start(name)
    change(cluster, "add", name, "learner")
    change(cluster, "promote", name, "voter")
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
            change(cluster, "remove", name, "")
            cluster.kill(name)
            del cluster.places[name]
            writer.go_on()
        wait_until(lambda: [*votes(cluster).values()] == ["voter"] * 3, "three are left, and all vote")
        assert writer.missing(cluster.hosts) == []


def test_a_leader_that_removes_itself_knows_that_it_is_done_and_leaves_no_gap(tmp_path: Path) -> None:
    """The others have to speak with it until it has heard that they agree."""
    missed_after_s = 10.0
    with running(tmp_path, "--election-timeout-ms", f"{missed_after_s * 1000:.0f}-11000") as cluster:
        old = leading(cluster)
        told = agreed(cluster, "member", "remove", old)
        assert told.returncode == 0, told.stderr
        nobody_missed_it = "somebody else leads, and nobody had to miss the old one"
        wait_until(lambda: cluster.leader() not in (None, old), nobody_missed_it, missed_after_s - 2)
        wait_until(lambda: "was removed from the cluster" in log_of(cluster, old), "it knows that it is done")


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
            transfer(cluster, name)
        writer.go_on()
        assert writer.missing(cluster.hosts) == []


def test_a_founder_that_was_alone_and_lost_its_disk_does_not_elect_itself(tmp_path: Path) -> None:
    """All that a replaced node knows at first are the founders; here it was the only one."""
    with running(tmp_path, size=1) as cluster:
        newcomers = [_grown(cluster), _grown(cluster)]
        with client_of(cluster.hosts) as client:
            client.create("/kept", b"by the others")
        transfer(cluster, newcomers[0])
        cluster.kill("n1")
        before = len(log_of(cluster, "n1"))
        shutil.rmtree(cluster.places["n1"].data)
        cluster.start("n1", join=True)
        wait_until(lambda: agreed(cluster, "member", "replace", "n1").returncode == 0, "n1 is replaced")
        wait_until(lambda: votes(cluster).get("n1") == "voter", "n1 votes")
        cluster.wait_until_serving(DEADLINE_S, ["n1"])
        # Once it votes it may lead as well as the others, if a loaded machine elects anew; but not before.
        roles = re.findall(r"(leads|follows \S+ in) term", log_of(cluster, "n1")[before:])
        assert roles[0] != "leads", roles
        with client_of(cluster.places["n1"].client_address) as client:
            assert client.get("/kept")[0] == b"by the others"
