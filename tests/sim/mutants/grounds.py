"""Where a mutant is hunted: whole clusters first, in the profiles that are drawn anyway; then the same with
faults that are aimed at it; then machines alone, in random worlds of their own.

A ground plays one seed with a mutant, or with what is shipped, and tells what was noticed.  Aimed faults are
added to a plan that is drawn as ever: what a mutant needs may be common in the world and still take ten
thousand seeds, because it must happen at one moment.  Machines alone are the last resort, and the only place
for what no whole cluster does: to recover without a disk, and to commit over several databases.
"""
from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from agreed.atomic_commit.coordinator import Coordinator
from agreed.atomic_commit.participant import Participant
from agreed.atomic_commit.replicated import ReplicatedCoordinator
from agreed.consensus.machine import Send
from agreed.consensus.vr.messages import RecoveryResponse
from agreed.consensus.vr.viewstamped import Viewstamped
from agreed.sim.draw import DRIFT_KEPT_LOOSELY, LOOSE_BOUND_PERMILLE, draw
from agreed.sim.parts import Parts
from agreed.sim.plan import PROFILES, Ask, Fault, FaultKind, Plan, client_names, node_names
from agreed.sim.run import run
from tests.atomic_commit.transacting import OverRaft
from tests.atomic_commit.world import World as AtomicWorld
from tests.consensus.nodes import MISCHIEF, Weather
from tests.consensus.vr.world import DisklessWorld, Node

# --- whole clusters, and faults that are aimed ------------------------------------------------------------


def aimed(
    seed: int, profile: str, faults: list[tuple[int, FaultKind, str, int, int]], **conditions: object
) -> Plan:
    """The plan of this seed for three nodes and a long storm, with these faults (when, what, where, how long,
    how much) besides its own, and these conditions."""
    plan = draw(seed, profile)
    number = max((fault.number for fault in plan.faults), default=0)
    added = [
        Fault(number + place, at_ms, kind, target, lasting_ms, amount)
        for place, (at_ms, kind, target, lasting_ms, amount) in enumerate(faults, 1)
    ]
    every = sorted([*plan.faults, *added], key=lambda fault: (fault.at_ms, fault.number))
    return msgspec.structs.replace(
        plan,
        nodes=3,
        storm_ms=max(plan.storm_ms, STORM_MS),
        faults=tuple(every),
        conditions=msgspec.structs.replace(plan.conditions, **conditions),
    )


STORM_MS = 5_000

TALKATIVE: dict[str, object] = {
    "loose_frames": True,
    "large_proposal_bytes": 1,
    "proposals_under_way": 20,
    "pipelined": 6,
    "window_messages": 64,
}
"""Many small messages under way, each on its own."""


def echoes(seed: int, profile: str) -> Plan:
    """What was said in one leadership is heard again in the next one of the same leader, which never heard
    it the first time."""
    dice = Random(f"echoes {seed}")
    faults = [(0, FaultKind.REPLAY, "*>*", STORM_MS, 1_000)]
    at_ms = dice.randint(300, 800)
    while at_ms < STORM_MS:
        faults.append((at_ms, FaultKind.CUT_ONE_WAY, "*>leader", dice.choice([260, 350, 450]), 0))
        at_ms += dice.randint(600, 1_000)
    slow: dict[str, object] = {"latency_us": (500, 9_000), "sync_us": (10_000, 80_000), "heartbeat_ms": 200}
    return aimed(seed, profile, faults, **TALKATIVE, **slow, linearizable_reads=False)


def losses(seed: int, profile: str) -> Plan:
    """Of what a leader has under way a part arrives, here this and there that; then it is gone."""
    dice = Random(f"losses {seed}")
    faults = [(0, FaultKind.LOSE, "*>*", STORM_MS, dice.choice([200, 400]))]
    at_ms = dice.randint(300, 800)
    while at_ms < STORM_MS:
        faults.append((at_ms, FaultKind.KILL, "leader", dice.choice([500, 800]), 0))
        at_ms += dice.randint(700, 1_300)
    return aimed(seed, profile, faults, **TALKATIVE, max_append_bytes=200)


