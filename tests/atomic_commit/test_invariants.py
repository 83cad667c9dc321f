"""The witness of atomic commit: each of the five properties, broken by hand."""
from __future__ import annotations

import pytest

from agreed.atomic_commit.coordinator import Coordinator
from agreed.atomic_commit.invariants import InvariantBroken, Witness
from agreed.atomic_commit.messages import Decision, Vote
from agreed.atomic_commit.voting import Poll
from tests.atomic_commit.world import World


def a_witness(**votes: Vote) -> Witness:
    """Of one transaction, in which each participant votes as it can."""
    witness = Witness()
    witness.begun("t", tuple(votes))
    for name, vote in votes.items():
        witness.worked("t", name, vote)
        witness.voted("t", name, vote)
    return witness


def test_a_transaction_as_it_should_be() -> None:
    witness = a_witness(p=Vote.YES, q=Vote.READ_ONLY)
    for _ in range(2):
        witness.decided("t", "p", Decision.COMMIT)
    witness.decided("t", "client", Decision.COMMIT)
    witness.check_termination()
    witness.check_non_triviality()


def test_two_decide_differently() -> None:
    witness = a_witness(p=Vote.YES, q=Vote.YES)
    witness.decided("t", "p", Decision.COMMIT)
    with pytest.raises(InvariantBroken, match="AC1"):
        witness.decided("t", "q", Decision.ABORT)


def test_one_decides_twice() -> None:
    witness = a_witness(p=Vote.YES, q=Vote.YES)
    witness.decided("t", "p", Decision.ABORT)
    with pytest.raises(InvariantBroken, match="AC2"):
        witness.decided("t", "p", Decision.COMMIT)


def test_a_commit_without_all_votes() -> None:
    with pytest.raises(InvariantBroken, match="AC3"):
        a_witness(p=Vote.YES, q=Vote.NO).decided("t", "p", Decision.COMMIT)
    silent = a_witness(p=Vote.YES)
    silent.begun("t", ("p", "q"))
    silent.worked("t", "q", Vote.YES)
    with pytest.raises(InvariantBroken, match="AC3"):
        silent.decided("t", "p", Decision.COMMIT)
    with pytest.raises(InvariantBroken, match="AC3"):
        a_witness(p=Vote.NO).decided("t", "p", Decision.COMMIT)


def test_a_yes_is_not_taken_back() -> None:
    witness = a_witness(p=Vote.YES, q=Vote.YES)
    witness.voted("t", "p", Vote.NO)
    witness.decided("t", "q", Decision.COMMIT)


def test_somebody_waits_for_ever() -> None:
    witness = a_witness(p=Vote.YES, q=Vote.YES)
    witness.decided("t", "p", Decision.COMMIT)
    with pytest.raises(InvariantBroken, match="AC5: q"):
        witness.check_termination()


class NeverCommits(Coordinator):
    """Safe, and good for nothing."""

    def _close(self, poll: Poll) -> None:
        if not poll.missing():
            poll.deadline, poll.votes = self._now, {}
        super()._close(poll)


def test_to_abort_everything_is_no_way_out() -> None:
    with pytest.raises(InvariantBroken, match="AC4"):
        for seed in range(3):
            World(seed, coordinator=NeverCommits, faults=False).run().check()
