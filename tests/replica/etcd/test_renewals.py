"""Renewals on their way: to leaders and from them, over the end of a stream, over words that are lost."""

from __future__ import annotations

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.raft.messages import AppendEntries
from agreed.replica import events
from agreed.replica.etcd.leases import UNTAKEN_MOST_BYTES
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseTimeToLiveRequest,
    PutRequest,
)
from agreed.wire.grpc.status import OK, Status
from agreed.wire.peer.messages import LeasesRenewed, RenewLeases
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Asked, Caller
from tests.replica.etcd.together import Together

KEEP_ALIVE = "Lease/LeaseKeepAlive"


def told(asked: Asked) -> list[tuple[int, int]]:
    return [(each.ID, each.TTL) for each in asked.messages]


def came(asked: Asked) -> tuple[list[tuple[int, int]], Status | None]:
    return told(asked), asked.status


def granted(caller: Caller, ttl: int = 10, lease: int = 7) -> int:
    return int(caller.ask("Lease/LeaseGrant", LeaseGrantRequest(ttl, lease)).reply.ID)


# --- streams ----------------------------------------------------------------------------------------------


def test_a_stream_whose_client_asks_no_more_ends_behind_its_last_answer() -> None:
    """`etcdctl lease keep-alive --once` asks, says that it has nothing more to ask, and reads the answer."""
    node, caller = following()
    stream = caller.ask(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    stream.call.heard(LeaseKeepAliveRequest(8))
    node.turn()
    stream.call.no_more()
    assert came(stream) == ([], None)
    second, first = asked_of(node, "n2")[::-1]
    node.turn(events.PeerMessage("n2", LeasesRenewed(first.number, [5_000])))
    assert came(stream) == ([(7, 5)], None)
    node.turn(events.PeerMessage("n2", LeasesRenewed(second.number, [9_000])))
    assert came(stream) == ([(7, 5), (8, 9)], OK)


class Deaf(Caller):
    unread = 0

    def backlog(self, call: object) -> int:
        return self.unread


def test_who_renews_and_never_listens_is_sent_away() -> None:
    caller = Deaf(Alone())
    granted(caller)
    stream = caller.ask(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    for beyond, status in ((0, None), (1, errors.TOO_MANY_REQUESTS)):
        caller.unread = UNTAKEN_MOST_BYTES + beyond
        stream.call.heard(LeaseKeepAliveRequest(7))
        caller.node.turn()
        assert came(stream) == ([(7, 10)] * 2, status)


def test_what_is_counted_as_renewed_was_there() -> None:
    caller = Caller(Alone())
    granted(caller)
    (service,) = [each for each in caller.node.replica.etcd.services if hasattr(each, "renewed")]
    for lease in (7, 8, 7):
        caller.ask(KEEP_ALIVE, LeaseKeepAliveRequest(lease))
    assert service.renewed == 2


# --- words that are lost, leaders that are ----------------------------------------------------------------


def following(leader: str = "n2", term: int = 1, node: Alone | None = None) -> tuple[Alone, Caller]:
    node = node or Alone(members=("n1", "n2", "n3"))
    entries = [Entry(index, index, EntryKind.NOTHING, b"") for index in range(1, term + 1)]
    for commit in (term - 1, term):
        node.turn(events.PeerMessage(leader, AppendEntries(term, 0, 0, commit, term, list(entries))))
    return node, Caller(node)


def asked_of(node: Alone, leader: str) -> list[RenewLeases]:
    sent = [each for effects in node.effects for each in effects.send]
    return [message for target, message in sent if target == leader and isinstance(message, RenewLeases)]


def test_a_renewal_that_was_lost_on_its_way_is_said_again_within_seconds() -> None:
    nodes = Together("n1", "n2", "n3")
    caller = nodes.caller(nodes.follower)
    granted(caller)
    stream = caller.begin(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    nodes.replica(nodes.follower).etcd.flush()
    lost = nodes.replica(nodes.follower).effects.send
    assert [message for _, message in lost if isinstance(message, RenewLeases)]
    lost.clear()
    nodes.pass_ms(1_500)
    assert told(stream) == [(7, 10)]


def test_a_new_leader_is_asked_at_once_for_what_the_last_one_did_not_answer() -> None:
    node, caller = following()
    caller.ask(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    assert len(asked_of(node, "n2")) == 1
    following("n3", 2, node)
    assert [each.leases for each in asked_of(node, "n3")] == [[7]]


def test_an_answer_that_speaks_of_other_leases_is_none() -> None:
    node, caller = following()
    stream = caller.ask(KEEP_ALIVE, LeaseKeepAliveRequest(7))
    (question,) = asked_of(node, "n2")
    for ttls_ms in ([], [1_000, 2_000], None):
        node.turn(events.PeerMessage("n2", LeasesRenewed(question.number, ttls_ms)))
    assert told(stream) == []
    node.turn(events.PeerMessage("n2", LeasesRenewed(question.number, [3_000])))
    assert told(stream) == [(7, 3)]


# --- the time that is left --------------------------------------------------------------------------------


def test_a_lease_whose_end_is_under_way_has_no_time_left_and_is_still_one() -> None:
    """-1 would say that it is gone, and its keys are still there."""
    node = Alone()
    caller = Caller(node)
    granted(caller, 2)
    caller.ask("KV/Put", PutRequest(b"a", b"", 7))
    node.saving = False
    node.pass_ms(2_500)
    reply = caller.ask("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(7, True)).reply
    assert (reply.TTL, reply.grantedTTL, reply.keys) == (0, 2, (b"a",))


def test_who_leads_no_more_says_nothing_of_the_time_that_is_left() -> None:
    """It knows of no deadline any more; to say that there is no such lease would be wrong."""
    nodes = Together("n1", "n2", "n3")
    old = nodes.leader
    granted(nodes.caller(old), 60)
    nodes.cut.add(old)
    asked = nodes.caller(old).begin("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(7))
    nodes.pass_ms(500)
    assert asked.status is None
    nodes.until_led()
    nodes.cut.clear()
    nodes.pass_ms(1_000)
    assert not nodes.replica(old).leads
    assert asked.messages == []
    assert asked.status in (errors.LEADER_CHANGED, errors.TIMEOUT)
