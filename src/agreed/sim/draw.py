"""From a seed to a plan: which faults, how often, and what clients are after (swarm testing).

Each run draws which kinds of faults it may have at all, and then how many of each: most runs have a few kinds
in abundance, some have none.  A run in which everything is possible is a run in which nothing goes far.
"""
from __future__ import annotations

from collections.abc import Callable

import msgspec

from agreed.consensus import protocols
from agreed.sim.etcd_workload import WISHES
from agreed.sim.plan import ETCD, PROFILES, Ask, Conditions, Fault, FaultKind, Plan, client_names, node_names
from agreed.sim.streams import Stream
from agreed.sim.workload import KEYS

FUNCTIONS = (
    ("read", 10), ("write", 10), ("cas", 8), ("local read", 6), ("add", 6), ("members", 3),
    ("enqueue", 6), ("dequeue", 6), ("increment", 8), ("value", 3), ("acquire", 4), ("exchange", 4),
    ("both", 3), ("watch", 5), ("claim", 2), ("move", 1), ("sleep", 1), ("stall", 1), ("vanish", 1),
    ("close", 1),
)  # fmt: skip

NETWORK, PROCESSES, DISKS, CLOCKS, MEMBERS = "network", "processes", "disks", "clocks", "members"

GROUPS: dict[FaultKind, str] = {
    FaultKind.CUT: NETWORK, FaultKind.CUT_ONE_WAY: NETWORK, FaultKind.CLOG: NETWORK, FaultKind.LOSE: NETWORK,
    FaultKind.DOUBLE: NETWORK, FaultKind.REPLAY: NETWORK, FaultKind.CORRUPT: NETWORK,
    FaultKind.BREAK: NETWORK, FaultKind.MOVE_CLIENTS: NETWORK, FaultKind.GATHER: NETWORK,
    FaultKind.KILL: PROCESSES, FaultKind.POWER: PROCESSES, FaultKind.PAUSE: PROCESSES,
    FaultKind.SLOW_DISK: DISKS, FaultKind.FULL_DISK: DISKS, FaultKind.FAILING_SYNC: DISKS,
    FaultKind.READ_ERROR: DISKS, FaultKind.ROT: DISKS, FaultKind.MISDIRECT: DISKS, FaultKind.WIPE: DISKS,
    FaultKind.DRIFT: CLOCKS, FaultKind.WALL_JUMP: CLOCKS, FaultKind.WALL_STROBE: CLOCKS,
    FaultKind.TRANSFER: MEMBERS, FaultKind.ADD: MEMBERS, FaultKind.REMOVE: MEMBERS,
}  # fmt: skip

CHANCES: dict[str, dict[str, int]] = {
    "swarm": {NETWORK: 350, PROCESSES: 500, DISKS: 250, CLOCKS: 250, MEMBERS: 400},
    "network": {NETWORK: 550, PROCESSES: 350, DISKS: 0, CLOCKS: 0, MEMBERS: 200},
    "disk": {NETWORK: 100, PROCESSES: 700, DISKS: 600, CLOCKS: 0, MEMBERS: 150},
    "clock": {NETWORK: 150, PROCESSES: 500, DISKS: 0, CLOCKS: 800, MEMBERS: 300},
    "membership": {NETWORK: 250, PROCESSES: 500, DISKS: 80, CLOCKS: 0, MEMBERS: 900},
}
"""Permille of runs of a profile that have a kind of faults of this group."""

SELDOM = {
    FaultKind.ADD, FaultKind.REMOVE, FaultKind.WIPE, FaultKind.ROT, FaultKind.MISDIRECT,
}  # fmt: skip
"""What a cluster needs some time to recover from, and cannot have twice at a time."""

NEW_MEMBERS = {FaultKind.ADD, FaultKind.REMOVE, FaultKind.WIPE, FaultKind.ROT, FaultKind.MISDIRECT}
"""After these somebody has to change the members: who lost its disk, or what was on it, is replaced."""

