"""The etcd v3 API for a client that shares no code with ours: Google's protobuf, from `messages.txt`.

`pb.RangeRequest(key=b"a")` is a message of the protobuf runtime; `METHODS` says for each path which messages
it takes and gives, and whether they are streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MESSAGES = Path(__file__).parent / "messages.txt"

Field = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "bytes": Field.TYPE_BYTES,
    "string": Field.TYPE_STRING,
    "bool": Field.TYPE_BOOL,
    "int64": Field.TYPE_INT64,
    "uint64": Field.TYPE_UINT64,
    "uint32": Field.TYPE_UINT32,
}


class Method(NamedTuple):
    """`/package.Service/Name`."""

    path: str
    request: str
    reply: str
    streams_requests: bool
    streams_replies: bool


def _unary(
    service: str, names: str, request: str = "{}Request", reply: str = "{}Response"
) -> Iterator[Method]:
    for name in names.split():
        yield Method(f"/{service}/{name}", request.format(name), reply.format(name), False, False)


METHODS = {
    method.path.rpartition("/")[2]: method
    for method in (
        *_unary("etcdserverpb.KV", "Range Put DeleteRange Txn"),
        *_unary("etcdserverpb.KV", "Compact", "CompactionRequest", "CompactionResponse"),
        Method("/etcdserverpb.Watch/Watch", "WatchRequest", "WatchResponse", True, True),
        *_unary("etcdserverpb.Lease", "LeaseGrant LeaseRevoke LeaseTimeToLive LeaseLeases"),
        Method(
            "/etcdserverpb.Lease/LeaseKeepAlive",
            "LeaseKeepAliveRequest",
            "LeaseKeepAliveResponse",
            True,
            True,
        ),
        *_unary("etcdserverpb.Cluster", "MemberAdd MemberRemove MemberUpdate MemberList MemberPromote"),
        *_unary("etcdserverpb.Maintenance", "Alarm Status Hash HashKV MoveLeader Downgrade"),
        *_unary("etcdserverpb.Maintenance", "Defragment"),
        Method("/etcdserverpb.Maintenance/Snapshot", "SnapshotRequest", "SnapshotResponse", False, True),
        *_unary("etcdserverpb.Auth", "AuthEnable AuthDisable AuthStatus Authenticate"),
        *_unary(
            "etcdserverpb.Auth",
            "UserAdd UserGet UserList UserDelete UserChangePassword UserGrantRole UserRevokeRole RoleAdd"
            " RoleGet RoleList RoleDelete RoleGrantPermission RoleRevokePermission",
            "Auth{}Request",
            "Auth{}Response",
        ),
        *_unary("v3lockpb.Lock", "Lock Unlock"),
        *_unary("v3electionpb.Election", "Campaign Proclaim Leader Resign"),
        Method("/v3electionpb.Election/Observe", "LeaderRequest", "LeaderResponse", False, True),
        *_unary("grpc.health.v1.Health", "Check", "HealthCheckRequest", "HealthCheckResponse"),
    )
}
"""By the last part of their path: no two services have a method of the same name here."""


def _read() -> dict[str, list[str]]:
    """The lines of each package."""
    packages: dict[str, list[str]] = {}
    for line in MESSAGES.read_text().splitlines():
        if line.startswith("package "):
            lines = packages.setdefault(line.split()[1], [])
        elif line and not line.startswith("#"):
            lines.append(line)
    return packages


def _build(pool: descriptor_pool.DescriptorPool) -> dict[str, Any]:
    packages = _read()
    where = {_name(line): package for package, lines in packages.items() for line in lines}
    enums = {_name(line) for lines in packages.values() for line in lines if line.startswith("enum ")}
    names = []
    for package, lines in packages.items():
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        file.dependency.extend(sorted({f"{other}.proto" for other in _others(lines, where, package)}))
        for line in lines:
            if not line.startswith("enum "):
                _message(file.message_type.add(), line, where, enums)
                names.append(f"{package}.{_name(line)}")
        for line in lines:
            if line.startswith("enum "):
                _enum(file, line)
        pool.Add(file)
    found = {}
    for name in names:
        found[name.rpartition(".")[2]] = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    return found


def _name(line: str) -> str:
    return line.removeprefix("enum ").partition(" =")[0]


def _parts(line: str) -> list[list[str]]:
    return [part.split() for part in line.partition("=")[2].split(",") if part.strip()]


def _bare(kind: str) -> str:
    """Without its package, which begins with a small letter."""
    return kind.partition(".")[2] if kind[0].islower() and "." in kind else kind


def _others(lines: list[str], where: dict[str, str], package: str) -> Iterator[str]:
    for line in lines:
        if not line.startswith("enum "):
            for words in _parts(line):
                kind = _bare(words[3] if words[2] == "repeated" else words[2])
                if kind not in SCALARS and where[kind] != package:
                    yield where[kind]


def _message(message: Any, line: str, where: dict[str, str], enums: set[str]) -> None:
    message.name = _name(line)
    for number, name, *rest in _parts(line):
        field = message.field.add(number=int(number), name=name, label=Field.LABEL_OPTIONAL)
        if rest[0] == "repeated":
            field.label = Field.LABEL_REPEATED
            del rest[0]
        kind = _bare(rest[0])
        if kind in SCALARS:
            field.type = SCALARS[kind]
        else:
            field.type = Field.TYPE_ENUM if kind in enums else Field.TYPE_MESSAGE
            field.type_name = f".{where[kind]}.{kind}"
        if rest[1:]:
            if rest[2] not in [each.name for each in message.oneof_decl]:
                message.oneof_decl.add(name=rest[2])
            field.oneof_index = [each.name for each in message.oneof_decl].index(rest[2])


def _enum(file: Any, line: str) -> None:
    outer, _, inner = _name(line).rpartition(".")
    holder = next((each for each in file.message_type if each.name == outer), file)
    enum = holder.enum_type.add(name=inner)
    for number, name in _parts(line):
        enum.value.add(number=int(number), name=name)


class Messages:
    """Each message class by its name."""

    def __init__(self) -> None:
        self._classes = _build(descriptor_pool.DescriptorPool())

    def __getattr__(self, name: str) -> Any:
        return self._classes[name]


pb = Messages()
