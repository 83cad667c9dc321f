"""A real ZooKeeper and ours give the same answers to the same requests.  The long form is `python -m
tests.differential --sequences 10000`; here it is only as much as fits into a test run."""
from __future__ import annotations

import pytest

from tests.acceptance.cluster import Cluster, Node, version_of
from tests.differential.campaign import chosen
from tests.differential.comparison import Comparison
from tests.differential.zookeeper.compare import PeerTraits
from tests.differential.zookeeper.pair import ZooKeeperPair

SEQUENCES = {"leader": 150, "follower": 50}


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_ours_answers_as_zookeeper_does(zookeeper: Node, ours: Cluster, role: str) -> None:
    node = ours.nodes[chosen(ours, role)]
    traits = PeerTraits(version_of(zookeeper))
    pair = ZooKeeperPair(zookeeper.client_port, node.client_port, traits, prefix=role)
    comparison = Comparison(pair)
    for number in range(SEQUENCES[role]):
        disagreement = comparison.check(pair.draw(f"{role}:{number}"))
        assert disagreement is None, str(disagreement)
    assert not comparison.unsteady, str(comparison.unsteady[0])
