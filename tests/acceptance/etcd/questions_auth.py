"""What is asked about users, roles and permissions: before they are enabled, while they are, and after."""

from __future__ import annotations

from typing import Any

from tests.acceptance.etcd.interview import Interview
from tests.acceptance.etcd.schema import pb

READ, WRITE, READWRITE = range(3)
P = {"key": b"p/", "range_end": b"p0"}


def permission(kind: int, key: bytes, range_end: bytes = b"") -> Any:
    return pb.Permission(permType=kind, key=key, range_end=range_end)


def about_authentication(interview: Interview) -> None:
    _users_and_roles(interview)
    _permissions(interview)
    interview.ask("enable", "AuthEnable")
    _without_credentials(interview)
    user, root = _tokens(interview)
    _as_user(interview, user)
    _as_root(interview, user, root)


def _users_and_roles(interview: Interview) -> None:
    ask = interview.ask
    ask("auth status", "AuthStatus")
    ask("authenticate while it is off", "Authenticate", name="root", password="x")
    ask("disable while it is off", "AuthDisable")
    ask("enable without root", "AuthEnable")
    ask("add a user without a name", "UserAdd")
    ask("add root", "UserAdd", name="root", password="pw")
    ask("add root again", "UserAdd", name="root", password="pw")
    ask("enable without the role root", "AuthEnable")
    ask("add the role root", "RoleAdd", name="root")
    ask("add the role root again", "RoleAdd", name="root")
    ask("add a role without a name", "RoleAdd")
    ask("grant root to root", "UserGrantRole", user="root", role="root")
    ask("grant root to root again", "UserGrantRole", user="root", role="root")
    ask("grant to nobody", "UserGrantRole", user="zz", role="root")
    ask("grant a role that is not", "UserGrantRole", user="root", role="zz")
    ask("add a user", "UserAdd", name="u", password="p")
    ask("add one without a password", "UserAdd", name="nopw", options=pb.UserAddOptions(no_password=True))
    ask("add a user with an empty password", "UserAdd", name="empty")
    ask("add a role", "RoleAdd", name="r")
    ask("grant it", "UserGrantRole", user="u", role="r")


def _permissions(interview: Interview) -> None:
    ask = interview.ask
    ask("permission that is none", "RoleGrantPermission", name="r")
    ask(
        "permission that ends before it begins",
        "RoleGrantPermission",
        name="r",
        perm=permission(2, b"z", b"a"),
    )
    ask("permission for a role that is not", "RoleGrantPermission", name="zz", perm=permission(2, b"p"))
    ask("permission", "RoleGrantPermission", name="r", perm=permission(READ, *P.values()))
    ask("permission for more", "RoleGrantPermission", name="r", perm=permission(READWRITE, *P.values()))
    ask("permission to read", "RoleGrantPermission", name="r", perm=permission(READ, b"q"))
    ask("permission to write", "RoleGrantPermission", name="r", perm=permission(WRITE, b"w"))
    ask("role", "RoleGet", role="r")
    ask("role root", "RoleGet", role="root")
    ask("role that is not", "RoleGet", role="zz")
    ask("user", "UserGet", name="u")
    ask("user that is not", "UserGet", name="zz")
    ask("users", "UserList")
    ask("roles", "RoleList")
    ask("take away what was not granted", "UserRevokeRole", name="u", role="root")
    ask("take away from nobody", "UserRevokeRole", name="zz", role="r")
    ask("take away a permission not granted", "RoleRevokePermission", role="r", key=b"nokey")
    ask("take away a permission of no role", "RoleRevokePermission", role="zz", key=b"nokey")
    ask("password of nobody", "UserChangePassword", name="zz", password="x")
    ask("delete nobody", "UserDelete", name="zz")
    ask("delete no role", "RoleDelete", role="zz")


def _without_credentials(interview: Interview) -> None:
    ask = interview.ask
    ask("nobody: range", "Range", key=b"a")
    ask("nobody: put", "Put", key=b"a")
    ask("nobody: delete", "DeleteRange", key=b"a")
    ask("nobody: txn", "Txn")
    ask("nobody: compact", "Compact", revision=5)
    ask("nobody: status", "Status")
    ask("nobody: members", "MemberList")
    ask("nobody: grant", "LeaseGrant", TTL=60, ID=60)
    ask("nobody: revoke", "LeaseRevoke", ID=60)
    ask("nobody: alarms", "Alarm")
    ask("nobody: users", "UserList")
    ask("nobody: auth status", "AuthStatus")
    ask("nobody: hash", "HashKV")
    ask("bad token", "Range", key=b"a", metadata=(("token", "abc"),))
    ask("wrong password", "Authenticate", name="u", password="x")
    ask("nobody's password", "Authenticate", name="zz", password="x")
    ask("no name", "Authenticate")
    ask("a user without a password", "Authenticate", name="nopw", password="")
    ask("a user with an empty password", "Authenticate", name="empty", password="")


