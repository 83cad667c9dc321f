"""What must hold between the knobs is refused at once, in words for an operator."""
from __future__ import annotations

import pytest

from agreed.consensus.zab.config import ZabConfig
from agreed.errors import ConfigurationError


@pytest.mark.parametrize(
    ("knobs", "word"),
    [
        ({"heartbeat_ms": 0}, "heartbeat_ms"),
        ({"heartbeat_ms": 600}, "heartbeat_ms"),
        ({"election_timeout_ms": (900, 800)}, "election timeout"),
        ({"leader_loss_delay_ms": (20, 2000)}, "leader_loss_delay_ms"),
        ({"finalize_wait_ms": 1000}, "finalize_wait_ms"),
        ({"finalize_wait_ms": -1}, "finalize_wait_ms"),
        ({"window_messages": 0}, "window_messages"),
        ({"tail_bytes": -1}, "tail_bytes"),
    ],
)
def test_knobs_that_contradict_each_other(knobs: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        ZabConfig(**knobs)  # type: ignore[arg-type]


def test_the_defaults_are_sound() -> None:
    assert ZabConfig().heartbeat_ms == 100
