"""Judges sessions: they end when their client wishes, or after its whole silence, and not before.

What is known of a session: when it was attached last (in the log, by whoever applied that first), when a node
last got bytes of its client, and whether the client has asked to close it.  All times are the world's; clocks
of nodes may run faster by `fast_millionths`, so that much less silence is enough.

A leader that is not told of a client, because the network or its node is in trouble, may let its session
expire: so how long it was silent is only asked where the leader itself had the client, or where nothing was
wrong for a long while.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agreed.consensus.machine import EntryKind
from agreed.sim.outcome import Broken
from agreed.sim.plan import FaultKind, Plan
from agreed.sim.streams import MILLION
from agreed.sim.workload import hangs_on_a_session
from agreed.sim.world import MS
from agreed.sim.zookeeper_clients import ZooKeeperClient
from agreed.store.commands import ExpireLease, Payload
from agreed.store.machine import Store

if TYPE_CHECKING:
    from agreed.consensus.machine import Entry
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node

_decoder = msgspec.msgpack.Decoder(Payload)
_EXPIRY = msgspec.msgpack.encode(ExpireLease(0, 0))[:2]
"""How an `ExpireLease` begins, as it is encoded; where this is not there is none."""


def fastest(plan: Plan) -> int:
    """By how many millionths a clock may run fast at any time of this plan."""
    drifts = [fault.amount for fault in plan.faults if fault.kind is FaultKind.DRIFT]
    return max(plan.conditions.drift_millionths, *drifts, 0) if drifts else plan.conditions.drift_millionths


class Sessions:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world = cluster.world
        self._fast = fastest(cluster.plan)
        self.alive: dict[int, tuple[int, int, int]] = {}
        """Session -> the revision at which it was attached, when that was seen, and its time in ms."""
        self._heard: dict[int, tuple[int, str]] = {}
        self._late: dict[int, int] = {}
        """When a session's client spoke last after a silence that was longer than its time."""
        self._closing: set[int] = set()
        self._decided: set[tuple[int, int, int]] = set()

    # --- what clients do ----------------------------------------------------------------------------------

    def heard(self, session: int, node: Node) -> None:
        """A node has got bytes of this session's client."""
        if self._world.now < node.paused_until:
            return
        before, known = self._heard.get(session), self.alive.get(session)
        if before is not None and known is not None and self._elapsed_ms(before[0]) >= known[2]:
            self._late[session] = self._world.now
        self._heard[session] = (self._world.now, node.name)

    def closing(self, session: int) -> None:
        """Its client has asked to close it."""
        self._closing.add(session)

    def refused(self, session: int, client: str) -> None:
        """The client was told that its session is gone."""
        if session in self.alive:
            raise Broken("a session is lost", f"{client} is told that {session:#x} is gone, and it stands")
        self._world.mark("session refused")

    def closed(self, session: int) -> None:
        """The client was told that it has ended, as it wished."""
        if session in self.alive:
            raise Broken("a session is not closed", f"{session:#x} was said to be closed, and it stands")

    # --- what nodes do ------------------------------------------------------------------------------------

    def applied(self, store: Store) -> None:
        """By whoever was first to apply this."""
        alive = self.alive
        table = {lease.id: lease for lease in store.leases if lease.credentials is not None}
        if len(alive) != len(table) or alive.keys() != table.keys():
            for session in alive.keys() - table.keys():
                self._gone(session, alive.pop(session))
            self._nothing_left_behind(store)
        for lease in table.values():
            known = alive.get(lease.id)
            if known is None or known[0] != lease.attach_revision:
                if known is not None:
                    self._world.mark("session moved")
                    self._all_there(lease.id, store)
                alive[lease.id] = (lease.attach_revision, self._world.now, lease.ttl_ms)

    def _gone(self, session: int, known: tuple[int, int, int]) -> None:
        self._cluster.session_ended(session)
        if session in self._closing:
            return
        self._world.mark("session expired")
        _, attached_at, ttl_ms = known
        if self._elapsed_ms(attached_at) < ttl_ms:
            raise Broken(
                "a session ends too early",
                f"{session:#x} is gone {(self._world.now - attached_at) // MS} ms after it was attached, "
                f"its time is {ttl_ms} ms",
            )

    def _nothing_left_behind(self, store: Store) -> None:
        """With a session goes what hung on it, and does not stay as a node of nobody's."""
        for path, record in store.tree.records.items():
            if hangs_on_a_session(path) and record.lease not in store.leases.table:
                raise Broken("an ephemeral node outlives its session", path.decode())

    def _all_there(self, session: int, store: Store) -> None:
        """What hangs on a session is there on whichever node its client turns up, until it gives it up."""
        for client in self._cluster.clients:
            if not isinstance(client, ZooKeeperClient) or client.session != session:
                continue
            for path in sorted(client.owned):
                record = store.tree.get(path)
                if record is None or record.lease != session:
                    raise Broken("an ephemeral node is lost", f"{path.decode()} of {client.name}")

    def decided(self, leader: Node, entries: list[Entry]) -> None:
        """A leader has just appended these of its own."""
        for entry in entries:
            if entry.kind is not EntryKind.PAYLOAD or _EXPIRY not in entry.payload:
                continue
            for batch in _decoder.decode(entry.payload).batches:
                for command in batch.commands:
                    if isinstance(command, ExpireLease) and command.term == entry.term:
                        self._expiry_decided(leader, command)

    def _expiry_decided(self, leader: Node, command: ExpireLease) -> None:
        decision = (command.lease, command.attach_revision, command.term)
        if decision in self._decided or command.lease not in self.alive or command.lease not in self._heard:
            return
        self._decided.add(decision)
        _, _, ttl_ms = self.alive[command.lease]
        heard_at, where = self._heard[command.lease]
        late_at = self._late.get(command.lease)
        if late_at is not None and self._elapsed_ms(late_at) < ttl_ms:
            return  # it was over before: whether speaking again still saves it is the leader's choice
        cluster = self._cluster
        quiet = not cluster.troubles and cluster.disturbed_at < heard_at - 2 * ttl_ms * MS
        if (where == leader.name or quiet) and self._elapsed_ms(heard_at) < ttl_ms:
            raise Broken(
                "a session that was heard of expires",
                f"{leader.name} has not heard of {command.lease:#x} for {ttl_ms} ms, it says; {where} has, "
                f"{(self._world.now - heard_at) // MS} ms ago",
            )

    def _elapsed_ms(self, since: int) -> int:
        """By the fastest clock."""
        return (self._world.now - since) * (MILLION + self._fast) // MILLION // MS + 2

    # --- the end ------------------------------------------------------------------------------------------

    def unheld(self, store: Store) -> set[int]:
        """Sessions and leases that no client has any more, and which still have to end."""
        return store.leases.table.keys() - {client.holder for client in self._cluster.clients}

    def final(self, store: Store) -> None:
        for client in self._cluster.clients:
            if not isinstance(client, ZooKeeperClient) or not client.session:
                continue
            if store.leases.get(client.session) is None:
                raise Broken("a session is lost", f"that of {client.name}, {client.session:#x}")
            self._all_there(client.session, store)
        self._nothing_left_behind(store)
