"""What each protocol costs and what each does when something breaks, counted in simulation.

    cost           messages, syncs, and time of a write, undisturbed
    failover       how long until somebody else leads, over many ends of leaders
    disturbance    what clients notice of each fault, beside the same seconds without it

The scenarios are the same for every protocol, seeds and all; what is counted is told in `measured.py`.  A
`Ruler` says how long a message and a sync take; timeouts are those of a node that is not told otherwise.

What this does not say: what the work of a processor costs.  It takes no time here; that is measured with real
processes.
"""
from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import msgspec

from agreed.sim.measured import MeasuredCluster, Reading, conditions
from agreed.sim.plan import Fault, FaultKind
from agreed.sim.world import MS


class Ruler(msgspec.Struct, frozen=True):
    one_way_us: int
    sync_us: int


COSTS = Ruler(200, 400)
"""Near each other: the next entry comes before a commit has to be told apart from it."""

FAILURES = Ruler(2_000, 4_000)
"""Slower, so that seconds hold fewer writes to be played."""

SERVED_SPARE_MS = 4
"""What `agreed serve` has unless it is told otherwise: see `consensus/thrift.py`."""

AFTER_MS = 400
"""From the coming of clients to their first write."""

DONE_WITHIN_MS = 30_000
CLIENT_WRITES = 800
"""More than a client gets done while it is watched."""


# --- cost ---------------------------------------------------------------------------------------------------


class Load(msgspec.Struct, frozen=True):
    """So many clients, each with one write at a time, `pause_ms` after the one before it began or as soon as
    that is answered; `place`: "leader", "follower", or "anywhere"."""

    name: str
    clients: int
    place: str
    writes: int
    pause_ms: int = 0


LOADS = (
    Load("a client now and then", 1, "leader", 100, pause_ms=10),
    Load("a client of the leader", 1, "leader", 200),
    Load("a client of a follower", 1, "follower", 200),
    Load("50 of the leader", 50, "leader", 12),
    Load("51 anywhere", 51, "anywhere", 12),
)


class Cost(msgspec.Struct, frozen=True):
    """Of one write, on the average: messages of all nodes to all nodes, heartbeats too, and syncs of all
    disks.

    `delays` and `syncs_waited`: how many messages, and how many syncs, follow each other between a client's
    request and its answer (None where there are several clients, which wait for each other).
    """

    protocol: str
    load: str
    spare_delay_ms: int
    messages: float
    by_kind: dict[str, float]
    syncs: float
    latency_ms: float
    latency_most_ms: float
    writes_per_s: float
    delays: float | None
    syncs_waited: float | None


def cost(protocol: str, load: Load, spare_delay_ms: int, nodes: int = 3) -> Cost:
    reading, latencies = _loaded(protocol, load, nodes, spare_delay_ms, COSTS.sync_us)
    writes = len(latencies)
    delays = waited = None
    if load.clients == 1:
        _, unsynced = _loaded(protocol, load, nodes, spare_delay_ms, 0)
        delays = statistics.median(unsynced) / COSTS.one_way_us
        waited = (statistics.median(latencies) - statistics.median(unsynced)) / COSTS.sync_us
    return Cost(
        protocol=protocol,
        load=load.name,
        spare_delay_ms=spare_delay_ms,
        messages=reading.sent / writes,
        by_kind={kind: times / writes for kind, times in sorted(reading.messages.items())},
        syncs=reading.syncs / writes,
        latency_ms=statistics.median(latencies) / MS,
        latency_most_ms=max(latencies) / MS,
        writes_per_s=writes * 1_000_000 / reading.at_us,
        delays=delays,
        syncs_waited=waited,
    )


def _loaded(
    protocol: str, load: Load, nodes: int, spare_delay_ms: int, sync_us: int
) -> tuple[Reading, list[int]]:
    """What the meters say of the load, from its first request to its last answer, and all latencies."""
    cluster = MeasuredCluster(protocol, nodes, 1, conditions(COSTS.one_way_us, sync_us, spare_delay_ms))
    leader = cluster.led_by()
    only = {"leader": leader, "follower": cluster.followers()[0], "anywhere": None}[load.place]
    at_ms = cluster.now_ms + AFTER_MS
    cluster.write(load.clients, load.writes, at_ms, only, load.pause_ms)
    cluster.run(at_ms)
    before = cluster.read()
    cluster.wait(cluster.at_rest, DONE_WITHIN_MS, "written")
    reading = cluster.read().since(before)
    return reading, [told - asked for asked, told in cluster.written]


