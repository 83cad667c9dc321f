"""Three nodes: the leader is killed, one is cut off, and what their clients make of it."""

from __future__ import annotations

import pytest
from kazoo.client import KazooClient

from agreed.client import connect
from agreed.errors import ConfigurationError
from agreed.testing import LeashedCluster
from agreed.testing.server import NotLinearizable
from tests.acceptance.etcd.api import EtcdApi

PATIENCE_S = 60.0


def test_a_leader_that_is_killed_loses_nothing(agreed_cluster: LeashedCluster) -> None:
    client = KazooClient(agreed_cluster.hosts, timeout=20.0)
    client.start(PATIENCE_S)
    client.create("/held", b"value", ephemeral=True)
    killed = agreed_cluster.faults.kill_leader()
    assert agreed_cluster.leader() != killed
    assert client.retry(client.get, "/held")[0] == b"value"
    with pytest.raises(AssertionError, match="still there: /held"):
        agreed_cluster.assert_no_ephemerals_left()
    client.stop()
    client.close()
    agreed_cluster.assert_no_ephemerals_left()


def test_it_begins_empty_and_healed_for_clients_of_etcd_as_well(agreed_cluster: LeashedCluster) -> None:
    assert all(agreed_cluster.node(name).running for name in agreed_cluster.names)
    with connect(agreed_cluster.url) as session:
        session.create("/a")
        session.create("/a/b")
        with EtcdApi(agreed_cluster.endpoints[0]) as api:
            api.call("Put", key=b"k", value=b"v")
            process = agreed_cluster.node("n3").process
            assert process is not None
            process.pause()
            agreed_cluster.reset()
            assert not process.paused
            assert api.call("Range", key=b"k").count == 0
        assert session.children("/", fresh=True).names == ("zookeeper",)


def test_who_is_cut_off_does_not_lead_for_long(agreed_cluster: LeashedCluster) -> None:
    cut_off = agreed_cluster.leader()
    others = set(agreed_cluster.names) - {cut_off}
    addresses = dict(zip(agreed_cluster.names, agreed_cluster.hosts.split(","), strict=True))
    url = f"agreed://{addresses[min(others)]}"
    with (
        agreed_cluster.faults.partition({cut_off}, others),
        connect(url, request_timeout_s=PATIENCE_S) as session,
    ):
        session.create("/key", b"of the majority")
    agreed_cluster.heal()
    with agreed_cluster.faults.isolated("n1"), connect(agreed_cluster.url) as session:
        assert session.get("/key", fresh=True).data == b"of the majority"
    unknown = pytest.raises(ConfigurationError, match="no node is called 'n9'")
    with unknown, agreed_cluster.faults.isolated("n9"):
        pass


def test_what_a_test_has_seen_is_judged(agreed_cluster: LeashedCluster) -> None:
    with agreed_cluster.faults.paused(agreed_cluster.leader()):
        pass
    with agreed_cluster.history.operation("a", "write", "1"):
        pass
    with agreed_cluster.history.operation("b", "read") as read:
        read.result = "0"
    with pytest.raises(NotLinearizable):
        agreed_cluster.assert_linearizable("register", initial="0")
