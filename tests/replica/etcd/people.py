"""Users and roles of a cluster in memory, and calls by those who log in."""

from __future__ import annotations

import msgspec

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.calls import Caller as Who
from agreed.replica.settings import Settings
from agreed.wire.etcd.messages import (
    AuthEnableRequest,
    AuthenticateRequest,
    AuthRoleAddRequest,
    AuthRoleGrantPermissionRequest,
    AuthUserAddRequest,
    AuthUserGrantRoleRequest,
    LeaseGrantRequest,
    Permission,
    PutRequest,
    UserAddOptions,
)
from agreed.wire.etcd.services import METHODS
from tests.replica.etcd.calling import Asked
from tests.replica.etcd.together import Together

ROOT_PASSWORD, ANNAS_PASSWORD = "root's", "anna's"


class People:
    """Calls by those who log in; anna may read and write what begins with `p/`, and read `q`."""

    def __init__(self, nodes: Together) -> None:
        self.nodes = nodes
        self.name = nodes.leader
        for method, request in (
            ("UserAdd", AuthUserAddRequest("root", ROOT_PASSWORD)),
            ("UserAdd", AuthUserAddRequest("anna", ANNAS_PASSWORD)),
            ("UserAdd", AuthUserAddRequest("card", "", UserAddOptions(True))),
            ("RoleAdd", AuthRoleAddRequest("root")),
            ("UserGrantRole", AuthUserGrantRoleRequest("root", "root")),
            ("RoleAdd", AuthRoleAddRequest("r")),
            ("RoleGrantPermission", AuthRoleGrantPermissionRequest("r", Permission(2, b"p/", b"p0"))),
            ("RoleGrantPermission", AuthRoleGrantPermissionRequest("r", Permission(0, b"q"))),
            ("UserGrantRole", AuthUserGrantRoleRequest("anna", "r")),
            ("UserGrantRole", AuthUserGrantRoleRequest("card", "r")),
            ("AuthEnable", AuthEnableRequest()),
        ):
            self.ask(f"Auth/{method}", request).reply  # noqa: B018

    def begin(
        self, method: str, request: msgspec.Struct, token: str | None = None, certificate: str | None = None
    ) -> Asked:
        """Without a turn: nothing leaves or comes in yet."""
        path = next(path for path in METHODS if path.endswith(f".{method}"))
        caller = self.nodes.caller(self.name)
        stream = len(caller.calls) + 1
        asked = caller.calls[stream] = Asked()
        who = Who("127.0.0.1", 1, token, certificate)
        asked.call = Call(caller, stream, METHODS[path], {}, who, None)
        self.nodes.replica(self.name).etcd.dispatch(asked.call, request)
        return asked

    def ask(
        self, method: str, request: msgspec.Struct, token: str | None = None, certificate: str | None = None
    ) -> Asked:
        asked = self.begin(method, request, token, certificate)
        self.nodes.nodes[self.name].turn()
        return asked

    def login(self, name: str, password: str) -> str:
        token: str = self.ask("Auth/Authenticate", AuthenticateRequest(name, password)).reply.token
        return token


class Signer:
    """Tokens that say `user revision`."""

    def sign(self, user: str, auth_revision: int, wall_ms: int) -> str | None:
        return f"{user} {auth_revision}"

    def verify(self, token: str, wall_ms: int) -> tuple[str, int] | None:
        user, _, revision = token.partition(" ")
        return (user, int(revision)) if revision else None


class Behind:
    """Three nodes, one of which has not heard of what the others have agreed upon last.  `boss` is another
    who may do everything."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.nodes = Together("n1", "n2", "n3", settings=settings)
        self.people = People(self.nodes)
        self.agree("Auth/UserAdd", AuthUserAddRequest("boss", "boss's"))
        self.agree("Auth/UserGrantRole", AuthUserGrantRoleRequest("boss", "root"))
        self.agree("Lease/LeaseGrant", LeaseGrantRequest(100, 7))
        self.agree("KV/Put", PutRequest(b"p/7", b"v", 7))
        self.boss = self.people.login("boss", "boss's")
        self.anna = self.people.login("anna", ANNAS_PASSWORD)

    def agree(self, method: str, request: msgspec.Struct) -> None:
        assert self.people.ask(method, request, self.people.login("root", ROOT_PASSWORD)).reply

    def hears_late(self, method: str, request: msgspec.Struct) -> None:
        """A change by root, which one of them has not heard of when it is asked the next question."""
        late, auth = self.nodes.follower, self.nodes.replica(self.people.name).store.users
        root = self.people.login("root", ROOT_PASSWORD) if auth.enabled else None
        self.nodes.cut.add(late)
        changed = self.people.begin(method, request, root)
        self.nodes.settle()
        assert changed.reply
        self.nodes.cut.clear()
        self.people.name = late