def minorities(seed: int, profile: str) -> Plan:
    """A leader is cut off together with one that follows it, and both go on writing what nobody else has;
    then they come back, to another leader."""
    dice = Random(f"minorities {seed}")
    names = node_names(5)
    faults: list[tuple[int, FaultKind, str, int, int]] = []
    at_ms = dice.randint(400, 800)
    while at_ms < STORM_MS:
        sides = dice.sample(names, 5)
        faults.append((at_ms - 100, FaultKind.GATHER, "leader", 400, 1_000))
        cut = f"{','.join(sides[:2])}|{','.join(sides[2:])}"
        faults.append((at_ms, FaultKind.CUT, cut, dice.choice([500, 700]), 0))
        at_ms += dice.randint(900, 1_300)
    return msgspec.structs.replace(aimed(seed, profile, faults, **TALKATIVE), nodes=5)


def returns(seed: int, profile: str) -> Plan:
    """A leader is cut off with all clients, and its log grows; the next one has snapshots of a shorter log,
    and is away in turn when the first comes back."""
    dice = Random(f"returns {seed}")
    faults: list[tuple[int, FaultKind, str, int, int]] = []
    at_ms = dice.randint(400, 800)
    while at_ms < STORM_MS:
        away_ms = dice.choice([600, 800])
        faults.append((at_ms - 100, FaultKind.GATHER, "leader", 200 + away_ms, 1_000))
        faults.append((at_ms, FaultKind.CUT, "leader", away_ms, 0))
        at_ms += away_ms + dice.randint(400, 800)
    short: dict[str, object] = {"snapshot_entries": 1, "tail_entries": 0, "catching_up_bytes": 3_000}
    return aimed(seed, profile, faults, **TALKATIVE, **short, lease_reads=False)


def loose_clocks(seed: int, profile: str) -> Plan:
    """Clocks run as differently as nodes are told to expect, and each leader with a lease is cut off."""
    dice = Random(f"loose clocks {seed}")
    faults: list[tuple[int, FaultKind, str, int, int]] = []
    at_ms = dice.randint(300, 600)
    while at_ms < STORM_MS:
        faults.append((at_ms, FaultKind.CUT, "leader", dice.choice([400, 600]), 0))
        at_ms += dice.randint(700, 1_000)
    plan = aimed(
        seed, profile, faults, lease_reads=True, latency_us=(50, 400), sync_us=(50, 300), lazy_permille=0,
        election_timeout_ms=(250, 254), clock_rate_bound_permille=LOOSE_BOUND_PERMILLE,
        drift_millionths=DRIFT_KEPT_LOOSELY,
    )  # fmt: skip
    kept = tuple(fault for fault in plan.faults if fault.kind is FaultKind.CUT)
    return msgspec.structs.replace(plan, faults=kept)


