"""Messages are typed: what a codec made for `MultiPaxosMessage` lets through has the right shape."""
from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.consensus.machine import Ballot, Entry, EntryKind, Received, SnapshotMark
from agreed.consensus.members import Member, Members
from agreed.consensus.multipaxos.invariants import check
from agreed.consensus.multipaxos.messages import (
    Accept,
    Acceptance,
    Accepted,
    Canvass,
    CanvassReply,
    InstallSnapshot,
    InstallSnapshotReply,
    MultiPaxosMessage,
    Nack,
    Prepare,
    Promise,
    ReadIndex,
    ReadIndexReply,
    TimeoutNow,
)
from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from tests.consensus.multipaxos.lone import Lone

NAMES = ("n1", "n2", "n3")


def messages_of(number: st.SearchStrategy[int]) -> st.SearchStrategy[MultiPaxosMessage]:
    entry = st.builds(Entry, number, number, st.sampled_from(EntryKind), st.binary(max_size=20))
    mark = st.builds(SnapshotMark, number, number, st.just(Members((Member("n1", 1, "h:1"),))))
    acceptances = st.lists(st.builds(Acceptance, number, entry), max_size=3)
    return st.one_of(
        st.builds(Canvass, number, number),
        st.builds(CanvassReply, number, number, st.booleans()),
        st.builds(Prepare, number, number),
        st.builds(Promise, number, number, number, number, number, acceptances),
        st.builds(Accept, number, number, number, number, st.lists(entry, max_size=3)),
        st.builds(Accepted, number, number, number, number, st.booleans()),
        st.builds(Nack, number),
        st.builds(InstallSnapshot, number, mark, number, st.binary(max_size=20), st.booleans()),
        st.builds(InstallSnapshotReply, number, number, number),
        st.builds(TimeoutNow, number),
        st.builds(ReadIndex, number),
        st.builds(ReadIndexReply, number, st.none() | number),
    )


encoder = msgspec.msgpack.Encoder()
decoder: msgspec.msgpack.Decoder[MultiPaxosMessage] = msgspec.msgpack.Decoder(MultiPaxosMessage)


@given(messages_of(st.integers(0, 2**63 - 1)))
def test_a_message_survives_its_encoding(message: MultiPaxosMessage) -> None:
    assert decoder.decode(encoder.encode(message)) == message


@pytest.mark.parametrize(
    "shape",
    [[42, "ballot", 0], [45, 1], [99, 1], {"type": "accept"}, [44, 1, 1, 0, 1, [[1, 1, 7, b""]]], 5],
    ids=["a word for a number", "too short", "no such tag", "a dict", "no such kind of entry", "a number"],
)
def test_what_has_the_wrong_shape_is_refused(shape: object) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decoder.decode(encoder.encode(shape))


NUMBERS = st.one_of(st.integers(0, 4), st.sampled_from([64, 65, 66, 129, 130]))


@given(
    st.sampled_from(["new", "leads", "prepares"]),
    st.lists(st.tuples(st.sampled_from(NAMES), messages_of(NUMBERS)), max_size=8),
)
def test_nothing_that_a_peer_may_say_makes_a_machine_raise(
    beginning: str, said: list[tuple[str, MultiPaxosMessage]]
) -> None:
    """Whatever has the right shape, true or not: no exception, and a machine that hangs together.  That lies
    do no harm to what is agreed is not promised: this is not a Byzantine protocol."""
    lone = Lone(MultiPaxos, ballot=64, log="1@64 2@- 3@64")
    if beginning == "leads":
        lone.settled()
    elif beginning == "prepares":
        lone.preparing()
    for source, message in said:
        lone.paxos.step(Received(source, message))
        lone.paxos.take()
        check(lone.paxos)
    assert isinstance(lone.paxos.ballot, Ballot)
