"""What a node says of itself in four letters, read as the benchmark reads it."""
from __future__ import annotations

import pytest
from bench.four_letter import ServerState, ask_state, read_state

LEADER = """Zookeeper version: 3.8.0-, built on 2025-01-01 00:00 UTC
Latency min/avg/max: 0/0.4/23
Connections: 2
Zxid: 0x10000002a
Mode: leader
Node count: 1005
Proposal sizes last/min/max: 48/48/210
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (LEADER, ServerState("leader", 0x1_0000_002A, 1005)),
        (LEADER.replace("leader", "follower"), ServerState("follower", 0x1_0000_002A, 1005)),
        ("This ZooKeeper instance is not currently serving requests\n", None),
        ("", None),
    ],
)
def test_the_words_of_a_server(text: str, state: ServerState | None) -> None:
    assert read_state(text) == state


def test_nobody_there_is_no_state() -> None:
    assert ask_state(1) is None
