"""What ZAB's random world is made of, besides what all such worlds are."""
from __future__ import annotations

from agreed.consensus.zab.config import ZabConfig
from agreed.consensus.zab.zab import Zab
from tests.consensus import nodes

CONFIG = ZabConfig(
    heartbeat_ms=20,
    election_timeout_ms=(100, 200),
    finalize_wait_ms=10,
    leader_loss_delay_ms=(4, 30),
    max_append_bytes=120,
    window_messages=4,
    window_bytes=300,
    tail_entries=3,
    tail_bytes=300,
    spare_delay_ms=3,
    read_timeout_ms=100,
)


class Node(nodes.Node):
    @property
    def zab(self) -> Zab:
        assert isinstance(self.machine, Zab)
        return self.machine
