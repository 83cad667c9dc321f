"""The knobs of this protocol alone (the others: `tests/consensus/test_config.py`)."""

from __future__ import annotations

import pytest

from agreed.consensus.raft.config import RaftConfig
from agreed.errors import ConfigurationError


@pytest.mark.parametrize(
    ("knobs", "words"),
    [({"clock_rate_bound": 1.0}, "clock_rate_bound"), ({"promote_lag_entries": -1}, "promote_lag_entries")],
)
def test_what_makes_no_sense_is_refused_in_words(knobs: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        RaftConfig(**knobs)  # type: ignore[arg-type]


@pytest.mark.parametrize(("bound", "lease_ms"), [(0.0, 500), (0.01, 495), (0.25, 400)])
def test_a_lease_is_shortened_by_what_clocks_may_differ(bound: float, lease_ms: int) -> None:
    assert RaftConfig(clock_rate_bound=bound).lease_ms == lease_ms