# --- failover -----------------------------------------------------------------------------------------------

WAYS = {"killed": FaultKind.KILL, "without a word": FaultKind.POWER, "handed over": FaultKind.TRANSFER}
"""How a leader ends: its connections break; its machine is gone and nobody is told; an operator asks."""


class Failover(msgspec.Struct, frozen=True):
    """Both lists have one number of ms for each time, sorted: until another leads, and until a write is
    acknowledged then."""

    protocol: str
    how: str
    led_ms: list[int]
    written_ms: list[int]


def failover(protocol: str, how: str, seeds: Sequence[int], nodes: int = 3) -> Failover:
    times = [_one_failover(protocol, WAYS[how], seed, nodes) for seed in seeds]
    return Failover(protocol, how, sorted(led for led, _ in times), sorted(written for _, written in times))


def _one_failover(protocol: str, kind: FaultKind, seed: int, nodes: int) -> tuple[int, int]:
    cluster = _cluster(protocol, nodes, seed)
    old = cluster.led_by()
    for follower in cluster.followers():
        cluster.write(1, CLIENT_WRITES, cluster.now_ms + AFTER_MS, follower)
    # Not in step with heartbeats: the end comes at any moment between two of them.
    cluster.run_for(AFTER_MS + 100 + 37 * seed % 100)
    began_us = cluster.world.now
    target = "" if kind is FaultKind.TRANSFER else old.name
    cluster.strike(Fault(1, 0, kind, target, DONE_WITHIN_MS))
    cluster.wait(lambda: cluster.leader() not in (None, old), DONE_WITHIN_MS, "led by another")
    led_us, before = cluster.world.now, len(cluster.written)
    cluster.wait(lambda: len(cluster.written) > before, DONE_WITHIN_MS, "written after that")
    return (led_us - began_us) // MS, (cluster.world.now - began_us) // MS


def _cluster(protocol: str, nodes: int, seed: int) -> MeasuredCluster:
    how = conditions(FAILURES.one_way_us, FAILURES.sync_us, SERVED_SPARE_MS)
    return MeasuredCluster(protocol, nodes, seed, how)


# --- faults -------------------------------------------------------------------------------------------------

LASTING_MS = 2_000
WATCHED_MS = 3_000


