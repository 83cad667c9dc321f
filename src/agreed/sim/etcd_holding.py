"""The lease of a simulated client: granted when it has none, renewed thrice in its time, given up or lost."""
from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from agreed.sim.outcome import Broken
from agreed.sim.world import MS
from agreed.wire.etcd.messages import LeaseGrantResponse, LeaseKeepAliveResponse

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster


class Holding:
    """`id` 0: there is none.  `owned`: the keys that hang on it, as far as the client was told."""

    def __init__(self, cluster: Cluster, ttl_s: int) -> None:
        self._cluster = cluster
        self.ttl_s = ttl_s
        self.id = 0
        self.owned: set[bytes] = set()
        self.granting = False
        self._renewed_at = 0
        self._renewals: deque[tuple[int, int]] = deque()
        """(lease, when): renewals that were asked for on this connection."""

    @property
    def ttl_ms(self) -> int:
        return self.ttl_s * 1000

    @property
    def renewal_is_due(self) -> bool:
        return bool(self.id) and self._cluster.world.now - self._renewed_at >= self.ttl_ms // 3 * MS

    def lost(self) -> None:
        """The connection broke."""
        self._renewals.clear()
        self.granting = False

    def forget(self) -> None:
        self.id = 0
        self.owned.clear()

    def renewing(self) -> None:
        self._renewed_at = self._cluster.world.now
        self._renewals.append((self.id, self._renewed_at))

    def granted(self, asked_at: int, answer: Any) -> None:
        self.granting = False
        if isinstance(answer, LeaseGrantResponse):
            self._cluster.world.mark("lease granted")
            self.id = answer.ID
            self._renewed_at = self._cluster.world.now
            self._cluster.judge.leases.promised(answer.ID, asked_at, answer.TTL * 1000)

    def renewed(self, response: LeaseKeepAliveResponse) -> bool:
        """False: it is lost."""
        lease, asked_at = self._renewals.popleft()
        if lease != response.ID:
            raise Broken("an answer that makes no sense", f"{lease:#x} was to be renewed: {response}")
        if response.TTL > 0:
            self._cluster.judge.leases.promised(lease, asked_at, response.TTL * 1000)
            return True
        self._cluster.judge.leases.refused(lease)
        self._cluster.world.mark("lease refused")
        return lease != self.id
