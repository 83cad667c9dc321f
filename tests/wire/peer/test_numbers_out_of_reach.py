"""A term at the end of 64 bits would be the last one of its cluster: one more cannot be written down."""

from __future__ import annotations

import pytest

from agreed.consensus.raft.messages import RequestVote
from agreed.errors import MalformedInput
from agreed.wire.peer.codec import Decoder, encode


@pytest.mark.parametrize("term", [-1, (1 << 63), (1 << 64) - 1])
def test_no_peer_can_be_in_such_a_term(term: int) -> None:
    with pytest.raises(MalformedInput):
        Decoder().receive_data(encode(RequestVote(term, 0, 0)))


def test_the_highest_one_is_far_away_and_one_can_add_to_it() -> None:
    [message] = Decoder().receive_data(encode(RequestVote((1 << 63) - 1, 0, 0)))
    assert isinstance(message, RequestVote)
    assert encode(RequestVote(message.term + 1, 0, 0))
