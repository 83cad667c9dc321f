"""What the registers do besides: read repair, retries, and configurations that cannot work."""
from __future__ import annotations

import pytest

from agreed.clocks import LamportTime
from agreed.consensus.machine import Received, Send, TimePassed
from agreed.registers import Answered, Asked, MultiLeaderRegister, QuorumRegister, Read, Write
from agreed.registers.multileader import Held
from agreed.registers.quorum import Query, State, Store, Stored, Versioned

NAMES = ["n1", "n2", "n3"]
NEW = Versioned(LamportTime(4, "n2"), b"new")


def test_who_was_behind_is_repaired() -> None:
    node = QuorumRegister("n1", NAMES, read_quorum=3, write_quorum=1)
    node.step(Asked(1, Read()))
    node.step(Received("n2", State(1, NEW)))
    node.step(Received("n3", State(1, Versioned(LamportTime(3, "n3"), b"older"))))
    effects = node.take()
    assert effects.answers == [Answered(1, b"new")]
    assert effects.send[2:] == [Send("n3", Store(0, NEW))]
    assert node.held == NEW


def test_a_write_is_newer_than_all_that_was_found() -> None:
    node = QuorumRegister("n1", NAMES)
    node.step(Asked(1, Write(b"mine")))
    node.step(Received("n2", State(1, NEW)))
    mine = Versioned(LamportTime(5, "n1"), b"mine")
    assert node.take().send[2:] == [Send("n2", Store(2, mine)), Send("n3", Store(2, mine))]
    node.step(Received("n3", Stored(2)))
    assert node.take().answers == [Answered(1, None)]


def test_what_was_lost_is_said_again_to_those_who_are_silent() -> None:
    node = QuorumRegister("n1", NAMES, read_quorum=3, write_quorum=1, retry_ms=100)
    assert node.wake is None
    node.step(TimePassed(1_000))
    node.step(Asked(1, Read()))
    node.step(Received("n2", State(1, NEW)))
    assert node.wake == 1_100
    node.take()
    node.step(TimePassed(1_099))
    assert node.take().send == []
    node.step(TimePassed(1_100))
    assert node.take().send == [Send("n3", Query(1))]
    node.step(Received("n3", State(1, NEW)))
    assert node.wake is None


def test_late_and_strange_answers_do_nothing() -> None:
    node = QuorumRegister("n1", NAMES)
    node.step(Received("n2", State(7, NEW)))
    node.step(Received("n2", Stored(7)))
    node.step(Received("n2", "hello"))
    effects = node.take()
    assert effects.send == []
    assert effects.answers == []


def test_quorums_that_do_not_meet_are_refused() -> None:
    with pytest.raises(ValueError, match=r"r \+ w must be more than n"):
        QuorumRegister("n1", NAMES, read_quorum=1, write_quorum=2)


def test_gossip_goes_round() -> None:
    node = MultiLeaderRegister("n1", NAMES, gossip_ms=50)
    told = []
    for now in (0, 20, 50, 100):
        node.step(TimePassed(now))
        told.append([send.target for send in node.take().send])
    assert told == [["n3"], [], ["n2"], ["n3"]]
    assert node.wake == 150


def test_concurrent_values_are_both_kept_until_somebody_has_seen_both() -> None:
    one, other = MultiLeaderRegister("n1", ["n1", "n2"]), MultiLeaderRegister("n2", ["n1", "n2"])
    one.step(Asked(1, Write(b"one")))
    other.step(Asked(1, Write(b"other")))
    for source, node, letter in (("n2", one, other.take().send[0]), ("n1", other, one.take().send[0])):
        assert isinstance(letter.message, Held)
        node.step(Received(source, letter.message))
    assert one.value == other.value == b"other"
    assert set(one.held.values) == {b"one", b"other"}
    one.step(Asked(2, Write(b"both")))
    assert one.held.values == (b"both",)


def test_one_node_alone_needs_nobody() -> None:
    node = QuorumRegister("n1", ["n1"])
    node.step(Asked(1, Write(b"x")))
    node.step(Asked(2, Read()))
    assert node.take().answers == [Answered(1, None), Answered(2, b"x")]
    lone = MultiLeaderRegister("n1", ["n1"])
    lone.step(TimePassed(5))
    assert lone.take().send == []
