"""Nodes whose replica is wrong in one place each: the simulator must notice every one.

Each mutant puts one wrong thing in the place of a right one; its docstring is the rule that it breaks.  They
are played in storms that are made for them, each from a few seeds; without the mutant the same storms are
clean.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from agreed.replica.requests import Requests
from agreed.replica.sessions import Sessions
from agreed.replica.zookeeper import ZooKeeperClients
from agreed.sim.plan import Ask, Conditions, Fault, FaultKind, Plan, client_names
from agreed.sim.run import run
from agreed.sim.streams import Stream
from agreed.store import machine, once
from agreed.store.commands import Batch, ExpireLease
from agreed.store.lease_commands import expire
from agreed.store.results import LeaseResult
from agreed.wire.zookeeper.messages import ConnectRequest

Mutant = Callable[[pytest.MonkeyPatch], None]

EVERYTHING = ("read", "write", "cas", "add", "enqueue", "increment", "watch", "local read", "claim")


def storm(
    seed: int, conditions: Conditions, faults: tuple[Fault, ...], functions: tuple[str, ...] = EVERYTHING
) -> Plan:
    """Four clients with their hands full."""
    stream = Stream(seed, "storm")
    names = client_names(4)
    asks = tuple(
        Ask(number, 500 + 4 * number, stream.pick(names), stream.pick(functions), "a", 600, 3)
        for number in range(1, 700)
    )
    return Plan(seed, "swarm", 3, 4, 3_400, conditions, faults, asks)


def rough(seed: int) -> Plan:
    """Leaders die and are cut off."""
    faults = tuple(
        Fault(number, 500 + 350 * number, kind, "leader", 200)
        for number, kind in enumerate([FaultKind.KILL, FaultKind.CUT] * 3, 1)
    )
    return storm(seed, Conditions(pipelined=4), faults)


def fresh_reads(seed: int) -> Plan:
    plan = rough(seed)
    return msgspec.structs.replace(plan, conditions=Conditions(pipelined=4, linearizable_reads=True))


def deaf(seed: int) -> Plan:
    """One node after the other hears nothing of the leader, though the leader hears it, until its log is
    gone everywhere and it is sent a snapshot."""
    faults = tuple(
        Fault(number, 700 * number, FaultKind.CUT_ONE_WAY, f"leader>n{number}", 600) for number in (1, 2, 3)
    )
    return storm(seed, Conditions(pipelined=4, snapshot_entries=12, tail_entries=0), faults)


def sleepy(seed: int) -> Plan:
    """Clients come back when their sessions are about to end, and everything takes its time."""
    conditions = Conditions(sync_us=(40_000, 160_000), session_ms=(1_500, 2_000), pipelined=2)
    plan = storm(seed, conditions, (), ("write", "sleep", "read"))
    return msgspec.structs.replace(plan, storm_ms=15_000, asks=plan.asks[::8])


def unruly(seed: int) -> Plan:
    """Messages are lost, and overtake each other."""
    lost = Fault(1, 600, FaultKind.LOSE, "*>*", 2_500, 60)
    return storm(seed, Conditions(pipelined=4, loose_frames=True), (lost,))


def stalling(seed: int) -> Plan:
    """Clients stand still for almost as long as their sessions last, and are connected all the time."""
    plan = storm(seed, Conditions(session_ms=(1_500, 2_000)), (), ("write", "stall", "read"))
    return msgspec.structs.replace(plan, storm_ms=15_000, asks=plan.asks[::8])


# --- mutants ------------------------------------------------------------------------------------------------


def does_again_what_is_said_again(patch: pytest.MonkeyPatch) -> None:
    """A batch that arrives twice is done once."""
    patch.setattr(once.Once, "admit", lambda self, batch: 0)


def passes_over_a_lost_batch(patch: pytest.MonkeyPatch) -> None:
    """A batch waits until those before it are done."""

    def admit(self: once.Once, batch: Batch) -> int:
        known = self.table.get(batch.origin)
        if known is not None and known.life == batch.life and batch.first > known.next:
            self.table[batch.origin] = once.Life(batch.life, batch.first)
        return right(self, batch)

    right = once.Once.admit
    patch.setattr(once.Once, "admit", admit)


def reads_overtake_writes(patch: pytest.MonkeyPatch) -> None:
    """A read sees the writes that its client asked for before it, and is answered after them."""
    patch.setattr(ZooKeeperClients, "_read", ZooKeeperClients._answer_read)


def sync_is_a_read_like_any_other(patch: pytest.MonkeyPatch) -> None:
    """A sync is answered when this node has all that was agreed when it was asked for."""
    patch.setattr(ZooKeeperClients, "_sync", ZooKeeperClients.in_turn)


def linearizable_reads_are_not(patch: pytest.MonkeyPatch) -> None:
    """A linearizable read waits for a confirmation that nobody else leads."""

    def begin(self: ZooKeeperClients, replica: Any) -> None:
        right(self, replica)
        self._linearizable = False

    right = ZooKeeperClients.__init__
    patch.setattr(ZooKeeperClients, "__init__", begin)


def writes_take_the_place_of_waiting_reads(patch: pytest.MonkeyPatch) -> None:
    """A result goes to the request that asked for it, though a read before it still waits."""
    patch.setattr(ZooKeeperClients, "overtaken", lambda self, client: None)


def takes_up_a_session_without_the_log(patch: pytest.MonkeyPatch) -> None:
    """Who takes up a session has a store at least as new as what that session has seen."""

    def connect(self: Sessions, client: Any, xid: int, request: ConnectRequest) -> None:
        lease = self._replica.store.leases.get(request.session_id)
        if lease is None or lease.secret != request.password:
            right(self, client, xid, request)
            return
        self._front.hold_back(client)
        known = LeaseResult(lease.id, lease.ttl_ms, lease.secret, lease.attach_revision)
        self.connected(client, xid, msgspec.structs.replace(request, last_zxid_seen=0), known)

    right = Sessions.connect
    patch.setattr(Sessions, "connect", connect)


def expires_who_has_come_back(patch: pytest.MonkeyPatch) -> None:
    """An expiry that was decided before the session was taken up again has no force."""

    def expire_anyway(state: Any, command: ExpireLease, origin: str) -> Any:
        lease = state.leases.get(command.lease)
        at = lease.attach_revision if lease is not None else 0
        return expire(state, msgspec.structs.replace(command, attach_revision=at), origin)

    patch.setitem(machine.HANDLERS, ExpireLease, expire_anyway)


def expires_to_the_millisecond(patch: pytest.MonkeyPatch) -> None:
    """The leader hears of a client's word one report later."""
    patch.setattr("agreed.replica.upkeep.EXPIRY_GRACE_MS", 0)


