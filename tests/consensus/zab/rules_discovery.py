"""Leader election and discovery: who may begin an epoch.  See `lone.py` for what a rule is."""
from __future__ import annotations

from agreed.consensus.machine import Answer, Ballot, MembersChangeRequested, PeerLost
from agreed.consensus.members import Remove
from agreed.consensus.zab.following import Following
from agreed.consensus.zab.leading import Leading, Stage
from agreed.consensus.zab.looking import Looking
from agreed.consensus.zab.messages import (
    AckEpoch,
    FollowerInfo,
    LeaderInfo,
    Notification,
    Phase,
    Ping,
    Vote,
)
from agreed.consensus.zab.zab import STATIC_MEMBERS
from tests.consensus.lone import told
from tests.consensus.zab import mutants
from tests.consensus.zab.lone import Factory, Lone, rule

# --- leader election --------------------------------------------------------------------------------------


@rule(mutants.ComparesOnlyCounters, mutants.ForgetsCurrentEpoch, mutants.VotesForItselfOnly)
def the_most_recent_history_wins(factory: Factory) -> None:
    table = [  # (currentEpoch, epoch of the last zxid, its index, name); ours is (3, 2, 5, n2)
        ((4, 1, 1, "n1"), True), ((3, 3, 4, "n1"), True), ((3, 2, 6, "n1"), True), ((3, 2, 5, "n3"), True),
        ((2, 2, 9, "n3"), False), ((3, 1, 9, "n3"), False), ((3, 2, 4, "n3"), False),
        ((3, 2, 5, "n1"), False),
    ]  # fmt: skip
    for (settled, term, index, name), better in table:
        lone = Lone(factory, epoch=5, settled=3, log="1@1 2@1 3@2 4@2 5@2")
        lone.hear("n1", Notification(5, 1, Phase.LOOKING, Vote(settled, term, index, False, name)))
        role = lone.zab.role
        voted = role.vote.name if isinstance(role, Looking) else lone.following.source
        assert voted == (name if better else "n2"), (settled, term, index, name)


@rule(mutants.DecidesAtOnce)
def a_quorums_choice_waits_for_a_better_one(factory: Factory) -> None:
    lone = Lone(factory, finalize_wait_ms=50)
    ours = Notification(0, 1, Phase.LOOKING, lone.zab.own_vote())
    lone.hear("n1", ours)
    lone.time(49)
    assert isinstance(lone.zab.role, Looking)
    lone.time(1)
    assert isinstance(lone.zab.role, Leading)


@rule()
def the_choice_of_all_voters_waits_for_nobody(factory: Factory) -> None:
    assert isinstance(Lone(factory).elected().zab.role, Leading)


@rule(mutants.IgnoresRounds)
def a_vote_of_an_earlier_election_does_not_count(factory: Factory) -> None:
    lone = Lone(factory)
    earlier = Notification(0, 1, Phase.LOOKING, lone.zab.own_vote())
    lone.hear("n3", Notification(0, 4, Phase.LOOKING, lone.zab.own_vote()))
    (answer,) = told(lone.hear("n1", earlier), Notification, "n1")
    assert answer.round == 4, "it is told of the present one"
    assert isinstance(lone.zab.role, Looking), "n3 alone has voted in it"


