"""The fixtures of pytest: one server of each kind for the session, empty before each test.

    zk_server         `agreed.testing.ZooKeeperServer`
    etcd_server       `agreed.testing.EtcdServer`
    agreed_cluster    `agreed.testing.LeashedCluster`: three nodes, as processes

pytest loads this into everybody's tests, so it imports nothing of ours before a fixture is used.  With
pytest-xdist each worker has servers of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agreed.testing.cluster import LeashedCluster
    from agreed.testing.server import EtcdServer, ZooKeeperServer


@pytest.fixture(scope="session")
def _zookeeper_of_session() -> Iterator[ZooKeeperServer]:
    from agreed.testing.server import zookeeper

    with zookeeper() as server:
        yield server


@pytest.fixture(scope="session")
def _etcd_of_session() -> Iterator[EtcdServer]:
    from agreed.testing.server import etcd

    with etcd() as server:
        yield server


@pytest.fixture(scope="session")
def _cluster_of_session() -> Iterator[LeashedCluster]:
    from agreed.testing.cluster import cluster

    with cluster() as nodes:
        yield nodes


@pytest.fixture
def zk_server(_zookeeper_of_session: ZooKeeperServer) -> ZooKeeperServer:
    """A server for any client of ZooKeeper: empty, its time stands still."""
    _zookeeper_of_session.reset()
    return _zookeeper_of_session


@pytest.fixture
def etcd_server(_etcd_of_session: EtcdServer) -> EtcdServer:
    """A server for any client of etcd: empty, its time stands still."""
    _etcd_of_session.reset()
    return _etcd_of_session


@pytest.fixture
def agreed_cluster(_cluster_of_session: LeashedCluster) -> LeashedCluster:
    """Three nodes for any client of ZooKeeper or etcd: all of them serve, and they are empty."""
    _cluster_of_session.reset()
    return _cluster_of_session
