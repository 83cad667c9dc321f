"""Users, roles and logins: who calls, what he may do, and how long that is believed."""

from __future__ import annotations

import base64

import bcrypt
import msgspec
import pytest

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.calls import Caller as Who
from agreed.replica.settings import Settings
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
    CompactionRequest,
    DefragmentRequest,
    DeleteRangeRequest,
    HashKVRequest,
    HealthCheckRequest,
    LeaseGrantRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
    MemberAddRequest,
    MemberListRequest,
    Permission,
    PutRequest,
    RangeRequest,
    RequestOp,
    SnapshotRequest,
    StatusRequest,
    TxnRequest,
)
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.status import OK, Status
from tests.replica.etcd.calling import Asked
from tests.replica.etcd.people import ANNAS_PASSWORD, ROOT_PASSWORD, People, Signer
from tests.replica.etcd.together import Together


@pytest.fixture
def people() -> People:
    return People(Together("n1"))


# --- before it is on --------------------------------------------------------------------------------------


def test_it_is_not_switched_on_before_somebody_can_switch_it_off() -> None:
    caller = Together("n1").caller("n1")
    enable = AuthEnableRequest()
    assert caller.ask("Auth/AuthEnable", enable).status == errors.ROOT_USER_MISSING
    assert caller.ask("Auth/UserAdd", AuthUserAddRequest("root", "x")).reply
    assert caller.ask("Auth/AuthEnable", enable).status == errors.ROOT_ROLE_MISSING
    login = AuthenticateRequest("root", "x")
    assert caller.ask("Auth/Authenticate", login).status == errors.AUTH_NOT_ENABLED
    caller.ask("Auth/RoleAdd", AuthRoleAddRequest("root"))
    caller.ask("Auth/UserGrantRole", AuthUserGrantRoleRequest("root", "root"))
    before = caller.ask("Auth/AuthStatus", AuthStatusRequest()).reply
    assert caller.ask("Auth/AuthEnable", enable).reply
    assert not before.enabled
    assert before.header.revision == caller.node.replica.store.revision, "no revision of the store is used"


@pytest.mark.parametrize(
    ("method", "request_", "status"),
    [
        ("UserAdd", AuthUserAddRequest("", "x"), errors.USER_EMPTY),
        ("UserAdd", AuthUserAddRequest("anna", "x"), errors.USER_EXISTS),
        ("RoleAdd", AuthRoleAddRequest(""), errors.ROLE_EMPTY),
        ("RoleAdd", AuthRoleAddRequest("r"), errors.ROLE_EXISTS),
        ("UserGet", AuthUserGetRequest("x"), errors.USER_NOT_FOUND),
        ("UserDelete", AuthUserDeleteRequest("x"), errors.USER_NOT_FOUND),
        ("UserChangePassword", AuthUserChangePasswordRequest("x", "y"), errors.USER_NOT_FOUND),
        ("UserGrantRole", AuthUserGrantRoleRequest("x", "r"), errors.USER_NOT_FOUND),
        ("UserGrantRole", AuthUserGrantRoleRequest("anna", "x"), errors.ROLE_NOT_FOUND),
        ("UserRevokeRole", AuthUserRevokeRoleRequest("anna", "x"), errors.ROLE_NOT_GRANTED),
        ("RoleGet", AuthRoleGetRequest("x"), errors.ROLE_NOT_FOUND),
        ("RoleDelete", AuthRoleDeleteRequest("x"), errors.ROLE_NOT_FOUND),
        ("RoleGrantPermission", AuthRoleGrantPermissionRequest("r"), errors.PERMISSION_NOT_GIVEN),
        ("RoleGrantPermission", AuthRoleGrantPermissionRequest("x", Permission()), errors.ROLE_NOT_FOUND),
        (
            "RoleRevokePermission",
            AuthRoleRevokePermissionRequest("r", b"z"),
            errors.PERMISSION_NOT_GRANTED,
        ),
        ("UserDelete", AuthUserDeleteRequest("root"), errors.INVALID_AUTH_MANAGEMENT),
        ("RoleDelete", AuthRoleDeleteRequest("root"), errors.INVALID_AUTH_MANAGEMENT),
        ("UserRevokeRole", AuthUserRevokeRoleRequest("root", "root"), errors.INVALID_AUTH_MANAGEMENT),
    ],
)
def test_each_mistake_has_its_own_words(
    people: People, method: str, request_: msgspec.Struct, status: Status
) -> None:
    token = people.login("root", ROOT_PASSWORD)
    assert people.ask(f"Auth/{method}", request_, token).status == status


