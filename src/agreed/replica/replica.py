"""One node, whole: consensus, store, clients and peers, as one machine.

    step(event)   something happened (`events.py`)
    take()        -> Effects: everything the outside should now do
    wake          the instant at which it wants to hear `TimePassed`

The driver calls `step(TimePassed)` at the start of each turn, `step` for all that happened, and `take` at its
end (again where `Effects.more` says so).  So all commands of a turn become one batch, one entry, one save and
one message per peer, and all replies to a client one write: that is where the speed comes from.

The flow of a write: `zookeeper.py` makes a command of the request and gives it a ticket (`requests.py`); the
batch of the turn is proposed here or forwarded to the leader; once agreed, every node applies it in the same
order (`applying.py`), and the node whose ticket it is answers its client.  So a reply comes from a store
that has already applied it, and a client never reads anything older than what it was told.
"""

from __future__ import annotations

from collections.abc import Callable

from agreed.consensus import machine as consensus
from agreed.consensus.machine import Entry
from agreed.consensus.members import Members
from agreed.replica import events
from agreed.replica.applying import Applying
from agreed.replica.belonging import Belonging
from agreed.replica.clients import Errand
from agreed.replica.etcd.front import EtcdClients
from agreed.replica.events import Effects
from agreed.replica.operators import Operators
from agreed.replica.proposals import Proposals, fault
from agreed.replica.reads import Reads
from agreed.replica.reconfiguration import configuration_text
from agreed.replica.requests import Requests
from agreed.replica.settings import Settings
from agreed.replica.snapshots import SnapshotKeeper
from agreed.replica.upkeep import (
    NOTED_WITHIN_MS,
    STOOD_STILL_MS,
    CheckpointTrigger,
    Expiry,
    Upkeep,
)
from agreed.replica.words import Surroundings
from agreed.replica.zookeeper import ZooKeeperClients
from agreed.store.commands import Command, ExpireLease, SetConfiguration
from agreed.store.machine import Store
from agreed.store.results import Refusal, Result
from agreed.types import Identity, Index, Instant, LeaseId, NodeId, Revision, Stamp, Term
from agreed.wire.peer.messages import (
    CallAnswered,
    CallForwarded,
    ChangeAnswer,
    ChangeAsked,
    DigestReport,
    Forward,
    Heard,
    HeardNoted,
    LeasesRenewed,
    RenewLeases,
    TokensUsed,
)


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
        self.identity = identity
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
        self.etcd = EtcdClients(self)
        self.operators = Operators(self)
        self.proposals = Proposals(name)
        self._seen_leader: tuple[NodeId | None, Term] = (None, 0)
        self.leaderless_since: Instant | None = now
        self.upkeep = Upkeep(self)
        self._noted_at = now
        self._belonging = Belonging(name, identity, machine.snapshot_mark(applied).members)
        self._stirred = True
        """Something happened that consensus may have to say something to."""
        self._agreed: list[Entry] = []
        """Committed, and to be applied before this turn ends."""
        self._ready: list[consensus.ReadReady] = []
        self._awaited: list[tuple[Revision, Callable[[], None]]] = []
        self._applying = Applying(self)
        self._events = self._event_handlers()
        self._peer_messages = self._peer_message_handlers()

    def _event_handlers(self) -> dict[type, Callable[..., None]]:
        return {
            events.ClientBytes: self.zookeeper.received,
            events.ClientOpened: self.zookeeper.opened,
            events.ClientClosed: self.zookeeper.closed,
            events.EtcdBytes: self.etcd.received,
            events.EtcdOpened: self.etcd.opened,
            events.EtcdReads: self.etcd.reads,
            events.EtcdClosed: self.etcd.closed,
            events.PasswordDone: self.etcd.passwords.done,
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
            consensus.ChunkLoaded: self.snapshots.chunk_loaded,
            consensus.ChunkSaved: self.machine.step,
            consensus.SnapshotRejected: self.machine.step,
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
            CallForwarded: self.etcd.forward.asked,
            CallAnswered: self.etcd.forward.answered,
            TokensUsed: self.etcd.callers.tokens_used,
            RenewLeases: self.etcd.renewals.asked,
            LeasesRenewed: self.etcd.renewals.answered,
        }

    # --- the machine ----------------------------------------------------------------------------------

    def step(self, event: object) -> None:
        kind = type(event)
        if kind not in _ONLY_REQUESTS:
            self._stirred = True
        self._events[kind](event)

    def take(self) -> Effects:
        """Everything to be done now.  With `more`, this is to be asked again as soon as it is begun: what
        others wait for leaves before this node applies what is agreed."""
        if self._stirred or self.reads.wanted or self._may_propose():
            self._stirred = False
            self._consult()
        if self._agreed or self._ready:
            effects = self.effects
            if effects.send or effects.saves:
                effects.more = True
                self.effects = Effects()
                return effects
            self._apply_agreed()
            if self.reads.wanted or self._may_propose():
                # What was agreed has let somebody ask for more (a client whose session stands now), or was
                # all that may be under way: what waits behind it leaves now, for nobody may say more.
                self._consult()
                self._apply_agreed()
        self.zookeeper.flush()
        self.etcd.flush()
        effects = self.effects
        self.effects = Effects()
        wake, due_at = self.machine.wake, self.upkeep.due_at
        if self.etcd.busy:
            due_at = min(due_at, self.now + 1)
        self.wake = due_at if wake is None else min(wake, due_at)
        return effects

    def _may_propose(self) -> bool:
        """Whether what waits could leave now; else a turn that only brought requests has nothing to say."""
        if self.machine.leads:
            return self._has_room() and (self.requests.may_cut or bool(self.proposals))
        return self.machine.leader is not None and self.requests.may_cut

    def _has_room(self) -> bool:
        """Of the leader: whether one more entry may be under way."""
        under_way = self.machine.last_index - self.machine.commit
        large = self.requests.waiting_bytes + self.proposals.size_bytes >= self.settings.large_proposal_bytes
        return under_way < (self.settings.proposals_under_way if large else 1)

    def _consult(self) -> None:
        """What the machine has to say, to what happened and to what is proposed now."""
        self._consensus_effects()
        if self.problem is None:
            proposed = self._propose()
            ticket = self.reads.ask()
            if ticket is not None:
                self.machine.step(consensus.ReadRequested(ticket))
            if proposed or ticket is not None:
                self._consensus_effects()

    def log(self, level: str, sentence: str) -> None:
        self.effects.logs.append((level, sentence))

    def submit(self, command: Command, done: Callable[[Result | None], None] | None = None) -> None:
        """A command of the replica itself; `done` as in `Errand`."""
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

    @property
    def log_end(self) -> tuple[Term, Index]:
        """Term and index of the last entry: who has the higher one knows the newer `members`."""
        return self.machine.last_term, self.machine.last_index

    # --- consensus ------------------------------------------------------------------------------------

    def _consensus_effects(self) -> None:
        taken = self.machine.take()
        effects = self.effects
        effects.send += [(send.target, send.message) for send in taken.send]
        if taken.save is not None:
            effects.saves.append(taken.save)
        effects.load_chunks.extend(taken.load_chunks)
        effects.save_chunks.extend(taken.save_chunks)
        for answer in taken.answers:
            self.operators.answered(answer)
        if (self.machine.leader, self.machine.term) != self._seen_leader:
            self._leader_changed()
        self._agreed += taken.commit
        self._ready += taken.reads

    def _apply_agreed(self) -> None:
        agreed, self._agreed = self._agreed, []
        for entry in agreed:
            self._applying.apply(entry)
        ready, self._ready = self._ready, []
        for read in ready:
            self.reads.answered(read)
        self.applied_more()

    def applied_more(self) -> None:
        """Whoever waited for that goes on."""
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
        self.etcd.leader_changed()
        if leader is None:
            self.expiry.stop()
            if self.leaderless_since is None:
                self.leaderless_since = self.now
            return
        self.leaderless_since = None
        self._noted_at = self.now
        self.zookeeper.quorum_returned()
        self.upkeep.report_soon()
        if self.machine.leads:
            self.log("info", f"leads term {term}")
            self.leads_since = self.now
            self._full_time_for_all()
            self.submit_configuration()
        else:
            self.expiry.stop()
            self.log("info", f"follows {leader} in term {term}")
        self.repeat_requests()

    def submit_configuration(self, done: Callable[[Result | None], None] | None = None) -> None:
        """Puts the members into the store, for `/zookeeper/config`, where they are not what stands there."""
        text = configuration_text(self.machine.members)
        if done is not None or self.store.configuration != text:
            self.submit(SetConfiguration(text, self.machine.term), done)

    def repeat_requests(self) -> None:
        batches = self.requests.repeat(self.now)
        if self.machine.leads:
            for batch in batches:
                self.proposals.add(self.name, batch)
        elif self.machine.leader is not None:
            for batch in batches:
                self.effects.send.append((self.machine.leader, Forward(self.machine.term, batch)))

    def _propose(self) -> bool:
        """Whether the machine was given something."""
        machine = self.machine
        proposed = False
        if machine.leads:
            if not self._has_room():
                return False
            if not self.proposals.full and (own := self.requests.cut(self.now)) is not None:
                self.proposals.add(self.name, own)
            while self.proposals and self._has_room():
                machine.step(consensus.Proposed(*self.proposals.next(self.wall_ms)))
                proposed = True
        elif machine.leader is not None:
            while (batch := self.requests.cut(self.now)) is not None:
                self.effects.send.append((machine.leader, Forward(machine.term, batch)))
        return proposed

    def _forward_received(self, source: NodeId, message: Forward) -> None:
        if not self.machine.leads:
            return
        if (reason := fault(source, message.batch)) is None:
            self.proposals.add(source, message.batch)
        else:
            self.log("error", f"a batch that {source} forwards is refused: {reason}")

    # --- what is agreed -------------------------------------------------------------------------------

    def members_changed(self, agreed: Members) -> None:
        self.operators.joined(agreed)
        if self._belonging.is_over(agreed, self.machine.members):
            self.etcd.forward.removed()
            self.stop_serving(f"{self.name} was removed from the cluster")

    def stop_serving(self, reason: str) -> None:
        """For good: this process will acknowledge nothing more."""
        if self.problem is None:
            self.problem = reason
            self.log("critical", reason)
            self.zookeeper.drop_all(reason)
            self.etcd.drop_all()

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
            self.repeat_requests()

    def _peer_closed(self, event: events.PeerClosed) -> None:
        self.machine.step(consensus.PeerLost(event.peer))

    def _saved(self, event: events.Saved) -> None:
        self.machine.step(consensus.Saved(event.serial))

    def _disk_stopped(self, event: events.DiskStopped) -> None:
        """Nothing can be promised any more.  Leadership goes to somebody who can; then the process ends."""
        if self.machine.leads:
            self.machine.step(consensus.TransferRequested(None))
        self.stop_serving(f"the disk failed: {event.reason}")
        self.upkeep.stop_when_ready()

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
        self.upkeep.stop_when_ready()
        self.etcd.stop()
        if self.machine.leads and len(self.machine.members.voters) > 1:
            self.machine.step(consensus.TransferRequested(None))

    def _full_time_for_all(self) -> None:
        leases = list(self.store.leases)
        self.expiry.start(
            [(lease.id, lease.ttl_ms) for lease in leases if lease.credentials is not None],
            self.now,
            [(lease.id, lease.ttl_ms) for lease in leases if lease.credentials is None],
        )

    def _time_passed(self, event: events.TimePassed) -> None:
        stood_still = event.now - self.now > STOOD_STILL_MS
        self.now = event.now
        self.wall_ms = event.wall_ms
        self._stirred |= self.machine.wake is not None and event.now >= self.machine.wake
        self.machine.step(consensus.TimePassed(event.now, event.busy_ms))
        if stood_still:
            self._noted_at = event.now
            if self.machine.leads:
                self._full_time_for_all()
        if event.now >= self.upkeep.due_at:
            self._stirred = True
            self.upkeep.work()

    def expire(self, lease: LeaseId) -> None:
        known = self.store.leases.get(lease)
        if known is None:
            return

        def done(result: Result | None) -> None:
            if isinstance(result, Refusal):
                self.expiry.not_carried_out(lease)
            self.etcd.expiry_decided(not isinstance(result, Refusal))

        plain = known.credentials is None
        if not plain:
            self.log("info", f"session {lease:#x} is silent for more than {known.ttl_ms} ms: it expires")
        self.submit(ExpireLease(lease, known.attach_revision, self.machine.term, plain), done)


_ONLY_REQUESTS = frozenset({events.ClientBytes, events.EtcdBytes, events.EtcdReads, events.TimePassed})
"""Of these consensus hears by what they make this node ask for."""
