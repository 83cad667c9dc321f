"""What nobody may do around the rules of access: over a lease, over a stream that stands, over a node that is
behind, over another node."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from agreed.replica.settings import Settings
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    AlarmRequest,
    AuthDisableRequest,
    AuthEnableRequest,
    AuthRoleGetRequest,
    AuthRoleGrantPermissionRequest,
    AuthRoleListRequest,
    AuthRoleRevokePermissionRequest,
    AuthStatusRequest,
    AuthUserAddRequest,
    AuthUserChangePasswordRequest,
    AuthUserDeleteRequest,
    AuthUserGetRequest,
    AuthUserGrantRoleRequest,
    AuthUserListRequest,
    AuthUserRevokeRoleRequest,
    CampaignRequest,
    CompactionRequest,
    LeaderRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseLeasesRequest,
    LeaseTimeToLiveRequest,
    LockRequest,
    MemberAddRequest,
    MemberListRequest,
    MemberRemoveRequest,
    Permission,
    PutRequest,
    RangeRequest,
    RequestOp,
    ResignRequest,
    TxnRequest,
    WatchCreateRequest,
    WatchRequest,
)
from agreed.wire.grpc.status import Code, Status
from tests.replica.etcd.calling import Asked
from tests.replica.etcd.people import ANNAS_PASSWORD, ROOT_PASSWORD, Behind, People, Signer
from tests.replica.etcd.together import Together

KEEP_ALIVE = "Lease/LeaseKeepAlive"
DENIED = Status(Code.UNKNOWN, "etcdserver: permission denied")


@pytest.fixture
def people() -> People:
    return People(Together("n1"))


@pytest.fixture
def anna(people: People) -> str:
    return people.login("anna", ANNAS_PASSWORD)


@pytest.fixture
def root(people: People) -> str:
    return people.login("root", ROOT_PASSWORD)


def put(key: bytes, lease: int = 0) -> PutRequest:
    return PutRequest(key, b"v", lease)


# --- leases -----------------------------------------------------------------------------------------------


@pytest.fixture
def leases(people: People, anna: str, root: str) -> None:
    """7 holds a key of anna's, 8 one that she may only read, 9 one that she may not even read, 10 none."""
    for lease, token, key in ((7, anna, b"p/1"), (8, root, b"q"), (9, root, b"x"), (10, root, None)):
        assert people.ask("Lease/LeaseGrant", LeaseGrantRequest(100, lease), token).reply
        if key is not None:
            assert people.ask("KV/Put", put(key, lease), token).reply


@pytest.mark.usefixtures("leases")
@pytest.mark.parametrize("lease", [8, 9])
def test_who_may_not_write_the_keys_of_a_lease_may_not_let_it_live(
    people: People, anna: str, root: str, lease: int
) -> None:
    """Else a key could be kept that its owner has left to die."""
    assert people.ask(KEEP_ALIVE, LeaseKeepAliveRequest(lease), anna).status == errors.PERMISSION_DENIED
    for token, renewed in ((anna, 7), (anna, 10), (root, lease)):
        asked = people.ask(KEEP_ALIVE, LeaseKeepAliveRequest(renewed), token)
        assert [(each.ID, each.TTL) for each in asked.messages] == [(renewed, 100)]


@pytest.mark.usefixtures("leases")
def test_each_renewal_on_a_stream_is_looked_at(people: People, anna: str, root: str) -> None:
    asked = people.ask(KEEP_ALIVE, LeaseKeepAliveRequest(7), anna)
    people.ask("Auth/RoleRevokePermission", AuthRoleRevokePermissionRequest("r", b"p/", b"p0"), root)
    asked.call.heard(LeaseKeepAliveRequest(7))
    assert (len(asked.messages), asked.status) == (1, errors.PERMISSION_DENIED)
    other = people.ask(KEEP_ALIVE, LeaseKeepAliveRequest(10), anna)
    people.ask("Auth/UserChangePassword", AuthUserChangePasswordRequest("anna", "new"), root)
    other.call.heard(LeaseKeepAliveRequest(10))
    assert (len(other.messages), other.status) == (1, errors.INVALID_AUTH_TOKEN)


