"""A leader that was cut off says nothing of what is true now; only what it was asked to tell of itself."""

from __future__ import annotations

import msgspec
import pytest

from agreed.wire.etcd.messages import (
    AlarmRequest,
    AuthRoleListRequest,
    AuthStatusRequest,
    AuthUserListRequest,
    CampaignRequest,
    CompactionRequest,
    LeaderRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseTimeToLiveRequest,
    LockRequest,
    MemberListRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    StatusRequest,
    TxnRequest,
)
from tests.replica.etcd.together import Together


@pytest.fixture(scope="module")
def cut_off() -> Together:
    """Its leader: it knows the key `k` on lease 7, and who leads `e`."""
    nodes = Together("n1", "n2", "n3")
    caller = nodes.caller(nodes.leader)
    assert caller.ask("Lease/LeaseGrant", LeaseGrantRequest(600, 7)).reply
    assert caller.ask("KV/Put", PutRequest(b"k", b"v", 7)).reply
    assert caller.ask("Election/Campaign", CampaignRequest(b"e", 7)).reply
    nodes.cut.add(nodes.leader)
    return nodes


def reads(*ranges: RangeRequest) -> TxnRequest:
    return TxnRequest(success=tuple(RequestOp(request_range=each) for each in ranges))


NOW, HERE = RangeRequest(b"k"), RangeRequest(b"k", serializable=True)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("KV/Range", NOW),
        ("KV/Range", RangeRequest(b"k", revision=2)),
        ("KV/Txn", reads(NOW)),
        ("KV/Txn", reads(HERE, NOW)),
        ("KV/Put", PutRequest(b"x")),
        ("KV/Compact", CompactionRequest(1)),
        ("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(7)),
        ("Lease/LeaseKeepAlive", LeaseKeepAliveRequest(7)),
        ("Lock/Lock", LockRequest(b"l", 7)),
        ("Election/Leader", LeaderRequest(b"e")),
        ("Election/Observe", LeaderRequest(b"e")),
        ("Cluster/MemberList", MemberListRequest(True)),
        ("Maintenance/Alarm", AlarmRequest(1, 0, 1)),
        ("Auth/AuthStatus", AuthStatusRequest()),
        ("Auth/UserList", AuthUserListRequest()),
        ("Auth/RoleList", AuthRoleListRequest()),
    ],
)
def test_of_what_may_have_changed_elsewhere_nothing_is_said(
    cut_off: Together, method: str, request_: msgspec.Struct
) -> None:
    asked = cut_off.caller(next(iter(cut_off.cut))).begin(method, request_)
    cut_off.settle()
    assert (asked.status, asked.messages) == (None, [])


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("KV/Range", HERE),
        ("KV/Txn", reads(HERE, HERE)),
        ("Cluster/MemberList", MemberListRequest()),
        ("Maintenance/Status", StatusRequest()),
    ],
)
def test_what_a_node_is_asked_of_itself_it_tells(
    cut_off: Together, method: str, request_: msgspec.Struct
) -> None:
    asked = cut_off.caller(next(iter(cut_off.cut))).begin(method, request_)
    cut_off.settle()
    assert asked.reply
