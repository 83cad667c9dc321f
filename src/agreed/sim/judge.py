"""Sees all that nodes do and all that clients are told, and says at each step what must not be.

Of the protocol: its own invariants, and those of all (`raft_judge.py`, `machine_judge.py`).
Of all nodes: the same entries in the same places, the same state after the same entries.
Of clients: every answer is what the truth says (`truth.py`), as new as it must be and never older than what
the same client knew; watches tell the first change; sessions end only when they may.
At the end: what was acknowledged is kept, on every node, and all nodes are equal.

Looking at everything after every step would cost more than the cluster itself.  What is cheap is looked at
after each turn, and only where something has changed; the rest now and then and at the moments that matter.
"""
from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agreed.consensus.machine import Entry
from agreed.sim.etcd_leases import EtcdLeases
from agreed.sim.machine_judge import protocol_judge
from agreed.sim.outcome import Broken
from agreed.sim.sessions import Sessions, fastest
from agreed.sim.truth import Truth, changes
from agreed.sim.verdicts import judge as judge_histories
from agreed.store.events import Event
from agreed.store.invariants import check as check_store
from agreed.store.machine import Store
from agreed.store.results import Refusal

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node

DIGESTS_EVERY = 16
"""Applied entries between two digests of the store."""

STORE_LOOKED_AT_EVERY = 48
"""Applied entries between two looks at the whole store."""