def _minority(cluster: MeasuredCluster) -> Fault:
    followers = cluster.followers()
    cut = followers[: len(followers) // 2]
    others = [node for node in cluster.nodes.values() if node not in cut]
    groups = "|".join(",".join(node.name for node in group) for group in (cut, others))
    return Fault(1, 0, FaultKind.CUT, groups, LASTING_MS)


def _deaf_follower(cluster: MeasuredCluster) -> Fault:
    return Fault(1, 0, FaultKind.CUT_ONE_WAY, f"*>{cluster.followers()[0].name}", LASTING_MS)


def _leader_from_a_follower(cluster: MeasuredCluster) -> Fault:
    """Both hear the others: who misses the leader must not take them away from it."""
    groups = f"{cluster.led_by().name}|{cluster.followers()[0].name}"
    return Fault(1, 0, FaultKind.CUT, groups, LASTING_MS)


def _on(kind: FaultKind, target: str, amount: int = 0) -> Callable[[MeasuredCluster], Fault]:
    return lambda cluster: Fault(1, 0, kind, target, LASTING_MS, amount)


FAULTS: dict[str, Callable[[MeasuredCluster], Fault]] = {
    "the leader is killed": _on(FaultKind.KILL, "leader"),
    "the leader's machine is gone": _on(FaultKind.POWER, "leader"),
    "the leader is paused": _on(FaultKind.PAUSE, "leader"),
    "the leader is cut off": _on(FaultKind.CUT, "leader"),
    "nobody hears the leader": _on(FaultKind.CUT_ONE_WAY, "leader>*"),
    "the leader hears nobody": _on(FaultKind.CUT_ONE_WAY, "*>leader"),
    "a follower is killed": _on(FaultKind.KILL, "follower"),
    "a follower is paused": _on(FaultKind.PAUSE, "follower"),
    "a follower hears nobody": _deaf_follower,
    "only leader and follower are cut": _leader_from_a_follower,
    "a minority is cut off": _minority,
    "the leader's disk is slow": _on(FaultKind.SLOW_DISK, "leader", 100),
    "a follower's disk is slow": _on(FaultKind.SLOW_DISK, "follower", 100),
    "packets are lost": _on(FaultKind.LOSE, "*>*", 20),
}
"""Each for two seconds, watched for three.  Slow: 100 ms more for a sync; lost: one packet of fifty, which
TCP sends again after 200 ms."""


class Disturbance(msgspec.Struct, frozen=True):
    """`unavailable_ms`: the longest time without an acknowledged write, in the middle and at worst of all
    seeds; `throughput`: writes beside those of the same seconds without the fault; `messages` of nodes for
    each write; `elections` on the average."""

    protocol: str
    fault: str
    unavailable_ms: int
    unavailable_most_ms: int
    throughput: float
    messages: float
    elections: float


class Watched(msgspec.Struct, frozen=True):
    writes: int
    longest_gap_us: int
    reading: Reading


def disturbance(protocol: str, fault: str, seeds: Sequence[int], nodes: int = 3) -> Disturbance:
    """Of these seeds together."""
    calm = [watched(protocol, None, seed, nodes) for seed in seeds]
    struck = [watched(protocol, fault, seed, nodes) for seed in seeds]
    gaps = sorted(each.longest_gap_us // MS for each in struck)
    writes = sum(each.writes for each in struck)
    return Disturbance(
        protocol=protocol,
        fault=fault,
        unavailable_ms=gaps[len(gaps) // 2],
        unavailable_most_ms=gaps[-1],
        throughput=writes / sum(each.writes for each in calm),
        messages=sum(each.reading.sent for each in struck) / max(writes, 1),
        elections=sum(each.reading.elections for each in struck) / len(struck),
    )


@lru_cache
def watched(protocol: str, fault: str | None, seed: int, nodes: int) -> Watched:
    """One client at each node, which stays there if it can; None: undisturbed."""
    cluster = _cluster(protocol, nodes, seed)
    cluster.write(nodes, CLIENT_WRITES, cluster.now_ms + AFTER_MS)
    cluster.run_for(2 * AFTER_MS + 37 * seed % 100)
    began_us, before = cluster.world.now, cluster.read()
    if fault is not None:
        cluster.strike(FAULTS[fault](cluster))
    cluster.run_for(WATCHED_MS)
    reading = cluster.read().since(before)
    moments = [told for _, told in cluster.written if told >= began_us]
    edges = [began_us, *moments, cluster.world.now]
    gap = max(later - sooner for sooner, later in pairwise(edges))
    return Watched(len(moments), gap, reading)


# --- all of it ----------------------------------------------------------------------------------------------


class Comparison(msgspec.Struct, frozen=True):
    """Of one protocol.  `undisturbed_messages`: of nodes for each write, where no fault comes."""

    protocol: str
    nodes: int
    seeds: int
    undisturbed_messages: float
    costs: list[Cost]
    failovers: list[Failover]
    disturbances: list[Disturbance]


def measure(protocol: str, nodes: int, ends: int, seeds: int) -> Comparison:
    """`ends`: how many leaders end in each way; `seeds`: how often each fault comes."""
    calm = [watched(protocol, None, seed, nodes) for seed in range(seeds)]
    return Comparison(
        protocol,
        nodes,
        seeds,
        sum(each.reading.sent for each in calm) / sum(each.writes for each in calm),
        [cost(protocol, load, spare_ms, nodes) for spare_ms in (0, SERVED_SPARE_MS) for load in LOADS],
        [failover(protocol, how, range(ends), nodes) for how in WAYS],
        [disturbance(protocol, fault, range(seeds), nodes) for fault in FAULTS],
    )
