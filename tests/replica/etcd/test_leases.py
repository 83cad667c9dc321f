"""Leases of etcd clients: granted, renewed, told of, revoked, and ended by the leader when nobody renews."""

from __future__ import annotations

from collections.abc import Callable

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.members import Remove
from agreed.consensus.raft.messages import AppendEntries
from agreed.replica import events
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseLeasesRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
    PutRequest,
    RangeRequest,
)
from agreed.wire.grpc.status import OK
from agreed.wire.peer.messages import CallForwarded, ChangeAsked, LeasesRenewed, RenewLeases
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Asked, Caller

KEEP_ALIVE = "Lease/LeaseKeepAlive"


def granted(caller: Caller, ttl: int = 10, lease: int = 7) -> int:
    reply = caller.ask("Lease/LeaseGrant", LeaseGrantRequest(ttl, lease)).reply
    return int(reply.ID)


def there(caller: Caller, key: bytes) -> bool:
    return bool(caller.ask("KV/Range", RangeRequest(key)).reply.count)


def told(asked: Asked) -> list[tuple[int, int]]:
    return [(each.ID, each.TTL) for each in asked.messages]


def test_a_lease_has_the_least_time_to_live_at_least_and_a_number_if_none_was_chosen() -> None:
    caller = Caller(Alone())
    reply = caller.ask("Lease/LeaseGrant", LeaseGrantRequest(-5)).reply
    assert (reply.TTL, reply.ID > 0, reply.header.revision) == (2, True, 1)
    assert granted(caller, 100, -7) == -7


def test_what_cannot_be_granted_or_revoked_is_told_in_etcds_words() -> None:
    caller = Caller(Alone())
    granted(caller)
    assert caller.ask("Lease/LeaseGrant", LeaseGrantRequest(10, 7)).status == errors.LEASE_EXISTS
    too_long = LeaseGrantRequest(9_000_000_001)
    assert caller.ask("Lease/LeaseGrant", too_long).status == errors.LEASE_TTL_TOO_LARGE
    assert caller.ask("Lease/LeaseRevoke", LeaseRevokeRequest(8)).status == errors.LEASE_NOT_FOUND
    assert caller.ask("KV/Put", PutRequest(b"a", b"", 8)).status == errors.LEASE_NOT_FOUND


def test_a_revoked_lease_takes_its_keys_along_in_one_revision() -> None:
    caller = Caller(Alone())
    lease = granted(caller)
    for key in (b"a", b"b"):
        before = caller.ask("KV/Put", PutRequest(key, b"", lease)).reply.header.revision
    after = caller.ask("Lease/LeaseRevoke", LeaseRevokeRequest(lease)).reply.header.revision
    assert after == before + 1
    assert not there(caller, b"a")
    assert not there(caller, b"b")


def test_a_lease_that_nobody_renews_ends_when_its_time_is_over_and_not_before() -> None:
    node = Alone()
    caller = Caller(node)
    caller.ask("KV/Put", PutRequest(b"a", b"", granted(caller, 3)))
    node.pass_ms(2_900)
    assert there(caller, b"a")
    node.pass_ms(300)
    assert not there(caller, b"a")
    assert caller.ask("Lease/LeaseLeases", LeaseLeasesRequest()).reply.leases == ()


