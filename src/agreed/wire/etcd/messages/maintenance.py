"""What operators ask of one member: `etcdserverpb.Maintenance`.  Sizes are bytes."""
from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Struct

from agreed.wire.etcd.messages.fields import Int64, Uint32, Uint64
from agreed.wire.etcd.messages.kv import ResponseHeader


class AlarmAction(IntEnum):
    GET = 0
    ACTIVATE = 1
    DEACTIVATE = 2


class DowngradeAction(IntEnum):
    VALIDATE = 0
    ENABLE = 1
    CANCEL = 2


class AlarmType(IntEnum):
    NONE = 0
    NOSPACE = 1
    CORRUPT = 2


class HashRequest(Struct, frozen=True, gc=False):
    pass


class HashKVRequest(Struct, frozen=True, gc=False):
    revision: Annotated[Int64, 1] = 0


class HashKVResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    hash: Annotated[Uint32, 2] = 0
    compact_revision: Annotated[Int64, 3] = 0
    hash_revision: Annotated[Int64, 4] = 0


class HashResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    hash: Annotated[Uint32, 2] = 0


class SnapshotRequest(Struct, frozen=True, gc=False):
    pass


class SnapshotResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    remaining_bytes: Annotated[Uint64, 2] = 0
    blob: Annotated[bytes, 3] = b""
    version: Annotated[str, 4] = ""


class DefragmentRequest(Struct, frozen=True, gc=False):
    pass


class DefragmentResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class MoveLeaderRequest(Struct, frozen=True, gc=False):
    targetID: Annotated[Uint64, 1] = 0


class MoveLeaderResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AlarmRequest(Struct, frozen=True, gc=False):
    action: Annotated[int, AlarmAction, 1] = AlarmAction.GET
    memberID: Annotated[Uint64, 2] = 0
    alarm: Annotated[int, AlarmType, 3] = AlarmType.NONE


class AlarmMember(Struct, frozen=True, gc=False):
    memberID: Annotated[Uint64, 1] = 0
    alarm: Annotated[int, AlarmType, 2] = AlarmType.NONE


class AlarmResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    alarms: Annotated[tuple[AlarmMember, ...], 2] = ()


class DowngradeRequest(Struct, frozen=True, gc=False):
    action: Annotated[int, DowngradeAction, 1] = DowngradeAction.VALIDATE
    version: Annotated[str, 2] = ""


class DowngradeResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    version: Annotated[str, 2] = ""


class DowngradeVersionTestRequest(Struct, frozen=True, gc=False):
    ver: Annotated[str, 1] = ""


class StatusRequest(Struct, frozen=True, gc=False):
    pass


class StatusResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    version: Annotated[str, 2] = ""
    dbSize: Annotated[Int64, 3] = 0
    leader: Annotated[Uint64, 4] = 0
    raftIndex: Annotated[Uint64, 5] = 0
    raftTerm: Annotated[Uint64, 6] = 0
    raftAppliedIndex: Annotated[Uint64, 7] = 0
    errors: Annotated[tuple[str, ...], 8] = ()
    dbSizeInUse: Annotated[Int64, 9] = 0
    isLearner: Annotated[bool, 10] = False
    storageVersion: Annotated[str, 11] = ""
    dbSizeQuota: Annotated[Int64, 12] = 0
    downgradeInfo: Annotated[DowngradeInfo | None, 13] = None


class DowngradeInfo(Struct, frozen=True, gc=False):
    enabled: Annotated[bool, 1] = False
    targetVersion: Annotated[str, 2] = ""
