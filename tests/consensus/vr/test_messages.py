"""Messages are typed: what a codec made for `VrMessage` lets through has the right shape."""
from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.machine import Entry, EntryKind, SnapshotMark
from agreed.consensus.members import Member, Members
from agreed.consensus.vr.messages import (
    Commit,
    DoViewChange,
    GetState,
    NewState,
    Prepare,
    PrepareOk,
    ReadIndex,
    ReadIndexReply,
    Recovery,
    RecoveryResponse,
    SnapshotPiece,
    StartView,
    StartViewChange,
    VrMessage,
)

number = st.integers(0, 2**63 - 1)
entry = st.builds(Entry, number, number, st.sampled_from(EntryKind), st.binary(max_size=20))
entries = st.lists(entry, max_size=3)
mark = st.builds(SnapshotMark, number, number, st.just(Members((Member("n1", 1, "h:1"),))))
crashes = st.lists(number, max_size=3).map(tuple)
messages = st.one_of(
    st.builds(StartViewChange, number, number),
    st.builds(DoViewChange, number, number, number, number, number, number, entries, crashes),
    st.builds(StartView, number, number, number, number, number, number, entries),
    st.builds(Prepare, number, number, number, entries),
    st.builds(PrepareOk, number, number, number, st.booleans()),
    st.builds(Commit, number, number, number, number),
    st.builds(GetState, number, number, number, number),
    st.builds(NewState, number, number, entries),
    st.builds(SnapshotPiece, number, mark, number, st.binary(max_size=20), st.booleans()),
    st.builds(Recovery, number, number),
    st.builds(RecoveryResponse, number, number, number, number, crashes),
    st.builds(ReadIndex, number),
    st.builds(ReadIndexReply, number, st.none() | number),
)
encoder = msgspec.msgpack.Encoder()
decoder: msgspec.msgpack.Decoder[VrMessage] = msgspec.msgpack.Decoder(VrMessage)


@given(messages)
def test_a_message_survives_its_encoding(message: VrMessage) -> None:
    assert decoder.decode(encoder.encode(message)) == message


@pytest.mark.parametrize(
    "shape",
    [[60, "view", 0], [64, 1], [59, 1], {"type": "prepare"}, [63, 1, 0, 1, [[1, 1, 7, b""]]], 63],
    ids=["a word for a number", "too short", "no such tag", "a dict", "no such kind of entry", "a number"],
)
def test_what_has_the_wrong_shape_is_refused(shape: object) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decoder.decode(encoder.encode(shape))
