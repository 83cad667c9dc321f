"""The fuzzer of the JSON gateway, for a moment; and that it bites."""

from __future__ import annotations

import pytest

from agreed.replica.etcd import gateway_websocket
from agreed.replica.etcd.gateway import GatewayConnection
from tests.torture.fuzz_gateway import Fuzzer
from tests.torture.nonsense import run


def test_nonsense_does_no_harm() -> None:
    outcome = run(Fuzzer, 800, seed=3)
    assert not outcome.problems, outcome.problems[0]
    assert outcome.inputs == 800
    answers = outcome.counted["answers"]
    assert answers > 400, "some requests have to come through, or it tests the front door alone"


def test_a_handshake_that_is_believed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a node did before this fuzzer was there."""
    monkeypatch.setattr(gateway_websocket, "_of_handshake", lambda headers: headers)
    assert "UnicodeDecodeError" in run(Fuzzer, 1_500).problems[0]


def test_a_watcher_that_stays_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GatewayConnection, "gone", lambda self: None)
    assert any("is left" in problem for problem in run(Fuzzer, 200).problems)
