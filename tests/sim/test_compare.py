"""What is counted of the four protocols, and that it is counted right."""
from __future__ import annotations

import msgspec
import pytest

from agreed.consensus import protocols
from agreed.sim import compare
from agreed.sim.compare import COSTS, FAULTS, LOADS, WAYS, cost, disturbance, failover, watched
from agreed.sim.measured import MeasuredCluster, conditions
from agreed.sim.outcome import Broken
from agreed.sim.world import MS

EVERY = pytest.mark.parametrize("protocol", protocols.NAMES)
LOAD = {load.name: msgspec.structs.replace(load, writes=min(load.writes, 40)) for load in LOADS}
"""Fewer writes than are measured: enough to count them."""


@EVERY
def test_a_write_is_two_messages_there_and_two_back_and_one_sync_each(protocol: str) -> None:
    found = cost(protocol, LOAD["a client of the leader"], 0)
    # Of three nodes two are told; heartbeats come to a hundredth.
    assert 4.0 <= found.messages < 4.2
    assert found.syncs == pytest.approx(3.0, abs=0.05)
    assert (found.delays, found.syncs_waited) == (4.0, 1.0)
    assert found.latency_ms == (4 * COSTS.one_way_us + COSTS.sync_us) / MS


@EVERY
def test_a_follower_forwards_and_waits_to_be_told(protocol: str) -> None:
    found = cost(protocol, LOAD["a client of a follower"], 0)
    assert (found.delays, found.syncs_waited) == (6.0, 1.0)
    assert found.by_kind["Forward"] == 1.0


def test_fifty_writes_at_once_cost_what_one_costs() -> None:
    loads = LOAD["a client of the leader"], msgspec.structs.replace(LOAD["50 of the leader"], writes=6)
    one, fifty = (cost("zab", load, 0) for load in loads)
    assert fifty.messages == pytest.approx(one.messages / 50, rel=0.05)
    assert fifty.syncs == pytest.approx(one.syncs / 50, rel=0.05)
    assert fifty.latency_ms == one.latency_ms


def test_the_thrifty_way_spares_a_part_of_the_work_and_no_time() -> None:
    load = msgspec.structs.replace(LOAD["a client of the leader"], writes=60)
    at_once, thrifty = (cost("vr", load, spare_ms) for spare_ms in (0, 4))
    assert thrifty.messages < 0.8 * at_once.messages
    assert thrifty.syncs < 0.9 * at_once.syncs
    assert thrifty.latency_ms == at_once.latency_ms


@EVERY
def test_another_leads_soon_when_a_leader_is_killed_and_later_when_nobody_is_told(protocol: str) -> None:
    killed, silent, handed = (failover(protocol, how, [1]) for how in WAYS)
    assert killed.led_ms[0] <= killed.written_ms[0] < 500 <= silent.led_ms[0] < 1_500
    assert handed.written_ms[0] < killed.written_ms[0]


@pytest.mark.parametrize(
    ("fault", "elections", "unavailable_ms"),
    [("the leader is cut off", 1, (500, 1_200)), ("a follower is killed", 0, (0, 50))],
)
def test_clients_notice_when_the_leader_is_lost_and_hardly_when_a_follower_is(
    fault: str, elections: int, unavailable_ms: tuple[int, int]
) -> None:
    found = disturbance("raft", fault, [1])
    assert found.elections == elections
    assert unavailable_ms[0] <= found.unavailable_ms <= unavailable_ms[1]
    assert found.throughput < 1.0


@pytest.mark.parametrize("fault", ["a follower hears nobody", "only leader and follower are cut"])
def test_a_follower_that_misses_the_leader_does_not_take_the_others_from_it(fault: str) -> None:
    for protocol in protocols.NAMES:
        found = watched(protocol, fault, 1, 3)
        assert found.reading.elections == 0, protocol
        assert found.longest_gap_us <= 20 * MS, protocol


@EVERY
def test_a_leader_that_hears_nobody_is_replaced_while_it_is_still_heard(protocol: str) -> None:
    found = watched(protocol, "the leader hears nobody", 1, 3)
    assert found.reading.elections == 1
    assert found.longest_gap_us < (compare.LASTING_MS - 250) * MS


def test_the_same_seed_measures_the_same() -> None:
    measured = []
    for _ in range(2):
        watched.cache_clear()
        measured.append(watched("multipaxos", "packets are lost", 3, 3))
    assert measured[0] == measured[1]


def test_every_fault_finds_somebody_to_befall() -> None:
    """A fault without effect would be a row of the table that says nothing."""
    cluster = MeasuredCluster("raft", 3, 1, conditions(1_000, 2_000))
    faults = [make(cluster) for make in FAULTS.values()]
    assert {fault.lasting_ms for fault in faults} == {compare.LASTING_MS}
    for fault in faults:
        other = MeasuredCluster("raft", 3, 1, conditions(1_000, 2_000))
        other.strike(fault)
        other.run_for(1)
        assert f"fault: {fault.kind.value}" in other.world.marks, fault


def test_what_never_comes_is_not_waited_for() -> None:
    cluster = MeasuredCluster("raft", 3, 1, conditions(1_000, 2_000))
    with pytest.raises(Broken, match="not over within 20 ms"):
        cluster.wait(lambda: False, 20, "over")
