"""What must be remembered of an explored run to judge its next step: who led, what was agreed, who asked.

A ledger is part of the state of the cluster: without it a leader that crashed would be forgotten, and the
second one of its term would look lawful.  It holds the `ClusterInvariants` of Raft, what was agreed (the
contract's uniform agreement), and the reads that wait (its read freshness).
"""
from __future__ import annotations

from collections.abc import Sequence

from agreed.consensus.machine import Entry
from agreed.consensus.members import everybody
from agreed.consensus.quorum import Quorum
from agreed.consensus.raft.invariants import ClusterInvariants, InvariantBroken
from agreed.sim.explore_graph import clone
from agreed.sim.explore_node import Node, Outcome
from agreed.types import Index, NodeId


class Ledger:
    def __init__(self) -> None:
        self.cluster = ClusterInvariants()
        self.agreed: dict[Index, Entry] = {}
        self.highest: Index = 0
        self.reads: dict[tuple[NodeId, int], Index] = {}
        """Reads that wait, and what was agreed when they were asked for."""

    def after(self, outcome: Outcome, asked: int | None) -> Ledger:
        """Once this has happened; `asked` is the ticket of a read that began with it.

        Raises InvariantBroken.
        """
        ledger = clone(self)
        node = outcome.node
        if asked is not None:
            ledger.reads[node.name, asked] = self.highest
        if node.raft is None:
            for key in [key for key in ledger.reads if key[0] == node.name]:
                del ledger.reads[key]
            return ledger
        ledger.cluster.check(node.raft, [])
        for ready in outcome.reads:
            ledger._check_read(node.name, ready.ticket, ready.index)
        for entry in outcome.agreed:
            ledger._check_agreed(node.name, entry)
        ledger.cluster.agreed(node.raft, list(outcome.agreed))
        return ledger

    def _check_read(self, name: NodeId, ticket: int, index: Index | None) -> None:
        least = self.reads.pop((name, ticket), None)
        if least is None:
            raise InvariantBroken(f"one answer: {name} answered read {ticket} again or unasked")
        if index is not None and index < least:
            raise InvariantBroken(
                f"read freshness: {name} answers at {index} what was asked after {least} was agreed"
            )

    def _check_agreed(self, name: NodeId, entry: Entry) -> None:
        known = self.agreed.setdefault(entry.index, entry)
        if known != entry:
            raise InvariantBroken(f"uniform agreement: {name} says {entry} is agreed, somebody else {known}")
        self.highest = max(self.highest, entry.index)


def check_pair(node: Node, other: Node) -> None:
    """Log matching.  Raises InvariantBroken."""
    if node.raft is not None and other.raft is not None:
        ClusterInvariants().check(node.raft, [other.raft])


def check_durable(node: Node, agreed: Sequence[Entry], nodes: Sequence[Node]) -> None:
    """Who says first that this is agreed must be right: a quorum has it on disk.

    Raises InvariantBroken.
    """
    raft = node.raft
    assert raft is not None
    known = everybody(raft.members)
    for entry in agreed:
        holding = {each.name for each in nodes if each.name in known and each.disk.holds(entry)}
        if not Quorum(raft.members).has(holding):
            raise InvariantBroken(f"committed is durable: {entry} is only on {sorted(holding)}")