DRIFT_KEPT = 22_000
"""Millionths: two clocks that are off by so much each, in opposite directions, are within the 50 permille
that nodes with leases are told to expect, with something left for instants being whole milliseconds."""

LOOSE_BOUND_PERMILLE = 300
DRIFT_KEPT_LOOSELY = 120_000
"""The same for nodes that are told to expect clocks of this kind."""

DRIFT_MOST = 150_000


def draw(seed: int, profile: str = "swarm") -> Plan:
    """The plan of this seed.  The same for ever, as long as this file stays what it is."""
    if profile not in PROFILES:
        raise ValueError(f"{profile!r} is none of {', '.join(PROFILES)}")
    family, _, faults_of = profile.rpartition("-")
    consensus = "" if family == ETCD else family
    stream = Stream(seed, profile, "plan")
    nodes = stream.weighted([(3, 14), (5, 4), (4, 1), (2, 1), (1, 1)])
    clients = stream.between(2, 5)
    storm_ms = stream.weighted([(1_200, 3), (2_500, 5), (5_000, 2)])
    conditions = _conditions(Stream(seed, profile, "conditions"), faults_of)
    if consensus:
        conditions = msgspec.structs.replace(conditions, lease_reads=False)
    faults = _Drawing(seed, profile, nodes, storm_ms, conditions).faults()
    if consensus:
        faults = tuple(fault for fault in faults if fault.kind not in NEW_MEMBERS)
    etcd_clients = 0
    if family == ETCD:
        # In one run of four both speak to one cluster.
        etcd_clients = clients - 1 if stream.chance(250) else clients
        conditions = _for_etcd(Stream(seed, profile, "etcd conditions"), conditions)
    asks = _asks(Stream(seed, profile, "asks"), clients, storm_ms, clients - etcd_clients)
    return Plan(
        seed, profile, nodes, clients, storm_ms, conditions, faults, asks, consensus or protocols.RAFT,
        etcd_clients,
    )  # fmt: skip


def _for_etcd(stream: Stream, conditions: Conditions) -> Conditions:
    """Values are large in some runs, so that who does not read has soon more unread than fits."""
    conditions = msgspec.structs.replace(
        conditions,
        watch_backlog_bytes=stream.pick([0, 2_000, 1_000_000]),
        watch_progress_ms=stream.pick([120, 400, 5_000]),
    )
    if not stream.chance(200):
        return conditions
    return msgspec.structs.replace(
        conditions, value_bytes=1_500, chunk_bytes=100_000, segment_bytes=65_536, max_append_bytes=100_000
    )


def _conditions(stream: Stream, profile: str) -> Conditions:
    lease_reads = stream.chance(500)
    conditions = Conditions(
        latency_us=stream.pick([(50, 400), (200, 2_500), (500, 9_000)]),
        loose_frames=stream.chance(600 if profile in ("network", "swarm") else 300),
        sync_us=stream.pick([(50, 300), (200, 3_000), (1_000, 20_000)]),
        lazy_permille=stream.pick([0, 0, 200, 600]),
        tail_entries=stream.pick([0, 5, 50]),
        max_append_bytes=stream.pick([200, 4_000, 100_000]),
        window_messages=stream.pick([1, 8, 64]),
        commit_notice_ms=stream.pick([0, 2, 20]),
        lease_reads=lease_reads,
        drift_millionths=stream.pick([0, 500, DRIFT_KEPT]),
        linearizable_reads=stream.chance(350),
        snapshot_entries=stream.pick([4, 12, 30, 80, 10_000]),
        segment_bytes=stream.pick([2_048, 16_384, 65_536]),
        chunk_bytes=stream.pick([120, 700, 100_000]),
        session_ms=stream.pick([(1_500, 2_500), (2_000, 4_000)]),
        pipelined=stream.pick([1, 2, 6]),
        until_sessions_end=stream.chance(250),
        spare_delay_ms=stream.pick([0, 4, 30]),
        catching_up_bytes=stream.pick([3_000, 5_000, 1_000_000]),
    )
    if stream.chance({"network": 500, "swarm": 300}.get(profile, 100)):
        # Entries that follow each other quickly: logs can differ by many.
        conditions = msgspec.structs.replace(
            conditions, large_proposal_bytes=1, proposals_under_way=20, pipelined=6
        )
    hasty = lease_reads and stream.chance(600 if profile == "clock" else 150)
    if not hasty:
        return conditions
    return _with_loose_clocks(_hasty(conditions)) if stream.chance(500) else _hasty(conditions)


