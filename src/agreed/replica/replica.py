"""One node, whole: consensus, store, clients and peers, as one machine.

    step(event)   something happened (`events.py`)
    take()        -> Effects: everything the outside should now do
    wake          the instant at which it wants to hear `TimePassed`

The driver calls `step(TimePassed)` at the start of each turn, `step` for all that happened, and `take` once
at its end.  So all commands of a turn become one batch, one entry, one save and one message per peer, and all
replies to a client one write: that is where the speed comes from.

The flow of a write: `zookeeper.py` makes a command of the request and gives it a ticket (`requests.py`); the
batch of the turn is proposed here or forwarded to the leader; once agreed, every node applies it in the same
order (`_apply`), and the node whose ticket it is answers its client.  So a reply always comes from a store
that has already applied it, and a client never reads anything older than what it was told.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agreed.consensus import machine as consensus
from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.members import Members
from agreed.replica import events
from agreed.replica.clients import WRITE, Client, Errand
from agreed.replica.events import Effects
from agreed.replica.founding import all_members
from agreed.replica.operators import Operators
from agreed.replica.proposals import PROPOSALS_UNDER_WAY, Proposals, fault
from agreed.replica.reads import Reads
from agreed.replica.reconfiguration import configuration_text
from agreed.replica.requests import Requests
from agreed.replica.settings import Settings
from agreed.replica.snapshots import SnapshotKeeper
from agreed.replica.upkeep import (
    NOTED_WITHIN_MS,
    REPORT_EVERY_MS,
    STOOD_STILL_MS,
    UPKEEP_EVERY_MS,
    CheckpointTrigger,
    Expiry,
)
from agreed.replica.words import Surroundings
from agreed.replica.zookeeper import ZooKeeperClients
from agreed.store.commands import (
    AttachLease,
    Batch,
    Checkpoint,
    Command,
    ExpireLease,
    GrantLease,
    Payload,
    RevokeLease,
    SetConfiguration,
)
from agreed.store.machine import Store
from agreed.store.results import LeaseResult, Refusal, Result
from agreed.types import Identity, Index, Instant, LeaseId, NodeId, Revision, Stamp, Term
from agreed.wire.peer.messages import ChangeAnswer, ChangeAsked, DigestReport, Forward, Heard, HeardNoted

STOP_WITHIN_MS = 3_000
"""How long a node that is told to stop waits for its last requests and for a new leader."""

_decoder = msgspec.msgpack.Decoder(Payload)


class Replica:
    def __init__(
        self,
        name: NodeId,
        identity: Identity,
        life: int,
        settings: Settings,
        machine: consensus.Machine,
        store: Store,
        applied: Index,
        entropy: Callable[[int], bytes],
        surroundings: Callable[[], Surroundings],
        now: Instant,
        wall_ms: Stamp,
    ) -> None:
        self.name = name
        self.origin = f"{name}.{identity:x}"
        """Who asks, in the log: a member that lost its disk begins its lives anew, and must not take what its
        predecessor of the same name had asked for its own."""
        self.settings = settings
        self.machine = machine
        self.store = store
        self.applied = applied
        self.now = now
        self.wall_ms = wall_ms
        self.started_at = now
        self.entropy = entropy
        self.surroundings = surroundings
        self.leads_since = now
        self.wake: Instant | None = now
        self.problem: str | None = None
        self.requests = Requests(self.origin, life)
        self.reads = Reads()
        self.expiry = Expiry()
        self.checkpoint = CheckpointTrigger(settings.snapshot_entries, settings.snapshot_bytes)
        self.snapshot_index: Index = applied
        self.snapshots = SnapshotKeeper(self)
        self.effects = Effects()
        self.zookeeper = ZooKeeperClients(self)
        self.operators = Operators(self)
        self.proposals = Proposals(name)
        self._seen_leader: tuple[NodeId | None, Term] = (None, 0)
        self.leaderless_since: Instant | None = now
        self._next_upkeep = now
        self._next_sweep = now
        self._next_report = now
        self._noted_at = now
        self._stopping: Instant | None = None
        self._awaited: list[tuple[Revision, Callable[[], None]]] = []
        self._events = self._event_handlers()
        self._peer_messages = self._peer_message_handlers()

    def _event_handlers(self) -> dict[type, Callable[..., None]]:
        return {
            events.ClientBytes: self.zookeeper.received,
            events.ClientOpened: self.zookeeper.opened,
            events.ClientClosed: self.zookeeper.closed,
            events.TimePassed: self._time_passed,
            events.PeerMessage: self._peer_message,
            events.PeerOpened: self._peer_opened,
            events.PeerClosed: self._peer_closed,
            events.Saved: self._saved,
            events.DiskStopped: self._disk_stopped,
            events.SnapshotPieceWritten: self.snapshots.piece_written,
            events.SnapshotWritten: self.snapshots.written,
            events.RestorePiece: self.snapshots.restore_piece,
            events.RestoreEnded: self.snapshots.restore_ended,
            events.OperatorAsked: self.operators.asked,
            events.StrangerSeen: self.operators.stranger_seen,
            events.StopRequested: self._stop_requested,
            consensus.ChunkLoaded: self._pass_on,
            consensus.ChunkSaved: self._pass_on,
            consensus.SnapshotRejected: self._pass_on,
        }

    def _peer_message_handlers(self) -> dict[type, Callable[..., None]]:
        """What is not for the consensus machine."""
        return {
            Forward: self._forward_received,
            Heard: self._heard_received,
            HeardNoted: self._heard_noted,
            DigestReport: self.snapshots.digest_received,
            ChangeAsked: self.operators.change_asked,
            ChangeAnswer: self.operators.change_answered,
        }

    # --- the machine ----------------------------------------------------------------------------------

    def step(self, event: object) -> None:
        self._events[type(event)](event)

    def take(self) -> Effects:
        """The end of a turn: apply what is agreed, propose what was asked, hand out everything."""
        self._consensus_effects()
        if self.problem is None:
            self._propose()
            ticket = self.reads.ask()
            if ticket is not None:
                self.machine.step(consensus.ReadRequested(ticket))
            self._consensus_effects()
        self.zookeeper.flush()
        effects = self.effects
        self.effects = Effects()
        wake = self._next_upkeep
        if self.machine.wake is not None and self.machine.wake < wake:
            wake = self.machine.wake
        self.wake = wake
        return effects

    def log(self, level: str, sentence: str) -> None:
        self.effects.logs.append((level, sentence))

    def submit(self, command: Command, done: Callable[[Result], None] | None = None) -> None:
        """A command of the replica itself."""
        self.requests.submit(command, Errand(done))

    @property
    def leads(self) -> bool:
        return self.machine.leads

    @property
    def serving(self) -> bool:
        """Whether clients are kept: somebody leads and hears us, or did until a moment ago."""
        if self.problem is not None:
            return False
        if self.machine.leader is not None and not self.machine.leads:
            return self.now - self._noted_at < NOTED_WITHIN_MS
        since = self.leaderless_since
        return since is None or self.now - since < self.settings.leaderless_grace_ms

    @property
    def members(self) -> Members:
        return self.machine.members

    # --- consensus ------------------------------------------------------------------------------------

    def _pass_on(self, event: consensus.Event) -> None:
        self.machine.step(event)

    def _consensus_effects(self) -> None:
        taken = self.machine.take()
        effects = self.effects
        for send in taken.send:
            effects.send.append((send.target, send.message))
        if taken.save is not None:
            effects.saves.append(taken.save)
        effects.load_chunks.extend(taken.load_chunks)
        effects.save_chunks.extend(taken.save_chunks)
        for answer in taken.answers:
            self.operators.answered(answer)
        if (self.machine.leader, self.machine.term) != self._seen_leader:
            self._leader_changed()
        for entry in taken.commit:
            self._apply(entry)
        for ready in taken.reads:
            self.reads.answered(ready)
        for client in self.reads.opened(self.applied):
            self.zookeeper.drain(client)
        if self._awaited:
            awaited, self._awaited = self._awaited, []
            for revision, then in awaited:
                self.when_applied(revision, then)

    def _leader_changed(self) -> None:
        leader, term = self._seen_leader = (self.machine.leader, self.machine.term)
        self.proposals.clear()
        self.checkpoint.ask_again()
        self.operators.leader_changed()
        if leader is None:
            self.expiry.stop()
            if self.leaderless_since is None:
                self.leaderless_since = self.now
            return
        self.leaderless_since = None
        self._noted_at = self.now
        self.zookeeper.quorum_returned()
        self._next_report = self.now
        if self.machine.leads:
            self.log("info", f"leads term {term}")
            self.leads_since = self.now
            self._full_time_for_all()
            self.submit_configuration()
        else:
            self.expiry.stop()
            self.log("info", f"follows {leader} in term {term}")
        self._repeat_requests()

    def submit_configuration(self, done: Callable[[Result], None] | None = None) -> None:
        """Puts the members into the store, for `/zookeeper/config`, where they are not what stands there."""
        text = configuration_text(self.machine.members)
        if done is not None or self.store.configuration != text:
            self.submit(SetConfiguration(text, self.machine.term), done)

    def _repeat_requests(self) -> None:
        batches = self.requests.repeat(self.now)
        if self.machine.leads:
            for batch in batches:
                self.proposals.add(self.name, batch)
        elif self.machine.leader is not None:
            for batch in batches:
                self.effects.send.append((self.machine.leader, Forward(self.machine.term, batch)))

    def _propose(self) -> None:
        machine = self.machine
        if machine.leads:
            if machine.last_index - machine.commit >= PROPOSALS_UNDER_WAY:
                return
            if not self.proposals.full and (own := self.requests.cut(self.now)) is not None:
                self.proposals.add(self.name, own)
            while self.proposals and machine.last_index - machine.commit < PROPOSALS_UNDER_WAY:
                machine.step(consensus.Proposed(*self.proposals.next(self.wall_ms)))
        elif machine.leader is not None:
            while (batch := self.requests.cut(self.now)) is not None:
                self.effects.send.append((machine.leader, Forward(machine.term, batch)))

    def _forward_received(self, source: NodeId, message: Forward) -> None:
        if not self.machine.leads:
            return
        reason = fault(source, message.batch)
        if reason is None:
            self.proposals.add(source, message.batch)
        else:
            self.log("error", f"a batch that {source} forwards is refused: {reason}")

    # --- what is agreed -------------------------------------------------------------------------------

    def _apply(self, entry: Entry) -> None:
        if entry.kind is EntryKind.PAYLOAD:
            payload = _decoder.decode(entry.payload)
            self.store.begin(payload.stamp_ms, entry.term)
            checkpoint = False
            commands = 0
            for batch in payload.batches:
                commands += len(batch.commands)
                checkpoint |= self._apply_batch(batch)
            self.applied = entry.index
            self.checkpoint.applied(commands, len(entry.payload))
            if checkpoint:
                self.snapshots.take(entry)
        else:
            self.applied = entry.index
            if entry.kind is EntryKind.MEMBERS:
                self._members_changed(entry.index)

    def _apply_batch(self, batch: Batch) -> bool:
        """Whether a checkpoint was among the commands."""
        store = self.store
        skip = store.admit(batch)
        commands = batch.commands
        if skip:
            commands = commands[skip:]
            if not commands:
                return False
        checkpoint = False
        origin = batch.origin
        mine = origin == self.origin and batch.life == self.requests.life
        tickets = self.requests.tickets
        execute = store.execute
        fresh = store.fresh
        zookeeper = self.zookeeper
        for command in commands:
            if mine:
                ticket = tickets[0]
                if isinstance(ticket, Client) and not ticket.closed and ticket.queue[0][2] is not WRITE:
                    zookeeper.overtaken(ticket)
            result = execute(command, origin)
            if fresh:
                zookeeper.notify(fresh)
                fresh.clear()
            if type(command) in _NOTED:
                if type(command) is Checkpoint:
                    checkpoint = True
                else:
                    self._lease_changed(command, origin, result)
            if mine:
                ticket = tickets.popleft()
                if isinstance(ticket, Client):
                    if not ticket.closed:
                        zookeeper.result(ticket, result)
                elif ticket.done is not None:
                    ticket.done(result)
        if mine:
            self.requests.applied(batch.first + len(batch.commands) - 1, self.now)
        return checkpoint

    def _lease_changed(self, command: Command, origin: NodeId, result: Result) -> None:
        if isinstance(result, Refusal):
            return
        if isinstance(result, LeaseResult):
            if self.machine.leads:
                self.expiry.add(result.lease, result.ttl_ms, self.now)
            if origin != self.origin:
                self.zookeeper.sessions.lease_left(result.lease, "its session moved to another node")
            return
        assert isinstance(command, RevokeLease | ExpireLease)
        self.expiry.remove(command.lease)
        if isinstance(command, ExpireLease):
            self.zookeeper.sessions.lease_left(command.lease, "its session expired")

    def _members_changed(self, index: Index) -> None:
        """Removed is who is in neither: this set may be history, and that of the log's end taken back."""
        agreed = all_members(self.machine.snapshot_mark(index).members)
        names = {member.name for member in agreed + all_members(self.machine.members)}
        if self.name not in names and self.problem is None:
            self.stop_serving(f"{self.name} was removed from the cluster")

    def stop_serving(self, reason: str) -> None:
        """For good: this process will acknowledge nothing more."""
        if self.problem is None:
            self.problem = reason
            self.log("critical", reason)
            self.zookeeper.drop_all(reason)

    def when_applied(self, revision: Revision, then: Callable[[], None]) -> None:
        """Once the store here has reached this revision."""
        if self.store.revision >= revision:
            then()
        else:
            self._awaited.append((revision, then))

    # --- peers, disk, time ----------------------------------------------------------------------------

    def _peer_message(self, event: events.PeerMessage) -> None:
        message = event.message
        if self.problem is not None:
            return
        handler = self._peer_messages.get(type(message))
        if handler is not None:
            handler(event.source, message)
        else:
            self.machine.step(consensus.Received(event.source, message))

    def _peer_opened(self, event: events.PeerOpened) -> None:
        if event.peer == self.machine.leader:
            self._repeat_requests()

    def _peer_closed(self, event: events.PeerClosed) -> None:
        self.machine.step(consensus.PeerLost(event.peer))

    def _saved(self, event: events.Saved) -> None:
        self.machine.step(consensus.Saved(event.serial))

    def _disk_stopped(self, event: events.DiskStopped) -> None:
        """Nothing can be promised any more.  Leadership goes to somebody who can; then the process ends."""
        if self.machine.leads:
            self.machine.step(consensus.TransferRequested(None))
        self.stop_serving(f"the disk failed: {event.reason}")
        self._stopping = self.now

    def _heard_received(self, source: NodeId, message: Heard) -> None:
        for lease in message.leases:
            self.expiry.heard(lease, self.now)
        if self.machine.leads:
            self.effects.send.append((source, HeardNoted()))

    def _heard_noted(self, source: NodeId, message: HeardNoted) -> None:
        if source == self.machine.leader:
            self._noted_at = self.now
            self.zookeeper.quorum_returned()

    def _stop_requested(self, event: events.StopRequested) -> None:
        self._stopping = self.now
        if self.machine.leads and len(self.machine.members.voters) > 1:
            self.machine.step(consensus.TransferRequested(None))

    def _full_time_for_all(self) -> None:
        self.expiry.start(((lease.id, lease.ttl_ms) for lease in self.store.leases), self.now)

    def _time_passed(self, event: events.TimePassed) -> None:
        stood_still = event.now - self.now > STOOD_STILL_MS
        self.now = event.now
        self.wall_ms = event.wall_ms
        self.machine.step(consensus.TimePassed(event.now))
        if stood_still:
            self._noted_at = event.now
            if self.machine.leads:
                self._full_time_for_all()
        if event.now >= self._next_upkeep:
            self._next_upkeep = event.now + UPKEEP_EVERY_MS
            self._upkeep()

    def _upkeep(self) -> None:
        now = self.now
        if self._stopping is not None:
            self._stop_when_ready()
        if self.problem is not None:
            return
        if self.requests.overdue(now):
            self._repeat_requests()
        if not self.serving:
            self.zookeeper.suspend()
        if now >= self._next_report:
            self._next_report = now + REPORT_EVERY_MS
            self._report_heard()
            self.zookeeper.drop_unfinished()
        self.operators.give_up(now)
        if not self.machine.leads:
            return
        for lease in self.expiry.due(now):
            self._expire(lease)
        if now >= self._next_sweep:
            self._next_sweep = now + self.settings.sweep_every_ms
            for command in self.store.tree.idle(max(self.wall_ms, self.store.stamp_ms)):
                self.submit(command)
        if self.checkpoint.due():
            self.submit(Checkpoint())

    def _stop_when_ready(self) -> None:
        """Leadership is somebody else's and every request is answered, or it has taken too long."""
        assert self._stopping is not None
        alone = len(self.machine.members.voters) <= 1
        drained = self.problem is not None or not len(self.requests)
        if (drained and (alone or not self.machine.leads)) or self.now - self._stopping > STOP_WITHIN_MS:
            self.effects.stopped = True

    def _report_heard(self) -> None:
        heard = self.zookeeper.sessions.heard_since_last_report()
        if self.machine.leads:
            for lease in heard:
                self.expiry.heard(lease, self.now)
        elif self.machine.leader is not None:
            self.effects.send.append((self.machine.leader, Heard(heard)))

    def _expire(self, lease: LeaseId) -> None:
        known = self.store.leases.get(lease)
        if known is not None:
            self.log("info", f"session {lease:#x} is silent for more than {known.ttl_ms} ms: it expires")
            self.submit(ExpireLease(lease, known.attach_revision, self.machine.term))


_NOTED = frozenset({GrantLease, AttachLease, RevokeLease, ExpireLease, Checkpoint})
"""Commands after which the replica itself has something to do."""
