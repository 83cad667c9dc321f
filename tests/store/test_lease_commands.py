"""Sessions are granted, move, and end; what hangs on them ends with them."""
from __future__ import annotations

import pytest

from agreed.store.commands import (
    AddCredential,
    AttachLease,
    Create,
    ExpireLease,
    GrantLease,
    Put,
    RevokeLease,
    SetData,
    Transaction,
)
from agreed.store.events import EventKind, Space
from agreed.store.invariants import check
from agreed.store.lease_commands import CREDENTIALS_MOST
from agreed.store.machine import Store
from agreed.store.records import Credential
from agreed.store.results import Changed, Done, LeaseResult, Refusal
from tests.store.talk import Client, cversion, record

ALICE = Credential("digest", "alice:hash")
BOB = Credential("digest", "bob:hash")


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def client(store: Store) -> Client:
    return Client(store, 1, ALICE)


def test_a_lease_is_granted_once(store: Store) -> None:
    granted = store.execute(GrantLease(7, 4_000, b"secret", ()), "n1")
    assert granted == LeaseResult(7, 4_000, b"secret", 1)
    assert store.execute(GrantLease(7, 4_000, b"other", ()), "n2") is Refusal.LEASE_EXISTS
    assert store.execute(GrantLease(0, 4_000, b"", ()), "n1") is Refusal.BAD_ARGUMENTS


def test_a_session_moves_to_the_node_where_its_client_turns_up(store: Store, client: Client) -> None:
    assert store.execute(AttachLease(1, 1, b"guess", ()), "n2") is Refusal.WRONG_SECRET
    assert store.execute(AttachLease(9, 1, b"secret", ()), "n2") is Refusal.NO_LEASE
    client.create("/e", mode=1)
    attached = store.execute(AttachLease(1, 30_000, b"secret", (BOB,)), "n2")
    assert attached == LeaseResult(1, 30_000, b"secret", 5)
    lease = store.leases.get(1)
    assert lease is not None
    assert (lease.owner, lease.credentials, lease.ttl_ms) == ("n2", (BOB,), 30_000)
    assert list(lease.tree_keys) == [b"/e"], "what hangs on it stays"
    assert client.set("/e") is Refusal.LEASE_MOVED, "a write that the old connection had in flight"
    assert isinstance(store.execute(SetData(1, b"/e", b"", -1), "n2"), Changed)


def test_an_expiry_decided_before_the_session_moved_has_no_force(store: Store, client: Client) -> None:
    decided = ExpireLease(1, 1)
    store.execute(AttachLease(1, 10_000, b"secret", ()), "n2")
    assert store.execute(decided, "n3") is Refusal.STALE
    assert store.execute(ExpireLease(1, 2), "n3") is Done.DONE
    assert store.execute(decided, "n3") is Refusal.NO_LEASE


def test_everything_that_hangs_on_it_goes_in_one_revision_in_the_order_of_names(
    store: Store, client: Client
) -> None:
    client.create("/p")
    for path in ("/p/z", "/p/a"):
        client.create(path, mode=1)
    client.create("/stays")
    client.execute(Transaction((), (Put(b"l", b"", 1), Put(b"k", b"", 1), Put(b"other", b"")), ()))
    version = cversion(store, "/p")
    store.fresh.clear()
    assert client.close() is Done.DONE
    assert [(e.revision, e.kind, e.space, e.record.key) for e in store.fresh] == [
        (7, EventKind.DELETED, Space.TREE, b"/p/a"),
        (7, EventKind.DELETED, Space.TREE, b"/p/z"),
        (7, EventKind.DELETED, Space.FLAT, b"k"),
        (7, EventKind.DELETED, Space.FLAT, b"l"),
    ]
    assert record(store, "/p").children_revision == 7
    assert cversion(store, "/p") == version + 2
    assert store.tree.get(b"/stays") is not None
    assert store.flat.get(b"k") is None
    assert store.flat.get(b"other") is not None
    assert client.close() is Refusal.NO_LEASE


def test_a_session_is_closed_only_through_its_own_node(store: Store, client: Client) -> None:
    store.execute(AttachLease(1, 10_000, b"secret", ()), "n2")
    assert client.close() is Refusal.LEASE_MOVED, "the old connection ends, the session does not"
    assert store.execute(RevokeLease(1), "n2") is Done.DONE


