"""Every request a client can send, as a value that can be printed, kept in a file, and sent to any server.

A path that begins with `~` lies under the root of the sequence; all others are sent as they are.  Each
class knows its operation code, its body, and how its reply is taken apart.
"""
from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tests.acceptance.fields import Field, Nature, acl_field, names_field, stat_fields
from tests.acceptance.jute import OPEN, Acl, Reader, Writer
from tests.acceptance.raw_client import AUTH, PING, SET_WATCHES


def placed(path: str | None, root: str) -> str | None:
    return root + path[1:] if path is not None and path.startswith("~") else path


class Request(msgspec.Struct, frozen=True, tag_field="op", tag=True, omit_defaults=True):
    """`xid` None: the next number."""

    @property
    def code(self) -> int:
        raise NotImplementedError

    @property
    def xid(self) -> int | None:
        return None

    def body(self, root: str, relative_zxid: int) -> bytes:
        raise NotImplementedError

    def reply(self, reader: Reader) -> Iterator[Field]:
        """The fields of a successful reply's body.  Default: there is none."""
        yield from ()


class Create(Request, frozen=True):
    """`operation`: 1 create, 15 create2, 19 createContainer, 21 createTTL (then `ttl` counts)."""

    path: str | None
    data: bytes | None = b""
    acl: tuple[Acl, ...] | None = OPEN
    flags: int = 0
    operation: int = 1
    ttl: int = 0

    @property
    def code(self) -> int:
        return self.operation

    def body(self, root: str, relative_zxid: int) -> bytes:
        writer = Writer().text(placed(self.path, root)).buffer(self.data).acl(self.acl).int32(self.flags)
        if self.operation == 21:
            writer.int64(self.ttl)
        return writer.bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        yield Field("path", Nature.VALUE, reader.text())
        if self.operation != 1:
            yield from stat_fields(reader.stat())


class Delete(Request, frozen=True):
    path: str | None
    version: int = -1

    @property
    def code(self) -> int:
        return 2

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).int32(self.version).bytes()


class SetData(Request, frozen=True):
    path: str | None
    data: bytes | None
    version: int = -1

    @property
    def code(self) -> int:
        return 5

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).buffer(self.data).int32(self.version).bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        yield from stat_fields(reader.stat())


class SetAcl(Request, frozen=True):
    path: str | None
    acl: tuple[Acl, ...] | None
    version: int = -1

    @property
    def code(self) -> int:
        return 7

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).acl(self.acl).int32(self.version).bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        yield from stat_fields(reader.stat())


class Check(Request, frozen=True):
    path: str | None
    version: int = -1

    @property
    def code(self) -> int:
        return 13

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).int32(self.version).bytes()


class Read(Request, frozen=True):
    """`operation`: 3 exists, 4 getData, 8 getChildren, 12 getChildren2."""

    operation: int
    path: str | None
    watch: bool = False

    @property
    def code(self) -> int:
        return self.operation

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).boolean(self.watch).bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        if self.operation == 4:
            yield Field("data", Nature.VALUE, reader.buffer())
        if self.operation in (8, 12):
            yield names_field(reader, "children")
        if self.operation != 8:
            yield from stat_fields(reader.stat())


class GetAcl(Request, frozen=True):
    path: str | None

    @property
    def code(self) -> int:
        return 6

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        yield acl_field(reader.acl())
        yield from stat_fields(reader.stat())


class Sync(Request, frozen=True):
    path: str | None = "/"

    @property
    def code(self) -> int:
        return 9

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        yield Field("path", Nature.VALUE, reader.text())


class Ping(Request, frozen=True):
    @property
    def code(self) -> int:
        return 11

    @property
    def xid(self) -> int | None:
        return PING

    def body(self, root: str, relative_zxid: int) -> bytes:
        return b""


class GetEphemerals(Request, frozen=True):
    prefix: str | None = None

    @property
    def code(self) -> int:
        return 103

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.prefix, root)).bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        yield names_field(reader, "paths")


class CountAllChildren(Request, frozen=True):
    path: str | None

    @property
    def code(self) -> int:
        return 104

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        yield Field("count", Nature.VALUE, reader.int32())


