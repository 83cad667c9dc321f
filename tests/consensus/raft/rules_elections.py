"""Terms, votes and leaders (§5.1, §5.2; thesis 3.10, 4.2.3, 6.2, 9.6).  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import (
    Proposed,
    TimePassed,
    TransferRequested,
)
from agreed.consensus.raft.messages import (
    AppendEntriesReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from tests.consensus.lone import told
from tests.consensus.raft import mutants
from tests.consensus.raft.lone import Factory, Lone, append, log_of, rule

# --- §5.1 terms -------------------------------------------------------------------------------------------


@rule(mutants.StaysInItsTerm)
def a_leader_that_hears_of_a_newer_term_steps_down(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.hear("n1", AppendEntriesReply(lone.raft.term + 1, 0, 0))
    assert not lone.raft.leads
    assert lone.raft.term == 2


@rule()
def a_message_of_an_older_term_is_answered_with_ours_and_changes_nothing(factory: Factory) -> None:
    lone = Lone(factory, term=5, log="1@1")
    (reply,) = lone.hear("n1", append(4, "1@1", "2@4")).send
    assert isinstance(reply.message, AppendEntriesReply)
    assert reply.message.term == 5
    assert log_of(lone) == "1@1"


# --- §5.2 elections ---------------------------------------------------------------------------------------


@rule(mutants.ForgetsItsVote)
def a_vote_is_remembered_over_a_crash(factory: Factory) -> None:
    lone = Lone(factory)
    lone.hear("n1", RequestVote(1, 0, 0))
    assert told(lone.saved(), RequestVoteReply) == [RequestVoteReply(1, True)]
    lone.restart()
    effects = lone.hear("n3", RequestVote(1, 0, 0))
    effects.send += lone.saved().send
    assert told(effects, RequestVoteReply) == [RequestVoteReply(1, False)]


@rule(mutants.SpeaksBeforeItSaves)
def a_vote_is_not_spoken_before_it_is_saved(factory: Factory) -> None:
    lone = Lone(factory)
    assert lone.hear("n1", RequestVote(1, 0, 0)).send == []
    assert told(lone.saved(), RequestVoteReply) == [RequestVoteReply(1, True)]


@rule(mutants.SpeaksBeforeItSaves)
def a_candidacy_is_not_spoken_before_it_is_saved(factory: Factory) -> None:
    lone = Lone(factory)
    lone.time(600)
    assert lone.hear("n1", RequestVoteReply(1, True, True)).send == []
    assert told(lone.saved(), RequestVote) == [RequestVote(1, 0, 0)] * 2


@rule(mutants.CountsAVoteTwice)
def a_doubled_vote_counts_once(factory: Factory) -> None:
    lone = Lone(factory, size=5)
    lone.time(600)
    for other in ("n1", "n3"):
        lone.hear(other, RequestVoteReply(1, True, True))
    lone.saved()
    lone.hear("n1", RequestVoteReply(1, True))
    lone.hear("n1", RequestVoteReply(1, True))
    assert not lone.raft.leads
    lone.hear("n3", RequestVoteReply(1, True))
    assert lone.raft.leads


@rule(mutants.CountsOldVotes)
def a_vote_of_an_older_term_does_not_count(factory: Factory) -> None:
    lone = Lone(factory, term=3)
    lone.time(600)
    lone.hear("n1", RequestVoteReply(4, True, True))
    lone.saved()
    assert lone.raft.term == 4
    lone.hear("n1", RequestVoteReply(3, True))
    assert not lone.raft.leads


@rule(mutants.HalfIsEnough)
def half_of_the_votes_elect_nobody(factory: Factory) -> None:
    lone = Lone(factory, size=4)
    lone.time(600)
    for other in ("n1", "n3"):
        lone.hear(other, RequestVoteReply(1, True, True))
    lone.saved()
    lone.hear("n1", RequestVoteReply(1, True))
    assert not lone.raft.leads
    lone.hear("n3", RequestVoteReply(1, True))
    assert lone.raft.leads


@rule(mutants.CalmedByAnybody)
def only_a_leader_and_a_vote_granted_restart_the_timer(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.time(400)
    lone.hear("n1", RequestVote(1, 0, 0, True))
    lone.hear("n1", RequestVote(1, 0, 0))
    lone.time(200)
    assert lone.raft.role.name == "candidate"
    calm = Lone(factory, term=1, log="1@1")
    calm.time(400)
    calm.hear("n1", append(1, "1@1"))
    calm.time(200)
    calm.time(200)
    assert calm.raft.role.name == "follower"


@rule()
def a_candidate_that_hears_the_leader_of_its_term_follows_it(factory: Factory) -> None:
    lone = Lone(factory)
    lone.time(600)
    lone.hear("n1", RequestVoteReply(1, True, True))
    lone.saved()
    lone.hear("n3", append(1, "0@0", "1@1"))
    assert lone.raft.role.name == "follower"
    assert lone.raft.leader == "n3"


# --- thesis 3.10, 4.2.3, 6.2, 9.6 -------------------------------------------------------------------------


@rule(mutants.RaisesItsTermForAPreVote)
def a_pre_vote_changes_nobodys_term(factory: Factory) -> None:
    lone = Lone(factory, term=1)
    effects = lone.hear("n1", RequestVote(5, 0, 0, True))
    assert told(effects, RequestVoteReply) == [RequestVoteReply(5, True, True)]
    assert lone.raft.term == 1
    assert effects.save is None


@rule()
def a_leader_that_hears_no_quorum_steps_down(factory: Factory) -> None:
    lone = Lone(factory).settled()
    for _ in range(4):
        lone.time(100)
    assert lone.raft.leads
    lone.time(100)
    assert not lone.raft.leads


@rule()
def a_handover_waits_until_the_target_has_everything(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.do(Proposed(b"x"))
    assert told(lone.do(TransferRequested("n3")), TimeoutNow) == []
    assert lone.do(Proposed(b"dropped")).save is None
    assert told(lone.matched("n1"), TimeoutNow) == []
    assert told(lone.matched("n3"), TimeoutNow) == [TimeoutNow(1)]


@rule()
def a_handover_is_not_refused_by_those_who_hear_the_old_leader(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1"))
    lone.hear("n3", RequestVote(2, 1, 1, False, True))
    assert told(lone.saved(), RequestVoteReply) == [RequestVoteReply(2, True)]


@rule()
def who_is_told_to_campaign_does_so_at_once(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1"))
    lone.hear("n1", TimeoutNow(1))
    assert told(lone.saved(), RequestVote) == [RequestVote(2, 1, 1, False, True)] * 2


@rule()
def only_the_leader_may_tell_somebody_to_campaign(factory: Factory) -> None:
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1"))
    lone.hear("n3", TimeoutNow(1))
    lone.hear("n1", TimeoutNow(0))
    assert lone.raft.role.name == "follower"


@rule(mutants.BlamesOthersForItsPause)
def a_pause_of_our_own_is_not_the_silence_of_others(factory: Factory) -> None:
    lone = Lone(factory).settled()
    lone.time(3000)
    assert lone.raft.leads, "what they said meanwhile may not be read yet"
    for _ in range(5):
        lone.time(100)
    assert not lone.raft.leads
    lone = Lone(factory, term=1, log="1@1")
    lone.hear("n1", append(1, "1@1"))
    lone.time(1)
    lone.time(3000)
    assert lone.raft.role.name == "follower"
    lone.time(100)
    assert lone.raft.role.name == "candidate"


@rule(mutants.TakesItsDeafnessForSilence)
def who_has_not_listened_for_long_counts_anew(factory: Factory) -> None:
    """All nodes have a long command to do, and the leader is not done with it yet."""
    for deaf, is_candidate in ((0.9, False), (0.3, True)):
        lone = Lone(factory, term=1, log="1@1")
        lone.hear("n1", append(1, "1@1"))
        lone.time(1)
        timeout_ms = lone.raft.config.election_timeout_ms[0]
        lone.now += timeout_ms - 10
        lone.do(TimePassed(lone.now, int(deaf * timeout_ms)))
        lone.time(20)
        assert (lone.raft.role.name == "candidate") == is_candidate
        lone.time(timeout_ms)
        assert lone.raft.role.name == "candidate"
