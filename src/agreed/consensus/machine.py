"""The one shape of every consensus protocol: events in, effects out; no I/O, no clock, no dice.

    machine.step(event)     something happened: a peer spoke, a client asked, the disk caught up, time passed
    machine.take()          -> Effects: everything the outside should now do
    machine.wake            the instant at which it wants to hear `TimePassed`, or None

A machine never blocks, never raises for what a peer or a disk may do, and never knows who drives it: an
event loop and a simulator are equal to it.

Effects may be done in any order, and only messages may be lost.  A machine keeps its own promises: a
message that vouches for something saved (a vote, an acknowledgement) is not among the effects before
`Saved` has come back for the save it vouches for.  So a driver cannot break the durability order; its
whole duty is to say `Saved` only when it is true, in the order of the serials.

The words are those of the Raft paper (Ongaro and Ousterhout 2014; section numbers in the code are those of
the extended version) and of Ongaro's thesis.  Entries carry *batches*: whoever drives the machine puts all
requests of one turn of its loop into one payload, so the cost of agreement is paid per batch.
"""
from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import msgspec

from agreed.consensus.members import Members, MembersChange
from agreed.types import Index, Instant, NodeId, Term


class EntryKind(IntEnum):
    """What an entry is to the protocol."""

    NOTHING = 0
    """Appended by a new leader to commit what earlier terms left (§5.4.2, §8)."""
    PAYLOAD = 1
    """Opaque bytes of the user of the log."""
    MEMBERS = 2
    """A new set of members (`members.encode_members`), in force from the moment it is appended (§6)."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One position of the log.  The same (index, term) is the same entry everywhere (log matching)."""

    index: Index
    term: Term
    kind: EntryKind
    payload: bytes


