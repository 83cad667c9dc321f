"""HTTP clients of a node in memory: bytes in, bytes out, read by h11's own client side.

    browser = Browser(node)
    browser.post("/v3/kv/put", {"key": "Zm9v"}) -> Page(code, headers, body)
    browser.send(b"...")                          any bytes; `browser.pages` holds what came back
"""

from __future__ import annotations

import json
from typing import Any

import h11

from agreed.replica import events
from tests.replica.alone import Alone

HOST = [("Host", "localhost:2379")]


class Page:
    def __init__(self, response: h11.Response) -> None:
        self.code = response.status_code
        self.headers = {name.decode(): value.decode() for name, value in response.headers}
        self.body = b""
        self.ended = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


class Browser:
    def __init__(self, node: Alone, certificate: str | None = None) -> None:
        self.node = node
        self.number = 1_000 + len(node.clients)
        self.replies: list[object] = []
        self.closed = False
        self.connection = self
        self.pages: list[Page] = []
        self.raw = b""
        self.informed = 0
        self._http = h11.Connection(h11.CLIENT)
        node.clients[self.number] = self  # type: ignore[assignment]
        node.turn(events.EtcdOpened(self.number, "127.0.0.1", 5, certificate))

    # --- the node writes --------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> list[object]:
        self.raw += data
        return []

    # --- we write ---------------------------------------------------------------------------------------

    def send(self, data: bytes) -> bytes:
        """What came back in that turn."""
        before = len(self.raw)
        self.node.turn(events.EtcdBytes(self.number, data))
        return self.raw[before:]

    def hang_up(self) -> None:
        self.node.turn(events.EtcdClosed(self.number))

    def begin(self, method: str, path: str, body: bytes | None = None, headers: Any = ()) -> Page:
        """A request in one piece; the answer as far as it came."""
        http = self._http
        framing = [] if body is None else [("Content-Length", str(len(body)))]
        out = http.send(h11.Request(method=method, target=path, headers=[*HOST, *framing, *headers]))
        if body:
            out += http.send(h11.Data(data=body))
        out += http.send(h11.EndOfMessage())
        self._heard(self.send(out))
        return self.pages[-1]

    def look(self) -> None:
        """After turns that others brought about."""
        self._heard(self.raw[self._read :])

    _read = 0

    def _heard(self, data: bytes) -> None:
        self._read = len(self.raw)
        if data:
            self._http.receive_data(data)
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.InformationalResponse):
                self.informed += 1
            elif isinstance(event, h11.Response):
                self.pages.append(Page(event))
            elif isinstance(event, h11.Data):
                self.pages[-1].body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.pages[-1].ended = True
                if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                    self._http.start_next_cycle()
            else:
                break

    def get(self, path: str) -> Page:
        return self.begin("GET", path)

    def post(self, path: str, body: Any, headers: Any = ()) -> Page:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.begin("POST", path, data, headers)
