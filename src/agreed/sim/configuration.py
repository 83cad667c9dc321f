"""What the conditions of a plan mean to the parts of a node: `agreed.node.start` has it from a file."""
from __future__ import annotations

from typing import Any

from agreed.consensus import protocols
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.zab.config import ZabConfig
from agreed.replica.settings import Settings
from agreed.sim.plan import Conditions


def consensus_config(conditions: Conditions, consensus: str) -> protocols.ProtocolConfig:
    """Of the protocol with this name: the same conditions, as far as it has a knob for them."""
    common = _common(conditions)
    if consensus == protocols.RAFT:
        return RaftConfig(
            lease_reads=conditions.lease_reads,
            clock_rate_bound=conditions.clock_rate_bound_permille / 1000,
            **common,
        )
    if consensus == protocols.MULTIPAXOS:
        return MultiPaxosConfig(**common)
    if consensus == protocols.VR:
        return VrConfig(**common)
    return ZabConfig(**common)


def _common(conditions: Conditions) -> dict[str, Any]:
    low, high = conditions.election_timeout_ms
    return {
        "heartbeat_ms": conditions.heartbeat_ms,
        "election_timeout_ms": (low, high),
        "leader_loss_delay_ms": conditions.leader_loss_delay_ms,
        "max_append_bytes": conditions.max_append_bytes,
        "window_messages": conditions.window_messages,
        "tail_entries": conditions.tail_entries,
        "catching_up_bytes": conditions.catching_up_bytes,
        "commit_notice_ms": conditions.commit_notice_ms,
        "spare_delay_ms": conditions.spare_delay_ms,
        "read_timeout_ms": 200,
    }


def settings(conditions: Conditions) -> Settings:
    return Settings(
        sweep_every_ms=1_000,
        session_timeout_ms=conditions.session_ms,
        linearizable_reads=conditions.linearizable_reads,
        snapshot_entries=conditions.snapshot_entries,
        proposals_under_way=conditions.proposals_under_way,
        large_proposal_bytes=conditions.large_proposal_bytes,
        leaderless_grace_ms=1_500,
        watch_progress_ms=conditions.watch_progress_ms,
        watch_backlog_bytes=conditions.watch_backlog_bytes,
        four_letter_words=frozenset({"srvr", "mntr", "ruok"}),
    )
