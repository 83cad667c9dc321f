"""The knobs of this protocol alone (the others: `tests/consensus/test_config.py`)."""

from __future__ import annotations

import pytest

from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.raft.config import RaftConfig
from agreed.errors import ConfigurationError


def test_slots_cannot_be_kept_by_a_negative_number() -> None:
    with pytest.raises(ConfigurationError, match="reordered_entries"):
        MultiPaxosConfig(reordered_entries=-1)


def test_what_has_a_name_in_raft_has_the_same_default() -> None:
    ours = set(MultiPaxosConfig.__struct_fields__)
    assert ours - set(RaftConfig.__struct_fields__) == {"reordered_entries"}
    for name in ours - {"reordered_entries"}:
        assert getattr(MultiPaxosConfig(), name) == getattr(RaftConfig(), name)
