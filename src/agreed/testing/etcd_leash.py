"""Clients of etcd, whose calls pass one by one through the hands of a test.

A call is looked at where the node asks who calls: until that is known no service hears of it.  So one that
fails is refused there, and one that is delayed waits there; what is not to be answered breaks the connection
off where its reply would be written.  Other calls of the same connection go on meanwhile, as HTTP/2 has it.

Of streams (watches, keep-alives) only the beginning is a request that a fault can meet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agreed.errors import ConfigurationError
from agreed.node.listen import EtcdProtocol
from agreed.replica.etcd.calls import LATER, Call, Transport
from agreed.testing.faults import Fault, Treatment
from agreed.testing.history import ABSENT
from agreed.wire.etcd.messages import (
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    TxnRequest,
)
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.status import Code, Status

if TYPE_CHECKING:
    from agreed.replica.replica import Replica
    from agreed.testing.leashed_node import LeashedNode


def _word(name: str) -> str:
    """LeaseKeepAlive: lease_keep_alive."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


_SHORT: Final = {"Range": "get", "DeleteRange": "delete", "HashKV": "hash_kv"}

WORDS: Final = {
    path: _SHORT.get(method.name, _word(method.name))
    for path, method in METHODS.items()
    if not method.service.startswith("grpc.")
}
"""What tests call the requests, by the path of the method.  Health checks come when they like."""


def status(code: str, message: str) -> Status:
    """Raises ConfigurationError for a code that gRPC does not have."""
    try:
        return Status(Code[code.upper()], message)
    except KeyError:
        known = ", ".join(each.name for each in Code)
        raise ConfigurationError(f"gRPC has no code {code!r}: {known}") from None


class LeashedEtcdClient(EtcdProtocol):
    """One connection.  While the node is paused both directions wait."""

    def __init__(self, node: LeashedNode) -> None:
        super().__init__(node)
        self._node = node
        self._unheard: list[bytes] = []
        self._unsaid: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        if self._node.paused:
            self._unheard.append(data)
            self._node.on_resumed[self._resumed] = None
            return
        self._node.speaking = self
        try:
            super().data_received(data)
        finally:
            self._node.speaking = None

    def write(self, data: bytes) -> None:
        if self._node.paused:
            self._unsaid.append(data)
            self._node.on_resumed[self._resumed] = None
        else:
            super().write(data)

    def _resumed(self) -> None:
        unsaid, self._unsaid = self._unsaid, []
        unheard, self._unheard = self._unheard, []
        for data in unsaid:
            super().write(data)
        for data in unheard:
            self.data_received(data)

    def break_off(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class EtcdLeash:
    """Between the calls of one replica and its services."""

    def __init__(self, node: LeashedNode, replica: Replica) -> None:
        self._node = node
        self._front = replica.etcd
        self._admit = replica.etcd.admit
        self._front.admit = self.admit

    def admit(self, call: Call, request: Any) -> Status | None:
        word = WORDS.get(call.method.path)
        if word is None:
            return self._admit(call, request)
        node, client = self._node, self._node.speaking
        fault = node.pending.first_for(word, _keys(request))
        treatment = None if fault is None else fault.treatment
        if treatment is Treatment.DROP and client is not None:
            client.break_off()
            return LATER
        if fault is not None and treatment is Treatment.FAIL:
            assert isinstance(fault.error, Status)
            return fault.error
        if fault is not None and treatment is Treatment.DELAY:
            node.let_go_later(fault, lambda: self._let_go(call, request))
            return LATER
        call.transport = LeashedTransport(call.transport, node, request, fault, client)
        return self._admit(call, request)

    def _let_go(self, call: Call, request: Any) -> None:
        refusal = None if call.closed else self._admit(call, request)
        if call.closed or refusal is LATER:
            return
        if refusal is None:
            self._front.admitted(call, request)
        else:
            call.fail(refusal)
        self._node.start()


class LeashedTransport:
    """Where the answer to one call passes."""

    def __init__(
        self,
        inner: Transport,
        node: LeashedNode,
        request: Any,
        fault: Fault | None,
        client: LeashedEtcdClient | None,
    ) -> None:
        self._inner = inner
        self._recorder = node.recorder
        self._request = request
        self._lost = fault is not None
        self._client = client
        self._called = time.monotonic_ns()

    def _lose(self) -> bool:
        if self._lost and self._client is not None:
            self._client.break_off()
        return self._lost

    def messages(self, call: Call, messages: Sequence[msgspec.Struct]) -> None:
        if not self._lose():
            self._inner.messages(call, messages)

    def reply(self, call: Call, message: msgspec.Struct) -> None:
        if not self._lose():
            self._record(message)
            self._inner.reply(call, message)

    def ended(self, call: Call, status: Status) -> None:
        if not self._lose():
            self._inner.ended(call, status)

    def backlog(self, call: Call) -> int:
        return self._inner.backlog(call)

    def _record(self, reply: msgspec.Struct) -> None:
        request, note = self._request, self._recorder.note
        if isinstance(request, PutRequest) and not request.ignore_value:
            note("write", repr(request.value)[1:], _text(request.key), self._called)
        elif isinstance(request, RangeRequest) and isinstance(reply, RangeResponse) and _is_plain(request):
            value = repr(reply.kvs[0].value)[1:] if reply.kvs else ABSENT
            note("read", value, _text(request.key), self._called)


def _is_plain(request: RangeRequest) -> bool:
    """Of one key as it is now, and not as some node happens to have it."""
    return msgspec.structs.replace(request, key=b"") == RangeRequest()


def _keys(request: Any) -> list[str]:
    if isinstance(request, TxnRequest):
        return [key for each in (*request.success, *request.failure) for key in _keys_of_part(each)]
    for name in ("key", "name"):
        key = getattr(request, name, None)
        if isinstance(key, bytes):
            return [_text(key)]
    return []


def _keys_of_part(part: RequestOp) -> list[str]:
    parts = (part.request_put, part.request_range, part.request_delete_range, part.request_txn)
    return [key for each in parts if each is not None for key in _keys(each)]


def _text(key: bytes) -> str:
    return key.decode(errors="replace")
