"""Who may call what: each method of each service, asked by nobody, by strangers and by who has no rights."""

from __future__ import annotations

import msgspec
import pytest

from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    AlarmRequest,
    AuthDisableRequest,
    AuthEnableRequest,
    AuthenticateRequest,
    AuthRoleAddRequest,
    AuthRoleDeleteRequest,
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
    DefragmentRequest,
    DeleteRangeRequest,
    DowngradeRequest,
    HashKVRequest,
    HashRequest,
    HealthCheckRequest,
    LeaderKey,
    LeaderRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseLeasesRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
    LockRequest,
    MemberAddRequest,
    MemberListRequest,
    MemberPromoteRequest,
    MemberRemoveRequest,
    MemberUpdateRequest,
    MoveLeaderRequest,
    Permission,
    ProclaimRequest,
    PutRequest,
    RangeRequest,
    ResignRequest,
    SnapshotRequest,
    StatusRequest,
    TxnRequest,
    UnlockRequest,
    WatchCreateRequest,
    WatchRequest,
)
from agreed.wire.etcd.services import METHODS
from tests.replica.etcd.calling import Asked
from tests.replica.etcd.people import ANNAS_PASSWORD, ROOT_PASSWORD, Behind, People
from tests.replica.etcd.together import Together

LEADER = LeaderKey(b"el", b"el/7", 1, 7)
ASKED: dict[str, msgspec.Struct] = {
    "KV/Range": RangeRequest(b"x"),
    "KV/Put": PutRequest(b"x"),
    "KV/DeleteRange": DeleteRangeRequest(b"x"),
    "KV/Txn": TxnRequest(),
    "KV/Compact": CompactionRequest(2),
    "Watch/Watch": WatchRequest(create_request=WatchCreateRequest(b"x")),
    "Lease/LeaseGrant": LeaseGrantRequest(60, 60),
    "Lease/LeaseRevoke": LeaseRevokeRequest(7),
    "Lease/LeaseKeepAlive": LeaseKeepAliveRequest(7),
    "Lease/LeaseTimeToLive": LeaseTimeToLiveRequest(7),
    "Lease/LeaseLeases": LeaseLeasesRequest(),
    "Cluster/MemberAdd": MemberAddRequest(("http://127.0.0.1:9",)),
    "Cluster/MemberRemove": MemberRemoveRequest(1),
    "Cluster/MemberUpdate": MemberUpdateRequest(1, ("http://127.0.0.1:9",)),
    "Cluster/MemberList": MemberListRequest(),
    "Cluster/MemberPromote": MemberPromoteRequest(1),
    "Maintenance/Alarm": AlarmRequest(),
    "Maintenance/Status": StatusRequest(),
    "Maintenance/Defragment": DefragmentRequest(),
    "Maintenance/Hash": HashRequest(),
    "Maintenance/HashKV": HashKVRequest(),
    "Maintenance/Snapshot": SnapshotRequest(),
    "Maintenance/MoveLeader": MoveLeaderRequest(1),
    "Maintenance/Downgrade": DowngradeRequest(0, "3.4"),
    "Auth/AuthEnable": AuthEnableRequest(),
    "Auth/AuthDisable": AuthDisableRequest(),
    "Auth/AuthStatus": AuthStatusRequest(),
    "Auth/Authenticate": AuthenticateRequest("anna", "a guess"),
    "Auth/UserAdd": AuthUserAddRequest("x", "x"),
    "Auth/UserGet": AuthUserGetRequest("root"),
    "Auth/UserList": AuthUserListRequest(),
    "Auth/UserDelete": AuthUserDeleteRequest("card"),
    "Auth/UserChangePassword": AuthUserChangePasswordRequest("anna", "x"),
    "Auth/UserGrantRole": AuthUserGrantRoleRequest("anna", "root"),
    "Auth/UserRevokeRole": AuthUserRevokeRoleRequest("anna", "r"),
    "Auth/RoleAdd": AuthRoleAddRequest("x"),
    "Auth/RoleGet": AuthRoleGetRequest("root"),
    "Auth/RoleList": AuthRoleListRequest(),
    "Auth/RoleDelete": AuthRoleDeleteRequest("r"),
    "Auth/RoleGrantPermission": AuthRoleGrantPermissionRequest("r", Permission(2, b"x")),
    "Auth/RoleRevokePermission": AuthRoleRevokePermissionRequest("r", b"q"),
    "Lock/Lock": LockRequest(b"el", 7),
    "Lock/Unlock": UnlockRequest(b"el/7"),
    "Election/Campaign": CampaignRequest(b"el", 7, b"v"),
    "Election/Proclaim": ProclaimRequest(LEADER, b"v"),
    "Election/Leader": LeaderRequest(b"el"),
    "Election/Observe": LeaderRequest(b"el"),
    "Election/Resign": ResignRequest(LEADER),
    "Health/Check": HealthCheckRequest(),
    "Health/Watch": HealthCheckRequest(),
}
FOR_ANYBODY = {"Health/Check", "Health/Watch"}
FOR_ANY_USER = {
    *FOR_ANYBODY, "KV/Txn", "Lease/LeaseGrant", "Lease/LeaseTimeToLive", "Cluster/MemberList",
    "Maintenance/Alarm", "Maintenance/Status",
}  # fmt: skip


