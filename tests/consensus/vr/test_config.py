"""The knobs of this protocol alone (the others: `tests/consensus/test_config.py`)."""

from __future__ import annotations

import pytest

from agreed.consensus.vr.config import VrConfig
from agreed.errors import ConfigurationError


def test_a_cluster_is_founded_only_where_memory_is_all_there_is() -> None:
    with pytest.raises(ConfigurationError, match="recovery_without_disk"):
        VrConfig(founding=True)
