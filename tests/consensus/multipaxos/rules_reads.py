"""Linearizable reads.  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import PeerLost, ReadReady, ReadRequested
from agreed.consensus.multipaxos.messages import Accepted, Nack, ReadIndex, ReadIndexReply
from tests.consensus.lone import told
from tests.consensus.multipaxos import mutants
from tests.consensus.multipaxos.lone import Factory, Lone, accept, rule


@rule(mutants.ReadsBeforePhase1IsDone)
def a_new_leader_answers_no_read_before_all_it_was_told_is_chosen(factory: Factory) -> None:
    lone = Lone(factory)
    lone.preparing()
    lone.promised("n1", "1@64")
    lone.saved()
    assert lone.do(ReadRequested(7)).reads == []
    assert lone.accepted("n1", 0).reads == []
    assert lone.accepted("n1").reads == []
    assert lone.accepted("n1").reads == [ReadReady(7, 2)]


@rule(mutants.ReadsWithoutAsking)
def a_read_waits_for_a_quorum_that_is_asked_after_it(factory: Factory) -> None:
    lone = Lone(factory).settled()
    before = lone.leader.reads.round
    assert lone.do(ReadRequested(7)).reads == []
    assert lone.hear("n1", Accepted(lone.paxos.term, before, 1, 1)).reads == []
    assert lone.accepted("n1").reads == [ReadReady(7, 1)]


@rule()
def reads_fail_with_the_leader_that_was_to_answer_them(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(ReadRequested(7))
    assert lone.hear("n1", Nack(130)).reads == [ReadReady(7, None)]


@rule()
def a_follower_asks_its_leader(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", accept(64, "1@64"))
    (asked,) = told(lone.do(ReadRequested(7), ReadRequested(8)), ReadIndex)
    effects = lone.hear("n1", ReadIndexReply(asked.context, 1))
    assert effects.reads == [ReadReady(7, 1), ReadReady(8, 1)]


@rule()
def a_read_of_a_follower_fails_when_its_leader_is_lost(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", accept(64, "1@64"))
    lone.do(ReadRequested(7))
    assert lone.do(PeerLost("n1")).reads == [ReadReady(7, None)]


@rule()
def a_read_that_nobody_answers_fails(factory: Factory) -> None:
    lone = Lone(factory, election_timeout_ms=(2000, 3000))
    lone.do(ReadRequested(7))
    assert lone.time(499).reads == []
    assert lone.time(1).reads == [ReadReady(7, None)]


@rule()
def who_does_not_lead_says_so(factory: Factory) -> None:
    assert told(Lone(factory).hear("n1", ReadIndex(5)), ReadIndexReply) == [ReadIndexReply(5, None)]
