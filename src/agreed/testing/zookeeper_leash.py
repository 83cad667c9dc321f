"""Clients of ZooKeeper's protocol, whose requests and replies pass one by one through the hands of a test.

Replies leave in the order of the requests, or a client takes the connection for broken.  So a request that is
to fail is not answered by us out of turn: the server is asked something harmless in its place, and what it
answers is made an error.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from agreed.errors import ConfigurationError, MalformedInput
from agreed.node.listen import ClientProtocol
from agreed.testing.faults import Fault, Treatment
from agreed.testing.history import ABSENT
from agreed.wire.zookeeper.connection import FOUR_LETTER_WORDS
from agreed.wire.zookeeper.messages import (
    ErrorCode,
    ExistsRequest,
    GetDataRequest,
    Incoming,
    MultiReadRequest,
    MultiRequest,
    Op,
    SetDataRequest,
    SyncRequest,
)
from agreed.wire.zookeeper.reply_codec import header_reply
from agreed.wire.zookeeper.request_codec import DECODERS, encode_request

if TYPE_CHECKING:
    from agreed.testing.leashed_node import LeashedNode

WORDS: Final = {
    Op.CREATE: "create",
    Op.CREATE2: "create",
    Op.CREATE_CONTAINER: "create",
    Op.CREATE_TTL: "create",
    Op.DELETE: "delete",
    Op.EXISTS: "exists",
    Op.GET_DATA: "get",
    Op.SET_DATA: "set",
    Op.GET_ACL: "get_acl",
    Op.SET_ACL: "set_acl",
    Op.GET_CHILDREN: "children",
    Op.GET_CHILDREN2: "children",
    Op.SYNC: "sync",
    Op.MULTI: "multi",
    Op.MULTI_READ: "multi_read",
    Op.CHECK_WATCHES: "check_watches",
    Op.REMOVE_WATCHES: "remove_watches",
    Op.ADD_WATCH: "add_watch",
    Op.SET_WATCHES: "set_watches",
    Op.SET_WATCHES2: "set_watches",
    Op.AUTH: "auth",
    Op.CLOSE_SESSION: "close",
}
"""What tests call the requests.  Pings are not among them: they come when they like."""

_LENGTH: Final = struct.Struct(">i")
_HEADER: Final = struct.Struct(">ii")
_REPLY: Final = struct.Struct(">iiqi")
_REPLY_BODY: Final = 20


def error_code(name: str) -> ErrorCode:
    """As in ZooKeeper ("NoNode") or as a constant ("NO_NODE").  Raises ConfigurationError."""
    plain = name.replace("_", "").replace("Error", "").upper()
    for code in ErrorCode:
        if code.name.replace("_", "") == plain:
            return code
    raise ConfigurationError(f"ZooKeeper has no error {name!r}: {', '.join(each.name for each in ErrorCode)}")


class Asked(NamedTuple):
    """A request that is not answered yet."""

    request: Incoming | None
    fault: Fault | None
    called: int


class LeashedZooKeeperClient(ClientProtocol):
    def __init__(self, node: LeashedNode) -> None:
        super().__init__(node)
        self._node = node
        self._heard = b""
        self._greeted = False
        self._plain = False
        """It asks in four-letter words."""
        self._frames: deque[bytes] = deque()
        self._delayed = False
        self._asked: dict[int, deque[Asked]] = {}
        self._unsaid: list[bytes] = []

    # --- what it asks -------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._plain or not self.id:
            super().data_received(data)
            return
        self._heard += data
        if not self._greeted and self._heard[:4] in FOUR_LETTER_WORDS:
            self._plain = True
            super().data_received(self._heard)
            return
        while len(self._heard) >= 4:
            end = 4 + _LENGTH.unpack_from(self._heard)[0]
            if end < 4:
                super().data_received(self._heard)  # the server says what is wrong with it
                return
            if len(self._heard) < end:
                break
            self._frames.append(self._heard[:end])
            self._heard = self._heard[end:]
        self._go_on()

    def _go_on(self) -> None:
        while self._frames and not self._delayed and self.transport is not None:
            if self._node.paused:
                self._node.on_resumed[self._resumed] = None
                return
            self._pass_on(self._frames.popleft())

    def _resumed(self) -> None:
        unsaid, self._unsaid = self._unsaid, []
        for data in unsaid:
            self._say(data)
        self._go_on()

    def _pass_on(self, frame: bytes) -> None:
        if not self._greeted or len(frame) < 12:
            self._greeted = True
            super().data_received(frame)
            return
        xid, op = _HEADER.unpack_from(frame, 4)
        if op not in WORDS:
            super().data_received(frame)
            return
        request = _decoded(frame, op)
        fault = self._node.pending.first_for(WORDS[Op(op)], _keys(request))
        treatment = None if fault is None else fault.treatment
        if treatment is Treatment.DROP:
            self._break_off()
        elif fault is not None and treatment is Treatment.DELAY:
            self._delayed = True
            self._node.let_go_later(fault, lambda: self._let_go(frame, xid, request))
        else:
            self._ask(frame, xid, request, fault)

    def _let_go(self, frame: bytes, xid: int, request: Incoming | None) -> None:
        self._delayed = False
        if self.transport is not None:
            self._ask(frame, xid, request, None)
            self._go_on()

    def _ask(self, frame: bytes, xid: int, request: Incoming | None, fault: Fault | None) -> None:
        self._asked.setdefault(xid, deque()).append(Asked(request, fault, time.monotonic_ns()))
        if fault is not None and fault.treatment is Treatment.FAIL:
            frame = encode_request(xid, SyncRequest(b"/"))
        super().data_received(frame)

    def _break_off(self) -> None:
        self._frames.clear()
        if self.transport is not None:
            self.transport.abort()

    # --- what it is told ----------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._node.paused:
            self._unsaid.append(data)
            self._node.on_resumed[self._resumed] = None
        else:
            self._say(data)

    def _say(self, data: bytes) -> None:
        """Whole frames: the server writes no others."""
        if self._plain or not self._asked:
            super().write(data)
            return
        position = 0
        said: list[bytes] = []
        while position < len(data):
            end = position + 4 + _LENGTH.unpack_from(data, position)[0]
            frame = self._answered(data[position:end])
            if frame is None:
                super().write(b"".join(said))
                self._break_off()
                return
            said.append(frame)
            position = end
        super().write(b"".join(said))

    def _answered(self, frame: bytes) -> bytes | None:
        """What becomes of it; None: the connection breaks in its place."""
        if len(frame) < _REPLY_BODY:
            return frame
        _, xid, zxid, error = _REPLY.unpack_from(frame)
        waiting = self._asked.get(xid)
        if not waiting:
            return frame
        asked = waiting.popleft()
        if not waiting:
            del self._asked[xid]
        if asked.fault is not None and asked.fault.treatment is Treatment.FAIL:
            assert isinstance(asked.fault.error, ErrorCode)
            return header_reply(xid, zxid, asked.fault.error)
        if asked.fault is not None:
            return None
        self._record(asked, error, frame)
        return frame

    def _record(self, asked: Asked, error: int, frame: bytes) -> None:
        request, note = asked.request, self._node.recorder.note
        absent = error == ErrorCode.NO_NODE
        if isinstance(request, GetDataRequest) and (absent or not error):
            note("read", ABSENT if absent else _data_of(frame), _text(request.path), asked.called)
        elif isinstance(request, ExistsRequest) and absent:
            note("read", ABSENT, _text(request.path), asked.called)
        elif isinstance(request, SetDataRequest) and not error:
            note("write", _value(request.data), _text(request.path), asked.called)


def _decoded(frame: bytes, op: int) -> Incoming | None:
    decoder = DECODERS.get(op)
    if decoder is None:
        return None
    first = _LENGTH.unpack_from(frame, 12)[0] if len(frame) >= 16 else -1
    try:
        request: Incoming = decoder(frame, 16, len(frame), first)[0]
    except MalformedInput:
        return None
    return request


def _keys(request: Incoming | None) -> list[str]:
    if isinstance(request, MultiRequest | MultiReadRequest):
        return [_text(each.path) for each in request.operations]
    path = getattr(request, "path", None)
    return [_text(path)] if isinstance(path, bytes) else []


def _data_of(frame: bytes) -> object:
    length = _LENGTH.unpack_from(frame, _REPLY_BODY)[0]
    return _value(None if length < 0 else frame[_REPLY_BODY + 4 : _REPLY_BODY + 4 + length])


def _text(path: bytes) -> str:
    return path.decode(errors="replace")


def _value(data: bytes | None) -> str:
    """As the judge shows it; ZooKeeper's null is no empty value."""
    return "(null)" if data is None else repr(data)[1:]