# --- logins -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "password", "status"),
    [
        ("anna", "wrong", errors.AUTH_FAILED),
        ("nobody", "x", errors.AUTH_FAILED),
        ("anna", "", errors.AUTH_FAILED),
        ("card", "x", errors.AUTH_NO_PASSWORD_USER),
        ("anna", "with\0zero", errors.AUTH_FAILED),
    ],
)
def test_who_does_not_know_the_password_gets_no_token(
    people: People, name: str, password: str, status: Status
) -> None:
    assert people.ask("Auth/Authenticate", AuthenticateRequest(name, password)).status == status


def test_a_password_longer_than_bcrypt_reads_is_still_one() -> None:
    caller = Together("n1").caller("n1")
    assert caller.ask("Auth/UserAdd", AuthUserAddRequest("root", "x" * 500)).reply


def test_who_was_right_once_is_not_checked_again_until_the_password_changes(people: People) -> None:
    people.login("anna", ANNAS_PASSWORD)
    checked = len(people.nodes.passwords)
    people.login("anna", ANNAS_PASSWORD)
    assert len(people.nodes.passwords) == checked
    root = people.login("root", ROOT_PASSWORD)
    people.ask("Auth/UserChangePassword", AuthUserChangePasswordRequest("anna", "other"), root)
    old = AuthenticateRequest("anna", ANNAS_PASSWORD)
    assert people.ask("Auth/Authenticate", old).status == errors.AUTH_FAILED
    assert people.login("anna", "other")


def test_a_token_is_good_on_every_node_at_once_and_after_a_change_of_leader() -> None:
    nodes = Together("n1", "n2", "n3")
    people = People(nodes)
    token = people.login("anna", ANNAS_PASSWORD)
    for name in nodes.nodes:
        people.name = name
        assert people.ask("KV/Put", PutRequest(b"p/1", b"v"), token).reply
    nodes.cut.add(nodes.leader)
    nodes.until_led()
    people.name = nodes.follower
    assert people.ask("KV/Range", RangeRequest(b"p/1"), token).reply.count == 1


def test_a_token_that_this_node_has_not_heard_of_yet_is_looked_for_behind_a_barrier() -> None:
    nodes = Together("n1", "n2", "n3")
    people = People(nodes)
    token = people.login("anna", ANNAS_PASSWORD)
    known = nodes.replica(people.name).store.users.tokens.pop(token)
    caller, stream = nodes.caller(people.name), 1_000
    asked = caller.calls[stream] = Asked()
    method = METHODS["/etcdserverpb.KV/Put"]
    asked.call = Call(caller, stream, method, {}, Who("127.0.0.1", 1, token), None)
    nodes.replica(people.name).etcd.dispatch(asked.call, PutRequest(b"p/1", b"v"))
    assert asked.status is None
    nodes.replica(people.name).store.users.tokens[token] = known
    nodes.nodes[people.name].turn()
    assert asked.reply


def test_a_login_is_good_while_it_is_used_on_any_node() -> None:
    nodes = Together("n1", "n2", "n3", settings=Settings(etcd_bcrypt_cost=4, etcd_token_ttl_ms=10_000))
    people = People(nodes)
    people.name = nodes.follower
    used, unused = people.login("anna", ANNAS_PASSWORD), people.login("anna", ANNAS_PASSWORD)
    for _ in range(10):
        nodes.pass_ms(2_000)
        assert people.ask("KV/Range", RangeRequest(b"p/1"), used).reply
    assert people.ask("KV/Range", RangeRequest(b"p/1"), unused).status == errors.INVALID_AUTH_TOKEN
    nodes.pass_ms(13_000)
    assert people.ask("KV/Range", RangeRequest(b"p/1"), used).status == errors.INVALID_AUTH_TOKEN


def test_a_lease_of_somebody_with_a_name_ends_when_its_time_is_over(people: People) -> None:
    anna = people.login("anna", ANNAS_PASSWORD)
    for lease in (7, 8):
        assert people.ask("Lease/LeaseGrant", LeaseGrantRequest(10, lease), anna).reply
        assert people.ask("KV/Put", PutRequest(b"p/%d" % lease, b"", lease), anna).reply
    left = people.ask("Lease/LeaseTimeToLive", LeaseTimeToLiveRequest(7), anna).reply
    assert (left.TTL > 0, left.grantedTTL) == (True, 10)
    assert people.ask("Lease/LeaseRevoke", LeaseRevokeRequest(8), anna).reply
    assert len(people.nodes.replica(people.nodes.leader).expiry) == 1
    people.nodes.pass_ms(11_000)
    assert people.ask("KV/Range", RangeRequest(b"p/7"), anna).reply.count == 0


