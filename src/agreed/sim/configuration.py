"""What the conditions of a plan mean to the parts of a node: `agreed.node.start` has it from a file."""
from __future__ import annotations

from typing import Any

import msgspec

from agreed.consensus import protocols
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.zab.config import ZabConfig
from agreed.replica.settings import Settings
from agreed.sim.plan import Conditions


def raft_config(conditions: Conditions) -> RaftConfig:
    low, high = conditions.election_timeout_ms
    return RaftConfig(
        heartbeat_ms=conditions.heartbeat_ms,
        election_timeout_ms=(low, high),
        leader_loss_delay_ms=(10, 60),
        max_append_bytes=conditions.max_append_bytes,
        window_messages=conditions.window_messages,
        tail_entries=conditions.tail_entries,
        catching_up_bytes=conditions.catching_up_bytes,
        commit_notice_ms=conditions.commit_notice_ms,
        spare_delay_ms=conditions.spare_delay_ms,
        read_timeout_ms=200,
        lease_reads=conditions.lease_reads,
        clock_rate_bound=conditions.clock_rate_bound_permille / 1000,
    )


def consensus_config(conditions: Conditions, consensus: str) -> protocols.ProtocolConfig:
    """Of the protocol with this name: the same conditions, as far as it has a knob for them."""
    if consensus == protocols.RAFT:
        return raft_config(conditions)
    raft = msgspec.structs.asdict(raft_config(conditions))
    if consensus == protocols.MULTIPAXOS:
        return MultiPaxosConfig(**_known_to(MultiPaxosConfig, raft))
    if consensus == protocols.VR:
        return VrConfig(**_known_to(VrConfig, raft))
    return ZabConfig(**_known_to(ZabConfig, raft))


def _known_to(config: type[msgspec.Struct], knobs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in knobs.items() if name in config.__struct_fields__}


def settings(conditions: Conditions) -> Settings:
    return Settings(
        sweep_every_ms=1_000,
        session_timeout_ms=conditions.session_ms,
        linearizable_reads=conditions.linearizable_reads,
        snapshot_entries=conditions.snapshot_entries,
        proposals_under_way=conditions.proposals_under_way,
        large_proposal_bytes=conditions.large_proposal_bytes,
        leaderless_grace_ms=1_500,
        four_letter_words=frozenset({"srvr", "mntr", "ruok"}),
    )