def test_a_lease_that_is_kept_alive_lives() -> None:
    node = Alone()
    caller = Caller(node)
    caller.ask("KV/Put", PutRequest(b"a", b"", granted(caller, 3)))
    stream = caller.ask(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    for _ in range(3):
        node.pass_ms(2_000)
        assert stream.call.on_message is not None
        stream.call.on_message(LeaseKeepAliveRequest(7))
        node.turn()
    assert told(stream) == [(7, 3)] * 4
    assert there(caller, b"a")
    assert stream.call.on_ended is not None
    stream.call.on_ended()
    assert stream.status == OK


def test_who_renews_what_is_not_there_is_told_a_time_of_nothing() -> None:
    caller = Caller(Alone())
    stream = caller.begin(KEEP_ALIVE, LeaseKeepAliveRequest(4242))
    assert stream.call.on_message is not None
    stream.call.on_message(LeaseKeepAliveRequest(granted(caller)))
    caller.node.turn()
    assert told(stream) == [(4242, 0), (7, 10)]


def test_the_time_that_is_left_is_told_with_the_keys() -> None:
    node = Alone()
    caller = Caller(node)
    lease = granted(caller, 10)
    for key in (b"b", b"a"):
        caller.ask("KV/Put", PutRequest(key, b"", lease))
    node.pass_ms(2_500)
    reply = caller.ask("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(lease, True)).reply
    assert (reply.TTL, reply.grantedTTL, reply.keys) == (7, 10, (b"a", b"b"))
    unknown = caller.ask("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(5)).reply
    assert (unknown.TTL, unknown.grantedTTL) == (-1, 0)


def test_a_session_of_zookeeper_is_no_lease_of_etcd() -> None:
    """They share one table; neither can be reached from the other side."""
    node = Alone()
    node.client()
    (session,) = node.replica.store.leases.table
    caller = Caller(node)
    assert caller.ask("Lease/LeaseLeases", LeaseLeasesRequest()).reply.leases == ()
    assert caller.ask("Lease/LeaseRevoke", LeaseRevokeRequest(session)).status == errors.LEASE_NOT_FOUND
    assert told(caller.ask(KEEP_ALIVE, LeaseKeepAliveRequest(session))) == [(session, 0)]
    assert caller.ask("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(session)).reply.TTL == -1


def test_many_leases_that_end_together_end_one_after_the_other() -> None:
    """A job of ten thousand workers dies: its leases must not end in one blow that everybody waits behind."""
    node = Alone()
    caller = Caller(node)
    for lease in range(1, 351):
        caller.begin("Lease/LeaseGrant", LeaseGrantRequest(2, lease))
    node.turn()
    ended = []
    for _ in range(12):
        node.pass_ms(500, 100)
        ended.append(350 - len(node.replica.store.leases))
    assert ended[-1] == 350
    assert any(0 < count < 350 for count in ended)


def test_a_renewal_waits_for_what_comes_of_the_decision_that_the_lease_ends() -> None:
    """To be told that it lives, and then that it is gone, would be worth nothing."""
    node = Alone()
    caller = Caller(node)
    granted(caller, 2)
    node.saving = False
    node.pass_ms(2_200)
    stream = caller.ask(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    node.pass_ms(100)
    assert told(stream) == []
    node.saving = True
    node.turn()
    assert told(stream) == [(7, 0)]


def follower(life: int = 1) -> tuple[Alone, Caller]:
    """A node that follows n2, which leads in term 1 and has granted lease 7."""
    node = Alone(members=("n1", "n2", "n3"), life=life)
    entries = [Entry(1, 1, EntryKind.NOTHING, b"")]
    for commit in (0, 1):
        node.turn(events.PeerMessage("n2", AppendEntries(1, 0, 0, commit, 1, list(entries))))
    return node, Caller(node)


def sent(node: Alone, kind: type) -> list[tuple[str, object]]:
    return [each for effects in node.effects for each in effects.send if isinstance(each[1], kind)]


def test_a_follower_asks_the_leader_for_all_renewals_of_a_turn_at_once() -> None:
    node, caller = follower()
    stream = caller.begin(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    assert stream.call.on_message is not None
    stream.call.on_message(LeaseKeepAliveRequest(8))
    node.turn()
    ((target, message),) = sent(node, RenewLeases)
    assert isinstance(message, RenewLeases)
    assert (target, message.leases) == ("n2", [7, 8])
    node.turn(events.PeerMessage("n2", LeasesRenewed(message.number, [5_000, 0])))
    assert told(stream) == [(7, 5), (8, 0)]


def test_an_answer_to_what_a_node_asked_before_it_died_is_none_to_what_it_asks_now() -> None:
    """A lease that is gone would be told to live on, if another one was asked about before."""
    firsts = set()
    for life in (1, 2, 3):
        node, caller = follower(life)
        caller.begin(KEEP_ALIVE, LeaseKeepAliveRequest(7))
        caller.begin("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(7))
        node.replica.operators.change(Remove("n3"), lambda refusal, revision: None)
        node.turn()
        ((_, renewal),) = sent(node, RenewLeases)
        ((_, call),) = sent(node, CallForwarded)
        ((_, change),) = sent(node, ChangeAsked)
        assert isinstance(renewal, RenewLeases)
        assert isinstance(call, CallForwarded)
        assert isinstance(change, ChangeAsked)
        firsts.add((renewal.number, call.ticket, change.ticket))
    numbers = [number for first in firsts for number in set(first)]
    assert len(set(numbers)) == len(numbers) == 3


def test_renewals_that_nobody_answers_are_said_again_and_given_up() -> None:
    node, caller = follower()
    stream = caller.ask(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    node.pass_ms(8_000)
    assert stream.status == errors.NO_LEADER
    assert len(sent(node, RenewLeases)) >= 1


def test_a_node_that_does_not_lead_renews_nothing_for_others() -> None:
    node, _ = follower()
    node.turn(events.PeerMessage("n3", RenewLeases(4, [7])))
    node.pass_ms(500)
    assert sent(node, LeasesRenewed) == []


def test_renewals_are_answered_in_the_order_in_which_they_were_asked_for() -> None:
    """Found by the simulator: of two rounds under way the second was answered first, and a client took the
    answer for that of its other lease."""
    caller = Caller(Alone())
    asked: list[Callable[[int | None], None]] = []
    caller.node.replica.etcd.renewals.renew = lambda lease, told: asked.append(told)  # type: ignore[method-assign]
    stream = caller.begin(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    assert stream.call.on_message is not None
    stream.call.on_message(LeaseKeepAliveRequest(8))
    asked[1](9_000)
    assert told(stream) == []
    asked[0](5_000)
    assert told(stream) == [(7, 5), (8, 9)]


def test_the_end_of_a_lease_on_which_nothing_hangs_costs_no_revision() -> None:
    """Also where it was revoked before the leader's decision that it ends was carried out."""
    node = Alone()
    caller = Caller(node)
    granted(caller, 2)
    node.saving = False
    node.now += 2_100
    node.turn()
    caller.begin("Lease/LeaseRevoke", LeaseRevokeRequest(7))
    node.pass_ms(200)
    node.saving = True
    node.turn()
    assert len(node.replica.store.leases) == 0
    assert caller.ask("KV/Range", RangeRequest(b"a")).reply.header.revision == 1
