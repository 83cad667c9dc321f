"""The knobs of this protocol alone (the others: `tests/consensus/test_config.py`)."""

from __future__ import annotations

import pytest

from agreed.consensus.zab.config import ZabConfig
from agreed.errors import ConfigurationError


@pytest.mark.parametrize("finalize_wait_ms", [-1, 1000])
def test_an_election_is_final_before_its_time_is_over(finalize_wait_ms: int) -> None:
    with pytest.raises(ConfigurationError, match="finalize_wait_ms"):
        ZabConfig(finalize_wait_ms=finalize_wait_ms)


def test_the_defaults_are_sound() -> None:
    assert ZabConfig().heartbeat_ms == 100
