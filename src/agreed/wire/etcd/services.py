"""Every method of every service: the one table that gRPC and the JSON gateway are dispatched by.

`METHODS` goes by gRPC's path, `ROUTES` by the path of the gateway.  Both are those of etcd 3.6; etcd's own
gateway serves no route for the health service, and still answers `/v3beta/...` as `/v3/...`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

import msgspec

from agreed.wire.etcd import messages


class Kind(Enum):
    UNARY = "one request, one reply"
    SERVER_STREAM = "one request, replies until the end"
    BIDIRECTIONAL = "requests and replies, each until its end"


class Method(msgspec.Struct, frozen=True):
    """`path` as in HTTP/2's `:path`: `/etcdserverpb.KV/Range`.  `routes`: on the gateway, all POST."""

    path: str
    kind: Kind
    request: type[msgspec.Struct]
    reply: type[msgspec.Struct]
    routes: tuple[str, ...] = ()

    @property
    def service(self) -> str:
        """`etcdserverpb.KV`."""
        return self.path[1:].partition("/")[0]

    @property
    def name(self) -> str:
        """`Range`."""
        return self.path.rpartition("/")[2]


_STREAMS: Final = {
    "/etcdserverpb.Watch/Watch": Kind.BIDIRECTIONAL,
    "/etcdserverpb.Lease/LeaseKeepAlive": Kind.BIDIRECTIONAL,
    "/etcdserverpb.Maintenance/Snapshot": Kind.SERVER_STREAM,
    "/v3electionpb.Election/Observe": Kind.SERVER_STREAM,
    "/grpc.health.v1.Health/Watch": Kind.SERVER_STREAM,
}

