"""Streams over HTTP/1.1: a line for each message, as it comes; requests in one body, or in pieces of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from agreed.replica import events
from agreed.replica.etcd.calls import LATER, Call
from agreed.replica.settings import Settings
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import LeaderResponse, PutRequest, SnapshotResponse
from tests.replica.alone import Alone
from tests.replica.etcd.browsing import Browser
from tests.replica.etcd.calling import Caller

WATCH = {"create_request": {"key": "Zm9v"}}
PUT = {"key": "Zm9v", "value": "YmFy"}


@pytest.fixture
def browser() -> Browser:
    return Browser(Alone())


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked(path: str, *values: Any) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(chunk(json.dumps(value).encode()) for value in values)


def test_a_watch_outlives_the_end_of_its_body_and_tells_each_change_at_once(browser: Browser) -> None:
    page = browser.post("/v3/watch", WATCH)
    assert page.headers["transfer-encoding"] == "chunked"
    assert page.headers["content-type"] == "application/json"
    header = {"member_id": "1", "revision": "1", "raft_term": "1"}
    assert page.lines == [{"result": {"header": header, "created": True}}]
    other = Browser(browser.node)
    for revision in (2, 3):
        other.post("/v3/kv/put", PUT)
        browser.look()
        assert len(page.lines) == revision
        assert page.lines[-1]["result"]["events"][0]["kv"]["mod_revision"] == str(revision)
    assert not page.ended


def test_a_client_that_hangs_up_is_no_watcher_any_more(browser: Browser) -> None:
    browser.post("/v3/watch", WATCH)
    metrics = Browser(browser.node)
    assert b"etcd_debugging_mvcc_watcher_total 1\n" in metrics.get("/metrics").body
    browser.hang_up()
    assert b"etcd_debugging_mvcc_watcher_total 0\n" in metrics.get("/metrics").body


def test_who_does_not_read_is_told_of_what_he_missed_once_he_does() -> None:
    """Whatever happened had piled up, until the connection was dropped for it."""
    browser = Browser(Alone(Settings(watch_backlog_bytes=10_000)))
    page = browser.post("/v3/watch", WATCH)
    browser.node.turn(events.EtcdReads(browser.number, False))
    before = len(browser.raw)
    caller = Caller(browser.node)
    for _ in range(50):
        caller.ask("KV/Put", PutRequest(b"foo", bytes(1_000)))
    assert len(browser.raw) - before < 15_000
    browser.node.turn(events.EtcdReads(browser.number, True))
    browser.node.turn()
    browser.look()
    told = [event["kv"]["mod_revision"] for line in page.lines[1:] for event in line["result"]["events"]]
    assert told == [str(revision) for revision in range(2, 52)]


def test_a_snapshot_is_made_as_fast_as_it_is_read(browser: Browser) -> None:
    """One of more than some sixty megabytes was never had by who was slower than this node."""
    caller = Caller(browser.node)
    for number in range(4):
        caller.ask("KV/Put", PutRequest(b"%d" % number, bytes(1_000_000)))
    browser.get("/version")
    browser.node.turn(events.EtcdReads(browser.number, False))
    browser.send(chunked("/v3/maintenance/snapshot", {}) + chunk(b""))
    browser.node.pass_ms(1_000)
    assert len(browser.raw) < 1_500_000
    assert not browser.node.replica.etcd.busy
    browser.node.turn(events.EtcdReads(browser.number, True))
    browser.node.pass_ms(1_000)
    assert len(browser.raw) > 5_000_000
    assert browser.raw.endswith(b"\r\n0\r\n\r\n")


def test_one_body_may_hold_several_requests(browser: Browser) -> None:
    browser.post("/v3/lease/grant", {"TTL": 60, "ID": 77})
    page = browser.post("/v3/lease/keepalive", b'{"ID":77} {"ID":"78"}\n{"ID":77}')
    assert page.ended
    assert [line["result"].get("TTL") for line in page.lines] == ["60", None, "60"]
    assert browser.get("/version").code == 200, "the connection goes on"


def test_requests_come_in_pieces_and_each_is_answered_when_it_is_whole(browser: Browser) -> None:
    browser.post("/v3/lease/grant", {"TTL": 60, "ID": 77})
    first = browser.send(chunked("/v3/lease/keepalive", {"ID": 77}))
    assert first.endswith(b'"TTL":"60"}}\n\r\n')
    assert browser.send(chunk(b'{"I')) == b""
    assert b'"ID":"78"' in browser.send(chunk(b'D":78}'))
    assert browser.send(b"0\r\n\r\n") == b"0\r\n\r\n"


def test_watches_are_made_and_cancelled_on_one_stream(browser: Browser) -> None:
    browser.send(chunked("/v3/watch", WATCH, WATCH))
    cancelled = browser.send(chunk(b'{"cancel_request":{"watch_id":"1"}}'))
    assert b'"watch_id":"1","canceled":true' in cancelled


def test_nothing_asked_is_nothing_answered(browser: Browser) -> None:
    page = browser.post("/v3/lease/keepalive", b"")
    assert (page.code, page.body, page.ended) == (200, b"", True)


@pytest.mark.parametrize("body", [b"notjson", b'{"create_request":5}', b'{"create_request":', b"[]", b"}"])
def test_a_first_request_that_cannot_be_read_is_an_error_of_no_code(browser: Browser, body: bytes) -> None:
    """As the real gateway: for streams it does not say whose fault it was."""
    page = browser.post("/v3/watch", body)
    assert (page.code, page.json["code"], page.ended) == (500, 2, True)
    assert page.json["message"] == page.json["error"] != ""


def test_what_cannot_be_read_later_ends_the_requests(browser: Browser) -> None:
    browser.post("/v3/lease/grant", {"TTL": 60, "ID": 77})
    page = browser.post("/v3/lease/keepalive", b'{"ID":77} nonsense {"ID":77}')
    assert (page.code, len(page.lines), page.ended) == (200, 1, True)


class Streamer:
    """A service that says what the test wants."""

    def __init__(self, browser: Browser, path: str, what: Callable[[Call], None]) -> None:
        handlers: dict[str, Any] = browser.node.replica.etcd._handlers
        handlers[path] = lambda call, request: what(call)


SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot"


def test_a_stream_of_the_server(browser: Browser) -> None:
    def tell(call: Call) -> None:
        call.send(SnapshotResponse(remaining_bytes=2, blob=b"ab"))
        call.send(SnapshotResponse(blob=b"cd"))
        call.end()

    Streamer(browser, SNAPSHOT, tell)
    for body in (b"{}", b"", b" "):
        page = browser.post("/v3/maintenance/snapshot", body)
        assert page.body == b'{"result":{"remaining_bytes":"2","blob":"YWI="}}\n{"result":{"blob":"Y2Q="}}\n'
        assert page.ended


def test_a_stream_that_fails_says_so_in_its_last_line(browser: Browser) -> None:
    def tell(call: Call) -> None:
        call.send(SnapshotResponse(blob=b"ab"))
        call.fail(errors.NO_LEADER)

    Streamer(browser, SNAPSHOT, tell)
    page = browser.post("/v3/maintenance/snapshot", {})
    assert page.code == 200
    assert page.body.splitlines()[1] == (
        b'{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader",'
        b'"http_status":"Service Unavailable"}}'
    )
    assert page.ended


def test_a_stream_that_fails_at_once_has_the_code_of_its_error(browser: Browser) -> None:
    Streamer(browser, "/v3electionpb.Election/Observe", lambda call: call.fail(errors.EMPTY_KEY))
    page = browser.post("/v3/election/observe", {"name": "eA=="})
    assert (page.code, page.json["error"]["grpc_code"], page.ended) == (400, 3, True)


def test_messages_of_one_turn_are_one_write(browser: Browser) -> None:
    def tell(call: Call) -> None:
        for _ in range(10):
            call.send(LeaderResponse())

    Streamer(browser, "/v3electionpb.Election/Observe", tell)
    browser.post("/v3/election/observe", {"name": "eA=="})
    writes: Mapping[int, int] = {}
    writes = {len(effects.write): number for number, effects in enumerate(browser.node.effects)}
    assert max(writes) == 1
    assert len(browser.pages[-1].lines) == 10


def test_requests_that_come_before_it_is_known_who_calls_are_not_lost(browser: Browser) -> None:
    """A login on another node a moment ago: the token is looked for again behind a barrier."""
    front = browser.node.replica.etcd
    waiting: list[tuple[Call, Any]] = []

    def later(call: Call, request: Any) -> Any:
        waiting.append((call, request))
        return LATER

    front.admit = later
    browser.send(chunked("/v3/watch", WATCH, WATCH) + b"0\r\n\r\n")
    assert browser.raw == b""
    front.admitted(*waiting[0])
    browser.node.turn()
    assert browser.raw.count(b'"created":true') == 2
