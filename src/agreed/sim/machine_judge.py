"""What must be true of a protocol other than Raft in a cluster: the contract, and its own invariants.

Each machine is watched from outside: what it is asked and what it says goes to the contract (`Contract`),
which knows no protocol; the invariants of its paper are looked at when it has changed, and now and then.

What Raft is asked besides (votes one by one, what lies on which disk, leases) is not asked here: the random
worlds of `tests/consensus` do, which see every step.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from agreed.consensus import protocols
from agreed.consensus.contract import Contract
from agreed.consensus.machine import (
    Effects,
    Entry,
    EntryKind,
    Event,
    Machine,
    Proposed,
    ReadRequested,
    SnapshotInstalled,
)
from agreed.consensus.multipaxos import invariants as of_multipaxos
from agreed.consensus.vr import invariants as of_vr
from agreed.consensus.zab import invariants as of_zab
from agreed.sim.outcome import Broken
from agreed.sim.raft_judge import RaftJudge
from agreed.types import Index

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node
    from agreed.sim.sessions import Sessions

LOOKED_AT_EVERY = 32
"""Turns of a node between two looks at its whole machine."""

COMPARED_EVERY = 256
"""Turns between two comparisons of all machines."""

Seen = tuple[int, int, bool]
"""Of a machine: term, commit, whether it leads."""

_INVARIANTS: dict[str, Any] = {
    protocols.MULTIPAXOS: of_multipaxos,
    protocols.VR: of_vr,
    protocols.ZAB: of_zab,
}


class ProtocolJudge(Protocol):
    """What the judge of everything asks of the judge of a protocol."""

    def made(self, node: Node, machine: Machine) -> Machine: ...

    def started(self, node: Node) -> None: ...

    def wiped(self, node: Node) -> None: ...

    def after_turn(self, node: Node) -> None: ...

    def log_begins_after(self, node: Node) -> Index: ...

    def committed(self, node: Node) -> Index: ...

    def agreed(self, node: Node, first: Index, last: Index) -> list[Entry]: ...

    def said(self, node: Node, target: str, message: object) -> None: ...

    def heard(self, node: Node, peer: str, message: object) -> None: ...

    def standing(self, node: Node) -> tuple[str, int, int, int]: ...

    def check_message(self, node: Node, peer: str, message: object) -> None: ...

    def final(self) -> None: ...


def protocol_judge(cluster: Cluster, sessions: Sessions) -> ProtocolJudge:
    if cluster.plan.consensus == protocols.RAFT:
        return RaftJudge(cluster, sessions)
    return MachineJudge(cluster, sessions)


class Watched:
    """A machine, and what it says of itself to whom it asks."""

    def __init__(self, machine: Machine, node: Node, judge: MachineJudge) -> None:
        self.machine = machine
        self.began_after: Index = 0
        self.agreed: dict[Index, Entry] = {}
        """Said to be committed, and not yet seen to be applied."""
        self.node = node
        self._judge = judge

    def __getattr__(self, name: str) -> Any:
        return getattr(self.machine, name)

    def step(self, event: Event) -> None:
        self._judge.happened(self.node, self, event)
        self.machine.step(event)

    def take(self) -> Effects:
        effects = self.machine.take()
        self.agreed.update((entry.index, entry) for entry in effects.commit)
        self._judge.asked(self, effects)
        return effects


class MachineJudge:
    def __init__(self, cluster: Cluster, sessions: Sessions) -> None:
        self.cluster = cluster
        self.contract = Contract()
        self._sessions = sessions
        self._invariants = _INVARIANTS[cluster.plan.consensus]
        self._of_all = self._invariants.ClusterInvariants()
        self._alone = cluster.plan.consensus == protocols.MULTIPAXOS
        """Whether its cluster's invariants look at one machine at a time."""
        self._watched: dict[str, Watched] = {}
        self._seen: dict[str, Seen] = {}
        self._turns = 0

    def made(self, node: Node, machine: Machine) -> Machine:
        watched = self._watched[node.name] = Watched(machine, node, self)
        return watched

    def started(self, node: Node) -> None:
        self._seen.pop(node.name, None)
        self._watched[node.name].began_after = node.replica.applied
        self.contract.started(node.name, node.replica.applied)
        self._look(node)

    def wiped(self, node: Node) -> None:
        self._seen.pop(node.name, None)

    def happened(self, node: Node, watched: Watched, event: Event) -> None:
        """A machine is about to be told of this."""
        if isinstance(event, ReadRequested):
            self.contract.read_requested(node.name, event.ticket)
        elif isinstance(event, Proposed):
            self.contract.proposed(event.payload)
            machine = watched.machine
            if machine.leads:
                entry = Entry(machine.last_index + 1, machine.term, EntryKind.PAYLOAD, event.payload)
                self._sessions.decided(node, [entry])
        elif isinstance(event, SnapshotInstalled):
            watched.began_after = event.mark.index
            watched.agreed.clear()
            self.contract.restored(node.name, event.mark.index)

    def asked(self, watched: Watched, effects: Effects) -> None:
        """A machine has said what is to be done."""
        machine = watched.machine
        self.contract.check(watched.node.name, effects)
        if effects.save is not None or effects.commit:
            # What a leader adds to the history is known before anybody can say that it is agreed.
            self._check_alone(machine)
        if effects.commit:
            self._of_all.agreed(machine, effects.commit)

    def after_turn(self, node: Node) -> None:
        machine = self._watched[node.name].machine
        seen = (machine.term, machine.commit, machine.leads)
        before = self._seen.get(node.name)
        self._turns += 1
        if before != seen:
            self._seen[node.name] = seen
            self._changed(node, machine, before, seen)
        elif self._turns % LOOKED_AT_EVERY == 0:
            self._look(node)
        if self._turns % COMPARED_EVERY == 0:
            self._compare(machine)

    def _changed(self, node: Node, machine: Machine, before: Seen | None, seen: Seen) -> None:
        world = self.cluster.world
        if before is not None:
            term, commit, led = before
            if machine.term < term:
                raise Broken("a term goes back", f"{node.name}: from {term} to {machine.term}")
            if machine.commit < commit:
                raise Broken("a commit goes back", f"{node.name}: from {commit} to {machine.commit}")
            if led and not machine.leads:
                world.mark("leader stepped down")
        if machine.leads and (before is None or not before[2] or before[0] != seen[0]):
            world.mark("leader elected")
            if any(other.leads for other in self._machines() if other is not machine):
                world.mark("two leaders, of two terms")
            self._compare(machine)
        self._look(node)
        if world.trace.telling:
            self.cluster.story.standing(node, machine)

    def _look(self, node: Node) -> None:
        self._invariants.check(self._watched[node.name].machine)

    def _machines(self) -> list[Machine]:
        return [self._watched[node.name].machine for node in self.cluster.nodes.values() if node.serving]

    def _compare(self, machine: Machine) -> None:
        if self._alone:
            self._of_all.check(machine)
        else:
            self._of_all.check(machine, self._machines())

    def _check_alone(self, machine: Machine) -> None:
        if self._alone:
            self._of_all.check(machine)
        else:
            self._of_all.check(machine, ())

    def log_begins_after(self, node: Node) -> Index:
        return self._watched[node.name].began_after

    def committed(self, node: Node) -> Index:
        return self._watched[node.name].machine.commit

    def agreed(self, node: Node, first: Index, last: Index) -> list[Entry]:
        agreed = self._watched[node.name].agreed
        return [agreed.pop(index) for index in range(first, last + 1)]

    def said(self, node: Node, target: str, message: object) -> None:
        """Votes are Raft's."""

    def heard(self, node: Node, peer: str, message: object) -> None:
        """Votes are Raft's."""

    def standing(self, node: Node) -> tuple[str, int, int, int]:
        machine = self._watched[node.name].machine
        return machine.standing().role, machine.term, machine.last_index, machine.commit

    def check_message(self, node: Node, peer: str, message: object) -> None:
        """Timers are Raft's."""

    def final(self) -> None:
        for machine in self._machines():
            self._invariants.check(machine)
            self._compare(machine)
