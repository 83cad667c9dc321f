"""Sees all that nodes apply and all that clients are told, and says what must not be.

What is applied is the truth (`Truth`): the events of each revision, from whichever node is first; each other
node must find the same there.  What clients are told is held against it:

* an acknowledged write is in the truth, where its reply says; nothing is done twice;
* a read tells the state of exactly the revision (zxid) in its header;
* what one client is told never goes back, also not over reconnects to other nodes;
* a read that is linearizable, or behind a `sync`, is as new as all that anybody was told before it was asked;
* a watch is told of the first change after it was set, and before anything as new is told;
* a session ends only when it was silent for its whole time, or was closed; and then all of it is gone.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from agreed.consensus.machine import Entry
from agreed.store.commands import ExpireLease, RevokeLease
from agreed.store.events import Event, EventKind
from agreed.store.invariants import check as check_store
from agreed.store.machine import Store
from agreed.store.paths import parent_of
from agreed.store.results import LeaseResult, Refusal

if TYPE_CHECKING:
    from agreed.replica.replica import Replica
    from tests.replica.players import Ask, Player
    from tests.replica.world import World

CLOCK_SLACK = 0.95
"""Clocks of a world run up to two percent fast or slow."""


class Truth:
    """What was done at each revision, as found on the node that was first to apply it."""

    def __init__(self) -> None:
        self.known = 0
        self.entries: dict[int, Entry] = {}
        self.digests: dict[int, bytes] = {}
        self.by_revision: dict[int, list[tuple[int, bytes, bytes | None]]] = {}
        self.history: dict[bytes, tuple[list[int], list[bytes | None]]] = {}
        """Path -> revisions at which it changed, and what it was from then on (None: not there)."""
        self.children: dict[bytes, list[int]] = {}
        """Path -> revisions at which a child came or went."""
        self.created_with: dict[bytes, tuple[int, bytes]] = {}
        """Data of a creation -> revision and path.  Clients never use the same data twice."""

    def learn(self, revision: int, done: list[tuple[int, bytes, bytes | None]]) -> None:
        self.known = revision
        self.by_revision[revision] = done
        for kind, path, value in done:
            gone = kind == EventKind.DELETED
            revisions, values = self.history.setdefault(path, ([], []))
            revisions.append(revision)
            values.append(None if gone else value or b"")
            if kind != EventKind.CHANGED:
                self.children.setdefault(parent_of(path), []).append(revision)
            if kind == EventKind.CREATED and value:
                assert value not in self.created_with, f"created twice: {value!r}"
                self.created_with[value] = (revision, path)

    def value_at(self, path: bytes, revision: int) -> bytes | None:
        revisions, values = self.history.get(path, ([], []))
        position = bisect_right(revisions, revision)
        return values[position - 1] if position else None

    def children_at(self, parent: bytes, revision: int) -> set[bytes]:
        prefix = parent + b"/"
        return {
            path.removeprefix(prefix)
            for path in self.history
            if parent_of(path) == parent and self.value_at(path, revision) is not None
        }

    def next_change(self, path: bytes, kind: str, since: int) -> int | None:
        """The first revision after `since` at which a watch of that kind has something to tell."""
        revisions = self.children.get(path, []) if kind == "child" else self.history.get(path, ([], []))[0]
        position = bisect_right(revisions, since)
        return revisions[position] if position < len(revisions) else None


class Judge:
    def __init__(self, world: World) -> None:
        self.world = world
        self.truth = Truth()
        self.at_least = 0
        """The newest revision that any client was told of."""
        self.acknowledged: dict[bytes, bytes] = {}
        """Paths whose creation was acknowledged, with their data."""
        self.deleted: dict[bytes, bool] = {}
        """Paths whose deletion was asked for, and whether it was acknowledged."""
        self.alive: dict[int, tuple[int, int]] = {}
        """Sessions that stand: when they were attached last, and their time in ms."""
        self.heard: dict[int, tuple[int, str]] = {}
        self.counts: dict[str, int] = {}
        self._applied: dict[str, int] = {}
        self._leases_known = 0
        self._disturbed_at = 0

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def disturbed(self) -> None:
        """Something is wrong with a node or a connection between nodes, or was until now."""
        self._disturbed_at = self.world.now

    # --- what nodes apply -----------------------------------------------------------------------------

    def applied(self, replica: Replica, entry: Entry, before: int) -> None:
        truth, store = self.truth, replica.store
        assert truth.entries.setdefault(entry.index, entry) == entry, "state-machine safety: another entry"
        done: dict[int, list[tuple[int, bytes, bytes | None]]] = {}
        events = store.feed.since(before)
        assert not isinstance(events, Refusal)
        for event in events:
            done.setdefault(event.revision, []).append(_told(event))
        for revision in range(before + 1, store.revision + 1):
            if revision > truth.known:
                truth.learn(revision, done.get(revision, []))
            else:
                assert truth.by_revision[revision] == done.get(revision, []), "one revision, other events"
        if entry.index % 4 == 0:
            self._compare(entry.index, store)
        if entry.index % 32 == 0:
            check_store(store)

    def _compare(self, index: int, store: Store) -> None:
        digest = hashlib.sha256(b"".join(store.capture().pieces(500))).digest()
        known = self.truth.digests.setdefault(index, digest)
        assert known == digest, f"two nodes that applied the same up to {index} differ"

    def lease_command(self, replica: Replica, command: Any, result: Any) -> None:
        now, revision = self.world.now, replica.store.revision
        if revision <= self._leases_known:
            return
        self._leases_known = revision
        if isinstance(result, LeaseResult):
            self.alive[result.lease] = (now, result.ttl_ms)
        elif not isinstance(result, Refusal) and isinstance(command, ExpireLease | RevokeLease):
            attached_at, ttl_ms = self.alive.pop(command.lease)
            if isinstance(command, ExpireLease):
                self.count("expired")
                assert now - attached_at >= ttl_ms * CLOCK_SLACK, "expired though it was just attached"

    def expiry_decided(self, replica: Replica, lease: int) -> None:
        """A leader has not heard of the session for its whole time; is that true?"""
        if lease not in self.alive or lease not in self.heard:
            return
        _, ttl_ms = self.alive[lease]
        heard_at, node = self.heard[lease]
        silence_ms = self.world.now - heard_at
        undisturbed = self._disturbed_at < heard_at - 2 * ttl_ms and not self.world.weather.loss
        if node == replica.name or undisturbed:
            told = f"{silence_ms} of {ttl_ms} ms on {node}, to {replica.name}"
            assert silence_ms >= ttl_ms * CLOCK_SLACK, f"a session that was heard of expires: {told}"

    # --- what clients are told ------------------------------------------------------------------------

    def told(self, zxid: int) -> None:
        assert zxid <= self.truth.known, f"told of revision {zxid}, which nobody has applied"
        self.at_least = max(self.at_least, zxid)

    def created(self, ask: Ask, data: bytes, path: bytes, zxid: int) -> int:
        """An acknowledged creation; returns its revision."""
        found = self.truth.created_with.get(data)
        assert found is not None, f"acknowledged, but never done: {ask}"
        revision, where = found
        assert where == path, f"created at {where!r}, told {path!r}"
        assert revision <= zxid
        self.acknowledged[path] = data
        self.count("created")
        return revision

    def changed(self, path: bytes, data: bytes, revision: int) -> None:
        done = self.truth.by_revision.get(revision, [])
        assert (EventKind.CHANGED, path, data) in done, f"acknowledged, but never done: {path!r} {data!r}"
        self.count("changed")

    def removed(self, path: bytes, zxid: int) -> None:
        assert self.truth.value_at(path, zxid) is None, f"{path!r} was deleted, it is said, but is there"
        self.deleted[path] = True
        self.count("deleted")

    def session_refused(self, player: Player, lease: int) -> None:
        assert lease not in self.alive, f"{player.name}: the session {lease:#x} stands, and was refused"
        self.count("session refused")

    # --- the end --------------------------------------------------------------------------------------

    def unfinished_sessions(self, store: Store) -> set[int]:
        """Sessions in the store that no client holds any more."""
        return {lease.id for lease in store.leases} - {player.session for player in self.world.players}

    def final(self) -> None:
        nodes = list(self.world.nodes.values())
        for node in nodes:
            store = node.replica.store
            check_store(store)
            self._compare(-1, store)
            for path, data in self.acknowledged.items():
                record = store.tree.get(path)
                if self.deleted.get(path):
                    assert record is None, f"{path!r} was deleted"
                elif path in self.deleted or path.startswith(b"/e/"):
                    continue
                else:
                    assert record is not None, f"the acknowledged {path!r} is lost on {node.name}"
                    assert record.value == data
            for player in self.world.players:
                if player.session:
                    assert store.leases.get(player.session), f"the session of {player.name} is lost"
                for path in player.ephemerals:
                    assert store.tree.get(path), f"the ephemeral {path!r} of a living session is lost"


def _told(event: Event) -> tuple[int, bytes, bytes | None]:
    return (int(event.kind), event.record.key, event.record.value)