def _hasty(conditions: Conditions) -> Conditions:
    """Another leads as soon as it may: the end of a lease counts only where nothing else takes time."""
    return msgspec.structs.replace(
        conditions,
        latency_us=(50, 400),
        sync_us=(50, 300),
        lazy_permille=0,
        drift_millionths=DRIFT_KEPT,
        election_timeout_ms=(250, 254),
    )


def _with_loose_clocks(conditions: Conditions) -> Conditions:
    """A lease that trusts a slow clock too long is wrong for a tenth of a second, and not for a hundredth."""
    return msgspec.structs.replace(
        conditions, clock_rate_bound_permille=LOOSE_BOUND_PERMILLE, drift_millionths=DRIFT_KEPT_LOOSELY
    )


class _Drawing:
    """The faults of one plan."""

    def __init__(self, seed: int, profile: str, nodes: int, storm_ms: int, conditions: Conditions) -> None:
        self._seed, self._profile, self._storm_ms = seed, profile, storm_ms
        self._names = node_names(nodes)
        self._conditions = conditions
        self._ways: dict[FaultKind, Callable[[Stream], tuple[str, int, int]]] = {
            FaultKind.CUT: self._cut,
            FaultKind.CUT_ONE_WAY: lambda s: (self._link(s), s.pick([100, 500, 1_500]), 0),
            FaultKind.CLOG: lambda s: (self._link(s), s.pick([100, 500]), s.pick([20, 150, 600])),
            FaultKind.LOSE: lambda s: (self._link(s), s.pick([300, 1_000]), s.pick([30, 200, 500])),
            FaultKind.DOUBLE: lambda s: (self._link(s), s.pick([300, 1_000]), s.pick([50, 300])),
            FaultKind.REPLAY: lambda s: (self._link(s), s.pick([300, 1_000]), s.pick([30, 200])),
            FaultKind.CORRUPT: lambda s: (self._link(s), s.pick([50, 300]), s.pick([5, 50])),
            FaultKind.BREAK: lambda s: (self._link(s), 0, 0),
            FaultKind.MOVE_CLIENTS: lambda s: (self._node(s), 0, 0),
            FaultKind.KILL: lambda s: (self._node(s), s.pick([5, 100, 800]), 0),
            FaultKind.POWER: lambda s: ("*" if s.chance(250) else self._node(s), s.pick([20, 200, 800]), 0),
            FaultKind.PAUSE: lambda s: (self._node(s), s.pick([30, 400, 1_600, 2_500]), 0),
            FaultKind.SLOW_DISK: lambda s: (self._node(s), s.pick([200, 1_000]), s.pick([10, 100, 700])),
            FaultKind.FULL_DISK: lambda s: (self._node(s), s.pick([100, 800]), 0),
            FaultKind.FAILING_SYNC: lambda s: (self._node(s), 0, 0),
            FaultKind.READ_ERROR: lambda s: (self._node(s), s.pick([100, 800]), 0),
            FaultKind.ROT: lambda s: (self._node(s), s.pick([1, 100]), 0),
            FaultKind.MISDIRECT: lambda s: (self._node(s), s.pick([100, 400]), 0),
            FaultKind.WIPE: lambda s: (self._node(s), s.pick([20, 300]), 0),
            FaultKind.DRIFT: self._drift,
            FaultKind.WALL_JUMP: lambda s: (self._node(s), 0, s.pick([-1, 1]) * s.pick([50, 3_000, 10**8])),
            FaultKind.WALL_STROBE: lambda s: (self._node(s), s.pick([300, 1_000]), s.pick([40, 5_000])),
            FaultKind.TRANSFER: lambda s: ("" if s.chance(500) else s.pick(self._names), 0, 0),
            FaultKind.ADD: lambda s: (f"n{len(self._names) + s.between(1, 2)}", 0, int(s.chance(800))),
            FaultKind.REMOVE: lambda s: (self._node(s), 0, int(s.chance(500))),
            FaultKind.GATHER: lambda s: (self._node(s), s.pick([100, 600]), s.pick([600, 1_000])),
        }  # fmt: skip

    def faults(self) -> tuple[Fault, ...]:
        chances = CHANCES[self._profile.rpartition("-")[2]]
        seconds = -(-self._storm_ms // 1_000)
        found: list[tuple[int, int, FaultKind, tuple[str, int, int]]] = []
        for place, (kind, way) in enumerate(self._ways.items()):
            stream = Stream(self._seed, self._profile, "faults", kind.value)
            if not stream.chance(chances[GROUPS[kind]]):
                continue
            most = stream.pick([1, seconds, 4 * seconds])
            if kind in SELDOM:
                most = min(most, seconds)
            for _ in range(1 + stream.below(most)):
                found.append((stream.below(self._storm_ms), place, kind, way(stream)))
        found += self._hunt(Stream(self._seed, self._profile, "faults", "hunt"), chances)
        found += self._deaf_transfers(Stream(self._seed, self._profile, "faults", "deaf"), chances)
        found.sort(key=lambda each: each[:2])
        return tuple(
            Fault(number, at_ms, kind, target, lasting_ms, amount)
            for number, (at_ms, _, kind, (target, lasting_ms, amount)) in enumerate(found, 1)
        )

    def _hunt(
        self, stream: Stream, chances: dict[str, int]
    ) -> list[tuple[int, int, FaultKind, tuple[str, int, int]]]:
        """One leader after the other is cut off for a while: logs that leave each other, votes that come
        late, and terms in which nobody gets far are rare without it.

        Where all clients are with the leader that is cut off, its log grows for a while, and that of the next
        one does not: of two logs the longer one is the older.  And leases count when nobody is heard."""
        talkative = self._conditions.large_proposal_bytes == 1
        often = 700 if talkative else 400 if self._conditions.lease_reads else 0
        if not stream.chance(max(chances[NETWORK] // 2, often)):
            return []
        pause_ms, found = stream.pick([300, 600, 900]), []
        gathered = stream.chance(800 if talkative else 300)
        all_or_most = stream.pick([600, 1_000])
        if gathered and stream.chance(700):
            return self._hunt_with_successor(stream)
        at_ms = stream.below(pause_ms)
        while at_ms < self._storm_ms:
            lasting_ms = stream.pick([120, 400, 800])
            if gathered:
                meeting = ("leader", 80 + lasting_ms, all_or_most)
                found.append((max(0, at_ms - 80), 99, FaultKind.GATHER, meeting))
            found.append((at_ms, 100, FaultKind.CUT, ("leader", lasting_ms, int(stream.chance(300)))))
            if stream.chance(300):
                found.append((at_ms, 101, FaultKind.CLOG, ("*>*", lasting_ms, stream.pick([20, 120, 300]))))
            at_ms += pause_ms // 2 + stream.below(pause_ms)
        return found

    def _hunt_with_successor(self, stream: Stream) -> list[tuple[int, int, FaultKind, tuple[str, int, int]]]:
        """The leader is cut off with all clients, and its successor before it has said much; then the first
        comes back, with the log that is longer and older."""
        found: list[tuple[int, int, FaultKind, tuple[str, int, int]]] = []
        at_ms = 200 + stream.below(400)
        while at_ms < self._storm_ms:
            away_ms = stream.pick([500, 700, 900])
            found.append((at_ms - 150, 99, FaultKind.GATHER, ("leader", 150 + 2 * away_ms, 1_000)))
            found.append((at_ms, 100, FaultKind.CUT, ("leader", away_ms, 0)))
            found.append((at_ms, 101, FaultKind.CUT, ("successor", 2 * away_ms, 0)))
            at_ms += 2 * away_ms + 200 + stream.below(300)
        return found

    def _deaf_transfers(
        self, stream: Stream, chances: dict[str, int]
    ) -> list[tuple[int, int, FaultKind, tuple[str, int, int]]]:
        """A leader hands over, and then hears nothing for a while: neither that it was heard nor that another
        leads.  With leases that is when they count."""
        if not stream.chance(chances[MEMBERS]):
            return []
        found: list[tuple[int, int, FaultKind, tuple[str, int, int]]] = []
        for _ in range(1 + stream.below(3)):
            at_ms = stream.below(self._storm_ms)
            found.append((at_ms, 102, FaultKind.TRANSFER, ("", 0, 0)))
            found.append((at_ms, 103, FaultKind.CUT_ONE_WAY, ("*>leader", stream.pick([100, 250, 500]), 0)))
        return found

    def _node(self, stream: Stream) -> str:
        return stream.weighted([("leader", 3), ("follower", 2), (stream.pick(self._names), 3)])

    def _link(self, stream: Stream) -> str:
        one, other = (*stream.sample(self._names, 2), "*")[:2]
        return stream.weighted([(f"{one}>{other}", 4), ("leader>*", 2), ("*>leader", 2), ("*>*", 2)])

    def _cut(self, stream: Stream) -> tuple[str, int, int]:
        names = stream.sample(self._names, len(self._names))
        half = len(names) // 2
        halves = f"{','.join(names[:half])}|{','.join(names[half:])}"
        bridge = f"{','.join(names[:half])}|{','.join(names[half + 1 :])}"
        alone = f"{names[0]}|{','.join(names[1:])}"
        target = stream.weighted([(halves, 3), (bridge, 2), (alone, 2), ("leader", 3), ("ring", 1)])
        return target, stream.pick([60, 400, 1_200, 6_000]), int(stream.chance(500))

    def _drift(self, stream: Stream) -> tuple[str, int, int]:
        conditions = self._conditions
        most = max(DRIFT_KEPT, conditions.drift_millionths) if conditions.lease_reads else DRIFT_MOST
        amount = stream.pick([-most, most, stream.between(-most, most)])
        return self._node(stream), stream.pick([500, 2_000]), amount


def _asks(stream: Stream, clients: int, storm_ms: int, of_zookeeper: int) -> tuple[Ask, ...]:
    """Each client has its own pace and, mostly, only some wishes."""
    asks: list[Ask] = []
    for number, name in enumerate(client_names(clients)):
        functions = FUNCTIONS if number < of_zookeeper else WISHES
        at_ms = 0
        every_ms = stream.pick([4, 12, 40])
        chosen = functions if stream.chance(300) else stream.sample(functions, stream.between(2, 7))
        wishes = [function for function, weight in chosen for _ in range(weight)]
        keys = KEYS[: stream.between(1, len(KEYS))]
        while at_ms < storm_ms:
            at_ms += stream.between(0, 2 * every_ms)
            function, key = stream.pick(wishes), stream.pick(keys)
            patience_ms, attempts = stream.pick([300, 1_500]), stream.between(1, 3)
            asks.append(Ask(len(asks) + 1, at_ms, name, function, key, patience_ms, attempts))
    return tuple(asks)
