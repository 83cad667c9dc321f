"""The lock that servers hold for clients: `v3lockpb.Lock`."""
from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from agreed.wire.etcd.messages.fields import Int64
from agreed.wire.etcd.messages.kv import ResponseHeader


class LockRequest(Struct, frozen=True, gc=False):
    name: Annotated[bytes, 1] = b""
    lease: Annotated[Int64, 2] = 0


class LockResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    key: Annotated[bytes, 2] = b""


class UnlockRequest(Struct, frozen=True, gc=False):
    key: Annotated[bytes, 1] = b""


class UnlockResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
