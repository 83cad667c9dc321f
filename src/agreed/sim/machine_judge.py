"""What must be true of a protocol other than Raft in a cluster: the contract, and its own invariants.

Each machine is watched from outside: what it is asked and what it says goes to the contract (`Contract`),
which knows no protocol; the invariants of its paper are looked at when it has changed, and now and then.

What lies on whose disk is known too, and with it what each has promised and voted for (`votes.py`): what is
said to be committed must be, no leader may leave out what could be, and whatever a message vouches for must
be durable when it leaves (`vouching.py`).  So a broken promise is noticed when it is spoken, and not when it
has done harm.
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
    Received,
    Saved,
    SnapshotInstalled,
    SnapshotTaken,
)
from agreed.consensus.multipaxos import invariants as of_multipaxos
from agreed.consensus.multipaxos import messages as multipaxos_messages
from agreed.consensus.multipaxos.slots import from_disk
from agreed.consensus.vr import invariants as of_vr
from agreed.consensus.vr import messages as vr_messages
from agreed.consensus.zab import invariants as of_zab
from agreed.consensus.zab import messages as zab_messages
from agreed.sim.outcome import Broken
from agreed.sim.plan import node_names
from agreed.sim.raft_judge import RaftJudge
from agreed.sim.votes import Votes
from agreed.sim.vouching import Told, vouching
from agreed.types import Index

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node
    from agreed.sim.sessions import Sessions

LOOKED_AT_EVERY = 32
"""Turns of a node between two looks at its whole machine."""

COMPARED_EVERY = 256
"""Turns between two comparisons of all machines."""

READ_INDEX = multipaxos_messages.ReadIndex | vr_messages.ReadIndex | zab_messages.ReadIndex
READ_INDEX_REPLY = (
    multipaxos_messages.ReadIndexReply | vr_messages.ReadIndexReply | zab_messages.ReadIndexReply
)

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
        self.told = Told()
        self.counted: dict[str, Index] = {}
        """Up to where, as a leader, it has counted whose votes."""
        self.counted_in = 0
        """In which ballot."""
        self.reads: dict[tuple[str, int], Asked] = {}
        """Under way, of its own clients ("") and of others', for which it was asked as a leader."""
        self._judge = judge

    def __getattr__(self, name: str) -> Any:
        return getattr(self.machine, name)

    def step(self, event: Event) -> None:
        self._judge.happened(self.node, self, event)
        self.machine.step(event)
        self._judge.stepped(self.machine)

    def take(self) -> Effects:
        effects = self.machine.take()
        self.agreed.update((entry.index, entry) for entry in effects.commit)
        self._judge.asked(self, effects)
        self.told = Told(self.machine.term, self.machine.commit)
        return effects


class Asked:
    """A read that a leader was asked for."""

    def __init__(self, *, left: bool) -> None:
        self.left = left
        """A quorum had left it by then."""
        self.heard: set[str] = set()
        """Who has spoken to it since."""


