"""Knobs that contradict each other are refused before anything starts: those that every protocol has."""

from __future__ import annotations

import pytest

from agreed.consensus.config import CommonConfig
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.zab.config import ZabConfig
from agreed.errors import ConfigurationError


@pytest.mark.parametrize("config", [RaftConfig, MultiPaxosConfig, VrConfig, ZabConfig])
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
        ({"tail_entries": -1}, "tail_entries"),
        ({"tail_bytes": -1}, "tail_bytes"),
        ({"spare_delay_ms": -1}, "spare_delay_ms"),
        ({"commit_notice_ms": -1}, "commit_notice_ms"),
    ],
)
def test_a_contradiction_is_refused_in_words(
    config: type[CommonConfig], knobs: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        config(**knobs)  # type: ignore[arg-type]