@pytest.mark.usefixtures("leases")
@pytest.mark.parametrize(
    ("method", "request_"),
    [
        (KEEP_ALIVE, LeaseKeepAliveRequest(10)),
        ("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(10)),
        ("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(10, True)),
        ("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(77)),
        ("Lease/LeaseLeases", LeaseLeasesRequest()),
    ],
)
def test_of_leases_nobody_is_told_anything(people: People, method: str, request_: msgspec.Struct) -> None:
    """CVE-2026-33413."""
    assert people.ask(method, request_).status == errors.USER_EMPTY
    assert people.ask(method, request_, certificate="stranger").status == errors.PERMISSION_DENIED
    assert people.ask(method, request_, "bad").status == errors.INVALID_AUTH_TOKEN


@pytest.mark.usefixtures("leases")
def test_of_leases_a_user_is_told_what_he_may_read(people: People, anna: str, root: str) -> None:
    def keys(lease: int, token: str) -> Asked:
        return people.ask("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(lease, True), token)

    assert keys(7, anna).reply.keys == (b"p/1",)
    assert keys(8, anna).reply.keys == (b"q",)
    assert keys(9, anna).status == errors.PERMISSION_DENIED
    assert keys(9, root).reply.keys == (b"x",)
    assert people.ask("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(9), anna).reply.TTL
    leases = LeaseLeasesRequest()
    assert people.ask("Lease/LeaseLeases", leases, anna).status == errors.PERMISSION_DENIED
    assert len(people.ask("Lease/LeaseLeases", leases, root).reply.leases) == 4


# --- streams that outlive a permission --------------------------------------------------------------------


def revoke(people: People, root: str) -> None:
    gone = AuthRoleRevokePermissionRequest("r", b"p/", b"p0")
    assert people.ask("Auth/RoleRevokePermission", gone, root).reply


def watch(key: bytes, range_end: bytes = b"") -> WatchRequest:
    return WatchRequest(create_request=WatchCreateRequest(key, range_end))


def created(asked: Asked) -> list[bool]:
    """Of each watch that was asked for on a stream, whether it stands."""
    return [not each.canceled for each in asked.messages if each.created]


def new_password(people: People, root: str) -> None:
    people.ask("Auth/UserChangePassword", AuthUserChangePasswordRequest("anna", "new"), root)


def another_of_the_same_name(people: People, root: str) -> None:
    people.ask("Auth/UserDelete", AuthUserDeleteRequest("anna"), root)
    people.ask("Auth/UserAdd", AuthUserAddRequest("anna", "another's"), root)
    people.ask("Auth/UserGrantRole", AuthUserGrantRoleRequest("anna", "r"), root)


def off_and_on(people: People, root: str) -> None:
    people.ask("Auth/AuthDisable", AuthDisableRequest(), root)
    people.ask("Auth/AuthEnable", AuthEnableRequest())


@pytest.mark.parametrize("change", [revoke, new_password, another_of_the_same_name, off_and_on])
def test_on_a_stream_that_stands_nobody_watches_what_he_may_not_watch_any_more(
    people: People, anna: str, root: str, change: Callable[[People, str], None]
) -> None:
    stream = people.ask("Watch/Watch", watch(b"p/", b"p0"), anna)
    stream.call.heard(watch(b"p/1"))
    change(people, root)
    stream.call.heard(watch(b"p/2"))
    assert created(stream) == [True, True, False]
    assert stream.status is None


@pytest.mark.parametrize("range_end", [b"\0", b"p0\0", b"q", b"p/"])
def test_to_watch_more_than_one_may_read_is_refused(people: People, anna: str, range_end: bytes) -> None:
    """b"\\0": from the key on, GHSA-xg4h-6gfc-h4m8; b"p/": nothing at all."""
    for key in (b"p/", b"q"):
        assert created(people.ask("Watch/Watch", watch(key, range_end), anna)) == [False]
    assert created(people.ask("Watch/Watch", watch(b"", b"\0"), anna)) == [False]


@pytest.mark.parametrize("method", ["Lock/Lock", "Election/Campaign"])
def test_who_may_not_read_a_row_does_not_stand_in_it(
    people: People, root: str, anna: str, method: str
) -> None:
    """He may write there, and would learn by waiting who else does."""

    def grant(access: int, *keys: bytes) -> None:
        granted = AuthRoleGrantPermissionRequest("r", Permission(access, *keys))
        assert people.ask("Auth/RoleGrantPermission", granted, root).reply

    grant(1, b"w", b"x")
    grant(0, b"w/1")
    request = LockRequest(b"w", 1) if method == "Lock/Lock" else CampaignRequest(b"w", 1, b"v")
    people.ask("Lease/LeaseGrant", LeaseGrantRequest(100, 1), anna)
    assert people.ask(method, request, anna).status == DENIED
    assert people.ask("KV/Range", RangeRequest(b"w", b"x"), root).reply.count == 0
    grant(2, b"w", b"x")
    assert people.ask(method, request, anna).reply


def test_who_may_not_read_a_row_any_more_hears_of_no_other_leader(
    people: People, anna: str, root: str
) -> None:
    first, second = (
        people.ask("Election/Campaign", CampaignRequest(b"p", 0, value), root) for value in (b"1", b"2")
    )
    observed = people.ask("Election/Observe", LeaderRequest(b"p"), anna)
    revoke(people, root)
    assert people.ask("Election/Resign", ResignRequest(first.reply.leader), root).reply
    assert second.reply
    assert [each.kv.value for each in observed.messages] == [b"1"]
    assert observed.status == DENIED


# --- nodes that are behind --------------------------------------------------------------------------------


@pytest.fixture
def behind() -> Behind:
    return Behind()


Asking = list[tuple[str, msgspec.Struct]]

P7 = RangeRequest(b"p/7")
MASTER = LeaderRequest(b"p")
READS: Asking = [
    ("KV/Range", P7),
    ("KV/Txn", TxnRequest(success=(RequestOp(request_range=P7),))),
    ("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(7, True)),
    ("Election/Leader", MASTER),
    ("Election/Observe", MASTER),
]


def asked_at_once(behind: Behind, asking: Asking, token: str | None) -> dict[str, Asked]:
    """Before the node has heard of anything new."""
    asked = {f"{method} {request}": behind.people.begin(method, request, token) for method, request in asking}
    behind.nodes.settle()
    behind.nodes.pass_ms(300)
    return asked


def test_an_old_login_is_good_for_nothing_at_a_node_that_is_behind(behind: Behind) -> None:
    """Somebody has stolen a password; it is changed, and everybody is told that it is."""
    behind.hears_late("Auth/UserChangePassword", AuthUserChangePasswordRequest("anna", "new"))
    asking = [
        *READS,
        ("KV/Put", put(b"p/7")),
        ("Lock/Lock", LockRequest(b"p", 7)),
        ("Cluster/MemberList", MemberListRequest(True)),
        ("Maintenance/Alarm", AlarmRequest()),
        ("Auth/UserGet", AuthUserGetRequest("anna")),
        ("Auth/RoleGet", AuthRoleGetRequest("r")),
    ]
    for question, asked in asked_at_once(behind, asking, behind.anna).items():
        assert not asked.messages, question
        assert asked.status is not None, question
        refusals = (errors.INVALID_AUTH_TOKEN.message, errors.AUTH_OLD_REVISION.message)
        assert asked.status.message in refusals, question


def test_a_permission_that_is_gone_is_gone_at_a_node_that_is_behind(behind: Behind) -> None:
    behind.hears_late("Auth/RoleRevokePermission", AuthRoleRevokePermissionRequest("r", b"p/", b"p0"))
    for question, asked in asked_at_once(behind, READS, behind.anna).items():
        assert not asked.messages, question
        assert asked.status in (errors.PERMISSION_DENIED, DENIED), question


def test_who_is_no_administrator_any_more_is_none_at_a_node_that_is_behind(behind: Behind) -> None:
    behind.hears_late("Auth/UserRevokeRole", AuthUserRevokeRoleRequest("boss", "root"))
    asking: Asking = [
        ("Auth/UserList", AuthUserListRequest()),
        ("Auth/RoleList", AuthRoleListRequest()),
        ("Auth/AuthStatus", AuthStatusRequest()),
        ("Auth/UserGet", AuthUserGetRequest("anna")),
        ("Auth/UserDelete", AuthUserDeleteRequest("anna")),
        ("KV/Compact", CompactionRequest(2)),
        ("Cluster/MemberRemove", MemberRemoveRequest(1)),
    ]
    for question, asked in asked_at_once(behind, asking, behind.boss).items():
        assert asked.status == errors.PERMISSION_DENIED, question


def test_a_node_that_does_not_know_yet_that_names_are_asked_for_lets_nobody_in(behind: Behind) -> None:
    behind.agree("Auth/AuthDisable", AuthDisableRequest())
    behind.hears_late("Auth/AuthEnable", AuthEnableRequest())
    asking: Asking = [
        ("KV/Range", P7),
        ("KV/Put", put(b"p/7")),
        ("KV/Compact", CompactionRequest(2)),
        ("Maintenance/Alarm", AlarmRequest()),
        ("Maintenance/Alarm", AlarmRequest(1, 0, 1)),
        ("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(7, True)),
        ("Cluster/MemberList", MemberListRequest(True)),
        ("Cluster/MemberAdd", MemberAddRequest(("http://127.0.0.1:9",))),
        ("Auth/UserList", AuthUserListRequest()),
    ]
    for question, asked in asked_at_once(behind, asking, None).items():
        assert asked.status == errors.USER_EMPTY, question


def test_a_forwarded_call_is_for_who_calls_under_the_rules_that_his_token_names() -> None:
    """What only the leader knows, asked of another node with a token that was signed under older rules."""
    behind = Behind(Settings(etcd_bcrypt_cost=4, etcd_jwt=Signer()))
    behind.people.name = behind.nodes.follower
    left = LeaseTimeToLiveRequest(7, True)
    assert behind.people.ask("Lease/LeaseTimeToLive", left, behind.anna).reply.keys
    behind.agree("Auth/UserDelete", AuthUserDeleteRequest("anna"))
    behind.agree("Auth/UserAdd", AuthUserAddRequest("anna", "another's"))
    behind.agree("Auth/UserGrantRole", AuthUserGrantRoleRequest("anna", "r"))
    old = behind.people.ask("Lease/LeaseTimeToLive", left, behind.anna)
    assert old.status == errors.AUTH_OLD_REVISION