def left_behind(seed: int, profile: str) -> Plan:
    """One node after the other is cut off with the clients that it has, and comes back to a snapshot; just
    before, others come to it with bookmarks that are newer than all it knows."""
    dice = Random(f"left behind {seed}")
    names = node_names(3)
    faults: list[tuple[int, FaultKind, str, int, int]] = []
    at_ms = dice.randint(400, 800)
    while at_ms < STORM_MS:
        alone, *others = dice.sample(names, 3)
        cut = f"{alone}|{','.join(others)}"
        away_ms = dice.choice([500, 800])
        faults.append((at_ms, FaultKind.CUT, cut, away_ms, 0))
        faults.append((at_ms + away_ms - 150, FaultKind.GATHER, alone, 150, 500))
        at_ms += dice.randint(1_000, 1_400)
    short: dict[str, object] = {
        "snapshot_entries": 4, "tail_entries": 0, "catching_up_bytes": 3_000, "chunk_bytes": 100_000
    }  # fmt: skip
    plan = aimed(seed, profile, faults, **short)
    kept = tuple(fault for fault in plan.faults if fault.kind in (FaultKind.CUT, FaultKind.GATHER))
    wishes = [
        Ask(number, number // 4 * 60, name, dice.choice(["watch", "write", "write", "delete"]), "a")
        for number, name in enumerate(client_names(4) * (STORM_MS // 60), 1)
    ]
    return msgspec.structs.replace(plan, faults=kept, clients=4, etcd_clients=4, asks=tuple(wishes))


AIMED: dict[str, tuple[Callable[[int, str], Plan], str]] = {
    "returns": (returns, "network"),
    "loose clocks": (loose_clocks, "clock"),
    "multipaxos-echoes": (echoes, "multipaxos-network"),
    "multipaxos-losses": (losses, "multipaxos-network"),
    "zab-minorities": (minorities, "zab-network"),
    "left behind": (left_behind, "etcd-network"),
}
"""Each with the profile whose faults come on top."""


# --- machines alone ---------------------------------------------------------------------------------------


def diskless(seed: int, replica: type[Viewstamped]) -> None:
    """Replicas that lose their memory in each crash, at most f of them at a time."""
    world = DisklessWorld(seed, (3, 3, 5)[seed % 3], replica)
    world.storm(1200)
    world.converge()


class Haunted(DisklessWorld):
    """A replica crashes soon after it is back, and what others have answered in its last life arrives in the
    next one, again and again, before what they answer now."""

    def __init__(self, seed: int, factory: Callable[..., Viewstamped]) -> None:
        dice = Random(f"haunted {seed}")
        self.slow_ms, self.echo_ms = dice.choice([20, 40]), dice.choice([150, 300])
        nothing = dict.fromkeys(MISCHIEF, 0)
        weather = Weather(slowest_ms=2, disk_ms=0, snapshot_every=1000, weights={**nothing, "heal": 1})
        super().__init__(seed, 3, factory, weather)

    def post(self, node: Node, send: Send) -> None:
        if not isinstance(send.message, RecoveryResponse) or not self.stormy:
            super().post(node, send)
            return
        identity = node.identity
        delays = [self.dice.randint(self.slow_ms, 2 * self.slow_ms)]
        delays += [self.dice.randint(self.slow_ms, self.echo_ms) for _ in range(ECHOES_OF_EACH)]
        for delay in delays:
            self.at(delay, lambda: self.arrive(node, identity, send))

    def mischief(self) -> None:
        leader = self.leader()
        if leader is not None and self.dice.random() < 0.5:
            self.propose(leader)
        for node in self.nodes.values():
            back = node.up and node.vr.role.normal and not node.vr.leads
            if back and self.dice.random() < 0.04:
                self.crash(node)
                self.at(self.dice.randint(1, 5), lambda node=node: self.revive(node))


ECHOES_OF_EACH = 6


def haunted(seed: int, replica: type[Viewstamped]) -> None:
    world = Haunted(seed, replica)
    world.storm(1200, every_ms=3)
    world.converge()


def two_phase(seed: int, machine: type[Coordinator] | type[Participant]) -> None:
    """Coordinators and participants, their disks, crashes, and messages that are lost or doubled."""
    if issubclass(machine, Coordinator):
        AtomicWorld(seed, coordinator=machine).run().check()
    else:
        AtomicWorld(seed, participant=machine).run().check()


def replicated(seed: int, coordinator: type[ReplicatedCoordinator]) -> None:
    """The same with decisions in a replicated log, whose nodes crash as well."""
    OverRaft(seed, coordinator).play().check()


MACHINES: dict[str, Callable[[int, Any], None]] = {
    "diskless": diskless,
    "haunted": haunted,
    "two-phase": two_phase,
    "replicated": replicated,
}
"""Each raises for what it notices."""

SHIPPED: tuple[type[Any], ...] = (Viewstamped, Coordinator, Participant, ReplicatedCoordinator)

GROUNDS: tuple[str, ...] = (*PROFILES, *AIMED, *MACHINES)


def play(ground: str, seed: int, parts: Parts, machine: object) -> str | None:
    """What was noticed, in a few words.  `machine` is for where machines are alone; `parts` are for all
    else."""
    if ground in PROFILES:
        return run(seed, ground, parts=parts).failure
    if ground in AIMED:
        drawn, profile = AIMED[ground]
        return run(seed, plan=drawn(seed, profile), parts=parts).failure
    try:
        MACHINES[ground](seed, machine)
    except AssertionError as error:
        kind = str(error).partition(":")[0]
        return PROPERTIES.get(kind, kind) or "an assertion of the machine itself"
    return None


PROPERTIES = {
    "AC1": "AC1: uniform agreement",
    "AC2": "AC2: integrity",
    "AC3": "AC3: commit validity",
    "AC4": "AC4: non-triviality",
    "AC5": "AC5: termination",
}


def shipped(machine: object) -> object:
    """What a machine that is wrong was made from."""
    return next((each for each in SHIPPED if isinstance(machine, type) and issubclass(machine, each)), None)
