"""The fuzzer of HTTP/2 and protobuf, for a moment; and that it bites."""

from __future__ import annotations

import itertools

import pytest

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.front import EtcdClients
from agreed.wire.etcd import protobuf
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.server import ServerConnection
from agreed.wire.http2.server import Http2Server
from tests.torture import fuzz_http2, nonsense
from tests.torture.fuzz_http2 import Fuzzer
from tests.torture.nonsense import run


def test_nonsense_does_no_harm() -> None:
    outcome = run(Fuzzer, 1_200, seed=7)
    assert not outcome.problems, outcome.problems[0]
    assert outcome.inputs == 1_200
    assert outcome.counted["calls"] > 100, "some calls have to come through, or it tests the front door alone"


def test_a_server_that_forgets_to_give_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServerConnection, "_forget", lambda self, stream: self._incoming.pop(stream, None))
    assert "bytes are counted" in run(Fuzzer, 600).problems[0]


def test_a_server_that_crashes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(self: Http2Server, number: int, _flags: int, payload: bytes, _events: object) -> None:
        payload[4]

    monkeypatch.setattr(Http2Server, "_on_window_update", careless)
    assert "IndexError" in run(Fuzzer, 300).problems[0]


def test_a_codec_that_loses_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real, turns = protobuf.encode, itertools.count()
    monkeypatch.setattr(protobuf, "encode", lambda message: real(message) if next(turns) % 3 else b"")
    assert "is not the same" in run(Fuzzer, 300).problems[0]


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forever(self: Http2Server, *_rest: object) -> None:
        while True:
            pass

    monkeypatch.setattr(nonsense, "HANG_S", 0.05)
    monkeypatch.setattr(Http2Server, "_on_ping", forever)
    problems = run(Fuzzer, 40).problems
    assert problems
    assert "Hang" in problems[0]


def test_a_service_that_crashes_on_what_it_is_asked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """So what is thrown at whole nodes does come through to their services."""
    reached = set()
    real = EtcdClients.dispatch

    def careless(self: EtcdClients, call: Call, request: object) -> None:
        reached.add(call.method.path)
        if call.method.path.endswith("/LeaseGrant"):
            raise KeyError("careless")
        real(self, call, request)

    monkeypatch.setattr(EtcdClients, "dispatch", careless)
    monkeypatch.setattr(fuzz_http2, "WEIGHTS", [0, 0, 0, 0, 1])
    assert "careless" in run(Fuzzer, 80).problems[0]
    assert len(reached) > len(METHODS) / 2
