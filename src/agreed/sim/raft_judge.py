"""What must be true of Raft in a cluster: looked at after each turn, as far as something has changed.

Of one node: Raft's invariants, often and after every change of role; terms and commits only grow.
Of all nodes: one leader a term, who has all that was agreed; logs match; what is committed is durable on a
quorum; leases end before somebody else leads; one change of members at a time.

Looking at everything after every step would cost more than the cluster itself.  What is cheap is looked at
after each turn, and only where something has changed; the rest now and then and at the moments that matter.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from agreed.consensus.machine import Entry, EntryKind, Machine
from agreed.consensus.members import Members
from agreed.consensus.quorum import Quorum
from agreed.consensus.raft.invariants import ClusterInvariants, check
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.messages import RequestVote
from agreed.consensus.raft.raft import Raft
from agreed.sim.elections import Elections
from agreed.sim.freshness import watch_reads
from agreed.sim.outcome import Broken
from agreed.types import Index

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node
    from agreed.sim.sessions import Sessions

LOOKED_AT_EVERY = 32
"""Turns of a node between two looks at its whole Raft."""

MATCHED_EVERY = 256
"""Turns between two comparisons of all logs."""

Seen = tuple[int, int, int, int, bool, str | None]
"""Of a Raft: term, commit, last index and its term, whether it leads, its vote."""


class RaftJudge:
    def __init__(self, cluster: Cluster, sessions: Sessions) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.sessions = sessions
        self.elections = Elections()
        self.raft = ClusterInvariants()
        self._seen: dict[str, Seen] = {}
        self._committed = 0
        self._matches: dict[str, tuple[Leader, dict[str, tuple[int | None, int]]]] = {}
        """Of each leader: its role, and what it knew of each follower."""
        self._turns = 0

    # --- what the judge of everything asks ----------------------------------------------------------------

    def made(self, node: Node, machine: Machine) -> Machine:
        """The machine of a new life, as the replica is to have it."""
        return machine

    def started(self, node: Node) -> None:
        self._seen.pop(node.name, None)
        watch_reads(node.name, node.replica.reads, lambda: self._committed)

    def wiped(self, node: Node) -> None:
        self._seen.pop(node.name, None)

    def after_turn(self, node: Node) -> None:
        raft = _raft_of(node)
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
        if self._turns % MATCHED_EVERY == 0:
            self.raft.check(raft, self._rafts())

    def log_begins_after(self, node: Node) -> Index:
        """What is before can only have come from a snapshot."""
        return _raft_of(node).log.base_index

    def committed(self, node: Node) -> Index:
        return _raft_of(node).commit

    def agreed(self, node: Node, first: Index, last: Index) -> list[Entry]:
        """What the node has just applied, by its log."""
        raft = _raft_of(node)
        entries = raft.log.between(first, last)
        self.raft.agreed(raft, entries)
        return entries

    def said(self, node: Node, target: str, message: object) -> None:
        self.elections.said(node, target, message)

    def heard(self, node: Node, peer: str, message: object) -> None:
        self.elections.heard(node, peer, message)

    def standing(self, node: Node) -> tuple[str, int, int, int]:
        raft = _raft_of(node)
        return raft.role.name, raft.term, raft.log.last_index, raft.commit

    def check_message(self, node: Node, peer: str, message: object) -> None:
        raft = _raft_of(node)
        if raft.restart_timer and not self._voted(raft, peer, message):
            told = f"{node.name} waits anew because of a {type(message).__name__} of {peer}"
            raise Broken("a timer restarted for who neither leads nor got a vote", told)

    def final(self) -> None:
        rafts = self._rafts()
        for raft in rafts:
            check(raft)
            self.raft.check(raft, rafts)

    # --- turns --------------------------------------------------------------------------------------------

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
        if commit > commit_before and raft.log.base_index == commit:
            check(raft)  # a snapshot took the place of its log, and of what contradicted it
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

    # --- messages -----------------------------------------------------------------------------------------

    def _voted(self, raft: Raft, peer: str, message: object) -> bool:
        return isinstance(message, RequestVote) and not message.pre and raft.vote == peer


def _raft_of(node: Node) -> Raft:
    raft = node.replica.machine
    assert isinstance(raft, Raft)
    return raft
