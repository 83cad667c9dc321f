"""How sessions are judged: where nothing may be said, and where something must be."""
from __future__ import annotations

import msgspec
import pytest

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.members import Member, Members, encode_members
from agreed.sim.cluster import Cluster
from agreed.sim.outcome import Broken
from agreed.sim.parts import Parts
from agreed.sim.plan import Conditions, Plan
from agreed.sim.trace import Trace
from agreed.sim.world import MS
from agreed.store.commands import Batch, ExpireLease, Payload


def a_cluster() -> Cluster:
    return Cluster(Plan(1, "swarm", 3, 2, 1_000, Conditions()), Parts(), Trace())


def test_a_member_whose_identity_looks_like_an_expiry_is_none() -> None:
    """The bytes by which an expiry is found may turn up by chance in whatever else is in the log."""
    cluster = a_cluster()
    prefix = msgspec.msgpack.encode(ExpireLease(0, 0))[:2]
    identity = int.from_bytes(b"\x11\x22" + prefix + bytes(4), "big")
    members = encode_members(Members((Member("n1", identity, "n1:2888", "n1:2181"),)))
    assert prefix in members
    cluster.judge.sessions.decided(cluster.nodes["n1"], [Entry(1, 1, EntryKind.MEMBERS, members)])


def test_a_leader_that_has_just_heard_of_a_client_may_not_let_it_expire() -> None:
    cluster = a_cluster()
    leader, sessions = cluster.nodes["n1"], cluster.judge.sessions
    sessions.alive[7] = (1, 0, 2_000)
    cluster.world.now = 1_900 * MS
    sessions.heard(7, leader)
    cluster.world.now = 2_500 * MS
    with pytest.raises(Broken, match="a session that was heard of expires"):
        sessions.decided(leader, [the_end_of(7)])


def test_a_client_that_speaks_again_after_its_whole_time_may_be_too_late() -> None:
    cluster = a_cluster()
    leader, sessions = cluster.nodes["n1"], cluster.judge.sessions
    sessions.alive[7] = (1, 0, 2_000)
    for heard_ms in (100, 2_200):
        cluster.world.now = heard_ms * MS
        sessions.heard(7, leader)
    cluster.world.now = 2_300 * MS
    sessions.decided(leader, [the_end_of(7)])


def test_who_was_late_once_and_was_forgiven_is_heard_as_others_are() -> None:
    cluster = a_cluster()
    leader, sessions = cluster.nodes["n1"], cluster.judge.sessions
    sessions.alive[7] = (1, 0, 2_000)
    for heard_ms in (100, 2_200, 3_200, 4_200):
        cluster.world.now = heard_ms * MS
        sessions.heard(7, leader)
    cluster.world.now = 4_300 * MS
    with pytest.raises(Broken, match="a session that was heard of expires"):
        sessions.decided(leader, [the_end_of(7)])


def the_end_of(session: int) -> Entry:
    payload = Payload(0, [Batch("n1", 1, 1, [ExpireLease(session, 1, 1)])])
    return Entry(1, 1, EntryKind.PAYLOAD, msgspec.msgpack.encode(payload))
