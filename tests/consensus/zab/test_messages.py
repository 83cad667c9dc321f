"""Messages are typed: what a codec made for `ZabMessage` lets through has the right shape."""
from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.machine import Entry, EntryKind, SnapshotMark
from agreed.consensus.members import Member, Members
from agreed.consensus.raft.messages import RaftMessage
from agreed.consensus.zab.messages import (
    Ack,
    AckEpoch,
    AckNewLeader,
    Ask,
    Commit,
    Diff,
    FollowerInfo,
    LeaderInfo,
    NewLeader,
    Notification,
    Phase,
    Ping,
    PingReply,
    Proposal,
    ReadIndex,
    ReadIndexReply,
    SnapshotPiece,
    SnapshotPieceReply,
    UpToDate,
    Vote,
    ZabMessage,
)

number = st.integers(0, 2**63 - 1)
name = st.text(max_size=4)
entry = st.builds(Entry, number, number, st.sampled_from(EntryKind), st.binary(max_size=20))
some = st.lists(entry, max_size=3)
mark = st.builds(SnapshotMark, number, number, st.just(Members((Member("n1", 1, "h:1"),))))
vote = st.builds(Vote, number, number, number, st.booleans(), name)
messages = st.one_of(
    st.builds(Notification, number, number, st.sampled_from(Phase), vote),
    st.builds(FollowerInfo, number, st.none() | name),
    st.builds(LeaderInfo, number),
    st.builds(AckEpoch, number, number, st.lists(st.tuples(number, number), max_size=3)),
    st.builds(Diff, number, number, number, st.booleans(), some),
    st.builds(SnapshotPiece, number, mark, number, st.binary(max_size=20), st.booleans()),
    st.builds(SnapshotPieceReply, number, number, number),
    st.builds(NewLeader, number, number),
    st.builds(AckNewLeader, number, number),
    st.builds(UpToDate, number, number),
    st.builds(Proposal, number, number, number, some),
    st.builds(Ack, number, number),
    st.builds(Commit, number, number),
    st.builds(Ask, number, number),
    st.builds(Ping, number, number, number, number, st.booleans()),
    st.builds(PingReply, number, number, number),
    st.builds(ReadIndex, number),
    st.builds(ReadIndexReply, number, st.none() | number),
)
encoder = msgspec.msgpack.Encoder()
decoder: msgspec.msgpack.Decoder[ZabMessage] = msgspec.msgpack.Decoder(ZabMessage)


@given(messages)
def test_a_message_survives_its_encoding(message: ZabMessage) -> None:
    assert decoder.decode(encoder.encode(message)) == message


@pytest.mark.parametrize(
    "shape",
    [[91, 1, "index"], [91, 1], [1, 1, 1, 1], {"type": "ack"}, [90, 1, 0, 0, [[1, 1, 7, b""]]], 5],
    ids=["a word for a number", "too short", "no such tag", "a dict", "no such kind of entry", "a number"],
)
def test_what_has_the_wrong_shape_is_refused(shape: object) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decoder.decode(encoder.encode(shape))


def test_what_raft_says_and_what_zab_says_can_be_told_apart() -> None:
    both = msgspec.msgpack.Decoder(RaftMessage | ZabMessage)
    assert both.decode(encoder.encode(Ack(1, 2))) == Ack(1, 2)