class Ballot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What must survive a crash besides the log: the term we are in, and whom we voted for in it.

    Other protocols call the term ballot, view or epoch; it is the newest one that we have promised something
    in.  Two of them must know besides in which one our log was last made equal to its leader's.
    """

    term: Term
    vote: NodeId | None
    settled: Term = 0
    """ZAB: currentEpoch, where `term` is acceptedEpoch.  Viewstamped Replication: the last view in which our
    status was normal.  Multi-Paxos: the index up to which its slots are known to be chosen.  0 with Raft."""


class SnapshotMark(msgspec.Struct, frozen=True, array_like=True):
    """Names a snapshot: the last entry it contains, and the members in force there (§7)."""

    index: Index
    term: Term
    members: Members


# --- events: what may happen to a machine -------------------------------------------------------------


class TimePassed(msgspec.Struct, frozen=True, gc=False):
    """`deaf_ms`: for so long before, this node was busy with something else, and heard nothing of what may
    have come in."""

    now: Instant
    deaf_ms: int = 0


class Received(msgspec.Struct, frozen=True):
    """A message from a peer whose identity the driver has verified."""

    source: NodeId
    message: object


class PeerLost(msgspec.Struct, frozen=True, gc=False):
    """The connection to a peer broke: what was in flight may be gone, and a leader may be dead.

    A hint only: safety never rests on it.  A leader goes back to probing that follower; a follower whose
    leader it was waits a short random time, not a whole election timeout.
    """

    peer: NodeId


class Proposed(msgspec.Struct, frozen=True, gc=False):
    """Please agree on this.  Dropped without a word where we do not lead: the proposer numbers its requests
    and repeats them.  `waiting` names the followers whose clients wait for it, so that they hear of the
    commit at once and not with the next append."""

    payload: bytes
    waiting: tuple[NodeId, ...] = ()


class Saved(msgspec.Struct, frozen=True, gc=False):
    """The save with this serial is durable.  Said in the order of the serials."""

    serial: int


class ReadRequested(msgspec.Struct, frozen=True, gc=False):
    """From which index on may a linearizable read be answered?  Works on every node (§8; thesis 6.4)."""

    ticket: int


class MembersChangeRequested(msgspec.Struct, frozen=True):
    """Add, promote, remove or replace a member; answered in `Effects.answers`."""

    ticket: int
    change: MembersChange


class TransferRequested(msgspec.Struct, frozen=True, gc=False):
    """Hand leadership to `target`, or to the most up-to-date voter (thesis 3.10)."""

    target: NodeId | None = None


class SnapshotTaken(msgspec.Struct, frozen=True):
    """A snapshot of ours up to this mark is durable: the log before it may be forgotten."""

    mark: SnapshotMark


class ChunkLoaded(msgspec.Struct, frozen=True):
    """Answers `LoadChunk`.  `mark` None: no snapshot with that index is there any more."""

    target: NodeId
    mark: SnapshotMark | None
    offset: int
    data: bytes
    done: bool


class ChunkSaved(msgspec.Struct, frozen=True):
    """Answers `SaveChunk`, in order; `next_offset` is how much of that snapshot is now held."""

    mark: SnapshotMark
    next_offset: int


class SnapshotInstalled(msgspec.Struct, frozen=True):
    """The received snapshot is whole, verified, durable, and the store now *is* that snapshot."""

    mark: SnapshotMark


class SnapshotRejected(msgspec.Struct, frozen=True):
    """The received snapshot did not verify: ask for it again from its beginning."""

    mark: SnapshotMark


Event = (
    TimePassed
    | Received
    | PeerLost
    | Proposed
    | Saved
    | ReadRequested
    | MembersChangeRequested
    | TransferRequested
    | SnapshotTaken
    | ChunkLoaded
    | ChunkSaved
    | SnapshotInstalled
    | SnapshotRejected
)


# --- effects: what a machine asks of the outside ------------------------------------------------------


class Send(msgspec.Struct, frozen=True):
    """May be lost, doubled, delayed or reordered."""

    target: NodeId
    message: object


class Save(msgspec.Struct):
    """Make durable: the ballot, and all entries from the first one given on (whatever stood there goes).

    After a crash it is there as a whole or not at all; so who writes a suffix again cannot lose what of it
    was durable before.

    The serial comes back as `Saved(serial)`.  It is a serial and not an index because an index may be
    overwritten while its first save is still on its way to the disk (the ABA problem).
    """

    serial: int
    ballot: Ballot
    entries: list[Entry]


class ReadReady(msgspec.Struct, frozen=True, gc=False):
    """A read may be answered once everything up to `index` is applied; `index` None: it failed, ask again."""

    ticket: int
    index: Index | None


class Answer(msgspec.Struct, frozen=True):
    """To a `MembersChangeRequested`.  `refusal` None: the change is committed (the new set is in force)."""

    ticket: int
    refusal: str | None


class LoadChunk(msgspec.Struct, frozen=True, gc=False):
    """Read a piece of a snapshot of ours for `target`; answered by `ChunkLoaded`.

    `index` names the snapshot whose transfer is under way, 0 the newest one.  A driver that no longer has the
    named one reads the newest from its beginning, or answers with `mark` None: either way the transfer begins
    anew.
    """

    target: NodeId
    offset: int
    index: Index = 0


class SaveChunk(msgspec.Struct, frozen=True):
    """A piece of a snapshot from the leader, to be written aside; answered by `ChunkSaved`.

    Offset 0 begins a new snapshot: what was held of another goes.  With `done` the driver verifies the whole,
    makes it durable, removes every entry of its log, restores the store from it and answers
    `SnapshotInstalled` (or `SnapshotRejected`) instead.  The whole log goes because it contradicts the
    snapshot or ends before it; a log that holds the very entry with which the snapshot ends stays.  No entry
    is given to be saved between this effect and its answer.
    """

    mark: SnapshotMark
    offset: int
    data: bytes
    done: bool


class Effects(msgspec.Struct):
    send: list[Send] = msgspec.field(default_factory=list)
    save: Save | None = None
    commit: list[Entry] = msgspec.field(default_factory=list)
    """Agreed forever; apply in this order.  All kinds of entries are listed."""
    reads: list[ReadReady] = msgspec.field(default_factory=list)
    answers: list[Answer] = msgspec.field(default_factory=list)
    load_chunks: list[LoadChunk] = msgspec.field(default_factory=list)
    save_chunks: list[SaveChunk] = msgspec.field(default_factory=list)


class FollowerStanding(msgspec.Struct, frozen=True, gc=False):
    """What a leader knows of another member, for operators."""

    name: NodeId
    match_index: Index
    state: str
    heard_at: Instant


class Standing(msgspec.Struct, frozen=True):
    """Where a machine stands, for operators.  `followers` is empty where it does not lead."""

    role: str
    first_index: Index
    last_index: Index
    followers: tuple[FollowerStanding, ...]


class Dice(Protocol):
    """Where a machine's randomness comes from."""

    def between(self, low: int, high: int) -> int:
        """A number of [low, high], both ends included."""
        ...


class Machine(Protocol):
    """What the replica needs to know of a consensus protocol."""

    wake: Instant | None

    def step(self, event: Event) -> None: ...

    def take(self) -> Effects: ...

    @property
    def leader(self) -> NodeId | None:
        """Whom we believe to lead."""
        ...

    @property
    def leads(self) -> bool:
        """Whether we lead (as far as we know)."""
        ...

    @property
    def term(self) -> Term: ...

    @property
    def commit(self) -> Index: ...

    @property
    def members(self) -> Members: ...

    @property
    def last_index(self) -> Index:
        """Of our log, committed or not."""
        ...

    @property
    def last_term(self) -> Term:
        """Of the entry there."""
        ...

    def snapshot_mark(self, index: Index) -> SnapshotMark:
        """The mark of a snapshot of a store that has applied exactly the entries up to `index`."""
        ...

    def standing(self) -> Standing: ...