@rule()
def who_has_a_more_recent_history_does_not_follow_who_is_not_established(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1 2@1")
    vote = Vote(1, 1, 1, False, "n1")
    lone.hear("n1", Notification(1, 1, Phase.LEADING, vote))
    assert isinstance(lone.zab.role, Looking)
    lone.hear("n1", Notification(2, 1, Phase.ESTABLISHED, vote))
    assert isinstance(lone.zab.role, Following), "but who is has a quorum without us"


@rule(mutants.ElectsTheDeaf)
def who_did_not_answer_is_not_elected_again_at_once(factory: Factory) -> None:
    """A node that hears nobody votes for itself, with the most recent history."""
    lone = Lone(factory, epoch=1, log="1@1")
    deaf = Vote(1, 1, 2, False, "n3")
    lone.hear("n3", Notification(1, 1, Phase.LOOKING, deaf))
    lone.time(lone.config.finalize_wait_ms)
    assert lone.following.source == "n3"
    lone.hear("n3", Notification(1, 2, Phase.LOOKING, deaf))
    lone.time(lone.config.finalize_wait_ms)
    assert isinstance(lone.zab.role, Looking)
    lone.hear("n1", Notification(1, 2, Phase.LOOKING, lone.zab.own_vote()))
    lone.time(lone.config.finalize_wait_ms)
    assert isinstance(lone.zab.role, Leading), "n1 and we are a quorum"


@rule()
def who_did_not_answer_once_may_be_elected_later(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1")
    only = Vote(1, 1, 2, False, "n3")
    lone.hear("n3", Notification(1, 1, Phase.LOOKING, only))
    lone.time(lone.config.finalize_wait_ms)
    lone.hear("n3", Notification(1, 2, Phase.LOOKING, only))
    lone.time(lone.config.election_timeout_ms[1])
    lone.hear("n3", Notification(1, lone.zab.round, Phase.LOOKING, only))
    lone.time(lone.config.finalize_wait_ms)
    assert lone.following.source == "n3"


@rule()
def a_node_alone_leads_at_once(factory: Factory) -> None:
    lone = Lone(factory, name="n1", size=1)
    lone.saved()
    lone.saved()
    assert lone.zab.leads
    assert lone.zab.commit == 1


@rule()
def the_ping_of_an_established_leader_ends_an_election(factory: Factory) -> None:
    lone = Lone(factory)
    (info,) = told(lone.hear("n1", Ping(3, 1, 0, 0, True)), FollowerInfo)
    assert info == FollowerInfo(0, None)
    assert lone.following.source == "n1"


@rule()
def a_lost_connection_to_the_leader_makes_failover_fast(factory: Factory) -> None:
    lone = Lone(factory, leader_loss_delay_ms=(20, 150))
    lone.follows("n1", 1)
    lone.saved()
    lone.do(PeerLost("n1"))
    lone.time(20)
    assert isinstance(lone.zab.role, Looking)


# --- discovery --------------------------------------------------------------------------------------------


@rule(mutants.CountsOnFromItsOwnEpoch)
def the_new_epoch_is_above_all_that_a_quorum_has_accepted(factory: Factory) -> None:
    lone = Lone(factory, epoch=2).elected()
    lone.hear("n1", FollowerInfo(7, "n3"))
    assert lone.zab.term == 8


@rule(mutants.NamesItsEpochBeforeItIsDurable)
def an_epoch_is_durable_before_it_is_named(factory: Factory) -> None:
    lone = Lone(factory).elected()
    assert told(lone.hear("n1", FollowerInfo(0, None)), LeaderInfo) == []
    assert told(lone.saved(), LeaderInfo) == [LeaderInfo(1)]


@rule(mutants.SpeaksBeforeItSaves)
def an_accepted_epoch_is_durable_before_it_is_acknowledged(factory: Factory) -> None:
    lone = Lone(factory, epoch=1, log="1@1 2@1")
    assert told(lone.follows("n1", 3), AckEpoch) == []
    assert told(lone.saved(), AckEpoch) == [AckEpoch(3, 1, [(1, 2), (0, 0)])]


@rule(mutants.ForgetsAcceptedEpoch)
def an_accepted_epoch_and_its_leader_are_remembered(factory: Factory) -> None:
    lone = Lone(factory, epoch=1)
    lone.follows("n1", 3)
    lone.saved()
    lone.restart()
    assert (lone.zab.term, lone.zab.vote, lone.zab.settled) == (3, "n1", 1)


@rule(mutants.AcceptsAnEpochTwice)
def an_epoch_is_accepted_from_one_leader_only(factory: Factory) -> None:
    lone = Lone(factory, epoch=3, settled=2, vote="n1")
    effects = lone.follows("n3", 3)
    effects.send += lone.saved().send
    assert told(effects, AckEpoch) == []
    assert FollowerInfo(3, "n1") in told(effects, FollowerInfo), "so that n3 begins a newer one"


@rule(mutants.TakesUpAnOldEpoch)
def nothing_of_an_older_epoch_is_taken(factory: Factory) -> None:
    lone = Lone(factory, epoch=3, vote="n1")
    effects = lone.follows("n3", 2)
    effects.send += lone.saved().send
    assert told(effects, AckEpoch) == []
    assert lone.zab.ballot == Ballot(3, "n1", 3)


@rule(mutants.LeadsWhateverOthersHave)
def who_finds_a_more_recent_history_gives_up(factory: Factory) -> None:
    for log, settled in (("5@1", 1), ("1@1", 2), ("3@1 4@2", 1)):
        lone = Lone(factory, epoch=2, settled=1, log="1@1 2@1 3@1 4@1").in_epoch()
        lone.accepted_by("n1", log, settled)
        assert isinstance(lone.zab.role, Looking), log


@rule(mutants.HalfIsEnough)
def an_epoch_begins_with_a_quorum(factory: Factory) -> None:
    lone = Lone(factory, size=5).elected()
    lone.hear("n1", FollowerInfo(0, None))
    assert lone.leading.stage is Stage.DISCOVERY
    lone.hear("n3", FollowerInfo(0, None))
    assert lone.leading.stage is Stage.EPOCH
    lone.saved()
    lone.accepted_by("n1")
    assert lone.leading.stage is Stage.EPOCH
    lone.accepted_by("n4")
    assert lone.leading.stage is Stage.SYNCHRONIZATION


@rule(mutants.CountsOldAcknowledgements)
def an_acknowledgement_of_an_epoch_that_was_given_up_does_not_count(factory: Factory) -> None:
    lone = Lone(factory).in_epoch()
    lone.hear("n1", FollowerInfo(1, "n1"))
    lone.elected()
    lone.accepted_by("n3")
    lone.hear("n1", FollowerInfo(1, "n1"))
    lone.saved()
    assert lone.zab.term == 2
    assert lone.leading.stage is Stage.EPOCH


@rule()
def what_a_leader_said_long_ago_is_no_sign_of_life(factory: Factory) -> None:
    lone = Lone(factory, epoch=2, vote="n1")
    lone.hear("n1", Notification(2, 1, Phase.LEADING, Vote(2, 2, 1, False, "n1")))
    lone.hear("n1", Ping(2, 7, 0, 0, True))
    assert told(lone.time(100), FollowerInfo) == [FollowerInfo(2, "n1")], "it has not named its epoch yet"


@rule(mutants.IgnoresNewerEpochs)
def who_can_never_join_makes_its_leader_begin_a_newer_epoch(factory: Factory) -> None:
    for info in (FollowerInfo(9, "n1"), FollowerInfo(1, "n1")):
        lone = Lone(factory).established()
        assert lone.zab.term == 1
        lone.hear("n3", info)
        assert isinstance(lone.zab.role, Looking), info


@rule(mutants.LeadsOnAlone)
def who_does_not_hear_a_quorum_looks_for_a_leader(factory: Factory) -> None:
    lone = Lone(factory, election_timeout_ms=(500, 1000)).established()
    for _ in range(6):
        lone.time(100)
    assert isinstance(lone.zab.role, Looking)
    assert not lone.zab.leads


@rule()
def a_follower_leaves_a_leader_that_looks_for_one(factory: Factory) -> None:
    lone = Lone(factory)
    lone.follows("n1", 2)
    lone.saved()
    vote = Vote(2, 2, 1, False, "n1")
    lone.hear("n1", Notification(1, 9, Phase.LOOKING, vote))
    assert isinstance(lone.zab.role, Following), "that was said before it led this epoch"
    lone.hear("n1", Notification(2, 9, Phase.LOOKING, vote))
    assert isinstance(lone.zab.role, Looking)


@rule()
def members_are_what_they_were(factory: Factory) -> None:
    effects = Lone(factory).do(MembersChangeRequested(7, Remove("n1")))
    assert effects.answers == [Answer(7, STATIC_MEMBERS)]
