"""A generator that believed whatever it is sent would crown the server that lies fastest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bench.generator import CannotMeasure, Load, LoadResult, Slice, percentile_us

from bench import generator
from tests.bench.conftest import LyingServer

pytestmark = pytest.mark.usefixtures("built")


def short(operation: str = "set", **options: object) -> Load:
    settings: dict[str, object] = {
        "connections": 2,
        "outstanding": 4,
        "seconds": 0.3,
        "warmup_s": 0.0,
        "keys": 20,
    }
    return Load(operation=operation, **{**settings, **options})  # type: ignore[arg-type]


def run_until(
    holds: Callable[[LoadResult], bool],
    addresses: Callable[[], list[str]],
    operation: str = "set",
    at_first_s: float = 0.3,
    **options: object,
) -> LoadResult:
    """On a machine that is busy with something else it may take longer than a moment."""
    for seconds in (at_first_s, 3.0, 20.0):
        result = generator.run(short(operation, seconds=seconds, **options), addresses())
        if holds(result):
            break
    return result


@pytest.mark.parametrize("operation", ["set", "get", "create"])
def test_against_its_own_responder_it_is_clean_and_its_percentiles_are_in_order(operation: str) -> None:
    result = run_until(lambda result: result.answered > 0, list, operation)
    assert result.clean
    assert result.answered > 0
    assert result.p50_us <= result.p99_us <= result.p999_us <= result.max_us
    assert 0 < result.busy_share <= 1


def test_fill_creates_every_key_once() -> None:
    result = generator.run(short("fill", keys=2500, seconds=30.0), [])
    assert (result.sent, result.answered) == (2500, 2500)


@pytest.mark.parametrize(
    ("lie", "lost", "first_error"),
    [("wrong_xid", 1, 0), ("error", 0, -101), ("short_body", 0, -(2**31)), ("hang_up", 1, 0)],
)
def test_a_lie_is_counted(lying_server: type[LyingServer], lie: str, lost: int, first_error: int) -> None:
    servers: list[LyingServer] = []

    def another() -> list[str]:
        servers.append(lying_server(lie))
        return [servers[-1].address]

    result = run_until(lambda _: servers[-1].answered > servers[-1].lie_after, another, connections=1)
    server = servers[-1]
    assert not result.clean
    assert result.lost == lost
    assert result.first_error == first_error
    assert result.answered >= server.lie_after


def test_an_honest_server_is_believed(lying_server: type[LyingServer]) -> None:
    server = lying_server("nothing")
    result = generator.run(short("get"), [server.address])
    assert result.clean
    assert result.answered == server.answered - (result.sent - result.answered)


def test_requests_that_are_never_answered_are_counted_and_the_run_ends(
    lying_server: type[LyingServer],
) -> None:
    server = lying_server("silence")
    result = generator.run(short(connections=1, patience_s=0.3), [server.address])
    assert result.unanswered == 4
    assert not result.clean


def test_with_a_rate_everybody_who_had_to_wait_for_a_stall_is_counted(
    lying_server: type[LyingServer],
) -> None:
    """A closed loop of one request sends one into the stall, and reports one slow request; where the machine
    stands still as well, as many as there is time for.  With 500 requests due in every second, about 250 were
    due while the server stood still for half of one."""

    def another() -> list[str]:
        return [lying_server("stall", stall_s=0.5).address]

    def slow(result: LoadResult) -> int:
        return sum(n for each in result.slices for us, n in each.latencies_us if us > 50_000)

    one: dict[str, Any] = {"connections": 1, "outstanding": 1, "slice_s": 0.3}
    closed = generator.run(short(seconds=1.2, **one), another())
    assert slow(closed) <= closed.wall_s / 0.05
    due = run_until(lambda result: slow(result) > 100, another, at_first_s=1.2, rate=500.0, **one)
    assert slow(due) > 100


def test_slices_hold_every_sample(lying_server: type[LyingServer]) -> None:
    server = lying_server("nothing")
    result = generator.run(short(slice_s=0.1), [server.address])
    assert sum(n for each in result.slices for _, n in each.latencies_us) == result.answered
    for share, figure_us in ((0.5, result.p50_us), (0.99, result.p99_us), (0.999, result.p999_us)):
        assert percentile_us(result.slices, share) == pytest.approx(figure_us, rel=0.02)
    assert all(one.to_s == two.from_s for one, two in zip(result.slices, result.slices[1:], strict=False))


def test_where_nobody_listens_it_says_so() -> None:
    with pytest.raises(CannotMeasure, match="connect to port 1:"):
        generator.run(short(), ["127.0.0.1:1"])


def test_percentiles_are_of_all_slices_together() -> None:
    slices = [Slice(0, 1, [(10.0, 989)]), Slice(1, 2, [(10.0, 1), (500.0, 9), (900.0, 1)])]
    assert percentile_us(slices, 0.5) == 10.0
    assert percentile_us(slices, 0.99) == 500.0
    assert percentile_us(slices, 0.999) == 900.0
    assert percentile_us([], 0.5) is None
