"""A real etcd and ours give the same answers to the same requests.  The long form is `python -m
tests.differential.etcd --sequences 10000`; here it is only as much as fits into a test run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.etcd.ensemble import EtcdEnsemble, EtcdFace
from tests.differential.campaign import chosen
from tests.differential.comparison import Comparison
from tests.differential.etcd import pair, play
from tests.differential.etcd.generate import Generator
from tests.differential.etcd.pair import EtcdPair
from tests.differential.etcd.script import Call, EtcdScript
from tests.differential.shrink import shrink

SEQUENCES = {"leader": 40, "follower": 20}
SPOILT_WITHIN = 60


@pytest.fixture(scope="module")
def real() -> Iterator[EtcdEnsemble]:
    with EtcdEnsemble(1) as ensemble:
        yield ensemble


@pytest.mark.peer("etcd")
@pytest.mark.parametrize("role", SEQUENCES)
def test_ours_answers_as_etcd_does(real: EtcdEnsemble, role: str) -> None:
    with EtcdFace(3) as ours:
        both = EtcdPair(real.etcd_addresses[0], ours.etcd_addresses[chosen(ours, role)])
        comparison = Comparison(both)
        for number in range(SEQUENCES[role]):
            disagreement = comparison.check(both.draw(f"{role}:{number}"))
            assert disagreement is None, str(disagreement)
        both.close()
        assert not comparison.unsteady, str(comparison.unsteady[0])


def spoil_count(message: Any) -> None:
    if message.DESCRIPTOR.name == "RangeResponse" and message.count > 2:
        message.count -= 1


def spoil_version(message: Any) -> None:
    if message.DESCRIPTOR.name == "PutResponse" and message.prev_kv.version == 2:
        message.prev_kv.version = 1


def spoil_event(message: Any) -> None:
    if message.DESCRIPTOR.name == "WatchResponse" and len(message.events) > 1:
        del message.events[0]


@pytest.mark.peer("etcd")
@pytest.mark.parametrize("spoil", [spoil_count, spoil_version, spoil_event])
def test_one_spoilt_field_is_found(
    real: EtcdEnsemble, spoil: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same server stands on both sides; on one of them its answers are spoilt."""
    both = EtcdPair(real.etcd_addresses[0], real.etcd_addresses[0])
    honest = play.normal
    monkeypatch.setattr(pair, "EQUAL_WITHIN_S", 0.3)

    def normal(message: Any, beginning: int) -> Any:
        spoil(message)
        return honest(message, beginning)

    for number in range(SPOILT_WITHIN):
        script = both.draw(f"spoilt:{number}")
        forms = []
        for spoilt in (False, True):
            with monkeypatch.context() as patched:
                if spoilt:
                    patched.setattr(play, "normal", normal)
                one = play.Play(both.api(0), script, set())
                one.run()
                one.let_catch_up()
                forms.append(one.form())
                one.clean_up()
                one.close()
        if pair.differences(*forms):
            return
    pytest.fail("nobody noticed")


def test_the_same_seed_draws_the_same_script_and_another_seed_another() -> None:
    drawn = [Generator(seed).script() for seed in ("1:1", "1:1", "1:2")]
    assert drawn[0] == drawn[1]
    assert drawn[0].steps != drawn[2].steps


def test_a_script_survives_being_written_down() -> None:
    for number in range(50):
        script = Generator(f"kept:{number}").script()
        assert EtcdScript.from_json(script.to_json()) == script


def test_a_failing_script_is_shrunk_to_what_makes_it_fail() -> None:
    """What fails here is a put of b inside a transaction."""

    def fails(script: EtcdScript) -> bool:
        calls = [step.fields for step in script.steps if isinstance(step, Call) and step.method == "Txn"]
        puts = [each.get("request_put") for fields in calls for each in fields.get("success", [])]
        return any(put and put["key"] == "b" for put in puts)

    noise = tuple(Generator(f"noise:{number}").script().steps[0] for number in range(6))
    put = {"request_put": {"key": "b", "value": "1", "prev_kv": True}}
    guilty = Call("Txn", {"compare": [{"key": "a"}], "success": [{"request_range": {"key": "c"}}, put]})
    shortest = shrink(EtcdScript("s", (*noise, guilty, *noise)), fails)
    assert shortest.steps == (Call("Txn", {"success": [{"request_put": {"key": "b"}}]}),)
