"""Leases of etcd's clients are none of ZooKeeper's business: nobody takes one up, renews or lists it."""

from __future__ import annotations

from agreed.replica import events
from agreed.replica.settings import Settings
from agreed.store.commands import GrantLease
from agreed.wire.zookeeper.messages import ConnectRequest
from tests.replica.alone import Alone, Client
from tests.replica.test_words import ALL, answer

PLAIN = 0x77


def granted(node: Alone) -> None:
    node.replica.store.execute(GrantLease(PLAIN, 10_000, b"", None), "n1")


def test_nobody_takes_up_a_plain_lease_as_a_session() -> None:
    node = Alone()
    granted(node)
    client = Client(node)
    for password in (b"", bytes(16)):
        client.connect(PLAIN, password)
    assert client.closed
    assert not node.replica.zookeeper.sessions.heard_since_last_report()


def test_nor_where_nobody_leads_and_reading_is_all_one_can_do() -> None:
    """A plain lease has an empty secret: who named it was thought to be its session, and let it live."""
    node = Alone(Settings(read_only_mode=True), members=("n1", "n2", "n3"))
    node.pass_ms(20_000)
    assert node.replica.zookeeper.read_only
    granted(node)
    client = Client(node)
    client.say(client.connection.connect(ConnectRequest(0, 0, 10_000, PLAIN, b"", True)))
    assert not client.closed
    assert PLAIN not in node.replica.zookeeper.sessions.heard_since_last_report()
    node.turn(events.ClientClosed(client.id))
    assert PLAIN not in node.replica.zookeeper.sessions.heard_since_last_report()


def test_plain_leases_are_not_listed_among_sessions() -> None:
    node = Alone(Settings(four_letter_words=ALL))
    node.client()
    granted(node)
    told = answer(node, b"dump")
    assert "Global Sessions(1)" in told
    assert f"{PLAIN:#x}" not in told
    assert "zk_global_sessions\t1\n" in answer(node, b"mntr")
