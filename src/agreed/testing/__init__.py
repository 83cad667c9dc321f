"""Real servers for the tests of programs that use ZooKeeper or etcd: in this process, empty in a moment.

    plugin.py             the fixtures `zk_server`, `etcd_server`, `agreed_cluster` of pytest
    server.py             what a test holds: addresses, clock, faults, assertions; also without pytest
    faults.py             what is done to requests, and to which
    zookeeper_leash.py    how that is done to clients of ZooKeeper
    etcd_leash.py         and to those of etcd
    leashed_node.py       the node behind it
    locks.py              who was inside of what, and whose it was
    history.py            what was asked and answered, for the judge
    cluster.py            three real nodes, as processes

Whatever client is used speaks with a server of ours by its own protocol, over a socket; nothing of it is
replaced.  Time stands still there until a test lets it pass.

Nothing is imported before it is asked for: pytest loads the plugin into everybody's tests.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agreed.testing.cluster import LeashedCluster, cluster
    from agreed.testing.faults import Fault
    from agreed.testing.server import EtcdServer, Server, ZooKeeperServer, etcd, zookeeper

__all__ = [
    "EtcdServer",
    "Fault",
    "LeashedCluster",
    "Server",
    "ZooKeeperServer",
    "cluster",
    "etcd",
    "zookeeper",
]

_PLACES = {
    "EtcdServer": "agreed.testing.server",
    "Fault": "agreed.testing.faults",
    "LeashedCluster": "agreed.testing.cluster",
    "Server": "agreed.testing.server",
    "ZooKeeperServer": "agreed.testing.server",
    "cluster": "agreed.testing.cluster",
    "etcd": "agreed.testing.server",
    "zookeeper": "agreed.testing.server",
}


def __getattr__(name: str) -> object:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
