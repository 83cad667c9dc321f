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

from abc import abstractmethod
from collections.abc import Iterable

from agreed.consensus import role
from agreed.consensus.machine import (
    Ballot,
    Dice,
    Entry,
    Save,
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
from agreed.consensus.protocol_machine import TimedMachine
from agreed.consensus.quorum import Quorum, votes_under
from agreed.errors import CorruptData
from agreed.types import Identity, Index, Instant, NodeId, Term


class Role(role.Role):
    """The answers of one role; the default to everything is silence."""

    def on_canvass_reply(self, source: NodeId, message: CanvassReply) -> None: ...

    def on_promise(self, source: NodeId, message: Promise) -> None: ...

    def on_accept(self, source: NodeId, message: Accept) -> None: ...

    def on_accepted(self, source: NodeId, message: Accepted) -> None: ...

    def on_install_snapshot_reply(self, source: NodeId, message: InstallSnapshotReply) -> None: ...


class PaxosState(TimedMachine):
    role: Role
    config: MultiPaxosConfig

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
        super().__init__(me, config, dice, now)
        if mark is None or mark.index == 0:
            mark = SnapshotMark(0, 0, members)
        self.slots = Slots(mark, entries)
        self.members = mark.members
        self.quorum = Quorum(self.members)
        self.names = tuple(everybody(self.members))
        self.ballots = Ballots(me, self.members)
        self.promotable = votes_under(self.members, me, identity)
        """Whether we vote under the name we have: see `Raft.promotable` for the one who had it before us."""

        self.ballot = ballot
        self.term: Term = ballot.term
        """The newest ballot we have promised, or use ourselves."""
        if any(self.slots.ballot(i) > self.term for i in range(mark.index + 1, self.slots.last_index + 1)):
            raise CorruptData(
                f"something is accepted under a ballot above {self.term}, the newest that was promised: "
                "restore this node from its peers"
            )
        self.chosen: Index = mark.index
        self.commit: Index = mark.index
        self.held: Index = mark.index
        self._remember_chosen()
        self.advance_held()
        self.durable: Index = self.held

        self._deliver()
        self._dirty: Index | None = None
        """The first slot that the save of this turn must write; all after it go with it."""
        self._marker: SnapshotMark | None = None

        self.election_timeout_ms = config.election_timeout_ms[1]

    def _remember_chosen(self) -> None:
        """What was known to be chosen when the last save was made, and was on disk with it.  Where it is not
        on disk, a snapshot has taken its place, and knows better."""
        slots, index = self.slots, self.chosen
        while index < min(self.ballot.settled, slots.last_index) and slots.value(index + 1) is not None:
            index += 1
        self.chosen = self.held = index

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
    def last_index(self) -> Index:
        return self.slots.last_index

    @property
    def log_begins_after(self) -> Index:
        return self.slots.base_index

    @property
    def hears_leader(self) -> bool:
        """Whether a campaign would disturb a leader that seems alive."""
        if self.leads:
            return True
        recent = self.heard or self.now - self.last_heard < self.config.election_timeout_ms[0]
        return recent and self.leader is not None

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

    def compact(self, mark: SnapshotMark) -> None:
        config = self.config
        self.slots.compact(
            mark, config.tail_entries, config.tail_bytes, self.role.needed_after(), config.catching_up_bytes
        )
