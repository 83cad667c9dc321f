"""Nodes in simulation are configured as nodes are shipped, and otherwise too."""
from __future__ import annotations

import msgspec

from agreed.consensus.raft.config import RaftConfig
from agreed.node.config import Config
from agreed.node.start import consensus_config
from agreed.sim.configuration import raft_config
from agreed.sim.draw import draw


def test_whatever_nodes_are_shipped_with_is_on_in_some_runs_and_off_in_others() -> None:
    """For long, every simulated leader sent everything to everybody at once, which no shipped one does."""
    shipped = msgspec.structs.asdict(consensus_config(Config()))
    off = msgspec.structs.asdict(RaftConfig())
    switched_on = [name for name in shipped if shipped[name] and not off[name]]
    assert "spare_delay_ms" in switched_on
    drawn = [msgspec.structs.asdict(raft_config(draw(seed).conditions)) for seed in range(40)]
    for name in switched_on:
        assert {values[name] for values in drawn} >= {shipped[name], off[name]}, name
