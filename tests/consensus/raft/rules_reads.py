"""Linearizable reads and leases (§8; thesis 6.4).  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import (
    PeerLost,
    ReadReady,
    ReadRequested,
    TransferRequested,
)
from agreed.consensus.raft.messages import (
    AppendEntriesReply,
    RequestVote,
    RequestVoteReply,
)
from tests.consensus.lone import told
from tests.consensus.raft import mutants
from tests.consensus.raft.lone import Factory, Lone, append, rule

# --- §8, thesis 6.4: reads --------------------------------------------------------------------------------


@rule(mutants.ReadsBeforeItCommits)
def no_read_before_something_of_the_term_is_agreed(factory: Factory) -> None:
    lone = Lone(factory, log="1@1", term=1).elected()
    assert lone.do(ReadRequested(7)).reads == []
    for other in ("n1", "n3"):
        assert lone.matched(other, 1).reads == []


@rule(mutants.ReadsByAnEarlierRound, mutants.ReadsWithoutAsking)
def only_a_round_that_began_after_the_read_serves_it(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.time(100)
    earlier = lone.leader.reads.round
    lone.matched("n1", round_number=earlier)
    assert lone.do(ReadRequested(7)).reads == []
    assert lone.matched("n3", round_number=earlier).reads == []
    assert lone.matched("n3", round_number=earlier + 1).reads == [ReadReady(7, 1)]


@rule(mutants.AnswersTwice)
def each_read_is_answered_once(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(*(ReadRequested(ticket) for ticket in range(3)))
    effects = lone.matched("n1")
    assert sorted(ready.ticket for ready in effects.reads) == [0, 1, 2]
    assert lone.matched("n3").reads == []


@rule()
def reads_fail_when_leadership_ends_and_when_time_is_up(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(ReadRequested(1))
    assert lone.hear("n1", append(9, "0@0")).reads == [ReadReady(1, None)]
    lone = Lone(factory).settled()
    lone.do(ReadRequested(2))
    failed = []
    for _ in range(5):
        failed += lone.time(100).reads
        lone.hear("n1", AppendEntriesReply(1, 0, 1))
    assert failed == [ReadReady(2, None)]
    assert lone.raft.leads


@rule(mutants.KeepsItsLease)
def a_lease_ends_with_a_handover_for_the_rest_of_the_term(factory: Factory) -> None:
    lone = Lone(factory, lease_reads=True).settled()
    lone.time(100)
    lone.matched("n1")
    assert lone.do(ReadRequested(1)).reads == [ReadReady(1, 1)], "a quorum has just answered"
    lone.do(TransferRequested("n3"))
    assert lone.do(ReadRequested(2)).reads == []
    for _ in range(6):
        lone.time(100)
        lone.matched("n1", round_number=2)
    assert lone.leader.transfer.target is None, "given up"
    assert ReadReady(3, 1) not in lone.do(ReadRequested(3)).reads


@rule()
def a_lease_is_shorter_than_what_followers_wait(factory: Factory) -> None:
    lone = Lone(factory, lease_reads=True, clock_rate_bound=0.25).settled()
    assert lone.config.lease_ms == 400
    lone.time(100)
    lone.matched("n1")
    lone.time(399)
    lone.hear("n1", AppendEntriesReply(1, 0, 1))
    assert lone.do(ReadRequested(1)).reads == [ReadReady(1, 1)]
    lone.time(1)
    lone.hear("n1", AppendEntriesReply(1, 0, 1))
    assert lone.do(ReadRequested(2)).reads == []


@rule()
def with_leases_nobody_votes_early(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1", lease_reads=True)
    assert not told(lone.hear("n3", RequestVote(2, 9, 1)), RequestVoteReply), "it may have forgotten a leader"
    lone.time(500)
    lone.hear("n1", append(1, "1@1"))
    lone.do(PeerLost("n1"))
    lone.time(400)
    assert lone.hear("n3", RequestVote(2, 9, 1)).send == []


