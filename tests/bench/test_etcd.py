"""The load on servers of the etcd API does what it says, and the bars against etcd are judged by what was
measured."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from bench.etcd import BARS, WATCH_ONE, Measurement, generate, missed_bars
from bench.etcd_load import OPERATIONS, Load, Result, fill_request, key_of, put_request

from tests.acceptance.etcd.api import EtcdApi
from tests.acceptance.etcd.ensemble import EtcdFace
from tests.acceptance.etcd.schema import pb


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with EtcdFace(1) as cluster:
        yield cluster.etcd_addresses[0]


def test_what_it_sends_is_what_google_reads() -> None:
    assert pb.PutRequest.FromString(put_request(b"k", b"v" * 200)) == pb.PutRequest(
        key=b"k", value=b"v" * 200
    )
    puts = [each.request_put.key for each in pb.TxnRequest.FromString(fill_request(5, 3, b"v")).success]
    assert puts == [key_of(5), key_of(6), key_of(7)]


def until_something_was_done(load: Load) -> Result:
    """A machine that is busy with something else may do nothing of it in a moment."""
    for seconds in (load.seconds, 3.0, 20.0):
        result = generate(msgspec.structs.replace(load, seconds=seconds))
        if result.done > 0:
            return result
    raise AssertionError("nothing was done")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_load_is_answered(operation: str, address: str) -> None:
    result = until_something_was_done(
        Load(
            operation=operation,
            addresses=[address],
            connections=2,
            outstanding=2,
            seconds=0.2,
            warmup_s=0.1,
            keys=120,
            watchers=20,
            leases=20,
        )
    )
    assert result.errors == 0
    if operation == "fill":
        with EtcdApi(address) as api:
            reply = api.call("Range", key=b"/bench/", range_end=b"/bench0", count_only=True)
        assert reply.count == 120


def measured(case: str, per_s: float, *, errors: int = 0) -> list[Measurement]:
    def result(rate: float) -> Result:
        return Result(
            seconds=1,
            done=int(rate),
            calls=int(rate),
            errors=errors,
            per_s=rate,
            p50_us=1e6 / rate,
            p99_us=0,
            max_us=0,
            busy_share=0.1,
        )

    return [
        Measurement(system, case, 0, result(rate), 0.0, 0)
        for system, rate in (("ours", per_s), ("etcd", 100.0))
    ]


@pytest.mark.parametrize("bar", BARS, ids=str)
def test_a_bar_is_missed_by_who_is_slower(bar: object) -> None:
    case = bar.case  # type: ignore[attr-defined]
    assert missed_bars(measured(case, 101)) == []
    (sentence,) = missed_bars(measured(case, 99))
    assert case in sentence


def test_who_answers_with_errors_has_not_been_fast_at_what_was_asked() -> None:
    assert len(missed_bars(measured(WATCH_ONE, 500, errors=1))) == 2
