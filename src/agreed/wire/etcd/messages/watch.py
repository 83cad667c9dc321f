"""Watches: one stream each way, many watchers on it, told apart by `watch_id`."""
from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Struct

from agreed.wire.etcd.messages.fields import ONEOF, Int64
from agreed.wire.etcd.messages.kv import KeyValue, ResponseHeader


class EventType(IntEnum):
    PUT = 0
    DELETE = 1


class FilterType(IntEnum):
    NOPUT = 0
    NODELETE = 1


class Event(Struct, frozen=True, gc=False):
    type: Annotated[int, EventType, 1] = EventType.PUT
    kv: Annotated[KeyValue | None, 2] = None
    prev_kv: Annotated[KeyValue | None, 3] = None


class WatchRequest(Struct, frozen=True, gc=False):
    create_request: Annotated[WatchCreateRequest | None, 1, ONEOF] = None
    cancel_request: Annotated[WatchCancelRequest | None, 2, ONEOF] = None
    progress_request: Annotated[WatchProgressRequest | None, 3, ONEOF] = None


class WatchCreateRequest(Struct, frozen=True, gc=False):
    key: Annotated[bytes, 1] = b""
    range_end: Annotated[bytes, 2] = b""
    start_revision: Annotated[Int64, 3] = 0
    progress_notify: Annotated[bool, 4] = False
    filters: Annotated[tuple[Annotated[int, FilterType], ...], 5] = ()
    prev_kv: Annotated[bool, 6] = False
    watch_id: Annotated[Int64, 7] = 0
    fragment: Annotated[bool, 8] = False


class WatchCancelRequest(Struct, frozen=True, gc=False):
    watch_id: Annotated[Int64, 1] = 0


class WatchProgressRequest(Struct, frozen=True, gc=False):
    pass


class WatchResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    watch_id: Annotated[Int64, 2] = 0
    created: Annotated[bool, 3] = False
    canceled: Annotated[bool, 4] = False
    compact_revision: Annotated[Int64, 5] = 0
    cancel_reason: Annotated[str, 6] = ""
    fragment: Annotated[bool, 7] = False
    events: Annotated[tuple[Event, ...], 11] = ()
