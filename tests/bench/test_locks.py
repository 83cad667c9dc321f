"""The fleet that hands locks on does what it says, notices who has one while another does, and the bars are
judged by what was measured."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from bench.generator import CannotMeasure
from bench.lock_fleet import Crossed, Figures, Handed, HeldBy, figures, hand_on, raise_if_crossed, workers
from bench.lock_load import Hold, Load
from bench.lock_report import BARS, CASES, ELECTS, Handover, Measurement, missed_bars, rates_table

from agreed import testing


@pytest.fixture(scope="module")
def zookeeper() -> Iterator[str]:
    with testing.zookeeper() as server:
        yield server.hosts


@pytest.fixture(scope="module")
def etcd() -> Iterator[str]:
    with testing.etcd() as server:
        yield server.hosts


def until_all_had_it(loads: list[Load]) -> Handed:
    """On a machine that is busy with something else it may take longer than a moment."""
    clients = sum(len(load.addresses) for load in loads)
    for seconds in (0.3, 3.0, 20.0):
        with contextlib.suppress(CannotMeasure):
            handed = hand_on(loads, seconds, warmup_s=0.0, servers_used_s=lambda: 0.0)
            if len({each.client for each in handed.holds}) == clients:
                return handed
    raise AssertionError("somebody never had it, and who comes first is served first")


@pytest.mark.parametrize("client", ["kazoo", "ours", "ours, threads"])
def test_each_client_of_zookeeper_hands_the_lock_on(client: str, zookeeper: str) -> None:
    load = Load(client, "zk", [zookeeper] * 2, name=f"bench/{len(client)}")
    handed = until_all_had_it([load, load])
    assert handed.clients_used_s > 0
    assert figures(handed).changes_per_s > 0


@pytest.mark.parametrize("client", ["ours", "lock service"])
def test_each_client_of_etcd_hands_the_lock_on(client: str, etcd: str) -> None:
    load = Load(client, "etcd", [etcd] * 3, name=f"bench-{len(client)}")
    until_all_had_it([load])


@pytest.mark.parametrize("client", ["kazoo", "ours"])
def test_who_stands_for_an_election_says_that_he_leads(client: str, zookeeper: str) -> None:
    load = Load(client, "zk", [zookeeper] * 2, elections=[f"bench-one-{client}", f"bench-other-{client}"])
    with workers([load]) as (worker,):
        said = [worker.says(time.monotonic() + 30).split() for _ in load.elections]
    assert sorted(name for _, name, _ in said) == sorted(load.elections)
    assert all(float(at) <= time.monotonic() for _, _, at in said)


def test_a_process_that_cannot_connect_says_why() -> None:
    with (
        pytest.raises(CannotMeasure, match="no_such_scheme"),
        workers([Load("ours", "no_such_scheme", ["x"])]),
    ):
        pass


def held(client: int, had: float, giving: float, gone: float | None = None) -> HeldBy:
    return HeldBy(client, Hold(had - 0.5, had, giving, giving if gone is None else gone))


def test_who_has_it_while_another_does_is_noticed() -> None:
    raise_if_crossed([held(1, 0.0, 1.0), held(2, 1.0, 2.0), held(1, 2.5, 3.0)])
    with pytest.raises(Crossed):
        raise_if_crossed([held(1, 0.0, 1.0), held(2, 0.9, 2.0)])


def test_what_the_figures_are_of() -> None:
    holds = [held(1, 1.0, 1.0, 1.1), held(2, 1.2, 1.2, 1.3), held(2, 1.4, 1.4, 1.5)]
    found = figures(Handed(2.0, holds, in_all=4, clients_used_s=0.4, servers_used_s=0.8))
    assert found == Figures(
        holds_per_s=1.5,
        changes_per_s=0.5,
        cycle_p50_ms=600.0,
        cycle_p99_ms=600.0,
        hand_over_p50_ms=200.0,
        hand_over_p99_ms=200.0,
        clients_ms=100.0,
        servers_ms=200.0,
    )


def test_a_lock_that_was_not_handed_on_gives_no_figures() -> None:
    with pytest.raises(CannotMeasure):
        figures(Handed(1.0, [held(1, 0.0, 0.1)], in_all=1, clients_used_s=0, servers_used_s=0))


def measured(rates: dict[str, float], *, elections: int = 0) -> list[Measurement]:
    return [
        Measurement(contestant, case, 0, Figures(rate, rate, 1, 2, 3, 4, 5, 6), 0.0, elections)
        for contestant, rate in rates.items()
        for case in CASES
    ]


@pytest.mark.parametrize("bar", BARS, ids=str)
def test_a_bar_is_missed_by_who_is_slower(bar: object) -> None:
    ours, beside, bound = bar.contestant, bar.beside, bar.bound  # type: ignore[attr-defined]
    assert missed_bars(measured({ours: 100 * bound + 1, beside: 100}), []) == []
    sentences = missed_bars(measured({ours: 100 * bound - 1, beside: 100}), [])
    assert len(sentences) == len(CASES)
    assert all(ours in each and beside in each for each in sentences)


def test_the_next_leader_leads_within_the_ttl_and_a_second() -> None:
    assert missed_bars([], [Handover(ELECTS, 4.0, [3.0, 4.9]), Handover("kazoo on ours", 4.0, [9.0])]) == []
    assert len(missed_bars([], [Handover(ELECTS, 4.0, [3.0, 5.1])])) == 1


def test_a_run_in_which_the_nodes_elected_another_leader_is_told() -> None:
    (one, other) = missed_bars(measured({"ours on etcd": 1}, elections=1), [])
    assert "elections" in one
    assert "elections" in other


def test_a_ratio_is_that_to_kazoo_on_zookeeper() -> None:
    table = rates_table(measured({"kazoo on ZooKeeper": 100, "ours on ours": 350}))
    assert table.count("3.50x") == 2
