"""What every role of a replica shares: the durable state, the effects, and the few verbs all of it is made
of.

`VrState` keeps the promises of this machine, whatever the roles ask of it:

* view and last normal view are in every save that could matter, and neither goes back;
* what is committed is never truncated, and the commit number never goes back;
* a log is made equal to another one by `merge`, which takes back only what contradicts it;
* a message that vouches for a save leaves after that save (`promise`).

Without a disk nothing is saved and everything counts at once: what a replica knows then survives its crash
in the others (`recovering.py`).

A role (`Role`) is an object that lives as long as the node has that role.  Silence is every role's answer to
what it has no method for.  """
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from agreed.consensus.log import Log
from agreed.consensus.machine import (
    Ballot,
    ChunkLoaded,
    Dice,
    Effects,
    Entry,
    EntryKind,
    Proposed,
    ReadReady,
    Save,
    Send,
    SnapshotMark,
)
from agreed.consensus.members import Members
from agreed.consensus.promises import Promises
from agreed.consensus.quorum import Quorum
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.vr.messages import (
    Commit,
    DoViewChange,
    GetState,
    NewState,
    Prepare,
    PrepareOk,
    RecoveryResponse,
    StartView,
)
from agreed.errors import CorruptData
from agreed.types import Identity, Index, Instant, NodeId, Term

LONG_AGO = -(1 << 60)
"""Before every instant a driver can name."""


class Role:
    """The answers of one role; the default to everything is silence."""

    name = "none"
    normal = False
    """Whether our status is normal: we have all that our view began with."""

    def on_time(self, now: Instant) -> None:
        """`now` is at or after the instant we asked for."""

    def on_pause(self, late_ms: int) -> None:
        """We were told the time this much too late: the silence was ours, not theirs."""

    def next_wake(self) -> Instant | None:
        """When `on_time` should be called next."""
        return None

    def on_flush(self) -> None:
        """The effects are about to be taken: say what is still to be said."""

    def on_saved(self) -> None:
        """`saved` or `saved_serial` has advanced."""

    def on_leave(self) -> None:
        """The role ends: nobody may be left waiting."""

    def needed_after(self) -> Index | None:
        """Who is catching up needs the log after this index, though a snapshot contains it."""
        return None

    def state_source(self) -> NodeId | None:
        """Whom we ask for what we lack."""
        return None

    def on_state(self) -> None:
        """A snapshot has brought our log further."""

    def listens_to(self, source: NodeId, present: Term) -> bool:
        """Whether we leave our view because `source`, whose view is `present`, wants to leave it."""
        return False

    def acknowledge(self, source: NodeId, round_number: int) -> None:
        """Say that we have arrived in the view of this primary."""

    def on_stray(self, source: NodeId, wished: Term) -> None:
        """It wants to go to a view that is not after ours: it has not heard of ours."""

    def on_prepare(self, source: NodeId, message: Prepare) -> None: ...

    def on_prepare_ok(self, source: NodeId, message: PrepareOk) -> None: ...

    def on_commit(self, source: NodeId, message: Commit) -> None: ...

    def on_start_view(self, source: NodeId, message: StartView) -> None: ...

    def on_do_view_change(self, source: NodeId, message: DoViewChange) -> None: ...

    def on_get_state(self, source: NodeId, message: GetState) -> None: ...

    def on_new_state(self, source: NodeId, message: NewState) -> None: ...

    def on_recovery_response(self, source: NodeId, message: RecoveryResponse) -> None: ...

    def on_chunk_loaded(self, event: ChunkLoaded) -> None: ...

    def on_proposed(self, event: Proposed) -> None: ...

    def on_peer_lost(self, peer: NodeId) -> None: ...

    def on_transfer_requested(self, target: NodeId | None) -> None: ...

    def on_read_requested(self, ticket: int) -> None: ...

    def on_read_index(self, source: NodeId, context: int) -> None: ...


