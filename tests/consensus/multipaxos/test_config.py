"""Knobs that contradict each other are refused before anything starts."""
from __future__ import annotations

import pytest

from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.raft.config import RaftConfig
from agreed.errors import ConfigurationError


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"heartbeat_ms": 0}, "heartbeat_ms"),
        ({"heartbeat_ms": 500}, "election timeout"),
        ({"election_timeout_ms": (900, 500)}, "election timeout"),
        ({"leader_loss_delay_ms": (50, 20)}, "leader_loss_delay_ms"),
        ({"leader_loss_delay_ms": (50, 2000)}, "leader_loss_delay_ms"),
        ({"window_messages": 0}, "window_messages"),
        ({"max_append_bytes": 0}, "max_append_bytes"),
        ({"reordered_entries": -1}, "reordered_entries"),
        ({"tail_entries": -1}, "tail_entries"),
        ({"spare_delay_ms": -1}, "spare_delay_ms"),
        ({"commit_notice_ms": -1}, "commit_notice_ms"),
    ],
)
def test_a_contradiction_is_refused_in_words(knobs: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        MultiPaxosConfig(**knobs)  # type: ignore[arg-type]


def test_what_has_a_name_in_raft_has_the_same_default() -> None:
    ours = set(MultiPaxosConfig.__struct_fields__)
    assert ours - set(RaftConfig.__struct_fields__) == {"reordered_entries"}
    for name in ours - {"reordered_entries"}:
        assert getattr(MultiPaxosConfig(), name) == getattr(RaftConfig(), name)
