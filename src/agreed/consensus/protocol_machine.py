"""What the machine of every protocol does in the same way: hear events, keep promises, know the time.

    ProtocolMachine    any of them: events go to the role the node has now; effects are gathered and taken
    TimedMachine       ... that waits for a leader's word, and for a random time where none comes
    LoggedMachine      ... that keeps its entries in a `Log` without gaps (see `logged_machine.py`)

The protocols' own states (`raft/state.py`, ...) stand on these, and on them the classes that know all roles
(`Raft`, ...), which are what a driver holds.  What is decided, how, and when, is not here.

Attributes without an underscore are read by the roles and written by the methods of these classes.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from agreed.consensus.config import CommonConfig
from agreed.consensus.machine import (
    Answer,
    Ballot,
    ChunkLoaded,
    ChunkSaved,
    Dice,
    Effects,
    Event,
    MembersChangeRequested,
    PeerLost,
    Proposed,
    ReadReady,
    ReadRequested,
    Received,
    Saved,
    Send,
    SnapshotInstalled,
    SnapshotMark,
    SnapshotRejected,
    SnapshotTaken,
    TimePassed,
    TransferRequested,
)
from agreed.consensus.promises import Promises
from agreed.consensus.reads import ForwardedReads
from agreed.consensus.role import Role
from agreed.types import Index, Instant, NodeId

LONG_AGO = -(1 << 60)
"""Before every instant a driver can name."""


class Incoming(Protocol):
    """A snapshot that is being received; it outlives the roles."""

    @property
    def busy(self) -> bool: ...

    def hand_over(self) -> None: ...

    def on_chunk_saved(self, event: ChunkSaved) -> None: ...

    def on_installed(self, event: SnapshotInstalled) -> object: ...

    def on_rejected(self, event: SnapshotRejected) -> None: ...


class ProtocolMachine(ABC):
    role: Role
    config: CommonConfig
    forwarded: ForwardedReads
    incoming: Incoming
    ballot: Ballot
    commit: Index

    read_index_reply: ClassVar[type[Any]]
    """The protocol's answer to a read index that another node asks for."""

    members_refusal: ClassVar[str] = ""
    """Why members are not changed."""

    def __init__(self, me: NodeId, config: CommonConfig, dice: Dice, now: Instant) -> None:
        self.me = me
        self.config = config
        self.dice = dice
        self.now = now
        self.wake: Instant | None = None
        self.leader: NodeId | None = None
        self.leads = False
        self.serial = 0
        """Of the newest save, taken or not."""
        self.saved_serial = 0
        self.ballot_serial = 0
        """Of the save from which on the present ballot is durable."""
        self.saving: dict[int, Index] = {}
        """Saves under way: serial -> up to where we are durable once it is done."""
        self.promises = Promises()
        self.effects = Effects()
        self._events: dict[type, Callable[[Any], None]] = {
            TimePassed: self._on_time_passed,
            Received: self._on_received,
            PeerLost: self._on_peer_lost,
            Proposed: self._on_proposed,
            Saved: self._on_saved,
            ReadRequested: self._on_read_requested,
            MembersChangeRequested: self._on_members_change_requested,
            TransferRequested: self._on_transfer_requested,
            SnapshotTaken: self._on_snapshot_taken,
            ChunkLoaded: self._on_chunk_loaded,
            ChunkSaved: self._on_chunk_saved,
            SnapshotInstalled: self._on_snapshot_installed,
            SnapshotRejected: self._on_snapshot_rejected,
        }
        self._messages: dict[type, Callable[[NodeId, Any], None]] = {}

    # --- the machine ---

    def step(self, event: Event) -> None:
        """Something happened.  Never raises for what a peer or a disk may do."""
        self._events[type(event)](event)

    def take(self) -> Effects:
        """Everything the outside should now do."""
        self.role.on_flush()
        self.forwarded.forward()
        effects = self.effects
        self.effects = Effects()
        return effects

    # --- the time ---

    def arm(self, instant: Instant) -> None:
        """Ask for `TimePassed` at this instant at the latest; being woken too early costs nothing."""
        if self.wake is None or instant < self.wake:
            self.wake = instant

    def _on_time_passed(self, event: TimePassed) -> None:
        now = event.now
        if now < self.now:
            return
        self.now = now
        self._on_clock(now)
        if event.deaf_ms * 2 > self.config.election_timeout_ms[0]:
            self._on_deafness()
        if self.wake is None or now < self.wake:
            return
        late_ms, self.wake = now - self.wake, None
        if late_ms > self.config.heartbeat_ms:
            self.role.on_pause(late_ms)
        self._on_wake(now)

    def _on_deafness(self) -> None:  # noqa: B027
        """Of this node, long enough to be taken for the silence of another."""

    @abstractmethod
    def _on_clock(self, now: Instant) -> None:
        """Time has passed, whether or not we asked to be told."""

    def _on_wake(self, now: Instant) -> None:
        """As we have asked."""
        self.role.on_time(now)
        self.forwarded.on_time(now)
        for instant in (self.role.next_wake(), self.forwarded.next_deadline()):
            if instant is not None:
                self.arm(instant)

    # --- what leaves ---

    def send(self, target: NodeId, message: object) -> None:
        self.effects.send.append(Send(target, message))

    def promise(self, target: NodeId, message: object, serial: int) -> None:
        """Send once the save `serial` is durable."""
        if serial <= self.saved_serial:
            self.effects.send.append(Send(target, message))
        else:
            self.promises.hold(serial, Send(target, message))

    def read_ready(self, ticket: int, index: Index | None) -> None:
        self.effects.reads.append(ReadReady(ticket, index))

    def answer(self, ticket: int, refusal: str | None) -> None:
        self.effects.answers.append(Answer(ticket, refusal))

    # --- events ---

    def _on_received(self, event: Received) -> None:
        handler = self._messages.get(type(event.message))
        if handler is not None:
            handler(event.source, event.message)

    def _on_peer_lost(self, event: PeerLost) -> None:
        if event.peer == self.leader:
            self.forwarded.fail_asked()
        self.role.on_peer_lost(event.peer)

    def _on_proposed(self, event: Proposed) -> None:
        self.role.on_proposed(event)

    @abstractmethod
    def on_saved_serial(self, serial: int) -> None:
        """The disk is done with this save, and so with all before it."""

    def _on_saved(self, event: Saved) -> None:
        self.on_saved_serial(event.serial)
        self.role.on_saved()
        self.incoming.hand_over()

    def _on_read_requested(self, event: ReadRequested) -> None:
        if self.leads:
            self.role.on_read_requested(event.ticket)
        else:
            self.forwarded.request(event.ticket)

    def _on_read_index(self, source: NodeId, message: Any) -> None:
        if self.leads:
            self.role.on_read_index(source, message.context)
        else:
            self.send(source, self.read_index_reply(message.context, None))

    def _on_read_index_reply(self, source: NodeId, message: Any) -> None:
        self.forwarded.on_reply(source, message.context, message.index)

    def _on_members_change_requested(self, event: MembersChangeRequested) -> None:
        self.answer(event.ticket, self.members_refusal)

    def _on_transfer_requested(self, event: TransferRequested) -> None:
        self.role.on_transfer_requested(event.target)

    # --- snapshots ---

    @abstractmethod
    def compact(self, mark: SnapshotMark) -> None:
        """Forget entries that this snapshot holds, but for a tail and for what those who catch up need."""

    def _on_snapshot_taken(self, event: SnapshotTaken) -> None:
        if event.mark.index <= self.commit:
            self.compact(event.mark)

    def _on_chunk_loaded(self, event: ChunkLoaded) -> None:
        self.role.on_chunk_loaded(event)

    def _on_chunk_saved(self, event: ChunkSaved) -> None:
        self.incoming.on_chunk_saved(event)

    def _on_snapshot_installed(self, event: SnapshotInstalled) -> None:
        self.incoming.on_installed(event)

    def _on_snapshot_rejected(self, event: SnapshotRejected) -> None:
        self.incoming.on_rejected(event)


