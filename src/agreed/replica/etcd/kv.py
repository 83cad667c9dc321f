"""The KV service: reads behind a barrier (or at once, where asked so), everything else through the log."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.large_ranges import LargeRanges
from agreed.store.commands import Compact, Transaction
from agreed.store.results import (
    RangeResult,
    Refusal,
    Result,
    TransactionResult,
)
from agreed.store.work import KEYS_MOST, keys_looked_at
from agreed.store.znode_view import is_in_view, is_refused
from agreed.store.znode_view import read as read_znodes
from agreed.wire.etcd import errors, translate
from agreed.wire.etcd.messages import (
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    TxnRequest,
)

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients


class KvService:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._large = LargeRanges(front, self._answer)
        settings = front.replica.settings
        self._znode_view = settings.znode_view
        self._request_bytes_most = settings.etcd_max_request_bytes
        self._operations_most = settings.etcd_max_txn_ops

    def handlers(self) -> Mapping[str, Callable[[Call, Any], None]]:
        return {
            "/etcdserverpb.KV/Range": self.range,
            "/etcdserverpb.KV/Put": self.put,
            "/etcdserverpb.KV/DeleteRange": self.delete_range,
            "/etcdserverpb.KV/Txn": self.txn,
            "/etcdserverpb.KV/Compact": self.compact,
        }

    # --- reads ----------------------------------------------------------------------------------------------

    def range(self, call: Call, request: RangeRequest) -> None:
        fault = translate.range_fault(request)
        if fault is not None:
            call.fail(fault)
        elif request.serializable:
            self._read(call, request)
        else:
            self._front.read(call, lambda: self._read(call, request))

    def _read(self, call: Call, request: RangeRequest) -> None:
        front = self._front
        refusal = front.may_read(call, request.key, request.range_end or None)
        if refusal is not None:
            call.fail(refusal)
            return
        in_view = self._znode_view and is_in_view(request.key, request.range_end or None)
        if in_view or not self._large.takes(call, request):
            self._answer(call, request)

    def _answer(self, call: Call, request: RangeRequest) -> None:
        front = self._front
        store = front.replica.store
        result: RangeResult | Refusal
        if self._znode_view and is_in_view(request.key, request.range_end or None):
            result = read_znodes(store, translate.range_operation(request))
        else:
            result = store.flat.range(translate.range_operation(request), store.revision)
        if isinstance(result, RangeResult):
            call.reply(translate.range_reply(request, result, front.header()))
        else:
            call.fail(translate.status_of(result))

    # --- writes ---------------------------------------------------------------------------------------------

    def put(self, call: Call, request: PutRequest) -> None:
        fault = translate.put_fault(request)
        if fault is not None:
            call.fail(fault)
            return
        if translate.too_large(call.request_bytes, self._request_bytes_most):
            call.fail(errors.REQUEST_TOO_LARGE)
            return
        front = self._front
        front.submit_for_reply(
            call,
            translate.put_operation(request),
            lambda result: translate.put_reply(request, result, front.header()),
        )

    def delete_range(self, call: Call, request: DeleteRangeRequest) -> None:
        fault = translate.delete_fault(request)
        if fault is not None:
            call.fail(fault)
            return
        front = self._front
        front.submit_for_reply(
            call,
            translate.delete_operation(request),
            lambda result: translate.delete_reply(request, result, front.header()),
        )

    def txn(self, call: Call, request: TxnRequest) -> None:
        fault = translate.txn_fault(request, self._operations_most, self._is_too_much)
        if fault is not None:
            call.fail(fault)
            return
        if translate.too_large(call.request_bytes, self._request_bytes_most):
            call.fail(errors.REQUEST_TOO_LARGE)
            return
        front = self._front
        if not translate.only_reads(request):
            front.submit(
                call, translate.transaction(request), lambda result: self._transacted(call, request, result)
            )
        elif translate.only_serializable(request):
            self._read_txn(call, request)
        else:
            front.read(call, lambda: self._read_txn(call, request))

    def _is_too_much(self, command: Transaction) -> bool:
        return keys_looked_at(self._front.replica.store.flat.history, command) > KEYS_MOST

    def _read_txn(self, call: Call, request: TxnRequest) -> None:
        front = self._front
        transaction = translate.transaction(request)
        if self._znode_view and is_refused(transaction):
            call.fail(errors.PERMISSION_DENIED)
            return
        self._transacted(call, request, front.replica.store.look(front.on_behalf(call, transaction)))

    def _transacted(self, call: Call, request: TxnRequest, result: Result) -> None:
        if isinstance(result, TransactionResult):
            header = self._front.header()
            before = header.revision - 1 if translate.wrote(result) else header.revision
            call.reply(translate.txn_reply(request, result, header, before))
        else:
            assert isinstance(result, Refusal)
            call.fail(translate.status_of(result))

    def compact(self, call: Call, request: CompactionRequest) -> None:
        front = self._front
        front.submit_for_reply(
            call, Compact(request.revision), lambda _: CompactionResponse(front.header())
        )