class WhoAmI(Request, frozen=True):
    @property
    def code(self) -> int:
        return 107

    def body(self, root: str, relative_zxid: int) -> bytes:
        return b""

    def reply(self, reader: Reader) -> Iterator[Field]:
        identities = reader.vector(lambda: f"{reader.text()}:{reader.text()}")
        yield Field("identities", Nature.NAMES, tuple(identities))


class Authenticate(Request, frozen=True):
    scheme: str | None
    credential: bytes

    @property
    def code(self) -> int:
        return 100

    @property
    def xid(self) -> int | None:
        return AUTH

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().int32(0).text(self.scheme).buffer(self.credential).bytes()


class WatchChange(Request, frozen=True):
    """`operation`: 17 checkWatches, 18 removeWatches.  `kind`: 1 children, 2 data, 3 any."""

    operation: int
    path: str | None
    kind: int

    @property
    def code(self) -> int:
        return self.operation

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).int32(self.kind).bytes()


class AddWatch(Request, frozen=True):
    """`mode` 0: persistent, 1: persistent recursive."""

    path: str | None
    mode: int

    @property
    def code(self) -> int:
        return 106

    def body(self, root: str, relative_zxid: int) -> bytes:
        return Writer().text(placed(self.path, root)).int32(self.mode).bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        yield Field("err", Nature.VALUE, reader.int32())


class SetWatches(Request, frozen=True):
    """What a client sends after a reconnect, relative to the last zxid it saw before.

    With `persistent` or `recursive` it is setWatches2 (105), else setWatches (101)."""

    data: tuple[str, ...] = ()
    exist: tuple[str, ...] = ()
    child: tuple[str, ...] = ()
    persistent: tuple[str, ...] = ()
    recursive: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        return 105 if self.persistent or self.recursive else 101

    @property
    def xid(self) -> int | None:
        return SET_WATCHES

    def body(self, root: str, relative_zxid: int) -> bytes:
        lists = [self.data, self.exist, self.child]
        if self.code == 105:
            lists += [self.persistent, self.recursive]
        writer = Writer().int64(relative_zxid)
        for paths in lists:
            writer.texts([placed(path, root) for path in paths])
        return writer.bytes()


class CloseSession(Request, frozen=True):
    @property
    def code(self) -> int:
        return -11

    def body(self, root: str, relative_zxid: int) -> bytes:
        return b""


class Anything(Request, frozen=True):
    """Any code with any body: what no client should send."""

    operation: int
    payload: bytes = b""

    @property
    def code(self) -> int:
        return self.operation

    def body(self, root: str, relative_zxid: int) -> bytes:
        return self.payload


class Multi(Request, frozen=True):
    """`reading`: multiRead (22), else multi (14)."""

    operations: tuple[Create | Delete | SetData | Check | Read | SetAcl, ...]
    reading: bool = False

    @property
    def code(self) -> int:
        return 22 if self.reading else 14

    def body(self, root: str, relative_zxid: int) -> bytes:
        writer = Writer()
        for operation in self.operations:
            writer.int32(operation.code).boolean(False).int32(-1).raw(operation.body(root, relative_zxid))
        return writer.int32(-1).boolean(True).int32(-1).bytes()

    def reply(self, reader: Reader) -> Iterator[Field]:
        position = 0
        while True:
            kind, done, err = reader.int32(), reader.boolean(), reader.int32()
            if done:
                yield Field("end", Nature.VALUE, (kind, err, position))
                return
            yield Field(f"{position}.result", Nature.VALUE, (kind, err))
            if kind == -1:
                yield Field(f"{position}.err", Nature.VALUE, reader.int32())
            else:
                for field in self._result(kind, reader):
                    yield Field(f"{position}.{field.name}", field.nature, field.value)
            position += 1

    @staticmethod
    def _result(kind: int, reader: Reader) -> Iterator[Field]:
        if kind in (1, 15):
            yield Field("path", Nature.VALUE, reader.text())
        if kind == 4:
            yield Field("data", Nature.VALUE, reader.buffer())
        if kind == 8:
            yield names_field(reader, "children")
        if kind in (4, 5, 15):
            yield from stat_fields(reader.stat())


AnyRequest = (
    Create
    | Delete
    | SetData
    | SetAcl
    | Check
    | Read
    | GetAcl
    | Sync
    | Ping
    | GetEphemerals
    | CountAllChildren
    | WhoAmI
    | Authenticate
    | WatchChange
    | AddWatch
    | SetWatches
    | CloseSession
    | Anything
    | Multi
)