class TimedMachine(ProtocolMachine):
    """Where no leader is heard for a random time, another is wanted."""

    promotable: bool
    """Whether we vote, and so may lead."""

    def __init__(self, me: NodeId, config: CommonConfig, dice: Dice, now: Instant) -> None:
        super().__init__(me, config, dice, now)
        self.heard = False
        """Our leader has spoken since time last passed."""
        self.restart_timer = False
        """The election timer begins anew when time next passes."""
        self.last_heard: Instant = LONG_AGO
        self.election_timeout_ms = config.election_timeout_ms[0]
        self.election_deadline: Instant = now

    def reset_election(self) -> None:
        """A new random timeout, from now on; splits of votes, and duels, end because the dice differ (Raft
        §5.2)."""
        low, high = self.config.election_timeout_ms
        self.election_timeout_ms = self.dice.between(low, high)
        self.election_deadline = self.now + self.election_timeout_ms
        if self.promotable:
            self.arm(self.election_deadline)

    def extend_election(self) -> None:
        """After a pause of our own: hear first what has come in."""
        self.election_deadline = max(self.election_deadline, self.now + self.config.heartbeat_ms)

    def _on_deafness(self) -> None:
        """The story: all nodes have a long command to do at the same moment, and this one is done with it a
        moment before the leader.  It has not listened, so it cannot say that the leader was silent: it counts
        anew."""
        self.election_deadline = max(self.election_deadline, self.now + self.election_timeout_ms)

    def _follow(self, leader: NodeId | None) -> None:
        """From now on this is our leader, as far as we know."""
        if leader != self.leader:
            self.forwarded.fail_asked()
            self.leader = leader
            if leader is not None and not self.promotable:
                self.election_deadline = self.now + self.election_timeout_ms
                self.arm(self.election_deadline)

    def _on_clock(self, now: Instant) -> None:
        if self.heard or self.restart_timer:
            if self.heard:
                self.last_heard = now
            self.heard = self.restart_timer = False
            self.election_deadline = now + self.election_timeout_ms
