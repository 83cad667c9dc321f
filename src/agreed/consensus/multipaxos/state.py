"""What every role shares: the durable state, the effects, and the few verbs all of it is made of.

`PaxosState` keeps the promises of this machine, whatever the roles ask of it:

* a ballot that is promised, or used as our own, is in every save that could matter;
* a message that vouches for a save leaves after that save (`promise`);
* four marks tell how far the log is known, each at most the one before it where both speak of chosen slots:

      held      all slots up to here are accepted under the present ballot, or chosen
      durable   the same, and on disk
      chosen    all slots up to here are chosen, and we hold their values
      commit    chosen *and* durable here: only this is told to the outside

Why commit waits for our own disk: the driver takes snapshots of what is committed and, when it starts again,
voids a log that does not hold the snapshot's last entry.  In Raft such a log is worth nothing.  Here it may
hold what we have accepted for later slots, and losing that could unsay a choice.

How far the log is known to be chosen goes to disk with each save, as the ballot's `settled`.  It is no
promise, and lags behind; but without it a node that restarts would have to be told again of every slot since
its last snapshot.

A new ballot says nothing about the slots behind the chosen ones: what was accepted under an older one is an
answer for phase 1, and counts for nothing in phase 2 (`enter`).
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from agreed.consensus.machine import (
    Answer,
    Ballot,
    ChunkLoaded,
    Dice,
    Effects,
    Entry,
    Proposed,
    ReadReady,
    Save,
    Send,
    SnapshotMark,
)
from agreed.consensus.members import Members, everybody
from agreed.consensus.multipaxos.ballots import Ballots
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.multipaxos.messages import (
    Accept,
    Accepted,
    CanvassReply,
    InstallSnapshotReply,
    Promise,
)
from agreed.consensus.multipaxos.slots import Slots
from agreed.consensus.promises import Promises
from agreed.consensus.quorum import Quorum
from agreed.errors import CorruptData
from agreed.types import Identity, Index, Instant, NodeId, Term

LONG_AGO = -(1 << 60)
"""Before every instant a driver can name."""


class Role:
    """The answers of one role; the default to everything is silence."""

    name = "none"

    def on_time(self, now: Instant) -> None:
        """`now` is at or after the instant we asked for."""

    def on_pause(self, late_ms: int) -> None:
        """We were told the time this much too late.  Whatever others said meanwhile may still wait to be
        read, so the silence is ours, not theirs."""

    def next_wake(self) -> Instant | None:
        """When `on_time` should be called next."""
        return None

    def on_flush(self) -> None:
        """The effects are about to be taken: say what is still to be said."""

    def on_saved(self) -> None:
        """`durable` or `saved_serial` has advanced."""

    def on_leave(self) -> None:
        """The role ends: nobody may be left waiting."""

    def needed_after(self) -> Index | None:
        """Who is catching up needs the log after this index, though a snapshot contains it."""
        return None

    def on_canvass_reply(self, source: NodeId, message: CanvassReply) -> None: ...

    def on_promise(self, source: NodeId, message: Promise) -> None: ...

    def on_accept(self, source: NodeId, message: Accept) -> None: ...

    def on_accepted(self, source: NodeId, message: Accepted) -> None: ...

    def on_install_snapshot_reply(self, source: NodeId, message: InstallSnapshotReply) -> None: ...

    def on_chunk_loaded(self, event: ChunkLoaded) -> None: ...

    def on_proposed(self, event: Proposed) -> None: ...

    def on_peer_lost(self, peer: NodeId) -> None: ...

    def on_transfer_requested(self, target: NodeId | None) -> None: ...

    def on_read_requested(self, ticket: int) -> None: ...

    def on_read_index(self, source: NodeId, context: int) -> None: ...


class PaxosState(ABC):
    """Attributes without an underscore are read by the roles; they are written by the methods here, except
    for the timers (`heard`, `restart_timer`)."""

    role: Role

    def __init__(
        self,
        me: NodeId,
        members: Members,
        ballot: Ballot,
        mark: SnapshotMark | None,
        entries: Iterable[Entry],
        config: MultiPaxosConfig,
        dice: Dice,
        now: Instant,
        identity: Identity = 0,
    ) -> None:
        self.me = me
        self.config = config
        self.dice = dice
        self.now = now
        self.wake: Instant | None = None
        if mark is None or mark.index == 0:
            mark = SnapshotMark(0, 0, members)
        self.slots = Slots(mark, entries)
        self.members = mark.members
        self.quorum = Quorum(self.members)
        self.names = tuple(everybody(self.members))
        self.ballots = Ballots(me, self.members)
        self.promotable = self._may_lead(identity)
        """Whether we vote under the name we have: see `Raft.promotable` for the one who had it before us."""

        self.ballot = ballot
        self.term: Term = ballot.term
        """The newest ballot we have promised, or use ourselves."""
        if any(self.slots.ballot(i) > self.term for i in range(mark.index + 1, self.slots.last_index + 1)):
            raise CorruptData(
                f"something is accepted under a ballot above {self.term}, the newest that was promised: "
                "restore this node from its peers"
            )
        self.leader: NodeId | None = None
        self.leads = False
        self.chosen: Index = mark.index
        self.commit: Index = mark.index
        self.held: Index = mark.index
        self._remember_chosen()
        self.advance_held()
        self.durable: Index = self.held

        self.effects = Effects()
        self._deliver()
        self.promises = Promises()
        self.serial = 0
        self.saved_serial = 0
        self.ballot_serial = 0
        """What speaks of our ballot leaves after this save."""
        self.saving: dict[int, Index] = {}
        """Saves under way -> up to where we are durable once they are done."""
        self._dirty: Index | None = None
        """The first slot that the save of this turn must write; all after it go with it."""
        self._marker: SnapshotMark | None = None

        self.heard = False
        """The leader spoke since we were last told the time."""
        self.restart_timer = False
        self.last_heard: Instant = LONG_AGO
        self.election_timeout_ms = config.election_timeout_ms[1]
        self.election_deadline: Instant = now

    def _remember_chosen(self) -> None:
        """What was known to be chosen when the last save was made, and was on disk with it.  Where it is not
        on disk, a snapshot has taken its place, and knows better."""
        slots, index = self.slots, self.chosen
        while index < min(self.ballot.settled, slots.last_index) and slots.value(index + 1) is not None:
            index += 1
        self.chosen = self.held = index

    def _may_lead(self, identity: Identity) -> bool:
        holder = everybody(self.members).get(self.me)
        ours = holder is not None and (not identity or holder.identity in (0, identity))
        return ours and self.me in self.quorum.names

    # --- transitions, for the roles to ask for ---

    @abstractmethod
    def become_follower(self, ballot: Term, leader: NodeId | None) -> None: ...

    @abstractmethod
    def become_candidate(self, above: Term) -> None: ...

    @abstractmethod
    def become_leader(self) -> None: ...

    @abstractmethod
    def campaign(self, *, transfer: bool = False) -> None: ...

    @property
    def hears_leader(self) -> bool:
        """Whether a campaign would disturb a leader that seems alive."""
        if self.leads:
            return True
        recent = self.heard or self.now - self.last_heard < self.config.election_timeout_ms[0]
        return recent and self.leader is not None

    # --- timers ---

    def arm(self, instant: Instant) -> None:
        """Ask for `TimePassed` at this instant at the latest; being woken too early costs nothing."""
        if self.wake is None or instant < self.wake:
            self.wake = instant

    def reset_election(self) -> None:
        """A new random timeout, from now on; duels of proposers end because the dice differ."""
        low, high = self.config.election_timeout_ms
        self.election_timeout_ms = self.dice.between(low, high)
        self.election_deadline = self.now + self.election_timeout_ms
        if self.promotable:
            self.arm(self.election_deadline)

    def extend_election(self) -> None:
        """After a pause of our own: hear first what has come in."""
        self.election_deadline = max(self.election_deadline, self.now + self.config.heartbeat_ms)

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

    # --- what is saved ---

    def enter(self, ballot: Term) -> None:
        """Promise this ballot, or take it for our own: nothing below it is accepted any more."""
        assert ballot > self.term
        self.term = ballot
        self.leader = None
        self.promises.clear()
        self.held = self.chosen
        self.durable = min(self.durable, self.chosen)
        for serial, upto in self.saving.items():
            self.saving[serial] = min(upto, self.chosen)
        self.ballot = Ballot(ballot, None, self.chosen)
        self.touch()
        self.ballot_serial = self.serial

    def touch(self, first: Index | None = None) -> None:
        """This turn has a save; it writes the slots from `first` on, where there is one."""
        save = self.effects.save
        if save is None:
            self.serial += 1
            self.effects.save = Save(self.serial, self.ballot, [])
        else:
            save.ballot = self.ballot
        if first is not None and (self._dirty is None or first < self._dirty):
            self._dirty = first

    def touch_for(self, mark: SnapshotMark) -> None:
        """Write the slots from the mark on in such a way that they outlive the snapshot's arrival."""
        self._marker = mark
        self.touch(mark.index)

    def finish_save(self) -> None:
        """The effects are about to be taken."""
        save = self.effects.save
        if save is None:
            return
        if self._dirty is not None:
            assert self._marker is None or self._marker.index == self._dirty
            save.entries = self.slots.to_save(self._dirty, self._marker)
        self._dirty = self._marker = None
        self.ballot = save.ballot = Ballot(self.term, None, self.chosen)
        self.saving[save.serial] = self.held

    def on_saved_serial(self, serial: int) -> None:
        """The disk is done with this save, and so with all before it."""
        saving = self.saving
        if serial not in saving:
            return
        for earlier in list(saving):
            if earlier > serial:
                break
            self.durable = max(self.durable, saving.pop(earlier))
        self.saved_serial = serial
        self.effects.send += self.promises.release(serial)
        self._deliver()

    # --- what is accepted and chosen ---

    def accept(self, entries: list[Entry]) -> None:
        """Accept these values under the present ballot."""
        changed = self.slots.accept(self.term, entries)
        if changed is None:
            return
        self.touch(changed)
        last = self.slots.last_index
        if changed == entries[0].index == self.held + 1 and entries[-1].index == last:
            self.held = last  # nothing to look for: all that is behind what we held is new
        else:
            self.advance_held()

    def advance_held(self) -> None:
        slots, term, held = self.slots, self.term, self.held
        while held < slots.last_index and slots.ballot(held + 1) == term:
            held += 1
        self.held = held

    def choose(self, index: Index) -> None:
        """All slots up to `index`, which we hold, are chosen."""
        assert index <= self.held
        if index > self.chosen:
            self.chosen = index
            self._deliver()

    def _deliver(self) -> None:
        index = min(self.chosen, self.durable)
        if index > self.commit:
            self.effects.commit += self.slots.between(self.commit + 1, index)
            self.commit = index

    def restore(self, mark: SnapshotMark) -> None:
        """The store and the disk are now this snapshot, and what was accepted behind it is still there."""
        assert mark.index > self.commit
        self.slots.restore(mark)
        self.chosen = self.commit = mark.index
        self.held = max(self.held, mark.index)
        self.advance_held()
        self.durable = self.held