class MachineJudge:
    def __init__(self, cluster: Cluster, sessions: Sessions) -> None:
        self.cluster = cluster
        self.contract = Contract()
        self._sessions = sessions
        self._invariants = _INVARIANTS[cluster.plan.consensus]
        self._of_all = self._invariants.ClusterInvariants()
        self._alone = cluster.plan.consensus == protocols.MULTIPAXOS
        """Whether its cluster's invariants look at one machine at a time."""
        self._votes = Votes(node_names(cluster.plan.nodes), per_slot=self._alone)
        self._vouching = vouching(cluster.plan.consensus)
        self._chosen: Index = 0
        """All up to here was seen to be chosen when somebody said so first."""
        self._begun: dict[str, int] = {}
        """The last ballot that each has begun."""
        self._watched: dict[str, Watched] = {}
        self._seen: dict[str, Seen] = {}
        self._turns = 0

    def made(self, node: Node, machine: Machine) -> Machine:
        watched = self._watched[node.name] = Watched(machine, node, self)
        recovered = node.recovered
        covered = recovered.snapshot.mark.index if recovered.snapshot is not None else 0
        self._votes.recovered(node.name, recovered.ballot, covered, recovered.entries)
        return watched

    def started(self, node: Node) -> None:
        self._seen.pop(node.name, None)
        watched = self._watched[node.name]
        watched.began_after = node.replica.applied
        self.contract.started(node.name, node.replica.applied)
        self._look(node)

    def wiped(self, node: Node) -> None:
        self._seen.pop(node.name, None)
        self._votes.forgotten(node.name)

    def happened(self, node: Node, watched: Watched, event: Event) -> None:
        """A machine is about to be told of this."""
        match event:
            case Saved(serial):
                self._votes.saved(node.name, serial)
            case Received(source, message):
                for read in watched.reads.values():
                    read.heard.add(source)
                if isinstance(message, READ_INDEX):
                    self._read_asked(watched, source, message.context)
            case ReadRequested(ticket):
                self.contract.read_requested(node.name, ticket)
                self._read_asked(watched, "", ticket)
            case Proposed(payload):
                self._proposed(node, watched.machine, payload)
            case SnapshotTaken(mark):
                self._votes.acceptors[node.name].cover(mark.index)
            case SnapshotInstalled(mark):
                watched.began_after = mark.index
                watched.agreed.clear()
                self.contract.restored(node.name, mark.index)
                self._votes.acceptors[node.name].install(mark)

    def stepped(self, machine: Machine) -> None:
        """A machine was told one thing of a turn."""
        if isinstance(self._of_all, of_zab.ClusterInvariants):
            self._of_all.stepped(machine)  # type: ignore[arg-type]

    def _read_asked(self, watched: Watched, asker: str, number: int) -> None:
        machine = watched.machine
        if machine.leads and (asker, number) not in watched.reads:
            watched.reads[asker, number] = Asked(left=not self._votes.may_lead(machine.term))

    def _proposed(self, node: Node, machine: Machine, payload: bytes) -> None:
        self.contract.proposed(payload)
        if machine.leads:
            entry = Entry(machine.last_index + 1, machine.term, EntryKind.PAYLOAD, payload)
            self._sessions.decided(node, [entry])

    def asked(self, watched: Watched, effects: Effects) -> None:
        """A machine has said what is to be done."""
        machine, name = watched.machine, watched.node.name
        if effects.save is not None:
            self._votes.saving(name, effects.save)
        began_at = self._vouching.began_at(machine)
        if began_at is not None:
            self._check_begun(watched, machine, effects)
        acceptor = self._votes.acceptors[name]
        for send in effects.send:
            self._vouching.check(machine, acceptor, send.message, watched.told)
            if isinstance(send.message, READ_INDEX_REPLY):
                self._check_read(watched, send.target, send.message.context, send.message.index)
        for ready in effects.reads:
            self._check_read(watched, "", ready.ticket, ready.index)
        self.contract.check(name, effects)
        if effects.save is not None or effects.commit:
            # What a leader adds to the history is known before anybody can say that it is agreed.
            self._check_alone(machine)
        if effects.commit:
            self._of_all.agreed(machine, effects.commit)
            self._check_chosen(name, effects.commit)

    def _check_begun(self, watched: Watched, machine: Machine, effects: Effects) -> None:
        """What a leader proposes leaves out nothing that may be chosen."""
        name, ballot = machine.me, machine.term  # type: ignore[attr-defined]
        if self._alone:
            for entry in effects.save.entries if effects.save is not None else ():
                accepted, value = from_disk(entry)
                if value is not None and accepted == ballot and entry.index > watched.told.commit:
                    self._votes.check_proposal(name, entry.index, (ballot, value.term))
        elif self._begun.get(name) != ballot:
            self._begun[name] = ballot
            log = machine.log  # type: ignore[attr-defined]
            after = max(log.base_index, min(watched.told.commit, machine.commit))
            terms = {entry.index: entry.term for entry in log.between(after + 1, log.last_index)}
            self._votes.check_log(name, ballot, after, terms)

    def _check_read(self, watched: Watched, asker: str, number: int, index: Index | None) -> None:
        """A leader answers when all is agreed that it began with, after it has heard a quorum say that it
        still leads, and never when a quorum has left it."""
        read = watched.reads.pop((asker, number), None)
        began_at = self._vouching.began_at(watched.machine)
        if read is None or index is None or began_at is None:
            return
        told = f"{watched.node.name} in {watched.machine.term} answers a read at {index}"
        if index < began_at:
            raise Broken("a read before what was begun with is agreed", f"{told}: began at {began_at}")
        if read.left:
            raise Broken("a read by whom a quorum has left", told)
        if not self._votes.is_quorum({watched.node.name, *read.heard}):
            raise Broken("a read without asking", f"{told}, and has heard only {sorted(read.heard)}")

    def _check_chosen(self, name: str, entries: list[Entry]) -> None:
        """Who says first that something is committed must be right: a quorum has voted for it, durably."""
        for entry in entries:
            if entry.index > self._chosen:
                self._chosen = entry.index
                if not self._votes.is_chosen(entry.index, entry.term):
                    raise Broken("committed and not durable", f"{name} commits {entry.index} of {entry.term}")
            if self._alone and not self._votes.acceptors[name].holds(entry.index):
                # Or a snapshot could end in it, and the driver would void what was accepted behind it.
                raise Broken("committed and not durable here", f"{name} commits {entry.index}")

    def after_turn(self, node: Node) -> None:
        watched = self._watched[node.name]
        machine = watched.machine
        seen = (machine.term, machine.commit, machine.leads)
        before = self._seen.get(node.name)
        self._turns += 1
        if before != seen:
            self._seen[node.name] = seen
            self._changed(node, machine, before, seen)
        elif self._turns % LOOKED_AT_EVERY == 0:
            self._look(node)
        if machine.leads:
            self._check_counted(watched, machine)
        else:
            self._vouching.check_follower(machine, self._machine_of)
        if self._turns % COMPARED_EVERY == 0:
            self._compare(machine)

    def _check_counted(self, watched: Watched, machine: Machine) -> None:
        """Whom a leader counts has voted; and what it knows of somebody, it knows as long as it leads."""
        if watched.counted_in != machine.term:
            watched.counted_in, watched.counted = machine.term, {}
        counted = watched.counted
        for name, match in self._vouching.counted(machine):
            known = counted.get(name, 0)
            if match < known:
                raise Broken("a match goes back", f"{watched.node.name} of {name}: from {known} to {match}")
            if match > known:
                counted[name] = match
                news = range(known + 1, match + 1)
                self._vouching.check_counted(machine, self._votes, name, news, self.contract.agreed)

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

    def _machine_of(self, name: str) -> Machine | None:
        node = self.cluster.nodes.get(name)
        return self._watched[name].machine if node is not None and node.serving else None

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
