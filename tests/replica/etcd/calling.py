"""Calls of etcd clients to a node in memory, without any bytes: what a service says of them is kept.

    caller = Caller(node)
    call = caller.ask("KV/Put", PutRequest(b"k", b"v"))
    call.reply, call.status, call.messages
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.calls import Caller as Who
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.status import OK, Status
from tests.replica.alone import Alone


class Asked:
    """What came of a call: `status` None while it is under way."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.status: Status | None = None
        self.call: Call

    @property
    def reply(self) -> Any:
        assert self.status == OK, self.status
        (reply,) = self.messages
        return reply


class Caller:
    """A transport that keeps all that it is given."""

    def __init__(self, node: Alone) -> None:
        self.node = node
        self.calls: dict[int, Asked] = {}

    def begin(
        self,
        method: str,
        request: msgspec.Struct,
        metadata: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
        request_bytes: int = 0,
    ) -> Asked:
        """Without a turn: nothing leaves or comes in yet."""
        path = next(path for path in METHODS if path.endswith(f".{method}"))
        stream = len(self.calls) + 1
        asked = self.calls[stream] = Asked()
        deadline = None if timeout_ms is None else self.node.now + timeout_ms
        asked.call = Call(self, stream, METHODS[path], metadata or {}, Who("127.0.0.1", 1), deadline)
        asked.call.request_bytes = request_bytes
        self.node.replica.etcd.dispatch(asked.call, request)
        return asked

    def ask(
        self,
        method: str,
        request: msgspec.Struct,
        metadata: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
    ) -> Asked:
        asked = self.begin(method, request, metadata, timeout_ms)
        self.node.turn()
        return asked

    # --- the transport --------------------------------------------------------------------------------------

    def messages(self, call: Call, messages: Sequence[msgspec.Struct]) -> None:
        self.calls[call.stream].messages += messages

    def reply(self, call: Call, message: msgspec.Struct) -> None:
        self.calls[call.stream].messages.append(message)
        self.calls[call.stream].status = OK

    def ended(self, call: Call, status: Status) -> None:
        self.calls[call.stream].status = status

    def backlog(self, call: Call) -> int:
        return 0
