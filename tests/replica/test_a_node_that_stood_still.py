"""A leader that stood still for seconds (its machine was busy, somebody stopped it) has not heard what its
clients said meanwhile: that waits to be read, and nobody's session may expire for it."""

from __future__ import annotations

from agreed.consensus import machine as consensus
from agreed.replica import events
from agreed.wire.zookeeper.messages import PingRequest
from tests.replica.alone import WALL_MS, Alone


def test_sessions_do_not_expire_before_what_was_said_is_read() -> None:
    node = Alone()
    client = node.client()
    [lease] = [lease.id for lease in node.replica.store.leases]
    node.now += 60_000
    node.turn()
    assert node.replica.store.leases.get(lease) is not None
    client.ask(PingRequest())
    node.pass_ms(9_000)
    assert node.replica.store.leases.get(lease) is not None
    node.pass_ms(3_000)
    assert node.replica.store.leases.get(lease) is None


def test_consensus_hears_for_how_long_this_node_was_busy() -> None:
    node = Alone()
    told: list[int] = []
    step = node.replica.machine.step

    def listening(event: consensus.Event) -> None:
        if isinstance(event, consensus.TimePassed):
            told.append(event.deaf_ms)
        step(event)

    node.replica.machine.step = listening  # type: ignore[method-assign]
    node.replica.step(events.TimePassed(node.now, WALL_MS, 400))
    node.turn()
    assert told == [400, 0]
