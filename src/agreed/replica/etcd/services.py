"""Every service of the etcd API that this node offers: a class each, which is given the front."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from agreed.replica.etcd.calls import Call
    from agreed.replica.etcd.front import EtcdClients

from agreed.replica.etcd.auth import AuthService
from agreed.replica.etcd.cluster import ClusterService
from agreed.replica.etcd.election import ElectionService
from agreed.replica.etcd.health import HealthService
from agreed.replica.etcd.kv import KvService
from agreed.replica.etcd.leases import LeaseService
from agreed.replica.etcd.lock import LockService
from agreed.replica.etcd.maintenance import MaintenanceService
from agreed.replica.etcd.pipelines import Pipelines
from agreed.replica.etcd.slow_requests import SlowRequests
from agreed.replica.etcd.watch import WatchService


class Service(Protocol):
    """Made once for a node."""

    def handlers(self) -> Mapping[str, Callable[[Call, Any], None]]:
        """By the path of the method: what to do with a call and its first request."""


SERVICES: tuple[Callable[[EtcdClients], Service], ...] = (
    KvService,
    LeaseService,
    WatchService,
    LockService,
    ElectionService,
    ClusterService,
    MaintenanceService,
    AuthService,
    HealthService,
    SlowRequests,
    Pipelines,
)