def test_credentials_are_added_in_order_and_once(store: Store, client: Client) -> None:
    for credential in (BOB, ALICE, BOB):
        assert client.execute(AddCredential(1, credential)) is Done.DONE
    lease = store.leases.get(1)
    assert lease is not None
    assert lease.credentials == (ALICE, BOB)
    assert store.execute(AddCredential(1, BOB), "n2") is Refusal.LEASE_MOVED
    assert store.execute(AddCredential(9, BOB), "n1") is Refusal.NO_LEASE


def test_a_plain_lease_is_nobodys_and_is_no_session(store: Store) -> None:
    store.execute(GrantLease(5, 60_000, b"", None), "n1")
    lease = store.leases.get(5)
    assert lease is not None
    assert lease.owner is None
    assert store.execute(Create(5, b"/a", b"", None, 0), "n1") is Refusal.NO_LEASE
    assert store.execute(AttachLease(5, 1, b"", ()), "n1") is Refusal.NO_LEASE
    assert store.execute(AddCredential(5, ALICE), "n1") is Refusal.NO_LEASE
    check(store)
    assert store.execute(RevokeLease(5), "n2") is Done.DONE


def test_a_plain_lease_consumes_a_revision_only_when_keys_go_with_it(store: Store) -> None:
    """As in etcd, whose clients compare revisions."""
    for lease in (5, 6, -7):
        assert isinstance(store.execute(GrantLease(lease, 60_000, b"", None)), LeaseResult)
    assert store.execute(GrantLease(5, 60_000, b"", None)) is Refusal.LEASE_EXISTS
    assert store.execute(GrantLease(0, 60_000, b"", None)) is Refusal.BAD_ARGUMENTS
    assert store.execute(RevokeLease(9, True)) is Refusal.NO_LEASE
    assert store.execute(ExpireLease(9, 1, 0, True)) is Refusal.NO_LEASE
    assert store.execute(ExpireLease(6, 1)) is Refusal.STALE
    assert store.execute(RevokeLease(6, True)) is Done.DONE
    assert store.revision == 0
    for key in (b"b", b"a"):
        store.execute(Put(key, b"", 5))
        store.execute(Put(key, b"", -7))
    store.execute(Put(b"a", b"", 5))
    assert store.revision == 5
    assert store.execute(ExpireLease(5, 1, 0, True)) is Done.DONE
    assert store.revision == 6
    assert store.execute(RevokeLease(-7, True)) is Done.DONE
    assert store.revision == 7
    assert [e.record.key for e in store.fresh[-2:]] == [b"a", b"b"]


def test_an_expiry_does_not_end_a_later_lease_that_was_given_the_same_id(store: Store) -> None:
    store.execute(GrantLease(5, 60_000, b"", None))
    decided = ExpireLease(5, 1, 0, True)
    store.execute(RevokeLease(5, True))
    store.execute(GrantLease(5, 60_000, b"", None))
    assert store.execute(decided) is Refusal.STALE
    assert store.execute(ExpireLease(5, 2, 0, True)) is Done.DONE


def test_an_etcd_client_has_no_say_over_sessions(store: Store, client: Client) -> None:
    assert client.execute(RevokeLease(1, True)) is Refusal.NO_LEASE
    assert store.execute(ExpireLease(1, 1, 0, True)) is Refusal.NO_LEASE
    assert store.leases.get(1) is not None


def test_ephemeral_keys_have_no_children(store: Store, client: Client) -> None:
    client.create("/e", mode=1)
    assert client.create("/e/x") is Refusal.PARENT_IS_EPHEMERAL
    assert record(store, "/e").lease == 1
    assert client.delete("/e") is Done.DONE
    assert store.leases.ephemerals(1) == []


def test_a_session_cannot_prove_to_be_everybody() -> None:
    """Credentials are kept by every node: one client must not fill them all."""
    store = Store()
    store.execute(GrantLease(7, 10_000, b"secret", ()), "n1")
    results = {
        store.execute(AddCredential(7, Credential("digest", f"user{number}:hash")), "n1")
        for number in range(CREDENTIALS_MOST)
    }
    assert results == {Done.DONE}
    assert store.execute(AddCredential(7, Credential("digest", "one:more")), "n1") is Refusal.BAD_ARGUMENTS
    assert store.execute(AddCredential(7, Credential("digest", "user0:hash")), "n1") is Done.DONE
