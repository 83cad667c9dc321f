"""Nonsense for the JSON gateway of a whole node in memory: HTTP/1.1, JSON, WebSockets, pages.

    python -m tests.torture.fuzz_gateway --inputs 1000000 [--seed 1] [--jobs 2]

An input is a conversation: one to three good requests of every kind, spoilt in up to a dozen places, in
pieces of any size.  It may be answered, refused or cut off; no exception may come out, and when it is over
the node holds nothing of it: no connection, no watcher, no half request.  What nonsense happened to write is
compacted away, so that memory can be judged.  What else is watched is told in `nonsense`.
"""

from __future__ import annotations

import random
import sys
from collections import Counter

from agreed.replica import events
from agreed.replica.etcd.slow_requests import SlowRequests
from agreed.replica.etcd.watch import WatchService
from agreed.store.commands import Compact, DeleteRange
from tests.replica.alone import Alone
from tests.torture.nonsense import Mutator, main

SWEPT_EVERY = 2_000


def _post(path: str, body: bytes, extra: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path.encode(), extra, len(body), body,
    )  # fmt: skip


_SOCKET = (
    b"GET %b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: Bearer, abc.1\r\n\r\n"
)
_WATCH = b'{"create_request":{"key":"Zm9v","start_revision":"1","filters":["NOPUT"],"prev_kv":true}}'

GOOD = (
    _post("/v3/kv/put", b'{"key":"Zm9v","value":"YmFy","lease":"0","prev_kv":true}'),
    _post("/v3/kv/range", b'{"key":"AA==","range_end":"AA==","sort_order":"DESCEND","limit":"3"}'),
    _post("/v3beta/kv/deleterange", b'{"key":"Zm9v","rangeEnd":"Zm9w"}', b"Authorization: Bearer x\r\n"),
    _post(
        "/v3/kv/txn",
        b'{"compare":[{"target":"CREATE","key":"Zm9v","create_revision":"0"}],'
        b'"success":[{"request_put":{"key":"Zm9v"}}],"failure":[{"request_txn":{"success":[]}}]}',
        b"Expect: 100-continue\r\n",
    ),
    _post("/v3/lease/keepalive", b'{"ID":77}{"ID":"78"} null', b"Grpc-Timeout: 1S\r\n"),
    _post("/v3/watch", _WATCH),
    _post("/v3/maintenance/status", b"{}"),
    _post("/v3/election/observe", b'{"name":"\\u00e9"}'),
    b"POST /v3/watch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(_WATCH), _WATCH),
    b"POST /v3/lease/leases HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /readyz?verbose&exclude=non_learner HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    _SOCKET % b"/v3/watch" + b"\x81\xfe\0%c\0\0\0\0%b" % (len(_WATCH), _WATCH) + b"\x88\x80\0\0\0\0",
    _SOCKET % b"/v3/kv/put" + b"\x01\x81\0\0\0\0{\x80\x81\0\0\0\0}",
)


class _Sink:
    """What the node writes to the one connection there is."""

    def __init__(self) -> None:
        self.connection = self
        self.replies: list[object] = []
        self.closed = self.paused = False
        self.answers = 0

    def receive_data(self, data: bytes) -> list[object]:
        self.answers += data.count(b"HTTP/1.1 ")
        return []


class Fuzzer:
    def __init__(self) -> None:
        self._node = Alone()
        self._front = self._node.replica.etcd
        self._slow = next(each for each in self._front.services if isinstance(each, SlowRequests))
        self._watches = next(each for each in self._front.services if isinstance(each, WatchService))
        self.counted: Counter[str] = Counter()

    def throw(self, dice: random.Random, number: int) -> None:
        data = b"".join(dice.choices(GOOD, k=dice.choice((1, 1, 2, 3))))
        for _ in range(dice.choice((0, 1, 1, 2, 4))):
            data = Mutator(dice).spoil(data)
        node, client = self._node, 1_000 + number
        sink = node.clients[client] = _Sink()  # type: ignore[assignment]
        node.turn(events.EtcdOpened(client, "127.0.0.1", 5, None))
        step = dice.choice((1, 7, 50, 4_000))
        if len(data) > 500 * step:
            step = 4_000
        for start in range(0, len(data), step):
            if not sink.closed:
                node.turn(events.EtcdBytes(client, data[start : start + step]))
        self.counted["answers"] += sink.answers
        if not sink.closed:
            node.turn(events.EtcdClosed(client))
        del node.clients[client]
        node.effects.clear()
        self._nothing_is_left()
        if number % SWEPT_EVERY == 0:
            self._sweep()

    def _nothing_is_left(self) -> None:
        assert len(self._front) == 0, "a connection is left"
        assert self._watches.watchers == 0, "a watcher is left"
        assert not self._slow._since, "half a request is left"
        assert self._node.replica.problem is None

    def _sweep(self) -> None:
        replica = self._node.replica
        replica.submit(DeleteRange(b"\0", b"\0"))
        self._node.turn()
        replica.submit(Compact(replica.store.revision))
        self._node.pass_ms(10_000, 1_000)


if __name__ == "__main__":
    sys.exit(main("fuzz_gateway", __doc__, Fuzzer))
