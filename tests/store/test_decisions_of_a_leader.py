"""What a leader decides for itself is decided in its term.  If it loses its followers, its node says it again
when it has found the cluster, an hour later if need be; by then it is somebody else's to decide."""

from __future__ import annotations

from agreed.store.commands import ExpireLease, GrantLease, SetConfiguration
from agreed.store.machine import Store
from agreed.store.results import Done, Refusal


def test_an_expiry_that_comes_in_another_term_has_no_force() -> None:
    store = Store()
    store.begin(1_000, 3)
    store.execute(GrantLease(7, 4_000, b"secret", ()), "n2.2")
    store.begin(2_000, 4)
    assert store.execute(ExpireLease(7, 1, 3), "n1.1") is Refusal.STALE
    assert store.leases.get(7) is not None
    assert store.execute(ExpireLease(7, 1, 4), "n3.3") is Done.DONE


def test_a_set_of_members_that_another_leader_saw_does_not_replace_a_newer_one() -> None:
    store = Store()
    store.begin(1_000, 4)
    assert store.execute(SetConfiguration(b"newer", 4), "n2.2") is Done.DONE
    assert store.execute(SetConfiguration(b"older", 3), "n1.1") is Refusal.STALE
    assert store.configuration == b"newer"
    record = store.tree.get(b"/zookeeper/config")
    assert record is not None
    assert record.value == b"newer\nversion=1"
    assert store.revision == 1
