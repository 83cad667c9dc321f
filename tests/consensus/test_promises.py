"""What vouches for a save leaves after it."""
from __future__ import annotations

from agreed.consensus.machine import Send
from agreed.consensus.promises import Promises
from agreed.consensus.raft.messages import AppendEntriesReply, RequestVoteReply


def test_a_message_leaves_with_the_save_it_waits_for() -> None:
    promises = Promises()
    vote, late = Send("n1", RequestVoteReply(1, True)), Send("n1", RequestVoteReply(2, True))
    promises.hold(3, vote)
    promises.hold(5, late)
    assert promises.release(2) == []
    assert promises.earliest == 3
    assert promises.release(4) == [vote]
    assert promises.release(5) == [late]
    assert promises.release(9) == []
    assert promises.earliest is None


def test_a_cumulative_message_takes_the_place_of_the_one_before() -> None:
    promises = Promises()
    first, second = Send("n1", AppendEntriesReply(1, 1, 4)), Send("n1", AppendEntriesReply(1, 1, 6))
    other = Send("n2", AppendEntriesReply(1, 1, 6))
    promises.hold_last(1, first)
    promises.hold_last(1, second)
    promises.hold_last(1, other)
    promises.hold_last(2, other)
    assert promises.release(1) == [second, other]
    assert promises.release(2) == [other]


def test_an_acknowledgement_does_not_take_the_place_of_a_vote() -> None:
    promises = Promises()
    promises.hold(1, Send("n1", RequestVoteReply(1, True)))
    promises.hold_last(1, Send("n1", AppendEntriesReply(1, 1, 4)))
    assert len(promises.release(1)) == 2


def test_what_was_promised_in_a_term_that_is_over_is_forgotten() -> None:
    promises = Promises()
    promises.hold(1, Send("n1", RequestVoteReply(1, True)))
    promises.clear()
    assert promises.release(9) == []
