"""The gateway over HTTP/1.1: what a request becomes, what an answer looks like, and who is sent away."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agreed.replica import events
from agreed.replica.etcd import gateway
from agreed.replica.etcd.gateway import MAX_DRAINED_BYTES
from agreed.replica.etcd.gateway_answers import HTTP_CODES, PHRASES, http_date
from agreed.replica.etcd.gateway_exchanges import MAX_BODY_BYTES
from agreed.replica.etcd.slow_requests import PATIENCE_MS
from agreed.wire.etcd.messages import PutRequest
from agreed.wire.grpc.status import Code
from tests.replica.alone import Alone
from tests.replica.etcd.browsing import Browser
from tests.replica.etcd.calling import Caller

PUT = {"key": "Zm9v", "value": "YmFy"}


@pytest.fixture
def browser() -> Browser:
    return Browser(Alone())


def request(path: str, body: bytes = b"{}", extra: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n%b" % (
        path.encode(), len(body), extra, body,
    )  # fmt: skip


def test_an_answer_has_the_headers_of_etcd(browser: Browser) -> None:
    page = browser.post("/v3/kv/put", PUT)
    assert page.code == 200
    assert page.headers == {
        "access-control-allow-headers": "accept, content-type, authorization",
        "access-control-allow-methods": "POST, GET, OPTIONS, PUT, DELETE",
        "access-control-allow-origin": "*",
        "content-type": "application/json",
        "grpc-metadata-content-type": "application/grpc",
        "date": "Tue, 14 Nov 2023 22:13:20 GMT",
        "content-length": str(len(page.body)),
    }
    assert page.body == b'{"header":{"member_id":"1","revision":"2","raft_term":"1"}}'


@pytest.mark.parametrize(
    ("path", "body", "code", "error"),
    [
        ("/v3/kv/range", {}, 400, (3, "etcdserver: key is not provided")),
        ("/v3/kv/range", b"notjson", 400, (3, "invalid character 'o' in literal null (expecting 'u')")),
        ("/v3/kv/range", {"key": "***"}, 400, (3, "illegal base64 data at input byte 0")),
        ("/v3/kv/range", {"key": "Zm9v", "revision": "999"}, 400,
         (11, "etcdserver: mvcc: required revision is a future revision")),
        ("/v3/lease/revoke", {"ID": 78}, 404, (5, "etcdserver: requested lease not found")),
        ("/v3/kv/lease/revoke", {"ID": 78}, 404, (5, "etcdserver: requested lease not found")),
    ],
)  # fmt: skip
def test_errors_carry_code_and_text(browser: Browser, path: str, body: Any, code: int, error: Any) -> None:
    page = browser.post(path, body)
    assert page.code == code
    assert page.headers["content-type"] == "application/json"
    assert list(page.json.items()) == [("error", error[1]), ("code", error[0]), ("message", error[1])]
    assert browser.post("/v3/kv/put", PUT).code == 200, "the connection goes on"


@pytest.mark.parametrize(
    ("method", "path", "code", "body"),
    [
        ("GET", "/v3/kv/range", 405, b"Method Not Allowed\n"),
        ("PUT", "/v3/kv/range", 405, b"Method Not Allowed\n"),
        ("GET", "/v3/nope", 404, b"Not Found\n"),
        ("POST", "/v3/nope", 404, b"Not Found\n"),
        ("POST", "/v3alpha/kv/range", 404, b"404 page not found\n"),
        ("GET", "/v2/keys/foo", 404, b"404 page not found\n"),
        ("GET", "/members", 404, b"404 page not found\n"),
        ("HEAD", "/nope", 404, b""),
        ("OPTIONS", "/v3/kv/range", 200, b""),
    ],
)
def test_what_is_no_route(browser: Browser, method: str, path: str, code: int, body: bytes) -> None:
    page = browser.begin(method, path)
    assert (page.code, page.body, page.ended) == (code, body, True)
    assert page.headers["access-control-allow-origin"] == "*"
    if body:
        assert page.headers["content-type"] == "text/plain; charset=utf-8"
        assert page.headers["x-content-type-options"] == "nosniff"


def test_the_older_prefix_is_understood(browser: Browser) -> None:
    assert browser.post("/v3beta/kv/put", PUT).json["header"]["revision"] == "2"
    assert browser.post("http://anywhere:1/v3/kv/range?x=y", {"key": "Zm9v"}).json["count"] == "1"
    assert browser.post("/v3/kv/r%61nge", {"key": "Zm9v"}).json["count"] == "1"


def test_an_empty_body_is_an_empty_message(browser: Browser) -> None:
    assert browser.post("/v3/lease/leases", b"").code == 200
    assert browser.post("/v3/kv/range", b"").json["message"] == "etcdserver: key is not provided"


def test_requests_in_one_piece_are_answered_in_order(browser: Browser) -> None:
    """A write waits for the disk, a read that is refused does not: it waits for the write before it."""
    puts = b"".join(request("/v3/kv/put", json.dumps(PUT).encode()) for _ in range(3))
    browser.send(puts + request("/v3/kv/range") + b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
    codes = re.findall(rb"HTTP/1.1 (\d+)", browser.raw)
    assert codes == [b"200", b"200", b"200", b"400", b"200"]
    assert re.findall(rb'"revision":"(\d)"', browser.raw) == [b"2", b"3", b"4"]


def test_a_thousand_requests_in_one_piece_do_not_nest(browser: Browser) -> None:
    browser.send(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000)
    browser.node.pass_ms(500)
    assert browser.raw.count(b"etcdserver") == 2_000


def test_bytes_may_come_one_by_one(browser: Browser) -> None:
    for byte in request("/v3/kv/put", json.dumps(PUT).encode()):
        answer = browser.send(bytes([byte]))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_chunked_body(browser: Browser) -> None:
    body = json.dumps(PUT).encode()
    head = b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:]))
    assert b'"revision":"2"' in browser.send(head + chunks + b"0\r\n\r\n")


def test_who_waits_to_be_told_to_go_on_is_told(browser: Browser) -> None:
    head = b"POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert browser.send(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b"key is not provided" in browser.send(b"{}")


def test_who_asks_for_an_end_gets_one(browser: Browser) -> None:
    answer = browser.send(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"connection: close" in answer.lower()
    assert browser.closed
    old = Browser(browser.node)
    assert b"etcdserver" in old.send(b"GET /version HTTP/1.0\r\n\r\n")
    assert old.closed


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"EHLO mail.example\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET /version HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000, b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
    ],
)
def test_what_is_not_http_is_sent_away(browser: Browser, data: bytes, code: bytes) -> None:
    assert browser.send(data).startswith(b"HTTP/1.1 " + code)
    assert browser.closed


def test_a_broken_chunk_in_the_middle_of_a_body_ends_the_connection(browser: Browser) -> None:
    browser.send(b"POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert browser.send(b"zz\r\n").startswith(b"HTTP/1.1 400")
    assert browser.closed


def test_a_value_of_one_and_a_half_megabytes_fits_and_two_do_not(browser: Browser) -> None:
    def put(size: int) -> Any:
        return browser.post("/v3/kv/put", {"key": "aw==", "value": base64.b64encode(bytes(size)).decode()})

    assert put(1_500_000).code == 200
    refused = put(2_200_000)
    assert refused.code == 429
    assert refused.json["message"] == "grpc: received message larger than max (2200008 vs. 2097152)"


def test_a_body_without_end_is_cut_off(browser: Browser) -> None:
    browser.send(b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    while not browser.closed:
        browser.send(chunk)
        sent += 0x10000
        assert sent <= MAX_BODY_BYTES + MAX_DRAINED_BYTES + 0x20000
    assert b"HTTP/1.1 429" in browser.raw


def test_far_ahead_of_the_answers_is_too_far(browser: Browser) -> None:
    browser.node.saving = False
    browser.send(request("/v3/kv/put", json.dumps(PUT).encode()))
    for _ in range(MAX_BODY_BYTES // 0x10000 + 1):
        browser.send(b" " * 0x10000)
    assert browser.closed
    assert "far ahead" in browser.node.logs


def test_half_a_request_has_a_minute(browser: Browser) -> None:
    idle, half_body = Browser(browser.node), Browser(browser.node)
    browser.send(b"POST /v3/kv/put HTTP/1.1\r\nHo")
    half_body.send(b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    finished = Browser(browser.node)
    finished.send(request("/v3/kv/put")[:-1])
    finished.send(request("/v3/kv/put")[-1:])
    browser.node.pass_ms(PATIENCE_MS - 1_000, 500)
    assert not browser.closed
    browser.node.pass_ms(2_000, 500)
    assert browser.closed
    assert half_body.closed
    assert half_body.raw.startswith(b"HTTP/1.1 408")
    assert not idle.closed
    assert not finished.closed


def test_a_client_that_hangs_up_ends_its_call(browser: Browser) -> None:
    browser.node.saving = False
    browser.send(request("/v3/kv/put", json.dumps(PUT).encode()))
    browser.hang_up()
    browser.node.saving = True
    browser.node.turn()
    assert Browser(browser.node).post("/v3/kv/range", {"key": "Zm9v"}).json["count"] == "1"


def test_a_token_is_taken_from_the_header(browser: Browser) -> None:
    front = browser.node.replica.etcd
    tokens = []
    admit = front.admit

    def noticed(call: Any, request: Any) -> Any:
        tokens.append((call.caller.token, call.metadata.get("hasleader"), call.request_bytes))
        return admit(call, request)

    front.admit = noticed
    for headers in ({"Authorization": "abc.1"}, {"Authorization": "Bearer abc.2"},
                    {"Grpc-Metadata-Token": "abc.3", "Grpc-Metadata-hasleader": "true"}):  # fmt: skip
        browser.post("/v3/kv/range", {"key": "Zm9v"}, list(headers.items()))
    assert tokens == [("abc.1", None, 5), ("abc.2", None, 5), ("abc.3", "true", 5)]


def test_a_client_may_say_how_long_it_waits(browser: Browser) -> None:
    browser.node.saving = False
    late = request("/v3/kv/put", json.dumps(PUT).encode(), b"Grpc-Timeout: 1500m\r\n")
    assert browser.send(late) == b""
    browser.node.pass_ms(1_400, 100)
    assert browser.raw == b""
    browser.node.pass_ms(400, 100)
    assert browser.raw.startswith(b"HTTP/1.1 504 ")
    assert b"context deadline exceeded" in browser.raw


def test_a_node_that_stops_answers_what_it_has_begun(browser: Browser) -> None:
    idle = Browser(browser.node)
    idle.get("/version")
    browser.node.saving = False
    browser.send(request("/v3/kv/put", json.dumps(PUT).encode()))
    browser.node.replica.etcd.stop()
    browser.node.saving = True
    browser.node.turn()
    assert idle.closed
    assert b'"revision":"2"' in browser.raw
    assert b"connection: close" in browser.raw.lower()
    assert browser.closed


def test_every_code_has_a_phrase() -> None:
    assert set(HTTP_CODES) == set(Code)
    assert set(HTTP_CODES.values()) <= set(PHRASES)


@pytest.mark.parametrize(
    ("second", "date"),
    [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
    ],
)
def test_dates(second: int, date: str) -> None:
    assert http_date(second * 1000).decode() == date


NODE = Alone()
WHOLE = (
    request("/v3/kv/put", json.dumps(PUT).encode()),
    request("/v3/lease/keepalive", b'{"ID":77}{"ID":78}'),
    b"POST /v3/watch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'21\r\n{"create_request":{"key":"Zm9v"}}\r\n0\r\n\r\n',
    b"GET /readyz?verbose HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v3/watch HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    b"\x81\x82\0\0\0\0{}\x89\x80\0\0\0\0\x88\x80\0\0\0\0",
)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=3), st.data())
def test_whatever_is_sent_is_answered_or_sent_away(whole: list[bytes], data: st.DataObject) -> None:
    sent = bytearray(b"".join(whole))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(sent) - 1))
        if data.draw(st.booleans()):
            sent[place] = data.draw(st.integers(0, 255))
        else:
            sent[place:place] = data.draw(st.sampled_from([b"\r\n", b"\0", b"\xff", b"{", b'"', b"0"]))
    browser = Browser(NODE)
    step = data.draw(st.sampled_from([1, 40, 1_000]))
    for start in range(0, len(sent), step):
        if not browser.closed:
            browser.send(bytes(sent[start : start + step]))
    if not browser.closed:
        browser.hang_up()


def test_the_name_in_a_certificate_counts_for_nothing_here(browser: Browser) -> None:
    """As in etcd: who believes he is somebody by his certificate is told that he is not."""
    named = Browser(browser.node, certificate="alice")
    assert named.post("/v3/kv/put", PUT).code == 200
    browser.node.replica.store.users.enabled = True
    browser.node.replica.store.note_guarded()
    page = named.post("/v3/kv/put", PUT)
    assert page.code == 400
    assert page.body.startswith(b"CommonName of client sending a request against gateway will be ignored")
    assert named.get("/health").code == 200
    assert browser.post("/v3/kv/put", PUT).json["message"] == "etcdserver: user name is empty"


def test_requests_ahead_of_their_answers_are_answered_some_a_turn_and_as_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some thousand reads of a megabyte each, sent in one piece, took as many megabytes in one go."""
    monkeypatch.setattr(gateway, "OUT_MOST_BYTES", 10_000)
    browser = Browser(Alone())
    Caller(browser.node).ask("KV/Put", PutRequest(b"a", bytes(6_000)))
    read = request("/v3/kv/range", b'{"key":"YQ==","serializable":true}')

    def answered() -> int:
        return browser.raw.count(b"HTTP/1.1 200")

    browser.send(read * 7)
    assert answered() == 2
    assert browser.node.replica.etcd.busy
    browser.node.turn(events.EtcdReads(browser.number, False))
    browser.node.pass_ms(1_000)
    assert answered() == 4
    assert not browser.node.replica.etcd.busy
    browser.node.turn(events.EtcdReads(browser.number, True))
    assert answered() == 6
    browser.node.pass_ms(100)
    assert answered() == 7
    browser.send(read * 7)
    browser.hang_up()
    browser.node.pass_ms(1_000)
    assert not browser.node.replica.etcd.busy
