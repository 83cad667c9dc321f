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

from abc import abstractmethod
from collections.abc import Iterable

from agreed.consensus import role
from agreed.consensus.logged_machine import LoggedMachine
from agreed.consensus.machine import (
    Ballot,
    Dice,
    Entry,
    EntryKind,
    SnapshotMark,
)
from agreed.consensus.members import Members
from agreed.consensus.protocol_machine import LONG_AGO, TimedMachine
from agreed.consensus.quorum import Quorum, votes_under
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


class Role(role.Role):
    """The answers of one role; the default to everything is silence."""
    normal = False
    """Whether our status is normal: we have all that our view began with."""

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


class VrState(LoggedMachine, TimedMachine):
    role: Role
    config: VrConfig

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
        super().__init__(me, members, ballot, mark, entries, config, dice, now)
        self.identity = identity
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
        self.quorum = Quorum(self.log.members)
        self.names: tuple[NodeId, ...] = tuple(sorted(self.quorum.names))
        self.promotable = votes_under(self.log.members, me, identity if self.durable else 0)
        """Whether we take part at all.  Not where our name stands for another identity: that is a replica
        whose disk we do not have."""
        self.others: tuple[NodeId, ...] = tuple(name for name in self.names if name != me)
        self.crashes: list[int] = [] if self.durable else [0] * len(self.names)
        """Of each replica, in the order of `names`, how often it is known to have lost its memory."""
        self.lost: set[NodeId] = set()
        """Those to whom a connection broke, and who were not heard since."""

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
    def ballot_saved(self) -> bool:
        return self.saved_serial >= self.ballot_serial

    @property
    def hears_primary(self) -> bool:
        recent = self.heard or self.now - self.last_heard < self.config.election_timeout_ms[0]
        return recent and self.leader is not None

    # --- what leaves ---

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
        self.save_ballot(Ballot(self.view, None, self.settled))

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

    def _save(self, entries: list[Entry]) -> None:
        if self.durable:
            super()._save(entries)
        else:
            self.saved = self.log.last_index

    # --- what is agreed ---

    def learn_commit(self, index: Index, known: Index) -> None:
        """The primary says that all up to `index` is agreed, and our log is its log up to `known`.

        Not before our view is durable.  The story: we join a view, apply what it has agreed on and take a
        snapshot, and crash before the view is on the disk; then the snapshot ends in a view that we have
        never heard of.  Whoever told us will tell us again."""
        index = min(index, known)
        if index > self.commit and self.ballot_saved:
            self.commit_to(index)


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