def _tokens(interview: Interview) -> tuple[Any, Any]:
    user = interview.ask("authenticate", "Authenticate", name="u", password="p")
    root = interview.ask("authenticate as root", "Authenticate", name="root", password="pw")
    return tuple((("token", reply.token if reply else "none"),) for reply in (user, root))


def _as_user(interview: Interview, user: Any) -> None:
    def ask(question: str, method: str, /, **fields: Any) -> None:
        interview.ask(f"user: {question}", method, metadata=user, **fields)

    put, read = pb.RequestOp, pb.RangeRequest
    ask("put", "Put", key=b"p/1")
    ask("put elsewhere", "Put", key=b"z")
    ask("range", "Range", **P)
    ask("range of more", "Range", key=b"p", range_end=b"q")
    ask("range of one it may read", "Range", key=b"q")
    ask("put to one it may read", "Put", key=b"q")
    ask("put to one it may write", "Put", key=b"w")
    ask("put to one it may write, prev_kv", "Put", key=b"w", prev_kv=True)
    ask("range of one it may write", "Range", key=b"w")
    ask("delete", "DeleteRange", key=b"p/9")
    ask("delete elsewhere", "DeleteRange", key=b"z")
    ask("txn", "Txn", success=[put(request_range=read(key=b"p/1"))])
    ask("txn elsewhere", "Txn", success=[put(request_range=read(key=b"z"))])
    ask("txn elsewhere in the other branch", "Txn", failure=[put(request_range=read(key=b"z"))])
    ask("txn compares elsewhere", "Txn", compare=[pb.Compare(key=b"z")])
    nested = pb.TxnRequest(success=[put(request_range=read(key=b"z"))])
    ask("txn elsewhere, nested", "Txn", success=[put(request_txn=nested)])
    ask("users", "UserList")
    ask("itself", "UserGet", name="u")
    ask("another user", "UserGet", name="root")
    ask("its role", "RoleGet", role="r")
    ask("another role", "RoleGet", role="root")
    ask("compact", "Compact", revision=1)
    ask("add a member", "MemberAdd", peerURLs=["http://127.0.0.1:9999"])
    ask("status", "Status")
    ask("defragment", "Defragment")
    ask("change its password", "UserChangePassword", name="u", password="p2")
    ask("disable", "AuthDisable")
    authorization = (("authorization", user[0][1]),)
    interview.ask("user: token elsewhere", "Range", key=b"p/1", metadata=authorization)


def _as_root(interview: Interview, user: Any, root: Any) -> None:
    def ask(question: str, method: str, /, **fields: Any) -> None:
        interview.ask(f"root: {question}", method, metadata=root, **fields)

    ask("delete root", "UserDelete", name="root")
    ask("delete the role root", "RoleDelete", role="root")
    ask("take root from root", "UserRevokeRole", name="root", role="root")
    ask("put", "Put", key=b"root")
    for who, metadata in (("user", user), ("nobody", ())):
        with interview.api.stream("Watch", metadata=metadata) as stream:
            stream.send(create_request=pb.WatchCreateRequest(key=b"z"))
            interview.hear(f"{who}: watch what it may not read", stream, 1)
    with interview.api.stream("Watch", metadata=user) as stream:
        stream.send(create_request=pb.WatchCreateRequest(key=b"p/1"))
        interview.hear("user: watch what it may read", stream, 1)
    ask("add a role", "RoleAdd", name="r9")
    interview.ask("user: range after the roles have changed", "Range", key=b"p/1", metadata=user)
    ask("take away a permission", "RoleRevokePermission", role="r", **P)
    interview.ask("user: range after its permission is gone", "Range", key=b"p/1", metadata=user)
    ask("change the password of the user", "UserChangePassword", name="u", password="p3")
    interview.ask("user: its token after its password has changed", "Range", key=b"q", metadata=user)
    ask("delete the user", "UserDelete", name="u")
    ask("delete the role", "RoleDelete", role="r")
    ask("users", "UserList")
    ask("disable", "AuthDisable")
    interview.ask("after it was disabled: range", "Range", key=b"root")
    interview.ask("after it was disabled: range with an old token", "Range", key=b"root", metadata=root)
    interview.ask("after it was disabled: authenticate", "Authenticate", name="root", password="pw")
