"""Elections that servers run for clients: `v3electionpb.Election`."""
from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from agreed.wire.etcd.messages.fields import Int64
from agreed.wire.etcd.messages.kv import KeyValue, ResponseHeader


class LeaderKey(Struct, frozen=True, gc=False):
    name: Annotated[bytes, 1] = b""
    key: Annotated[bytes, 2] = b""
    rev: Annotated[Int64, 3] = 0
    lease: Annotated[Int64, 4] = 0


class CampaignRequest(Struct, frozen=True, gc=False):
    name: Annotated[bytes, 1] = b""
    lease: Annotated[Int64, 2] = 0
    value: Annotated[bytes, 3] = b""


class CampaignResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    leader: Annotated[LeaderKey | None, 2] = None


class LeaderRequest(Struct, frozen=True, gc=False):
    name: Annotated[bytes, 1] = b""


class LeaderResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    kv: Annotated[KeyValue | None, 2] = None


class ResignRequest(Struct, frozen=True, gc=False):
    leader: Annotated[LeaderKey | None, 1] = None


class ResignResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class ProclaimRequest(Struct, frozen=True, gc=False):
    leader: Annotated[LeaderKey | None, 1] = None
    value: Annotated[bytes, 2] = b""


class ProclaimResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