class VrState(ABC):
    """Attributes without an underscore are read by the roles; they are written by the methods here, except
    for the timers and `leader`."""

    role: Role

    def __init__(
        self,
        me: NodeId,
        members: Members,
        ballot: Ballot,
        mark: SnapshotMark | None,
        entries: Iterable[Entry],
        config: VrConfig,
        dice: Dice,
        now: Instant,
        identity: Identity = 0,
    ) -> None:
        self.me = me
        self.identity = identity
        self.config = config
        self.dice = dice
        self.now = now
        self.wake: Instant | None = None
        if mark is None or mark.index == 0:
            mark = SnapshotMark(0, 0, members)
        self.log = Log(mark, entries)
        self.durable = not config.recovery_without_disk
        if self.durable and not max(self.log.last_term, ballot.settled) <= ballot.term:
            raise CorruptData(
                f"the log ends in view {self.log.last_term}, but the ballot knows only view {ballot.term}, "
                f"and {ballot.settled} as the last normal one: they are always saved together, so one of "
                "them was lost or restored alone"
            )
        self.view: Term = ballot.term if self.durable else 0
        self.settled: Term = ballot.settled if self.durable else 0
        self.ballot = Ballot(self.view, None, self.settled)
        self.commit: Index = mark.index
        self.leader: NodeId | None = None
        self.leads = False
        self.quorum = Quorum(self.log.members)
        self.names: tuple[NodeId, ...] = tuple(sorted(self.quorum.names))
        holders = {member.name: member.identity for member in self.log.members.voters}
        same = not self.durable or not identity or holders.get(me) in (0, identity)
        self._votes = me in self.names and same
        self.others: tuple[NodeId, ...] = tuple(name for name in self.names if name != me)
        self.crashes: list[int] = [] if self.durable else [0] * len(self.names)
        """Of each replica, in the order of `names`, how often it is known to have lost its memory."""
        self.lost: set[NodeId] = set()
        """Those to whom a connection broke, and who were not heard since."""

        self.serial = 0
        self.saved_serial = 0
        self.ballot_serial = 0
        """Of the save from which on the present view and last normal view are durable."""
        self.saved: Index = self.log.last_index
        """Up to here our log is durable."""
        self.saving: dict[int, Index] = {}
        """Saves under way: serial -> up to where the log is durable once it is done."""
        self.promises = Promises()
        self.effects = Effects()

        self.heard = False
        """The primary of our view has spoken since time last passed."""
        self.last_heard: Instant = LONG_AGO
        self.election_timeout_ms = config.election_timeout_ms[0]
        self.election_deadline: Instant = now
        self._asked: tuple[object, ...] = ()
        self._asked_at: Instant = LONG_AGO

    # --- transitions, made by the class that knows all roles ---

    @abstractmethod
    def become_backup(self) -> None: ...

    @abstractmethod
    def become_primary(self, told: dict[NodeId, DoViewChange]) -> None: ...

    @abstractmethod
    def step_down(self) -> None: ...

    @abstractmethod
    def change_view(self, view: Term) -> None: ...

    @abstractmethod
    def wish(self, view: Term) -> None: ...

    @abstractmethod
    def withdraw_wish(self) -> None: ...

    @property
    @abstractmethod
    def installing(self) -> bool:
        """A whole snapshot is being installed: the log stands still."""

    @property
    @abstractmethod
    def snapshot_held(self) -> tuple[Index, int]:
        """Of which snapshot we hold how many bytes."""

    # --- what is known ---

    @property
    def term(self) -> Term:
        return self.view

    @property
    def members(self) -> Members:
        return self.log.members

    def primary_of(self, view: Term) -> NodeId:
        """The replicas take turns, in the order of their names (section 4)."""
        return self.names[view % len(self.names)]

    def next_view(self, after: Term) -> Term:
        """The first view after this one whose primary is not known to be unreachable."""
        for view in range(after + 1, after + 1 + len(self.names)):
            if self.primary_of(view) not in self.lost:
                return view
        return after + 1

    @property
    def votes(self) -> bool:
        """Whether we take part at all.  Not where our name stands for another identity: that is a replica
        whose disk we do not have."""
        return self._votes

    @property
    def commit_saved(self) -> Index:
        return min(self.commit, self.saved)

    @property
    def ballot_saved(self) -> bool:
        return self.saved_serial >= self.ballot_serial

    @property
    def hears_primary(self) -> bool:
        recent = self.heard or self.now - self.last_heard < self.config.election_timeout_ms[0]
        return recent and self.leader is not None

    # --- timers ---

    def arm(self, instant: Instant) -> None:
        if self.wake is None or instant < self.wake:
            self.wake = instant

    def reset_election(self) -> None:
        """A new random timeout, from now on."""
        low, high = self.config.election_timeout_ms
        self.election_timeout_ms = self.dice.between(low, high)
        self.election_deadline = self.now + self.election_timeout_ms
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

    def ask_state(self, after: Index) -> None:
        """Ask for what follows `after`; the same again only after a while, for one lost Prepare makes all
        that follow it useless, and each would ask."""
        source = self.role.state_source()
        if source is None or self.installing:
            return
        snapshot, offset = self.snapshot_held
        request = GetState(self.view, after, snapshot, offset)
        if (source, request) == self._asked and self.now - self._asked_at < self.config.heartbeat_ms:
            return
        self._asked, self._asked_at = (source, request), self.now
        self.send(source, request)

    def read_ready(self, ticket: int, index: Index | None) -> None:
        self.effects.reads.append(ReadReady(ticket, index))

    # --- what is saved ---

    def enter_view(self, view: Term) -> None:
        """Views only grow; what was vouched for in an older one is of no use to anybody."""
        assert view > self.view
        self.view = view
        self.leader = None
        self.heard = False
        self.promises.clear()
        self._cast()

    def settle(self) -> None:
        """Our log holds all that the view began with: from here on it is a log of this view (v' = v)."""
        assert self.settled < self.view
        self.settled = self.view
        self._cast()

    def _cast(self) -> None:
        self.ballot = Ballot(self.view, None, self.settled)
        self._save([])
        self.ballot_serial = self.serial

    def append(self, entries: list[Entry]) -> None:
        self.log.append(entries)
        self._save(entries)

    def truncate(self, index: Index) -> None:
        """Take back what was never committed.  What is durable beyond it no longer counts, and a save of it
        that is still under way will not make it count (the ABA problem)."""
        assert index > self.commit, "what is committed is never taken back"
        self.log.truncate(index)
        self.saved = min(self.saved, index - 1)
        for serial, upto in self.saving.items():
            if upto >= index:
                self.saving[serial] = index - 1

    def merge(self, entries: list[Entry]) -> bool:
        """Take in entries of another log, whose predecessor is in ours too.

        Only what contradicts them goes.  The story of the paper's state transfer, which cuts the log back to
        the commit number first: an operation is agreed on by us and the old primary; we hear of a newer view,
        cut it off, and before it comes back that view ends; the next one is made by us and a replica that
        never had it.  False, and nothing happens, where they contradict what is committed.
        """
        log, news = self.log, entries
        if entries and entries[0].index <= log.last_index:
            kept = self._already_held(entries)
            if kept < 0:
                return False
            news = entries[kept:]
        if not news:
            return True
        before = log.term(news[0].index - 1)
        if before is None or news[0].term < before:
            return False
        if news[0].index <= log.last_index:
            self.truncate(news[0].index)
        self.append(news)
        return True

    def _already_held(self, entries: list[Entry]) -> int:
        """How many of the first entries we have; -1 where they contradict what is committed."""
        for position, entry in enumerate(entries):
            known = self.log.term(entry.index)
            if known == entry.term:
                continue
            if entry.index > self.commit:
                return position
            if known is not None:
                return -1
        return len(entries)

    def restore(self, mark: SnapshotMark) -> None:
        """The store, the disk and the log are now this snapshot."""
        assert mark.index > self.commit
        self.log.restore(mark)
        self.commit = mark.index
        self.saved = mark.index
        self.saving = dict.fromkeys(self.saving, mark.index)

    def _save(self, entries: list[Entry]) -> None:
        """All that is saved in one turn is one save."""
        if not self.durable:
            self.saved = self.log.last_index
            return
        save = self.effects.save
        if save is None:
            self.serial += 1
            self.effects.save = Save(self.serial, self.ballot, entries.copy())
        else:
            save.ballot = self.ballot
            if entries:
                pending, first = save.entries, entries[0].index
                while pending and pending[-1].index >= first:
                    pending.pop()
                pending += entries
        self.saving[self.serial] = self.log.last_index

    def on_saved_serial(self, serial: int) -> None:
        """The disk is done with this save, and so with all before it."""
        saving = self.saving
        if serial not in saving or (self.effects.save is not None and serial == self.effects.save.serial):
            return
        for earlier in list(saving):
            if earlier > serial:
                break
            upto = saving.pop(earlier)
            if upto > self.saved:
                self.saved = upto
        self.saved_serial = serial
        self.effects.send += self.promises.release(serial)

    # --- what is agreed ---

    def learn_commit(self, index: Index, known: Index) -> None:
        """The primary says that all up to `index` is agreed, and our log is its log up to `known`.

        Not before our view is durable.  The story: we join a view, apply what it has agreed on and take a
        snapshot, and crash before the view is on the disk; then the snapshot ends in a view that we have
        never heard of.  Whoever told us will tell us again."""
        index = min(index, known)
        if index > self.commit and self.ballot_saved:
            self.commit_to(index)

    def commit_to(self, index: Index) -> None:
        """All up to `index` is agreed forever."""
        assert self.commit < index <= self.log.last_index
        self.effects.commit += self.log.between(self.commit + 1, index)
        self.commit = index


def is_sound(entries: list[Entry], after: Index, view: Term) -> bool:
    """Whether a correct replica could have sent these as what follows `after` in a log of this view."""
    index, term = after, 0
    if after < 0:
        return False
    for entry in entries:
        index += 1
        if entry.index != index or not term <= entry.term <= view or entry.kind == EntryKind.MEMBERS:
            return False
        term = entry.term
    return True
