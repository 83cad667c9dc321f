"""What is done to the cluster, when its time has come; within a budget, and undone at the end."""
from __future__ import annotations

from agreed.sim.cluster import Cluster


class Faults:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def schedule(self) -> None:
        """Put all faults of the plan into the queue."""

    def end(self) -> None:
        """All faults end, and all that is down comes up."""
        self._cluster.calm = True
        for client in self._cluster.clients:
            client.retire()

    def repair(self) -> None:
        """What an operator would do now, to bring the cluster back."""
