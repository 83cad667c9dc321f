"""Answers with a great many items, made over many turns: the same as in one."""

from __future__ import annotations

import msgspec
import pytest

from agreed.replica.etcd import leases, long_answers
from agreed.wire.etcd.json_mapping import to_json
from agreed.wire.etcd.messages import (
    LeaseGrantRequest,
    LeaseLeasesRequest,
    LeaseTimeToLiveRequest,
    PutRequest,
)
from agreed.wire.grpc.status import OK
from tests.replica.alone import Alone
from tests.replica.etcd.browsing import Browser
from tests.replica.etcd.calling import Caller
from tests.replica.etcd.speaking import GrpcClient

MANY, ITEMS = 10, 3

ASKED = [
    ("LeaseLeases", LeaseLeasesRequest(), "/v3/lease/leases", b"{}"),
    ("LeaseTimeToLive", LeaseTimeToLiveRequest(1, True), "/v3/lease/timetolive", b'{"ID":1,"keys":true}'),
]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Alone:
    monkeypatch.setattr(long_answers, "ITEMS", ITEMS)
    monkeypatch.setattr(leases, "ITEMS", ITEMS)
    caller = Caller(Alone())
    for number in range(1, MANY + 1):
        caller.ask("Lease/LeaseGrant", LeaseGrantRequest(1_000, number))
        caller.ask("KV/Put", PutRequest(b"k%d" % number, lease=1))
    return caller.node


def at_once(node: Alone, method: str, request: msgspec.Struct) -> msgspec.Struct:
    """By a transport that takes no parts."""
    reply = Caller(node).ask(f"Lease/{method}", request).reply
    assert isinstance(reply, msgspec.Struct)
    return reply


@pytest.mark.parametrize(("method", "request_", "path", "body"), ASKED)
def test_the_answer_is_the_same(
    node: Alone, method: str, request_: msgspec.Struct, path: str, body: bytes
) -> None:
    whole = at_once(node, method, request_)
    client = GrpcClient(node)
    stream = client.call(f"Lease/{method}", request_)
    taken = 0
    while not client.answers[stream]:
        assert (taken := taken + 1) < 20
        node.turn()
    assert taken >= MANY // ITEMS
    assert client.answers[stream] == [whole]
    assert client.statuses[stream] == OK

    browser = Browser(node)
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body))
    browser.send(head + body)
    for _ in range(20):
        node.turn()
    assert browser.raw.partition(b"\r\n\r\n")[2] == to_json(whole)


def test_what_is_granted_meanwhile_is_not_told_and_who_goes_away_holds_nobody_up(node: Alone) -> None:
    whole = at_once(node, "LeaseLeases", LeaseLeasesRequest())
    gone, stays = GrpcClient(node), GrpcClient(node)
    cancelled = gone.call("Lease/LeaseLeases", LeaseLeasesRequest())
    stream = stays.call("Lease/LeaseLeases", LeaseLeasesRequest())
    gone.grpc.cancel(cancelled)
    gone.say()
    for number in range(20):
        Caller(node).ask("Lease/LeaseGrant", LeaseGrantRequest(1_000, 100 + number))
    assert stays.answers[stream] == [whole]
    assert gone.answers[cancelled] == []
