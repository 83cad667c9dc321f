"""Leases: a time to live that keys are attached to.  Times are whole seconds."""
from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from agreed.wire.etcd.messages.fields import Int64
from agreed.wire.etcd.messages.kv import ResponseHeader


class LeaseGrantRequest(Struct, frozen=True, gc=False):
    TTL: Annotated[Int64, 1] = 0
    ID: Annotated[Int64, 2] = 0


class LeaseGrantResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    ID: Annotated[Int64, 2] = 0
    TTL: Annotated[Int64, 3] = 0
    error: Annotated[str, 4] = ""


class LeaseRevokeRequest(Struct, frozen=True, gc=False):
    ID: Annotated[Int64, 1] = 0


class LeaseRevokeResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class LeaseCheckpoint(Struct, frozen=True, gc=False):
    ID: Annotated[Int64, 1] = 0
    remaining_TTL: Annotated[Int64, 2] = 0


class LeaseCheckpointRequest(Struct, frozen=True, gc=False):
    checkpoints: Annotated[tuple[LeaseCheckpoint, ...], 1] = ()


class LeaseCheckpointResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class LeaseKeepAliveRequest(Struct, frozen=True, gc=False):
    ID: Annotated[Int64, 1] = 0


class LeaseKeepAliveResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    ID: Annotated[Int64, 2] = 0
    TTL: Annotated[Int64, 3] = 0


class LeaseTimeToLiveRequest(Struct, frozen=True, gc=False):
    ID: Annotated[Int64, 1] = 0
    keys: Annotated[bool, 2] = False


class LeaseTimeToLiveResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    ID: Annotated[Int64, 2] = 0
    TTL: Annotated[Int64, 3] = 0
    grantedTTL: Annotated[Int64, 4] = 0
    keys: Annotated[tuple[bytes, ...], 5] = ()


class LeaseLeasesRequest(Struct, frozen=True, gc=False):
    pass


class LeaseStatus(Struct, frozen=True, gc=False):
    ID: Annotated[Int64, 1] = 0


class LeaseLeasesResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    leases: Annotated[tuple[LeaseStatus, ...], 2] = ()