def test_who_is_deleted_or_has_another_password_is_out(people: People) -> None:
    root, anna = people.login("root", ROOT_PASSWORD), people.login("anna", ANNAS_PASSWORD)
    people.ask("Auth/UserDelete", AuthUserDeleteRequest("anna"), root)
    assert people.ask("KV/Range", RangeRequest(b"p/1"), anna).status == errors.INVALID_AUTH_TOKEN


def test_a_signed_token_is_good_for_the_rules_it_was_made_under() -> None:
    people = People(Together("n1", settings=Settings(etcd_bcrypt_cost=4, etcd_jwt=Signer())))
    root, anna = people.login("root", ROOT_PASSWORD), people.login("anna", ANNAS_PASSWORD)
    assert anna.startswith("anna ")
    assert people.ask("KV/Put", PutRequest(b"p/1", b"v"), anna).reply
    assert people.ask("KV/Put", PutRequest(b"p/1", b"v"), "forged").status == errors.INVALID_AUTH_TOKEN
    people.ask("Auth/RoleAdd", AuthRoleAddRequest("new"), root)
    for request in (PutRequest(b"p/1", b"v"), RangeRequest(b"p/1")):
        method = "KV/Put" if isinstance(request, PutRequest) else "KV/Range"
        assert people.ask(method, request, anna).status == errors.AUTH_OLD_REVISION


# --- what who may do --------------------------------------------------------------------------------------


def put(key: bytes) -> PutRequest:
    return PutRequest(key, b"v")


@pytest.mark.parametrize(
    ("method", "request_", "allowed"),
    [
        ("KV/Put", put(b"p/1"), True),
        ("KV/Put", put(b"q"), False),
        ("KV/Put", put(b"other"), False),
        ("KV/Range", RangeRequest(b"q"), True),
        ("KV/Range", RangeRequest(b"q", serializable=True), True),
        ("KV/Range", RangeRequest(b"p/", b"p0"), True),
        ("KV/Range", RangeRequest(b"p/", b"q"), False),
        ("KV/Range", RangeRequest(b"other", serializable=True), False),
        ("KV/DeleteRange", DeleteRangeRequest(b"p/", b"p0"), True),
        ("KV/DeleteRange", DeleteRangeRequest(b"q"), False),
        ("KV/Txn", TxnRequest(success=(RequestOp(request_put=put(b"p/1")),)), True),
        # Nested, and in the branch that is not taken: what may not be done may not be asked either.
        (
            "KV/Txn",
            TxnRequest(
                failure=(RequestOp(request_txn=TxnRequest(success=(RequestOp(request_put=put(b"other")),))),)
            ),
            False,
        ),
        ("Auth/UserGet", AuthUserGetRequest("anna"), True),
        ("Auth/UserGet", AuthUserGetRequest("root"), False),
        ("Auth/RoleGet", AuthRoleGetRequest("r"), True),
        ("Auth/RoleGet", AuthRoleGetRequest("root"), False),
        ("Auth/UserList", AuthUserListRequest(), False),
        ("Auth/RoleList", AuthRoleListRequest(), False),
        ("Auth/AuthStatus", AuthStatusRequest(), False),
        ("Auth/AuthDisable", AuthDisableRequest(), False),
        ("Auth/UserAdd", AuthUserAddRequest("x", "x"), False),
        ("Cluster/MemberAdd", MemberAddRequest(("http://127.0.0.1:1",)), False),
        ("Cluster/MemberList", MemberListRequest(), True),
        ("Maintenance/Status", StatusRequest(), True),
        ("Maintenance/Alarm", AlarmRequest(), True),
        ("Maintenance/Alarm", AlarmRequest(1, 0, 1), False),
        ("KV/Compact", CompactionRequest(1), False),
    ],
)
def test_anna_may_do_what_her_role_says(
    people: People, method: str, request_: msgspec.Struct, allowed: bool
) -> None:
    anna, root = people.login("anna", ANNAS_PASSWORD), people.login("root", ROOT_PASSWORD)
    status = people.ask(method, request_, anna).status
    assert status is not None
    assert (status == errors.PERMISSION_DENIED) is not allowed, status
    assert people.ask(method, request_, root).status != errors.PERMISSION_DENIED
    nobody = people.ask(method, request_)
    assert nobody.status == errors.USER_EMPTY or method == "Auth/AuthDisable"


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Maintenance/Defragment", DefragmentRequest()),
        ("Maintenance/HashKV", HashKVRequest()),
        ("Maintenance/Snapshot", SnapshotRequest()),
    ],
)
def test_a_member_is_administered_by_root_alone(
    people: People, method: str, request_: msgspec.Struct
) -> None:
    anna = people.login("anna", ANNAS_PASSWORD)
    assert people.ask(method, request_, anna).status == errors.ADMIN_DENIED
    assert people.ask(method, request_).status == errors.USER_EMPTY
    assert people.ask(method, request_, people.login("root", ROOT_PASSWORD)).messages