# Service, method, what its messages are called (without Request and Response), routes below /v3.
_TABLE: Final[tuple[tuple[str, str, str, tuple[str, ...]], ...]] = (
    ("etcdserverpb.KV", "Range", "Range", ("kv/range",)),
    ("etcdserverpb.KV", "Put", "Put", ("kv/put",)),
    ("etcdserverpb.KV", "DeleteRange", "DeleteRange", ("kv/deleterange",)),
    ("etcdserverpb.KV", "Txn", "Txn", ("kv/txn",)),
    ("etcdserverpb.KV", "Compact", "Compaction", ("kv/compaction",)),
    ("etcdserverpb.Watch", "Watch", "Watch", ("watch",)),
    ("etcdserverpb.Lease", "LeaseGrant", "LeaseGrant", ("lease/grant",)),
    ("etcdserverpb.Lease", "LeaseRevoke", "LeaseRevoke", ("lease/revoke", "kv/lease/revoke")),
    ("etcdserverpb.Lease", "LeaseKeepAlive", "LeaseKeepAlive", ("lease/keepalive",)),
    ("etcdserverpb.Lease", "LeaseTimeToLive", "LeaseTimeToLive", ("lease/timetolive", "kv/lease/timetolive")),
    ("etcdserverpb.Lease", "LeaseLeases", "LeaseLeases", ("lease/leases", "kv/lease/leases")),
    ("etcdserverpb.Cluster", "MemberAdd", "MemberAdd", ("cluster/member/add",)),
    ("etcdserverpb.Cluster", "MemberRemove", "MemberRemove", ("cluster/member/remove",)),
    ("etcdserverpb.Cluster", "MemberUpdate", "MemberUpdate", ("cluster/member/update",)),
    ("etcdserverpb.Cluster", "MemberList", "MemberList", ("cluster/member/list",)),
    ("etcdserverpb.Cluster", "MemberPromote", "MemberPromote", ("cluster/member/promote",)),
    ("etcdserverpb.Maintenance", "Alarm", "Alarm", ("maintenance/alarm",)),
    ("etcdserverpb.Maintenance", "Status", "Status", ("maintenance/status",)),
    ("etcdserverpb.Maintenance", "Defragment", "Defragment", ("maintenance/defragment",)),
    ("etcdserverpb.Maintenance", "Hash", "Hash", ("maintenance/hash",)),
    ("etcdserverpb.Maintenance", "HashKV", "HashKV", ("maintenance/hashkv",)),
    ("etcdserverpb.Maintenance", "Snapshot", "Snapshot", ("maintenance/snapshot",)),
    ("etcdserverpb.Maintenance", "MoveLeader", "MoveLeader", ("maintenance/transfer-leadership",)),
    ("etcdserverpb.Maintenance", "Downgrade", "Downgrade", ("maintenance/downgrade",)),
    ("etcdserverpb.Auth", "AuthEnable", "AuthEnable", ("auth/enable",)),
    ("etcdserverpb.Auth", "AuthDisable", "AuthDisable", ("auth/disable",)),
    ("etcdserverpb.Auth", "AuthStatus", "AuthStatus", ("auth/status",)),
    ("etcdserverpb.Auth", "Authenticate", "Authenticate", ("auth/authenticate",)),
    ("etcdserverpb.Auth", "UserAdd", "AuthUserAdd", ("auth/user/add",)),
    ("etcdserverpb.Auth", "UserGet", "AuthUserGet", ("auth/user/get",)),
    ("etcdserverpb.Auth", "UserList", "AuthUserList", ("auth/user/list",)),
    ("etcdserverpb.Auth", "UserDelete", "AuthUserDelete", ("auth/user/delete",)),
    ("etcdserverpb.Auth", "UserChangePassword", "AuthUserChangePassword", ("auth/user/changepw",)),
    ("etcdserverpb.Auth", "UserGrantRole", "AuthUserGrantRole", ("auth/user/grant",)),
    ("etcdserverpb.Auth", "UserRevokeRole", "AuthUserRevokeRole", ("auth/user/revoke",)),
    ("etcdserverpb.Auth", "RoleAdd", "AuthRoleAdd", ("auth/role/add",)),
    ("etcdserverpb.Auth", "RoleGet", "AuthRoleGet", ("auth/role/get",)),
    ("etcdserverpb.Auth", "RoleList", "AuthRoleList", ("auth/role/list",)),
    ("etcdserverpb.Auth", "RoleDelete", "AuthRoleDelete", ("auth/role/delete",)),
    ("etcdserverpb.Auth", "RoleGrantPermission", "AuthRoleGrantPermission", ("auth/role/grant",)),
    ("etcdserverpb.Auth", "RoleRevokePermission", "AuthRoleRevokePermission", ("auth/role/revoke",)),
    ("v3lockpb.Lock", "Lock", "Lock", ("lock/lock",)),
    ("v3lockpb.Lock", "Unlock", "Unlock", ("lock/unlock",)),
    ("v3electionpb.Election", "Campaign", "Campaign", ("election/campaign",)),
    ("v3electionpb.Election", "Proclaim", "Proclaim", ("election/proclaim",)),
    ("v3electionpb.Election", "Leader", "Leader", ("election/leader",)),
    ("v3electionpb.Election", "Observe", "Leader", ("election/observe",)),
    ("v3electionpb.Election", "Resign", "Resign", ("election/resign",)),
    ("grpc.health.v1.Health", "Check", "HealthCheck", ()),
    ("grpc.health.v1.Health", "Watch", "HealthCheck", ()),
)


def _methods() -> Iterator[Method]:
    for service, name, message, routes in _TABLE:
        path = f"/{service}/{name}"
        yield Method(
            path,
            _STREAMS.get(path, Kind.UNARY),
            getattr(messages, f"{message}Request"),
            getattr(messages, f"{message}Response"),
            tuple(f"/v3/{route}" for route in routes),
        )


METHODS: Final[dict[str, Method]] = {method.path: method for method in _methods()}
UNARY_PATHS: Final = frozenset(path for path, method in METHODS.items() if method.kind is Kind.UNARY)
ROUTES: Final[dict[str, Method]] = {route: method for method in METHODS.values() for route in method.routes}
SERVICES: Final = frozenset(method.service for method in METHODS.values())
