"""The Lock service: who waits, who holds, and what becomes of those who go away (texts as recorded)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agreed.replica.etcd.lock import LockService
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    DeleteRangeRequest,
    LeaseGrantRequest,
    LeaseRevokeRequest,
    LockRequest,
    PutRequest,
    RangeRequest,
    UnlockRequest,
)
from agreed.wire.grpc.status import Code, Status
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Asked, Caller


@pytest.fixture
def caller() -> Caller:
    return Caller(Alone())


def lease(caller: Caller, number: int) -> int:
    return int(caller.ask("Lease/LeaseGrant", LeaseGrantRequest(100, number)).reply.ID)


def lock(caller: Caller, number: int, name: bytes = b"lk") -> Asked:
    return caller.ask("Lock/Lock", LockRequest(name, number))


def row(caller: Caller) -> list[bytes]:
    return [kv.key for kv in caller.ask("KV/Range", RangeRequest(b"lk/", b"lk0")).reply.kvs]


def test_the_key_is_the_name_and_the_lease_in_hexadecimal(caller: Caller) -> None:
    held = lock(caller, lease(caller, 0x694DA201E6746560)).reply
    assert held.key == b"lk/694da201e6746560"
    (kv,) = caller.ask("KV/Range", RangeRequest(held.key)).reply.kvs
    assert (kv.lease, kv.value, held.header.revision) == (0x694DA201E6746560, b"", kv.mod_revision)


def test_who_brings_no_lease_is_given_one(caller: Caller) -> None:
    held = lock(caller, 0).reply
    (kv,) = caller.ask("KV/Range", RangeRequest(held.key)).reply.kvs
    assert held.key == b"lk/" + format(kv.lease, "x").encode()
    assert caller.node.replica.store.leases.table[kv.lease].ttl_ms == 60_000


def test_the_same_lease_holds_the_same_lock(caller: Caller) -> None:
    number = lease(caller, 7)
    first, again = lock(caller, number).reply, lock(caller, number).reply
    assert (first.key, first.header.revision) == (again.key, again.header.revision)


def test_a_lease_that_is_not_there_is_unknown(caller: Caller) -> None:
    assert lock(caller, 5_555).status == errors.LOCK_LEASE_NOT_FOUND


def test_unlocking_is_a_delete_whatever_the_key(caller: Caller) -> None:
    key = lock(caller, lease(caller, 7)).reply.key
    first = caller.ask("Lock/Unlock", UnlockRequest(key)).reply.header.revision
    again = caller.ask("Lock/Unlock", UnlockRequest(key)).reply.header.revision
    assert first == again
    assert caller.ask("Lock/Unlock", UnlockRequest(b"")).status == errors.UNLOCK_EMPTY_KEY


def test_locks_are_had_in_the_order_in_which_they_were_asked_for(caller: Caller) -> None:
    # The order of the keys is another one.
    waiting = [lock(caller, lease(caller, number)) for number in (9, 3, 8, 1)]
    order = []
    while waiting:
        (held,) = [each for each in waiting if each.status is not None]
        waiting.remove(held)
        order.append(held.reply.key)
        caller.ask("Lock/Unlock", UnlockRequest(held.reply.key))
    assert order == [b"lk/9", b"lk/3", b"lk/8", b"lk/1"]


def test_a_lock_whose_holder_died_is_had_by_the_next(caller: Caller) -> None:
    lock(caller, lease(caller, 1))
    second = lock(caller, lease(caller, 2))
    assert second.status is None
    caller.ask("Lease/LeaseRevoke", LeaseRevokeRequest(1))
    assert second.reply.key == b"lk/2"


def test_who_loses_his_place_is_told_so(caller: Caller) -> None:
    lock(caller, lease(caller, 1))
    second, third = lock(caller, lease(caller, 2)), lock(caller, lease(caller, 3))
    caller.ask("Lease/LeaseRevoke", LeaseRevokeRequest(2))
    assert second.status == errors.LOCK_SESSION_EXPIRED
    caller.ask("Lock/Unlock", UnlockRequest(b"lk/1"))
    assert third.reply.key == b"lk/3"


def test_a_place_that_was_put_there_anew_is_another_place(caller: Caller) -> None:
    lock(caller, lease(caller, 1))
    second = lock(caller, lease(caller, 2))
    caller.begin("KV/DeleteRange", DeleteRangeRequest(b"lk/2"))
    caller.begin("KV/Put", PutRequest(b"lk/2", lease=2))
    caller.node.turn()
    assert second.status == errors.LOCK_SESSION_EXPIRED


def test_a_place_that_is_put_anew_while_it_is_looked_at_once_more_is_another_place(caller: Caller) -> None:
    """It is the youngest of the row now; whoever believed it would hold the lock together with the next."""
    lock(caller, lease(caller, 1))
    second, third = lock(caller, lease(caller, 2)), lock(caller, lease(caller, 3))
    caller.begin("Lock/Unlock", UnlockRequest(b"lk/1"))
    caller.begin("KV/DeleteRange", DeleteRangeRequest(b"lk/2"))
    caller.begin("KV/Put", PutRequest(b"lk/2", lease=2))
    caller.node.turn()
    assert second.status == errors.LOCK_SESSION_EXPIRED
    assert third.reply.key == b"lk/3"


def test_whose_turn_it_is_looks_at_his_place_once_more_behind_a_barrier(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """His node may be the last to hear that his lease is over (etcd issue 11456)."""
    lock(caller, lease(caller, 1))
    second = lock(caller, lease(caller, 2))
    opened: list[Callable[[], None]] = []
    front = caller.node.replica.etcd
    monkeypatch.setattr(front, "after_barrier", lambda call, then: opened.append(then))
    caller.ask("Lock/Unlock", UnlockRequest(b"lk/1"))
    assert (second.status, len(opened)) == (None, 1)
    caller.ask("Lease/LeaseRevoke", LeaseRevokeRequest(2))
    opened[0]()
    assert second.status == errors.LOCK_SESSION_EXPIRED


def test_who_waits_no_more_is_not_remembered(caller: Caller) -> None:
    (service,) = (each for each in caller.node.replica.etcd.services if isinstance(each, LockService))
    lock(caller, lease(caller, 1))
    given_up, served = lock(caller, lease(caller, 2)), lock(caller, lease(caller, 3))
    given_up.call.abandoned()
    caller.node.turn()
    caller.ask("Lock/Unlock", UnlockRequest(b"lk/1"))
    assert served.reply
    assert service._rows._rows == {}


def test_who_stops_waiting_gives_up_his_place(caller: Caller) -> None:
    lock(caller, lease(caller, 1))
    second, third = lock(caller, lease(caller, 2)), lock(caller, lease(caller, 3))
    second.call.abandoned()
    caller.node.turn()
    assert row(caller) == [b"lk/1", b"lk/3"]
    caller.ask("Lock/Unlock", UnlockRequest(b"lk/1"))
    assert third.reply.key == b"lk/3"


def test_who_goes_away_before_he_had_a_place_leaves_none(caller: Caller) -> None:
    lease(caller, 1)
    asked = caller.begin("Lock/Lock", LockRequest(b"lk", 1))
    asked.call.abandoned()
    caller.node.turn()
    caller.node.turn()
    assert row(caller) == []


def test_who_goes_away_again_keeps_what_he_had(caller: Caller) -> None:
    lock(caller, lease(caller, 1))
    asked = caller.begin("Lock/Lock", LockRequest(b"lk", 1))
    asked.call.abandoned()
    caller.node.turn()
    caller.node.turn()
    assert row(caller) == [b"lk/1"]


def test_a_row_within_a_row_counts_for_both(caller: Caller) -> None:
    """Names that hold a slash: what stands below `lk/a/` stands below `lk/` as well, as in etcd."""
    inner = lock(caller, lease(caller, 1), b"lk/a").reply.key
    outer = lock(caller, lease(caller, 2))
    assert outer.status is None
    caller.ask("Lock/Unlock", UnlockRequest(inner))
    assert outer.reply.key == b"lk/2"


def test_after_a_snapshot_those_who_wait_look_again(caller: Caller) -> None:
    lock(caller, lease(caller, 1))
    second = lock(caller, lease(caller, 2))
    front = caller.node.replica.etcd
    notify, front.on_change = front.on_change, []
    caller.ask("Lock/Unlock", UnlockRequest(b"lk/1"))
    assert second.status is None
    front.on_change = notify
    for restored in front.on_restored:
        restored()
    caller.node.turn()
    assert second.reply.key == b"lk/2"


def test_who_may_not_read_the_row_does_not_stand_in_it(caller: Caller) -> None:
    lease(caller, 1)
    caller.node.replica.etcd.may_read = lambda call, key, range_end: errors.PERMISSION_DENIED
    assert lock(caller, 1).status == Status(Code.UNKNOWN, "etcdserver: permission denied")


def test_a_key_of_nothing_but_slashes_keeps_no_node_from_its_work(caller: Caller) -> None:
    """Each of its million prefixes had been looked for among the rows: minutes, on every node where somebody
    waits."""

    class Looked(dict[Any, Any]):
        times = 0

        def __contains__(self, key: object) -> bool:
            Looked.times += 1
            return super().__contains__(key)

    (service,) = (each for each in caller.node.replica.etcd.services if isinstance(each, LockService))
    for number in (1, 2):
        lock(caller, lease(caller, number))
    rows = service._rows
    rows._rows = Looked(rows._rows)
    assert caller.ask("KV/Put", PutRequest(b"/" * 10_000)).reply
    assert Looked.times == 1
    caller.ask("KV/DeleteRange", DeleteRangeRequest(b"lk/1"))
    assert not rows._rows
    assert not rows._lengths
