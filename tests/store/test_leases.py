"""The table of leases."""
from __future__ import annotations

from agreed.store.machine import Store
from tests.store.talk import Client


def test_the_ephemeral_paths_of_a_session_by_prefix() -> None:
    store = Store()
    client, other = Client(store, 1), Client(store, 2)
    for path in ("/e2", "/e1", "/f"):
        client.create(path, mode=1)
    client.create("/stays")
    other.create("/e3", mode=1)
    assert store.leases.ephemerals(1) == [b"/e1", b"/e2", b"/f"]
    assert store.leases.ephemerals(1, b"/e") == [b"/e1", b"/e2"]
    assert store.leases.ephemerals(1, b"/zz") == []
    assert store.leases.ephemerals(9) == []
    assert store.leases.ephemerals_count == 4


def test_leases_stand_in_the_order_of_their_grant() -> None:
    store = Store()
    for lease in (3, 1, 2):
        Client(store, lease)
    assert [lease.id for lease in store.leases] == [3, 1, 2]
    assert len(store.leases) == 3
    assert store.leases.get(9) is None
