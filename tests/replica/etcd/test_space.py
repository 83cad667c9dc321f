"""The alarm for space: who rings it, how often, and who takes it back."""

from __future__ import annotations

import pytest

from agreed.replica.settings import Settings
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    AlarmAction,
    AlarmMember,
    AlarmRequest,
    AlarmType,
    CompactionRequest,
    DeleteRangeRequest,
    LeaseGrantRequest,
    PutRequest,
    RangeRequest,
)
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Asked, Caller
from tests.replica.etcd.people import ANNAS_PASSWORD, ROOT_PASSWORD, People
from tests.replica.etcd.together import Together

QUOTA = Settings(etcd_quota_bytes=100_000, etcd_bcrypt_cost=4)
LARGE = bytes(9_000)


@pytest.fixture
def caller() -> Caller:
    """Nothing of this size fits in any more."""
    caller = Caller(Alone(QUOTA))
    for number in range(10):
        assert put(caller, b"k%d" % number).reply
    return caller


def put(caller: Caller, key: bytes) -> Asked:
    return caller.ask("KV/Put", PutRequest(key, LARGE))


def alarms(caller: Caller) -> list[AlarmMember]:
    return list(caller.ask("Maintenance/Alarm", AlarmRequest()).reply.alarms)


def by_hand(caller: Caller, action: AlarmAction) -> None:
    mine = caller.node.replica.etcd.member_id
    assert caller.ask("Maintenance/Alarm", AlarmRequest(action, mine, AlarmType.NOSPACE)).reply


def freed(caller: Caller, keys: int) -> None:
    for number in range(keys):
        caller.ask("KV/DeleteRange", DeleteRangeRequest(b"k%d" % number))
    caller.ask("KV/Compact", CompactionRequest(caller.node.replica.store.revision))
    caller.node.pass_ms(5_000)


def test_an_alarm_is_rung_once_for_all_that_do_not_fit(caller: Caller) -> None:
    """Each would be one more entry of the log, where there is no space."""
    index = caller.node.replica.machine.last_index
    for _ in range(20):
        assert put(caller, b"x").status == errors.NO_SPACE
    assert caller.node.replica.machine.last_index == index + 1
    assert caller.node.logs.count("have reached their quota") == 1


def test_what_takes_no_space_is_done_and_what_takes_little_is_not(caller: Caller) -> None:
    assert put(caller, b"x").status == errors.NO_SPACE
    assert caller.ask("KV/Range", RangeRequest(b"k1")).reply.count == 1
    assert caller.ask("KV/Put", PutRequest(b"x", b"")).status == errors.NO_SPACE
    assert caller.ask("Lease/LeaseGrant", LeaseGrantRequest(10)).status == errors.NO_SPACE
    assert caller.ask("KV/DeleteRange", DeleteRangeRequest(b"k1")).reply.deleted == 1


def test_it_is_not_taken_back_before_a_tenth_is_free(caller: Caller) -> None:
    """Else it would come and go with every key."""
    assert put(caller, b"x").status == errors.NO_SPACE
    freed(caller, 0)
    assert 90_000 < caller.node.replica.store.flat.history.size_bytes < 100_000
    assert len(alarms(caller)) == 1
    freed(caller, 2)
    assert alarms(caller) == []
    assert put(caller, b"x").reply


def test_one_that_is_raised_again_by_hand_is_not_taken_for_the_nodes_own(caller: Caller) -> None:
    assert put(caller, b"x").status == errors.NO_SPACE
    caller.node.pass_ms(3_000)
    by_hand(caller, AlarmAction.DEACTIVATE)
    caller.node.pass_ms(3_000)
    by_hand(caller, AlarmAction.ACTIVATE)
    freed(caller, 9)
    assert len(alarms(caller)) == 1


def test_with_authentication_on_it_is_rung_and_taken_back_all_the_same() -> None:
    """By the node itself, which has no name."""
    people = People(Together("n1", "n2", "n3", settings=QUOTA))
    people.name = people.nodes.follower
    anna, root = people.login("anna", ANNAS_PASSWORD), people.login("root", ROOT_PASSWORD)
    for number in range(10):
        assert people.ask("KV/Put", PutRequest(b"p/%d" % number, LARGE), anna).reply
    assert people.ask("KV/Put", PutRequest(b"p/x", LARGE), anna).status == errors.NO_SPACE
    assert len(people.ask("Maintenance/Alarm", AlarmRequest(), anna).reply.alarms) == 1
    assert people.ask("KV/DeleteRange", DeleteRangeRequest(b"p/", b"p0"), anna).reply.deleted == 10
    newest = people.nodes.replica(people.name).store.revision
    assert people.ask("KV/Compact", CompactionRequest(newest), root).reply
    people.nodes.pass_ms(5_000)
    assert people.ask("Maintenance/Alarm", AlarmRequest(), anna).reply.alarms == ()
    assert people.ask("KV/Put", PutRequest(b"p/x", LARGE), anna).reply
