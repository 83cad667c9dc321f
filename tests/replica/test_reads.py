"""Reads that need a read index: one serves all that were asked for before it, and asking again is cheap."""

from __future__ import annotations

from agreed.consensus.machine import ReadReady
from agreed.replica.clients import Client
from agreed.replica.reads import Reads
from agreed.wire.zookeeper.connection import ServerConnection


def client(number: int) -> Client:
    return Client(number, "127.0.0.1", 40_000 + number, None, ServerConnection(), 0)


def test_one_read_index_serves_all_of_a_turn() -> None:
    reads, one, other = Reads(), client(1), client(2)
    gates = [reads.gate(one), reads.gate(other), reads.gate(one)]
    ticket = reads.ask()
    assert ticket is not None
    assert reads.ask() is None
    later = reads.gate(one)
    reads.answered(ReadReady(ticket, 7))
    assert reads.opened(6) == []
    assert not any(gate.is_open for gate in gates)
    assert reads.opened(7) == [one, other]
    assert all(gate.is_open for gate in gates)
    assert not later.is_open, "what is asked after a read index was asked for is not served by it"


def test_what_failed_is_asked_for_again_together_with_what_is_new() -> None:
    reads, one, other = Reads(), client(1), client(2)
    gate = reads.gate(one)
    for _ in range(3):
        ticket = reads.ask()
        assert ticket is not None
        reads.answered(ReadReady(ticket, None))
        assert reads.opened(100) == []
    new = reads.gate(other)
    ticket = reads.ask()
    assert ticket is not None
    reads.answered(ReadReady(ticket, 7))
    assert reads.opened(7) == [one, other]
    assert gate.is_open
    assert new.is_open


def test_nothing_is_asked_for_those_that_are_gone() -> None:
    reads, one = Reads(), client(1)
    reads.gate(one)
    ticket = reads.ask()
    assert ticket is not None
    one.closed = True
    reads.answered(ReadReady(ticket, None))
    assert reads.ask() is None


def test_a_long_queue_is_not_looked_through_each_time_a_confirmation_fails() -> None:
    """Two thousand syncs of one client, and no leader: the node must keep its mind on the election."""
    reads, one = Reads(), client(1)
    gates = set()
    for xid in range(2_000):
        gate = reads.gate(one)
        gates.add(gate)
        one.queue.append((xid, None, gate))
    assert len(gates) == 1
    ticket = reads.ask()
    assert ticket is not None
    reads.answered(ReadReady(ticket, None))
    before = list(one.queue)
    ticket = reads.ask()
    assert ticket is not None
    reads.answered(ReadReady(ticket, 1))
    assert reads.opened(1) == [one], "once, however often it stands behind the barrier"
    assert list(one.queue) == before
