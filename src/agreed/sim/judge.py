"""Sees all that nodes do and all that clients are told, and says at each step what must not be.

Of one node: Raft's invariants, often and after every change of role; terms and commits only grow.
Of all nodes: one leader a term, who has all that was agreed; logs match; the same entries in the same places;
what is committed is durable on a quorum; the same state after the same entries.
Of clients: every answer is what the truth says (`truth.py`), as new as it must be and never older than what
the same client knew; watches tell the first change; sessions end only when they may.
At the end: what was acknowledged is kept, on every node, and all nodes are equal.

Looking at everything after every step would cost more than the cluster itself.  What is cheap is looked at
after each turn, and only where something has changed; the rest now and then and at the moments that matter.
"""
from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.members import Members
from agreed.consensus.quorum import Quorum
from agreed.consensus.raft.invariants import ClusterInvariants, check
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.messages import RequestVote
from agreed.consensus.raft.raft import Raft
from agreed.sim.elections import Elections
from agreed.sim.freshness import watch_reads
from agreed.sim.outcome import Broken
from agreed.sim.sessions import Sessions
from agreed.sim.truth import Truth, changes
from agreed.sim.verdicts import judge as judge_histories
from agreed.store.events import Event
from agreed.store.invariants import check as check_store
from agreed.store.machine import Store
from agreed.store.results import Refusal

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node

LOOKED_AT_EVERY = 32
"""Turns of a node between two looks at its whole Raft."""

MATCHED_EVERY = 256
"""Turns between two comparisons of all logs."""

DIGESTS_EVERY = 16
"""Applied entries between two digests of the store."""

STORE_LOOKED_AT_EVERY = 48
"""Applied entries between two looks at the whole store."""

Seen = tuple[int, int, int, int, bool, str | None]
"""Of a Raft: term, commit, last index and its term, whether it leads, its vote."""


