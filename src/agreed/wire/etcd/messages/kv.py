"""Keys and values: the service `etcdserverpb.KV`, and the header that every reply of etcd opens with.

A `range_end` that is empty means one key; one zero byte means everything from `key` on.  `revision` and the
like are the store's; 0 is "now" or "not asked for".
"""
from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Struct

from agreed.wire.etcd.messages.fields import ONEOF, Int64, Uint64


class SortOrder(IntEnum):
    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortTarget(IntEnum):
    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class CompareResult(IntEnum):
    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class CompareTarget(IntEnum):
    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class ResponseHeader(Struct, frozen=True, gc=False):
    cluster_id: Annotated[Uint64, 1] = 0
    member_id: Annotated[Uint64, 2] = 0
    revision: Annotated[Int64, 3] = 0
    raft_term: Annotated[Uint64, 4] = 0


class KeyValue(Struct, frozen=True, gc=False):
    key: Annotated[bytes, 1] = b""
    create_revision: Annotated[Int64, 2] = 0
    mod_revision: Annotated[Int64, 3] = 0
    version: Annotated[Int64, 4] = 0
    value: Annotated[bytes, 5] = b""
    lease: Annotated[Int64, 6] = 0


class RangeRequest(Struct, frozen=True, gc=False):
    key: Annotated[bytes, 1] = b""
    range_end: Annotated[bytes, 2] = b""
    limit: Annotated[Int64, 3] = 0
    revision: Annotated[Int64, 4] = 0
    sort_order: Annotated[int, SortOrder, 5] = SortOrder.NONE
    sort_target: Annotated[int, SortTarget, 6] = SortTarget.KEY
    serializable: Annotated[bool, 7] = False
    keys_only: Annotated[bool, 8] = False
    count_only: Annotated[bool, 9] = False
    min_mod_revision: Annotated[Int64, 10] = 0
    max_mod_revision: Annotated[Int64, 11] = 0
    min_create_revision: Annotated[Int64, 12] = 0
    max_create_revision: Annotated[Int64, 13] = 0


class RangeResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    kvs: Annotated[tuple[KeyValue, ...], 2] = ()
    more: Annotated[bool, 3] = False
    count: Annotated[Int64, 4] = 0


class PutRequest(Struct, frozen=True, gc=False):
    key: Annotated[bytes, 1] = b""
    value: Annotated[bytes, 2] = b""
    lease: Annotated[Int64, 3] = 0
    prev_kv: Annotated[bool, 4] = False
    ignore_value: Annotated[bool, 5] = False
    ignore_lease: Annotated[bool, 6] = False


class PutResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    prev_kv: Annotated[KeyValue | None, 2] = None


class DeleteRangeRequest(Struct, frozen=True, gc=False):
    key: Annotated[bytes, 1] = b""
    range_end: Annotated[bytes, 2] = b""
    prev_kv: Annotated[bool, 3] = False


class DeleteRangeResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    deleted: Annotated[Int64, 2] = 0
    prev_kvs: Annotated[tuple[KeyValue, ...], 3] = ()


class Compare(Struct, frozen=True, gc=False):
    result: Annotated[int, CompareResult, 1] = CompareResult.EQUAL
    target: Annotated[int, CompareTarget, 2] = CompareTarget.VERSION
    key: Annotated[bytes, 3] = b""
    version: Annotated[Int64 | None, 4, ONEOF] = None
    create_revision: Annotated[Int64 | None, 5, ONEOF] = None
    mod_revision: Annotated[Int64 | None, 6, ONEOF] = None
    value: Annotated[bytes | None, 7, ONEOF] = None
    lease: Annotated[Int64 | None, 8, ONEOF] = None
    range_end: Annotated[bytes, 64] = b""


class RequestOp(Struct, frozen=True, gc=False):
    request_range: Annotated[RangeRequest | None, 1, ONEOF] = None
    request_put: Annotated[PutRequest | None, 2, ONEOF] = None
    request_delete_range: Annotated[DeleteRangeRequest | None, 3, ONEOF] = None
    request_txn: Annotated[TxnRequest | None, 4, ONEOF] = None


class ResponseOp(Struct, frozen=True, gc=False):
    response_range: Annotated[RangeResponse | None, 1, ONEOF] = None
    response_put: Annotated[PutResponse | None, 2, ONEOF] = None
    response_delete_range: Annotated[DeleteRangeResponse | None, 3, ONEOF] = None
    response_txn: Annotated[TxnResponse | None, 4, ONEOF] = None


class TxnRequest(Struct, frozen=True, gc=False):
    compare: Annotated[tuple[Compare, ...], 1] = ()
    success: Annotated[tuple[RequestOp, ...], 2] = ()
    failure: Annotated[tuple[RequestOp, ...], 3] = ()


class TxnResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    succeeded: Annotated[bool, 2] = False
    responses: Annotated[tuple[ResponseOp, ...], 3] = ()


class CompactionRequest(Struct, frozen=True, gc=False):
    revision: Annotated[Int64, 1] = 0
    physical: Annotated[bool, 2] = False


class CompactionResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
