"""The systems by name."""
from __future__ import annotations

from collections.abc import Callable

from agreed.torture.systems.agreed import Agreed
from agreed.torture.systems.agreed_etcd import AgreedEtcd
from agreed.torture.systems.etcd import Etcd
from agreed.torture.systems.system import System
from agreed.torture.systems.zookeeper import ZooKeeper

SYSTEMS: dict[str, Callable[[], System]] = {
    "agreed": Agreed,
    "agreed-etcd": AgreedEtcd,
    "zookeeper": ZooKeeper,
    "etcd": Etcd,
}
