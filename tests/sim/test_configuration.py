"""Nodes in simulation are configured as nodes are shipped, and otherwise too."""
from __future__ import annotations

import msgspec
import pytest

from agreed.consensus import protocols
from agreed.node import start
from agreed.node.config import Config
from agreed.sim import configuration
from agreed.sim.draw import draw


@pytest.mark.parametrize("consensus", protocols.NAMES)
def test_whatever_nodes_are_shipped_with_is_on_in_some_runs_and_off_in_others(consensus: str) -> None:
    """For long, every simulated leader sent everything to everybody at once, which no shipped one does."""
    shipping = start.consensus_config(Config(consensus=consensus))
    shipped = msgspec.structs.asdict(shipping)
    off = msgspec.structs.asdict(type(shipping)())
    switched_on = [name for name in shipped if shipped[name] and not off[name]]
    assert "spare_delay_ms" in switched_on
    drawn = [
        msgspec.structs.asdict(configuration.consensus_config(draw(seed).conditions, consensus))
        for seed in range(40)
    ]
    for name in switched_on:
        assert {values[name] for values in drawn} >= {shipped[name], off[name]}, name