class Judge:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.truth = Truth()
        self.sessions = Sessions(cluster)
        self.elections = Elections()
        self.raft = ClusterInvariants()
        self.newest_told = 0
        """The newest revision that any client was told of."""
        self.table: dict[tuple[str, str, str], int] = {}
        self._entries: dict[int, Entry] = {}
        self._digests: dict[int, bytes] = {}
        self._seen: dict[str, Seen] = {}
        self._applied: dict[str, tuple[int, int]] = {}
        """Node -> the index and the revision up to which it was seen to apply."""
        self._committed = 0
        self._matches: dict[str, tuple[Leader, dict[str, tuple[int | None, int]]]] = {}
        """Of each leader: its role, and what it knew of each follower."""
        self._turns = 0
        self._looked_at: dict[str, int] = {}

    # --- lives of nodes -----------------------------------------------------------------------------------

    def started(self, node: Node) -> None:
        replica = node.replica
        self._seen.pop(node.name, None)
        self._applied[node.name] = (replica.applied, replica.store.revision)
        watch_reads(node.name, replica.reads, lambda: self._committed)

    def wiped(self, node: Node) -> None:
        self._seen.pop(node.name, None)

    # --- turns --------------------------------------------------------------------------------------------

    def after_turn(self, node: Node) -> None:
        replica = node.replica
        raft = replica.machine
        assert isinstance(raft, Raft)
        log = raft.log
        seen = (raft.term, raft.commit, log.last_index, log.last_term, raft.leads, raft.vote)
        before = self._seen.get(node.name)
        self._turns += 1
        if seen != before:
            self._seen[node.name] = seen
            self._changed(node, raft, before, seen)
        elif self._turns % LOOKED_AT_EVERY == 0:
            check(raft)
        if raft.leads:
            self._check_matches(node, raft)
        applied = self._applied[node.name]
        if applied[0] < log.base_index:
            self._restored(node)
        elif applied[0] != replica.applied:
            self._check_applied(node, applied)
        if self._turns % MATCHED_EVERY == 0:
            self._compare_logs(raft)

    def _changed(self, node: Node, raft: Raft, before: Seen | None, seen: Seen) -> None:
        term, commit, last, _, leads, vote = seen
        if before is None:
            check(raft)
            if leads:
                self._elected(node, raft)
            return
        term_before, commit_before, last_before, last_term_before, led, vote_before = before
        if term < term_before:
            raise Broken("a term goes back", f"{node.name}: from {term_before} to {term}")
        if term == term_before and vote_before is not None and vote != vote_before:
            raise Broken("two votes in a term", f"{node.name} in {term}: {vote_before}, {vote}")
        if commit < commit_before:
            raise Broken("a commit goes back", f"{node.name}: from {commit_before} to {commit}")
        if commit > commit_before and leads and led and raft.log.term(commit) not in (term, None):
            raise Broken("an older term is committed by counting", f"{node.name} in {term}: up to {commit}")
        if vote is not None and vote != vote_before:
            self.elections.given(node, raft)
        if leads and (not led or term != term_before):
            check(raft)
            self._elected(node, raft)
        if led and not leads:
            self.world.mark("leader stepped down")
        if last < last_before or raft.log.term(last_before) not in (last_term_before, None):
            self.world.mark("truncated suffix")
            check(raft)
        if leads and led and last > last_before and term == term_before:
            self._check_changes(node, raft, last_before)
            self.sessions.decided(node, raft.log.between(last_before + 1, last))
        if commit > self._committed:
            self._check_durable(node, raft, commit)
        self._mark(raft)
        if self.world.trace.telling:
            self.cluster.story.state(node, raft, before)

    def _check_matches(self, node: Node, raft: Raft) -> None:
        """What a leader knows that a follower has, it knows as long as it leads."""
        role = raft.role
        assert isinstance(role, Leader)
        known = self._matches.get(node.name)
        if known is None or known[0] is not role:
            known = self._matches[node.name] = (role, {})
        matches = known[1]
        for name, follower in role.progress.items():
            match = follower.match
            before = matches.get(name)
            if before is not None and before[1] == match and before[0] == follower.identity:
                continue
            if before is not None and match < before[1] and before[0] == follower.identity:
                raise Broken("a match goes back", f"{node.name} of {name}: from {before[1]} to {match}")
            matches[name] = (follower.identity, match)

    def _mark(self, raft: Raft) -> None:
        """Situations that a test of Raft should get into."""
        mark = self.world.mark
        members = raft.members
        if members.outgoing:
            mark("joint configuration")
            if self.cluster.cuts:
                mark("joint configuration during a partition")
        role = raft.role
        if isinstance(role, Leader) and raft.commit < role.term_began_at - 1:
            held = raft.quorum.agreed({name: follower.match for name, follower in role.progress.items()})
            if raft.commit < held < role.term_began_at:
                # Figure 8 of the paper: it may still be taken back, and must not be counted.
                mark("entry of an older term on a majority, and not committed")

    def _elected(self, node: Node, raft: Raft) -> None:
        self.world.mark("leader elected")
        self.elections.elected(node, raft)
        if any(other.leads for other in self._rafts() if other is not raft):
            self.world.mark("two leaders, of two terms")
        if raft.commit < raft.log.last_index - 1:
            self.world.mark("leader elected with entries not known to be committed")
        self._check_leases(node, raft)
        self.raft.check(raft, self._rafts())
        if self.cluster.story is not None and self.world.trace.telling:
            self.cluster.story.elected(node, raft)

    def _check_leases(self, node: Node, raft: Raft) -> None:
        """Who led before may be sure of itself only until somebody else leads (thesis 6.4.1).

        Of an older term one may be elected late, by votes that lay in a stopped process, and nobody minds."""
        for other in self.cluster.nodes.values():
            if other is node or not other.leads:
                continue
            led = other.replica.machine
            assert isinstance(led, Raft)
            if led.term > raft.term:
                continue
            now = other.clock.monotonic_ms(self.world.now)
            if isinstance(led.role, Leader) and led.role.reads.leased(now):
                told = f"{node.name} leads in {raft.term}, and {other.name} is still sure of itself"
                raise Broken("a lease while another leads", told)

    def _rafts(self) -> list[Raft]:
        return [
            raft
            for node in self.cluster.nodes.values()
            if node.serving and isinstance(raft := node.replica.machine, Raft)
        ]

    def _compare_logs(self, raft: Raft) -> None:
        self.raft.check(raft, self._rafts())

    def _check_changes(self, node: Node, raft: Raft, last_before: int) -> None:
        """What a leader has appended in its last turn: one change of members at a time, and none before
        something of its own term is committed (thesis 4.1)."""
        log, role = raft.log, raft.role
        if log.members_index <= last_before:
            return
        assert isinstance(role, Leader)
        if raft.commit < role.term_began_at:
            raise Broken("a change before its term has begun", f"{node.name} in {raft.term}: {log.members}")
        open_ones = [
            entry.index
            for entry in log.between(raft.commit + 1, log.last_index)
            if entry.kind is EntryKind.MEMBERS
        ]
        if len(open_ones) > 1:
            raise Broken("two changes of members at once", f"{node.name} in {raft.term}: at {open_ones}")

    def _check_durable(self, node: Node, raft: Raft, commit: int) -> None:
        """Who says first that something is committed must be right: a quorum has it on disk, and of a joint
        set a quorum of both."""
        log, first = raft.log, max(self._committed, raft.log.base_index) + 1
        self._committed = commit
        for entry in log.between(first, commit):
            if entry.kind is EntryKind.MEMBERS and log.members_at(entry.index).outgoing:
                self._check_held(node, log.members_at(entry.index), entry.index, entry.term)
        entry_term = log.term(commit)
        if entry_term is not None and log.members_index <= commit:
            self._check_held(node, log.members, commit, entry_term)

    def _check_held(self, node: Node, members: Members, index: int, term: int) -> None:
        holding = set()
        for member in (*members.voters, *members.outgoing):
            other = self.cluster.nodes.get(member.name)
            if other is not None and other.holds(member.identity, index, term):
                holding.add(member.name)
        if not Quorum(members).has(holding):
            raise Broken(
                "committed and not durable",
                f"{node.name} commits {index} of term {term}, which is only on {sorted(holding)}",
            )

    # --- what is applied ----------------------------------------------------------------------------------

    def _check_applied(self, node: Node, applied: tuple[int, int]) -> None:
        replica = node.replica
        raft = replica.machine
        assert isinstance(raft, Raft)
        index, revision = applied
        store = replica.store
        now_at = replica.applied
        self._applied[node.name] = (now_at, store.revision)
        if now_at > raft.commit:
            raise Broken("applied and not committed", f"{node.name} applies {now_at}, commit {raft.commit}")
        entries = raft.log.between(index + 1, now_at)
        for entry in entries:
            known = self._entries.setdefault(entry.index, entry)
            if known is not entry and known != entry:
                raise Broken("state-machine safety", f"{node.name} applies {entry}, another node {known}")
        self.raft.agreed(raft, entries)
        if store.revision > revision:
            first = store.revision > self.truth.revision
            self._check_events(node, store, revision)
            if first:
                self.sessions.applied(store)
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
        raft = node.replica.machine
        assert isinstance(raft, Raft)
        return raft.role.name, raft.term, raft.log.last_index, raft.commit

    def came_of(self, node: Node, before: tuple[str, int, int, int], peer: str, message: object) -> None:
        """For the table: what a node in that role did with that message."""
        if not node.serving:
            return
        raft = node.replica.machine
        assert isinstance(raft, Raft)
        role, term, last, commit = before
        if raft.restart_timer and not self._voted(raft, peer, message):
            told = f"{node.name} waits anew because of a {type(message).__name__} of {peer}"
            raise Broken("a timer restarted for who neither leads nor got a vote", told)
        log_last = raft.log.last_index
        if raft.role.name != role:
            outcome = f"becomes {raft.role.name}"
        elif raft.term != term:
            outcome = "new term"
        elif log_last < last:
            outcome = "truncates"
        elif log_last > last:
            outcome = "appends"
        elif raft.commit != commit:
            outcome = "commits"
        else:
            outcome = "stays"
        cell = (role, type(message).__name__, outcome)
        self.table[cell] = self.table.get(cell, 0) + 1

    def _voted(self, raft: Raft, peer: str, message: object) -> bool:
        return isinstance(message, RequestVote) and not message.pre and raft.vote == peer

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
            raft = node.replica.machine
            assert isinstance(raft, Raft)
            check(raft)
            self._check_digest(node, index, store)
            self.sessions.final(store)
            self._check_kept(node, store)
        self._compare_all()
        judge_histories(self.cluster.recorder, self.world)

    def _check_kept(self, node: Node, store: Store) -> None:
        """What was agreed is there, and nothing else."""
        kept = {path: (r.modify_revision, r.value) for path, r in store.tree.records.items()}
        for path, record in self.truth.newest():
            found = kept.get(path)
            if record is None:
                if found is not None:
                    raise Broken("not what was agreed", f"{node.name} has {path!r}, which was deleted")
            elif found != (record.modify_revision, record.value):
                told = f"{node.name} has {found} at {path!r}, not {record.value!r}"
                raise Broken("not what was agreed", told)

    def _compare_all(self) -> None:
        rafts = self._rafts()
        for raft in rafts:
            self.raft.check(raft, rafts)