def what_there_is(people: People) -> tuple[object, ...]:
    store = people.nodes.replica(people.name).store
    users = store.users
    return (
        store.revision, store.flat.history.compacted, list(store.leases.table), list(store.etcd_members),
        dict(store.alarms.table), users.enabled, users.revision, dict(users.users), dict(users.roles),
        people.nodes.replica(people.name).members,
    )  # fmt: skip


def told(asked: Asked) -> bool:
    """Whether there was an answer that is no refusal."""
    return any(not getattr(message, "canceled", False) for message in asked.messages)


def test_every_method_is_asked() -> None:
    assert {path.rpartition(".")[2] for path in METHODS} == ASKED.keys()


@pytest.mark.parametrize("who", ["nobody", "a bad token", "a certificate of a stranger", "anna"])
def test_nobody_does_or_sees_what_is_for_others(who: str) -> None:
    """7 is a lease with a key of root's; everything that is asked is about what anna has no right to."""
    people = People(Together("n1"))
    root, anna = people.login("root", ROOT_PASSWORD), people.login("anna", ANNAS_PASSWORD)
    assert people.ask("Lease/LeaseGrant", LeaseGrantRequest(100, 7), root).reply
    assert people.ask("KV/Put", PutRequest(b"el/7", b"", 7), root).reply
    before = what_there_is(people)
    token = {"a bad token": "bad", "anna": anna}.get(who)
    certificate = "stranger" if who == "a certificate of a stranger" else None
    for method, request in ASKED.items():
        asked = people.ask(method, request, token, certificate)
        assert told(asked) == (method in (FOR_ANY_USER if who == "anna" else FOR_ANYBODY)), method
        assert asked.status is not None or method in ("Watch/Watch", "Health/Watch"), method
        if method == "Lease/LeaseGrant" and who == "anna":
            before = what_there_is(people)
        assert what_there_is(people) == before, method


def test_root_does_and_sees_all_of_it_through_any_node() -> None:
    """Also what only the leader can do."""
    behind = Behind()
    people = behind.people
    people.name = behind.nodes.follower
    root = people.login("root", ROOT_PASSWORD)
    for method in ("Cluster/MemberAdd", "Lease/LeaseTimeToLive", "Lease/LeaseLeases", "KV/Compact"):
        assert told(people.ask(method, ASKED[method], root)), method
    for token, certificate in ((None, None), (behind.anna, None), (None, "card")):
        asked = people.ask("Cluster/MemberAdd", ASKED["Cluster/MemberAdd"], token, certificate)
        assert asked.status in (errors.PERMISSION_DENIED, errors.USER_EMPTY)
