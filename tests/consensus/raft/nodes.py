"""What Raft's random world is made of, besides what all such worlds are."""
from __future__ import annotations

from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.raft import Raft
from tests.consensus import nodes

CONFIG = RaftConfig(
    heartbeat_ms=20,
    election_timeout_ms=(100, 200),
    leader_loss_delay_ms=(4, 30),
    max_append_bytes=120,
    window_messages=4,
    window_bytes=300,
    tail_entries=3,
    tail_bytes=300,
    spare_delay_ms=3,
    read_timeout_ms=100,
    promote_lag_entries=4,
)


class Node(nodes.Node):
    @property
    def raft(self) -> Raft:
        assert isinstance(self.machine, Raft)
        return self.machine
