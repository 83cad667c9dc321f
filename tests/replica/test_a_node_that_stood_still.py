"""A leader that stood still for seconds (its machine was busy, somebody stopped it) has not heard what its
clients said meanwhile: that waits to be read, and nobody's session may expire for it."""

from __future__ import annotations

from agreed.wire.zookeeper.messages import PingRequest
from tests.replica.alone import Alone


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
