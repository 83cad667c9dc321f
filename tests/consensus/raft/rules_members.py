"""Changes of members (§6; thesis 4).  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import (
    MembersChangeRequested,
)
from agreed.consensus.members import AddLearner, Members, Promote, Remove, Replace
from agreed.consensus.raft.messages import (
    AppendEntriesReply,
    RequestVote,
    RequestVoteReply,
)
from tests.consensus.lone import told
from tests.consensus.raft import mutants
from tests.consensus.raft.lone import Factory, Lone, append, rule
from tests.consensus.stage import member, members_of

# --- §6 members -------------------------------------------------------------------------------------------


@rule(mutants.ChangesTwiceAtOnce)
def one_change_of_members_at_a_time(factory: Factory) -> None:
    lone = Lone(factory, size=5).settled()
    lone.do(MembersChangeRequested(1, AddLearner(member("n6"))))
    (answer,) = lone.do(MembersChangeRequested(2, AddLearner(member("n7")))).answers
    assert answer.refusal is not None


@rule(mutants.ChangesBeforeItCommits)
def no_change_before_the_leader_has_agreed_on_something_of_its_term(factory: Factory) -> None:
    lone = Lone(factory).elected()
    (answer,) = lone.do(MembersChangeRequested(1, Remove("n3"))).answers
    assert answer.refusal is not None


@rule(mutants.CountsOnlyTheOldSet)
def the_new_majority_is_needed_in_a_joint_set(factory: Factory) -> None:
    lone = Lone(factory, name="n1", size=3).settled()
    lone.do(MembersChangeRequested(1, Remove("n3")))
    lone.saved()
    assert lone.raft.members.outgoing
    lone.hear("n3", AppendEntriesReply(1, 1, 2))
    assert lone.raft.commit == 1, "n1 and n3 are a majority of the old set alone"
    lone = Lone(factory, name="n1", size=5).settled()
    lone.do(MembersChangeRequested(1, Remove("n5")))
    lone.saved()
    lone.matched("n2")
    lone.matched("n5")
    assert lone.raft.commit == 1, "three of the old five, but two of the new four"


@rule(mutants.CountsOnlyTheNewSet)
def the_old_majority_is_needed_in_a_joint_set(factory: Factory) -> None:
    five = members_of("n1", "n2", "n3", "n4", "n5")
    joint = Members((member("n1"), member("n2"), member("n3")), outgoing=five.voters)
    lone = Lone(factory, name="n1", members=joint).elected()
    lone.saved()
    assert lone.matched("n2").commit == [], "two of the new three, but two of the old five"
    assert lone.matched("n5").commit != []


@rule()
def a_set_of_members_is_rolled_back_with_its_entry(factory: Factory) -> None:
    lone = Lone(factory, name="n1").settled()
    lone.do(MembersChangeRequested(1, AddLearner(member("n4"))))
    assert lone.raft.members.learners
    effects = lone.hear("n2", append(2, "1@1", "2@2"))
    assert not lone.raft.members.learners
    assert [answer.ticket for answer in effects.answers] == [1]


@rule(mutants.CreditsANewDiskWithTheOld)
def a_new_disk_has_nothing_of_what_the_old_one_acknowledged(factory: Factory) -> None:
    lone = Lone(factory, name="n1").settled()
    lone.do(MembersChangeRequested(1, Replace(member("n3", identity=33))))
    assert lone.leader.progress["n3"].match == 0


@rule()
def a_learner_does_not_count_and_is_promoted_once_it_has_caught_up(factory: Factory) -> None:
    lone = Lone(factory, name="n1", size=1, promote_lag_entries=0)
    lone.time(0)
    lone.saved()
    lone.do(MembersChangeRequested(1, AddLearner(member("n2"))))
    assert [answer.refusal for answer in lone.saved().answers] == [None]
    (answer,) = lone.do(MembersChangeRequested(2, Promote("n2"))).answers
    assert answer.refusal == "n2 has not caught up"
    lone.matched("n2")
    lone.do(MembersChangeRequested(3, Promote("n2")))
    lone.saved()
    lone.matched("n2")
    lone.saved()
    (answer,) = lone.matched("n2").answers
    assert answer.refusal is None
    assert lone.raft.members == members_of("n1", "n2")


@rule()
def a_node_that_does_not_vote_does_not_campaign(factory: Factory) -> None:
    lone = Lone(factory, name="n4", size=3)
    lone.time(10_000)
    assert lone.raft.role.name == "follower"
    assert lone.raft.wake is None


@rule()
def a_node_votes_even_for_one_it_does_not_know(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n9", RequestVote(1, 0, 0))
    assert told(lone.saved(), RequestVoteReply) == [RequestVoteReply(1, True)]


@rule()
def who_hears_a_leader_does_not_even_learn_of_a_strangers_term(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1"))
    lone.time(100)
    assert lone.hear("n9", RequestVote(7, 9, 6)).send == []
    assert lone.raft.term == 1


