"""Messages are typed: what a codec made for `RaftMessage` lets through has the right shape."""
from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.machine import Entry, EntryKind, SnapshotMark
from agreed.consensus.members import Member, Members
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    RaftMessage,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)

number = st.integers(0, 2**63 - 1)
entry = st.builds(Entry, number, number, st.sampled_from(EntryKind), st.binary(max_size=20))
mark = st.builds(SnapshotMark, number, number, st.just(Members((Member("n1", 1, "h:1"),))))
messages = st.one_of(
    st.builds(RequestVote, number, number, number, st.booleans(), st.booleans()),
    st.builds(RequestVoteReply, number, st.booleans(), st.booleans()),
    st.builds(AppendEntries, number, number, number, number, number, st.lists(entry, max_size=3)),
    st.builds(AppendEntriesReply, number, number, number, number, number, number),
    st.builds(InstallSnapshot, number, mark, number, st.binary(max_size=20), st.booleans()),
    st.builds(InstallSnapshotReply, number, number, number),
    st.builds(TimeoutNow, number),
    st.builds(ReadIndex, number),
    st.builds(ReadIndexReply, number, st.none() | number),
)
encoder = msgspec.msgpack.Encoder()
decoder: msgspec.msgpack.Decoder[RaftMessage] = msgspec.msgpack.Decoder(RaftMessage)


@given(messages)
def test_a_message_survives_its_encoding(message: RaftMessage) -> None:
    assert decoder.decode(encoder.encode(message)) == message


@pytest.mark.parametrize(
    "shape",
    [[1, "term", 0, 0], [4, 1], [99, 1], {"type": "vote"}, [3, 1, 0, 0, 0, 1, [[1, 1, 7, b""]]], 5],
    ids=["a word for a number", "too short", "no such tag", "a dict", "no such kind of entry", "a number"],
)
def test_what_has_the_wrong_shape_is_refused(shape: object) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decoder.decode(encoder.encode(shape))