class Judge:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.truth = Truth()
        self.truth.flat.when_deleted = cluster.place_gone
        self.sessions = Sessions(cluster)
        self.leases = EtcdLeases(cluster.world, fastest(cluster.plan))
        self._first_applied = 0
        self.protocol = protocol_judge(cluster, self.sessions)
        self.newest_told = 0
        """The newest revision that any client was told of."""
        self.table: dict[tuple[str, str, str], int] = {}
        self._entries: dict[int, Entry] = {}
        self._digests: dict[int, bytes] = {}
        self._applied: dict[str, tuple[int, int]] = {}
        """Node -> the index and the revision up to which it was seen to apply."""

    # --- lives of nodes -----------------------------------------------------------------------------------

    def started(self, node: Node) -> None:
        replica = node.replica
        self._applied[node.name] = (replica.applied, replica.store.revision)
        self.protocol.started(node)

    def wiped(self, node: Node) -> None:
        self.protocol.wiped(node)

    # --- turns --------------------------------------------------------------------------------------------

    def after_turn(self, node: Node) -> None:
        self.protocol.after_turn(node)
        applied = self._applied[node.name]
        if applied[0] < self.protocol.log_begins_after(node):
            self._restored(node)
        elif applied[0] != node.replica.applied:
            self._check_applied(node, applied)

    # --- what is applied ----------------------------------------------------------------------------------

    def _check_applied(self, node: Node, applied: tuple[int, int]) -> None:
        replica = node.replica
        index, revision = applied
        store = replica.store
        now_at = replica.applied
        self._applied[node.name] = (now_at, store.revision)
        commit = self.protocol.committed(node)
        if now_at > commit:
            raise Broken("applied and not committed", f"{node.name} applies {now_at}, commit {commit}")
        entries = self.protocol.agreed(node, index + 1, now_at)
        for entry in entries:
            known = self._entries.setdefault(entry.index, entry)
            if known is not entry and known != entry:
                raise Broken("state-machine safety", f"{node.name} applies {entry}, another node {known}")
        if store.revision > revision:
            first = store.revision > self.truth.revision
            self._check_events(node, store, revision)
            if first:
                self.sessions.applied(store)
        if now_at > self._first_applied:
            self._first_applied = now_at
            self.leases.applied(store)
        if index // DIGESTS_EVERY != now_at // DIGESTS_EVERY:
            self._check_digest(node, now_at, store)
        if index // STORE_LOOKED_AT_EVERY != now_at // STORE_LOOKED_AT_EVERY:
            check_store(store)

    def _check_events(self, node: Node, store: Store, revision: int) -> None:
        truth = self.truth
        # Who applies a whole log in one turn has let go of the first events again; others told of them.
        known = min(store.feed.compacted, truth.revision)
        told_from = max(revision, known)
        found = store.feed.since(told_from)
        if isinstance(found, Refusal):
            raise Broken("a feed with a gap", f"{node.name} has no events after {told_from}")
        by_revision: dict[int, list[Event]] = {}
        for event in found:
            by_revision.setdefault(event.revision, []).append(event)
        for each in range(told_from + 1, store.revision + 1):
            events = by_revision.get(each, [])
            if each > truth.revision:
                truth.learn(each, events)
            elif truth.by_revision[each] != changes(events):
                raise Broken(
                    "one revision, two histories",
                    f"{node.name} at {each}: {changes(events)}, another node: {truth.by_revision[each]}",
                )

    def _check_digest(self, node: Node, index: int, store: Store) -> None:
        digest = hashlib.sha256(b"".join(store.capture().pieces(500))).digest()
        if self._digests.setdefault(index, digest) != digest:
            raise Broken("states differ", f"{node.name} has applied {index} as others have, and differs")

    def _restored(self, node: Node) -> None:
        """Its log begins behind what it had applied: its store is another one, that of a snapshot."""
        replica = node.replica
        self._applied[node.name] = (replica.applied, replica.store.revision)
        check_store(replica.store)
        self._check_digest(node, replica.applied, replica.store)

    # --- what messages do ---------------------------------------------------------------------------------

    def before(self, node: Node) -> tuple[str, int, int, int]:
        return self.protocol.standing(node)

    def came_of(self, node: Node, before: tuple[str, int, int, int], peer: str, message: object) -> None:
        """For the table: what a node in that role did with that message."""
        if not node.serving:
            return
        role, term, last, commit = before
        self.protocol.check_message(node, peer, message)
        role_now, term_now, last_now, commit_now = self.protocol.standing(node)
        if role_now != role:
            outcome = f"becomes {role_now}"
        elif term_now != term:
            outcome = "new term"
        elif last_now < last:
            outcome = "truncates"
        elif last_now > last:
            outcome = "appends"
        elif commit_now != commit:
            outcome = "commits"
        else:
            outcome = "stays"
        cell = (role, type(message).__name__, outcome)
        self.table[cell] = self.table.get(cell, 0) + 1

    # --- what clients are told ----------------------------------------------------------------------------

    def told(self, zxid: int) -> None:
        if zxid > self.truth.revision:
            raise Broken("an answer from the future", f"told of revision {zxid}, which nobody has applied")
        if zxid > self.newest_told:
            self.newest_told = zxid

    # --- the end ------------------------------------------------------------------------------------------

    def final(self) -> None:
        """After peace: all nodes are equal, sound, and have what was acknowledged."""
        index = -1
        for node in self.cluster.members():
            store = node.replica.store
            check_store(store)
            self._check_digest(node, index, store)
            self.sessions.final(store)
            self.leases.final(store, self.cluster.held_leases())
            self._check_kept(node, store)
        self.protocol.final()
        self.truth.flat.judge_watches(self.truth.revision)
        judge_histories(self.cluster.recorder, self.world)

    def _check_kept(self, node: Node, store: Store) -> None:
        """What was agreed is there, and nothing else."""
        self.truth.flat.check_kept(node.name, list(store.flat.history.range(b"\0", b"\0")))
        kept = {path: (r.modify_revision, r.value) for path, r in store.tree.records.items()}
        for path, record in self.truth.newest():
            found = kept.get(path)
            if record is None:
                if found is not None:
                    raise Broken("not what was agreed", f"{node.name} has {path!r}, which was deleted")
            elif found != (record.modify_revision, record.value):
                told = f"{node.name} has {found} at {path!r}, not {record.value!r}"
                raise Broken("not what was agreed", told)
