"""What acceptors have voted for: told in saves, as machines ask for them."""
from __future__ import annotations

import pytest

from agreed.consensus.machine import Ballot, Entry, EntryKind, Save, SnapshotMark
from agreed.consensus.members import Members
from agreed.consensus.multipaxos.slots import on_disk
from agreed.sim.outcome import Broken
from agreed.sim.votes import Votes
from agreed.types import Index, NodeId, Term

NAMES = ("n1", "n2", "n3")


class Told(Votes):
    """With a serial for each node, so that stories need none."""

    def __init__(self, *, per_slot: bool) -> None:
        super().__init__(NAMES, per_slot=per_slot)
        self.serials = dict.fromkeys(NAMES, 0)
        for name in NAMES:
            self.recovered(name, Ballot(0, None), 0, [])

    def asks(self, name: NodeId, ballot: Ballot, *entries: Entry) -> None:
        self.serials[name] += 1
        self.saving(name, Save(self.serials[name], ballot, list(entries)))

    def disk(self, name: NodeId, ballot: Ballot, *entries: Entry) -> None:
        self.asks(name, ballot, *entries)
        self.saved(name, self.serials[name])


def entry(index: Index, term: Term) -> Entry:
    return Entry(index, term, EntryKind.PAYLOAD, b"%d of %d" % (index, term))


def accepted(index: Index, ballot: Term, term: Term) -> Entry:
    return on_disk(index, ballot, entry(index, term))


def test_a_quorum_of_durable_votes_under_one_ballot_is_a_choice() -> None:
    votes = Told(per_slot=True)
    votes.disk("n1", Ballot(64, None), accepted(1, 64, 64))
    assert not votes.is_chosen(1, 64)
    votes.asks("n2", Ballot(64, None), accepted(1, 64, 64))
    assert not votes.is_chosen(1, 64), "it is on its way to the disk"
    votes.saved("n2", 1)
    assert votes.is_chosen(1, 64)
    assert not votes.is_chosen(1, 65)


def test_votes_under_two_ballots_are_no_choice() -> None:
    votes = Told(per_slot=True)
    votes.disk("n1", Ballot(64, None), accepted(1, 64, 64))
    votes.disk("n2", Ballot(129, None), accepted(1, 129, 64))
    assert not votes.is_chosen(1, 64)


def test_what_was_chosen_stays_chosen_though_the_acceptors_go_on() -> None:
    votes = Told(per_slot=True)
    for name in ("n1", "n2"):
        votes.disk(name, Ballot(64, None), accepted(1, 64, 64))
        votes.disk(name, Ballot(129, None), accepted(1, 129, 64))
    votes.recovered("n1", Ballot(129, None), 0, [])
    assert votes.is_chosen(1, 64)


def test_nobody_votes_for_two_values_under_one_ballot() -> None:
    votes = Told(per_slot=True)
    votes.disk("n1", Ballot(64, None), accepted(1, 64, 64))
    with pytest.raises(Broken, match="two values under one ballot"):
        votes.disk("n2", Ballot(64, None), accepted(1, 64, 63))


def test_nothing_is_accepted_below_a_promise_but_may_be_written_again() -> None:
    votes = Told(per_slot=True)
    votes.disk("n1", Ballot(64, None), accepted(1, 64, 64), accepted(2, 64, 64))
    votes.disk("n1", Ballot(129, None))
    votes.disk("n1", Ballot(129, None), accepted(1, 64, 64), accepted(2, 129, 64))
    with pytest.raises(Broken, match="accepted below a promise"):
        votes.disk("n1", Ballot(129, None), accepted(3, 64, 64))


def test_a_proposal_leaves_out_nothing_that_may_be_chosen() -> None:
    votes = Told(per_slot=True)
    votes.disk("n1", Ballot(64, None), accepted(1, 64, 64))
    with pytest.raises(Broken, match="what may be chosen is left out"):
        votes.check_proposal("n2", 1, (129, 129))
    votes.check_proposal("n2", 1, (129, 64))
    votes.disk("n2", Ballot(129, None))
    votes.disk("n3", Ballot(129, None))
    votes.check_proposal("n2", 1, (129, 129))  # two have promised not to vote for it


def test_who_may_still_vote_may_still_be_led() -> None:
    votes = Told(per_slot=True)
    votes.disk("n1", Ballot(129, None))
    assert votes.may_lead(64)
    votes.disk("n2", Ballot(129, None))
    assert not votes.may_lead(64)
    assert votes.may_lead(129)
    assert votes.may_vote(64) == {"n3"}


def test_a_log_is_a_vote_where_its_ballot_is_settled() -> None:
    votes = Told(per_slot=False)
    votes.disk("n1", Ballot(1, None, 1), entry(1, 1))
    votes.disk("n2", Ballot(2, None, 0), entry(1, 1))
    assert not votes.is_chosen(1, 1), "n2 has left the first ballot and not joined the second"
    assert not votes.has_voted("n2", 1, (2, 1))
    votes.disk("n2", Ballot(2, None, 2), entry(2, 2))
    assert votes.has_voted("n2", 1, (2, 1)), "all that it holds is of the ballot now"
    votes.disk("n1", Ballot(2, None, 2))
    assert votes.is_chosen(1, 1)
    assert not votes.is_chosen(2, 2)


def test_a_log_lacks_nothing_that_may_be_chosen() -> None:
    votes = Told(per_slot=False)
    votes.disk("n1", Ballot(1, None, 1), entry(1, 1), entry(2, 1))
    with pytest.raises(Broken, match="what may be chosen is left out"):
        votes.check_log("n2", 2, 0, {1: 1})
    votes.check_log("n2", 2, 2, {})  # all is known to be committed
    for name in ("n2", "n3"):
        votes.disk(name, Ballot(2, None, 0))
    votes.check_log("n2", 2, 0, {1: 2})


def test_a_snapshot_stands_for_all_that_it_covers() -> None:
    votes = Told(per_slot=False)
    votes.disk("n1", Ballot(1, None, 1), entry(1, 1), entry(2, 1))
    for name in ("n2", "n3"):
        votes.acceptors[name].cover(1)
    assert votes.is_chosen(1, 1)
    assert not votes.is_chosen(2, 1)
    assert votes.has_voted("n2", 1, (1, 1))


@pytest.mark.parametrize(("term", "kept"), [(1, True), (2, False)])
def test_a_log_that_contradicts_a_snapshot_goes(term: Term, kept: bool) -> None:
    votes = Told(per_slot=False)
    votes.disk("n1", Ballot(2, None, 1), entry(1, 1), entry(2, 1), entry(3, 1))
    votes.acceptors["n1"].install(SnapshotMark(2, term, Members(())))
    assert votes.acceptors["n1"].holds(2)
    assert votes.acceptors["n1"].holds(3) is kept


def test_a_life_begins_with_what_is_on_the_disk() -> None:
    votes = Told(per_slot=False)
    votes.asks("n1", Ballot(1, None, 1), entry(1, 1))
    votes.recovered("n1", Ballot(0, None), 0, [])
    votes.saved("n1", 1)
    assert not votes.acceptors["n1"].holds(1)
    votes.recovered("n2", Ballot(1, None, 1), 0, [entry(1, 1)])
    assert votes.has_voted("n2", 1, (1, 1))