def test_a_certificate_is_a_user_where_no_token_is_shown(people: People) -> None:
    assert people.ask("KV/Put", put(b"p/1"), certificate="card").reply
    assert people.ask("KV/Put", put(b"x"), certificate="card").status == errors.PERMISSION_DENIED
    assert people.ask("KV/Put", put(b"p/1"), certificate="stranger").status == errors.PERMISSION_DENIED
    anna = people.login("anna", ANNAS_PASSWORD)
    reply = people.ask("Auth/UserGet", AuthUserGetRequest("anna"), anna, certificate="card").reply
    assert reply.roles == ("r",), "the token says more than the certificate"


def test_health_is_told_to_anybody(people: People) -> None:
    assert people.ask("Health/Check", HealthCheckRequest()).reply.status == 1
    assert people.ask("Health/Check", HealthCheckRequest("x")).status == errors.HEALTH_UNKNOWN_SERVICE
    watching = people.ask("Health/Watch", HealthCheckRequest())
    assert [each.status for each in watching.messages] == [1]
    people.nodes.replica(people.name).stop_serving("for a test")
    people.nodes.pass_ms(200)
    assert [each.status for each in watching.messages] in ([1, 2], [1])


def test_what_was_asked_when_it_was_off_is_not_done_once_it_is_on() -> None:
    """The command is on its way while somebody switches it on."""
    nodes = Together("n1")
    caller = nodes.caller("n1")
    People(nodes)
    late = caller.calls[5_000] = Asked()
    late.call = Call(caller, 5_000, METHODS["/etcdserverpb.KV/Put"], {}, Who("127.0.0.1", 1), None)
    nodes.replica("n1").etcd.admitted(late.call, put(b"p/1"))  # it was admitted before, without a name
    nodes.pass_ms(100)
    assert late.status == errors.USER_EMPTY


HASH = bcrypt.hashpw(b"hashed", b"$2a$04$" + 22 * b"u")
IN_BASE64 = base64.b64encode(HASH).decode()


@pytest.mark.parametrize(
    ("password", "hashed", "good"),
    [
        ("new", "", "new"),
        ("new", IN_BASE64, "new"),
        ("new", "no base64!", "new"),
        ("", IN_BASE64, "hashed"),
        ("", "", None),
    ],
)
def test_which_password_is_good_after_it_was_changed(
    people: People, password: str, hashed: str, good: str | None
) -> None:
    """As in etcd 3.5.1.  Who says no password at all locks the user out, and lets nobody in."""
    root = people.login("root", ROOT_PASSWORD)
    change = AuthUserChangePasswordRequest("anna", password, hashed)
    assert people.ask("Auth/UserChangePassword", change, root).reply
    for tried in ("", ANNAS_PASSWORD, "new", "hashed"):
        status = people.ask("Auth/Authenticate", AuthenticateRequest("anna", tried)).status
        assert status == (OK if tried == good else errors.AUTH_FAILED), tried


@pytest.mark.parametrize("password", ["", "new"])
@pytest.mark.parametrize("hashed", ["", IN_BASE64, "no base64!", "not ASCII: ä"])
def test_a_user_who_is_added_has_the_password_that_was_said(
    people: People, password: str, hashed: str
) -> None:
    root = people.login("root", ROOT_PASSWORD)
    assert people.ask("Auth/UserAdd", AuthUserAddRequest("bob", password, None, hashed), root).reply
    assert people.login("bob", password)
    assert people.ask("Auth/Authenticate", AuthenticateRequest("bob", "hashed")).status == errors.AUTH_FAILED


@pytest.mark.parametrize("hashed", ["no base64!", "not ASCII: ä"])
def test_what_cannot_be_a_hash_is_refused_and_harms_nobody(hashed: str) -> None:
    """The second had ended the node."""
    caller = Together("n1").caller("n1")
    caller.ask("Auth/UserAdd", AuthUserAddRequest("anna", "p"))
    change = AuthUserChangePasswordRequest("anna", hashedPassword=hashed)
    assert caller.ask("Auth/UserChangePassword", change).status == errors.AUTH_NO_PASSWORD_USER
