"""Servers that the tests of this folder share; a test that needs a ZooKeeper is skipped where there is
none."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.cluster import (
    NO_ZOOKEEPER,
    SUPER_DIGEST,
    Cluster,
    Node,
    ZooKeeperEnsemble,
    zookeeper_classpath,
)


@pytest.fixture(scope="session")
def zookeeper() -> Iterator[Node]:
    """The reference: one ZooKeeper with every feature switched on."""
    if zookeeper_classpath() is None:
        pytest.skip(NO_ZOOKEEPER)
    with ZooKeeperEnsemble(1) as ensemble:
        yield ensemble.nodes[0]


@pytest.fixture(scope="session")
def twin(zookeeper: Node) -> Iterator[Node]:
    """A second ZooKeeper, to compare the first one with."""
    with ZooKeeperEnsemble(1) as ensemble:
        yield ensemble.nodes[0]


@pytest.fixture(scope="session")
def ours() -> Iterator[Cluster]:
    with Cluster(3, options=["--super-digest", SUPER_DIGEST], in_memory=True) as cluster:
        yield cluster
