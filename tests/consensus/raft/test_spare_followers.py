"""Followers that a quorum can do without hear of entries later, several at once; but they do hear of them."""
from __future__ import annotations

from agreed.consensus.machine import Effects, Proposed, SnapshotTaken
from agreed.consensus.raft.messages import AppendEntries
from agreed.consensus.raft.progress import Pace
from agreed.consensus.raft.raft import Raft
from tests.consensus.raft.lone import Lone

DELAY_MS = 4


def leader(window_messages: int = 64, tail_entries: int = 4096) -> Lone:
    """n2 leads, n1 is prompt and n3 is spare."""
    lone = Lone(
        Raft, spare_delay_ms=DELAY_MS, window_messages=window_messages, tail_entries=tail_entries
    ).settled()
    lone.time(lone.raft.config.commit_notice_ms)
    assert lone.leader.thrift.is_prompt("n1")
    assert not lone.leader.thrift.is_prompt("n3")
    return lone


def entries_to(name: str, effects: Effects) -> list[bytes]:
    appends = [send.message for send in effects.send if send.target == name]
    return [entry.payload for each in appends if isinstance(each, AppendEntries) for entry in each.entries]


def test_what_was_proposed_meanwhile_is_sent_together_in_time() -> None:
    lone = leader()
    first = lone.do(Proposed(b"a"))
    assert entries_to("n1", first) == [b"a"]
    assert entries_to("n3", first) == []
    lone.time(DELAY_MS - 1)
    assert entries_to("n3", lone.do(Proposed(b"b"))) == []
    assert lone.raft.wake is not None
    assert lone.raft.wake <= lone.now + 1
    assert entries_to("n3", lone.time(1)) == [b"a", b"b"]


def test_one_that_lacks_all_that_is_left_of_the_log_gets_a_snapshot() -> None:
    """Its window is full; meanwhile the others agree, and a snapshot takes the whole log's place."""
    lone = leader(window_messages=1, tail_entries=0)
    lone.do(Proposed(b"a"))
    lone.time(DELAY_MS)
    lone.matched("n1")
    lone.do(Proposed(b"b"))
    lone.matched("n1")
    lone.saved()
    last = lone.raft.last_index
    assert lone.raft.commit == last
    assert lone.leader.progress["n3"].next == last
    lone.do(SnapshotTaken(lone.raft.snapshot_mark(last)))
    lone.time(100)
    assert lone.leader.progress["n3"].pace is Pace.SNAPSHOT
