"""The members of the cluster: `etcdserverpb.Cluster`.  Replies to it carry no revision in their header."""
from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from agreed.wire.etcd.messages.fields import Uint64
from agreed.wire.etcd.messages.kv import ResponseHeader


class Member(Struct, frozen=True, gc=False):
    ID: Annotated[Uint64, 1] = 0
    name: Annotated[str, 2] = ""
    peerURLs: Annotated[tuple[str, ...], 3] = ()
    clientURLs: Annotated[tuple[str, ...], 4] = ()
    isLearner: Annotated[bool, 5] = False


class MemberAddRequest(Struct, frozen=True, gc=False):
    peerURLs: Annotated[tuple[str, ...], 1] = ()
    isLearner: Annotated[bool, 2] = False


class MemberAddResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    member: Annotated[Member | None, 2] = None
    members: Annotated[tuple[Member, ...], 3] = ()


class MemberRemoveRequest(Struct, frozen=True, gc=False):
    ID: Annotated[Uint64, 1] = 0


class MemberRemoveResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    members: Annotated[tuple[Member, ...], 2] = ()


class MemberUpdateRequest(Struct, frozen=True, gc=False):
    ID: Annotated[Uint64, 1] = 0
    peerURLs: Annotated[tuple[str, ...], 2] = ()


class MemberUpdateResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    members: Annotated[tuple[Member, ...], 2] = ()


class MemberListRequest(Struct, frozen=True, gc=False):
    linearizable: Annotated[bool, 1] = False


class MemberListResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    members: Annotated[tuple[Member, ...], 2] = ()


class MemberPromoteRequest(Struct, frozen=True, gc=False):
    ID: Annotated[Uint64, 1] = 0


class MemberPromoteResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    members: Annotated[tuple[Member, ...], 2] = ()