def keeps_its_clients_over_a_snapshot(patch: pytest.MonkeyPatch) -> None:
    """A store that jumps ahead has no events: who watched it has to come again."""
    right = ZooKeeperClients.drop_all

    def drop_all(self: ZooKeeperClients, reason: str) -> None:
        if "snapshot" not in reason:
            right(self, reason)

    patch.setattr(ZooKeeperClients, "drop_all", drop_all)


def waits_for_what_the_snapshot_has_done(patch: pytest.MonkeyPatch) -> None:
    """Commands that a snapshot contains have no results any more."""
    patch.setattr(Requests, "forget", lambda self, number: [])


def tells_events_after_replies(patch: pytest.MonkeyPatch) -> None:
    """An event leaves before any reply that is as new."""
    right_flush, right_notify = ZooKeeperClients.flush, ZooKeeperClients.notify
    late: dict[ZooKeeperClients, list[Any]] = {}

    def notify(self: ZooKeeperClients, fresh: Any) -> None:
        late.setdefault(self, []).extend(fresh)

    def flush(self: ZooKeeperClients) -> None:
        if late.get(self):
            right_notify(self, late.pop(self))
        right_flush(self)

    patch.setattr(ZooKeeperClients, "notify", notify)
    patch.setattr(ZooKeeperClients, "flush", flush)


def forgets_who_waits_after_a_change_of_leader(patch: pytest.MonkeyPatch) -> None:
    """What is under way is said again to a new leader."""
    patch.setattr(Requests, "repeat", lambda self, now: [])


ALL: list[tuple[Mutant, Callable[[int], Plan]]] = [
    (does_again_what_is_said_again, rough),
    (passes_over_a_lost_batch, unruly),
    (reads_overtake_writes, rough),
    (sync_is_a_read_like_any_other, rough),
    (linearizable_reads_are_not, fresh_reads),
    (writes_take_the_place_of_waiting_reads, fresh_reads),
    (takes_up_a_session_without_the_log, sleepy),
    (expires_who_has_come_back, sleepy),
    (expires_to_the_millisecond, stalling),
    (keeps_its_clients_over_a_snapshot, deaf),
    (waits_for_what_the_snapshot_has_done, deaf),
    (tells_events_after_replies, rough),
    (forgets_who_waits_after_a_change_of_leader, rough),
]

SEEDS = 12


@pytest.mark.parametrize(("mutant", "made"), ALL, ids=[mutant.__name__ for mutant, _ in ALL])
def test_a_storm_finds_who_breaks_a_rule(
    mutant: Mutant, made: Callable[[int], Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    assert any(run(seed, plan=made(seed)).failure for seed in range(SEEDS))


@pytest.mark.parametrize("made", [rough, fresh_reads, deaf, sleepy, unruly, stalling])
def test_it_is_the_broken_rule_that_is_found_and_not_the_storm(made: Callable[[int], Plan]) -> None:
    for seed in range(3):
        outcome = run(seed, plan=made(seed))
        assert outcome.clean, f"{outcome.failure}: {outcome.message}"
