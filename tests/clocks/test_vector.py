"""Vector clocks on events and on messages, as short stories."""
from __future__ import annotations

from agreed.clocks import Causality, VectorClock, VersionVector, deliverable


def test_what_lamport_cannot_tell() -> None:
    """Two events after one of another node: the one heard of it, the other did not."""
    cause = VectorClock("n1").tick()
    heard, stranger = VectorClock("n2").receive(cause.time), VectorClock("n3").tick().tick()
    assert cause.time.compare(heard.time) is Causality.BEFORE
    assert cause.time.compare(stranger.time) is Causality.CONCURRENT


def test_an_answer_waits_for_its_question() -> None:
    question = VersionVector.of({"asker": 1})
    answer = VersionVector.of({"asker": 1, "expert": 1})
    nothing = VersionVector()
    assert deliverable("asker", question, nothing)
    assert not deliverable("expert", answer, nothing)
    assert deliverable("expert", answer, question)


def test_one_sender_is_heard_in_order_and_once() -> None:
    second = VersionVector.of({"n1": 2})
    assert not deliverable("n1", second, VersionVector())
    assert deliverable("n1", second, VersionVector.of({"n1": 1}))
    assert not deliverable("n1", second, second)


def test_concurrent_messages_may_come_either_way() -> None:
    """Which is why this is no total order."""
    first, second = VersionVector.of({"n1": 1}), VersionVector.of({"n2": 1})
    assert deliverable("n1", first, second)
    assert deliverable("n2", second, first)
