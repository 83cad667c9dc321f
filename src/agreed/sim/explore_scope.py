"""What an exploration is asked for, and what it answers: the scope, the progress, the report.

A scope is a budget.  Within it *everything* is played, so each number multiplies the states, most of all
`terms` and `messages`; a report says whether the end was reached.
"""
from __future__ import annotations

import msgspec

from agreed.consensus.members import MembersChange
from agreed.sim.explore_node import Action, Node
from agreed.types import NodeId


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What is explored, and where it ends."""

    nodes: int = 3
    terms: int = 1
    """No node enters a higher one, nor asks whether it could."""
    operations: int = 1
    """Proposals of a client, each to any leader."""
    reads: int = 0
    """Linearizable ones, each asked of any node."""
    crashes: int = 0
    compactions: int = 0
    """How often a node takes a snapshot of what is agreed, and forgets the log before it."""
    transfers: int = 0
    """Of leadership, to any other node."""
    disconnects: int = 0
    """How often a node is told that it lost a peer."""
    duplicates: int = 0
    """Deliveries of a message that stays in flight."""
    messages: int = 3
    """In flight at most."""
    timers: int = 1
    """How often a node's timer fires while it has one term and role."""
    callers: int | None = None
    """So many nodes have timers that fire, the others only answer; None: all."""
    prompt_disks: bool = False
    """A save is durable at once, so that no crash and no message finds it under way."""
    changes: tuple[MembersChange, ...] = ()
    """Changes of members, each asked once of any leader, in any order."""
    spares: int = 0
    """Nodes more, that are not members at first."""


class Step(msgspec.Struct, frozen=True):
    """Of a counterexample: what happened, to whom, and how that node stands after it."""

    node: NodeId
    action: Action
    kept: bool
    """The message delivered is still in flight."""
    after: Node


class Report(msgspec.Struct, frozen=True):
    scope: Scope
    states: int
    transitions: int
    node_states: int
    """Of single nodes, in all states of the cluster."""
    steps_of_machines: int
    """How often a machine was stepped; all else was looked up."""
    depth: int
    widest: int
    """States of the depth that has most."""
    seconds: float
    complete: bool
    """All of the scope was explored."""
    broken: str | None = None
    """The invariant that does not hold, with its facts."""
    steps: tuple[Step, ...] = ()
    """A shortest way there."""


class Progress(msgspec.Struct, frozen=True):
    states: int
    transitions: int
    depth: int
    waiting: int
    """States found and not yet expanded."""
    seconds: float
