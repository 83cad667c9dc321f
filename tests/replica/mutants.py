"""Nodes that are wrong in one place each: the world must notice every one.

Each mutant puts one wrong thing in the place of a right one; its docstring is the rule that it breaks.  `ALL`
names with each the seed that finds it first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as with_fields
from typing import Any

import msgspec
import pytest

from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.raft import Raft
from agreed.errors import MalformedInput
from agreed.replica.replica import Replica
from agreed.replica.requests import Requests
from agreed.replica.zookeeper import ZooKeeperClients
from agreed.store import machine, once
from agreed.store.commands import Batch, ExpireLease
from agreed.store.lease_commands import expire
from agreed.store.results import LeaseResult
from agreed.wire.zookeeper.messages import ConnectRequest
from tests.replica.nodes import Weather
from tests.replica.world import World


class CommitsAlone(Leader):
    def on_saved(self) -> None:
        raft = self.raft
        if self.own.matched(raft.saved) and raft.saved > raft.commit:
            raft.commit_to(raft.saved)


class RaftThatCommitsAlone(Raft):
    leader_role = CommitsAlone


def replies_before_a_quorum_has_it(patch: pytest.MonkeyPatch) -> None:
    """A write is acknowledged once a majority has saved it, not once the leader has."""


def disks_that_lie(patch: pytest.MonkeyPatch) -> None:
    """`Saved` is said when it is true; else what was acknowledged is gone after a crash."""


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
    patch.setattr(ZooKeeperClients, "_sync", ZooKeeperClients._local)


def linearizable_reads_are_not(patch: pytest.MonkeyPatch) -> None:
    """A linearizable read waits for a confirmation that nobody else leads."""

    def begin(self: ZooKeeperClients, replica: Replica) -> None:
        right(self, replica)
        self._linearizable = False

    right = ZooKeeperClients.__init__
    patch.setattr(ZooKeeperClients, "__init__", begin)


def writes_take_the_place_of_waiting_reads(patch: pytest.MonkeyPatch) -> None:
    """A result goes to the request that asked for it, though a read before it still waits."""
    patch.setattr(ZooKeeperClients, "overtaken", lambda self, client: None)


def takes_up_a_session_without_the_log(patch: pytest.MonkeyPatch) -> None:
    """Who takes up a session has a store at least as new as what that session has seen."""

    def connect(self: ZooKeeperClients, client: Any, xid: int, request: ConnectRequest) -> None:
        lease = self._replica.store.leases.get(request.session_id)
        if lease is None or lease.secret != request.password:
            right(self, client, xid, request)
            return
        result = LeaseResult(lease.id, lease.ttl_ms, lease.secret, lease.attach_revision)
        self._connected(client, xid, msgspec.structs.replace(request, last_zxid_seen=0), result)

    right = ZooKeeperClients._connect
    patch.setattr(ZooKeeperClients, "_connect", connect)


def expires_who_has_come_back(patch: pytest.MonkeyPatch) -> None:
    """An expiry that was decided before the session was taken up again has no force."""

    def expire_anyway(state: Any, command: ExpireLease, origin: str) -> Any:
        lease = state.leases.get(command.lease)
        at = lease.attach_revision if lease is not None else 0
        return expire(state, msgspec.structs.replace(command, attach_revision=at), origin)

    patch.setitem(machine.HANDLERS, ExpireLease, expire_anyway)


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


NOTICED = (AssertionError, MalformedInput, LookupError, AttributeError)
"""A mutant is noticed by the judge, or gives its clients what they cannot read, or stumbles over itself."""

Mutant = Callable[[pytest.MonkeyPatch], None]

ROUGH = Weather(crash=6, cut=8, slowest_ms=6)
RAFTS: dict[Mutant, type[Raft]] = {replies_before_a_quorum_has_it: RaftThatCommitsAlone}
WEATHERS: dict[Mutant, Weather] = {
    replies_before_a_quorum_has_it: ROUGH,
    disks_that_lie: with_fields(ROUGH, disk_lies=True),
    sync_is_a_read_like_any_other: ROUGH,
    linearizable_reads_are_not: with_fields(ROUGH, linearizable=True),
    expires_who_has_come_back: Weather(disk_ms=120, slowest_ms=10),
    keeps_its_clients_over_a_snapshot: Weather(cut=20, slowest_ms=6, snapshot_entries=15),
    waits_for_what_the_snapshot_has_done: Weather(cut=20, slowest_ms=6, snapshot_entries=15),
}


PLAYERS: dict[Mutant, int] = {expires_who_has_come_back: 8}


def play(mutant: Mutant, seed: int) -> None:
    """Raises where the world notices something."""
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        world = World(
            seed,
            players=PLAYERS.get(mutant, 4),
            weather=WEATHERS.get(mutant),
            raft=RAFTS.get(mutant, Raft),
            raft_checked=False,
        )
        world.storm(4_000)
        world.peace()


ALL: list[tuple[Mutant, int]] = [
    (replies_before_a_quorum_has_it, 0),
    (disks_that_lie, 1),
    (does_again_what_is_said_again, 1),
    (passes_over_a_lost_batch, 5),
    (reads_overtake_writes, 0),
    (sync_is_a_read_like_any_other, 0),
    (linearizable_reads_are_not, 0),
    (writes_take_the_place_of_waiting_reads, 1),
    (takes_up_a_session_without_the_log, 0),
    (expires_who_has_come_back, 5),
    (keeps_its_clients_over_a_snapshot, 5),
    (waits_for_what_the_snapshot_has_done, 6),
    (tells_events_after_replies, 0),
    (forgets_who_waits_after_a_change_of_leader, 1),
]
