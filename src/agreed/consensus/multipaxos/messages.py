"""What nodes say to each other, in the words of "Paxos Made Simple" where it has one.

Each message is a frozen msgspec struct with an integer tag; `MultiPaxosMessage` is their union, so a codec
made for it refuses what has the wrong shape.  What has the right shape and still cannot be true is refused
where it is received.  Any of them may be lost, doubled, delayed or reordered.

Where we differ from the papers: one Prepare and one Promise speak of all slots from one on; an Accepted says
*up to where* all slots are accepted, so that a doubled or late one says less than is known and never
something false; Accepts carry a `round`, by which the reply proves that its sender had promised nothing newer
after a given moment (reads); and a candidate asks first whether there is a leader (Canvass).
"""
from __future__ import annotations

from typing import TypeAlias

import msgspec

from agreed.consensus.machine import Entry, SnapshotMark
from agreed.types import Index, Term


class Canvass(msgspec.Struct, frozen=True, array_like=True, tag=40, gc=False):
    """Is the leader silent for you too, and could you tell me all you have accepted after slot `chosen`?
    Promises nothing; `ballot` is the asker's present one and comes back, to tell the answer from an old
    one's."""

    ballot: Term
    chosen: Index


class CanvassReply(msgspec.Struct, frozen=True, array_like=True, tag=41, gc=False):
    """`promised` is the newest ballot that the sender has promised."""

    ballot: Term
    promised: Term
    granted: bool


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag=42, gc=False):
    """Phase 1a, for all slots from `first` on: accept nothing below `ballot` any more, and tell me what you
    have accepted.  Asked again with a higher `first` for what did not fit into one answer."""

    ballot: Term
    first: Index


class Acceptance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The sender has accepted `value` for the slot `value.index` under `ballot`; `value.term` is the ballot
    under which it was first proposed, and part of the value."""

    ballot: Term
    value: Entry


class Promise(msgspec.Struct, frozen=True, array_like=True, tag=43):
    """Phase 1b: all that is accepted in the slots from `first` to `upto`; there is something up to `last`.
    All slots up to `chosen` are chosen, with the value the sender has there."""

    ballot: Term
    first: Index
    upto: Index
    last: Index
    chosen: Index
    accepted: list[Acceptance]


class Accept(msgspec.Struct, frozen=True, array_like=True, tag=44):
    """Phase 2a for consecutive slots from `first` on; no entries: a heartbeat, or a notice of what is
    chosen.  All slots up to `commit` are chosen.  The list of entries is shared between messages and never
    changed."""

    ballot: Term
    first: Index
    commit: Index
    round: int
    entries: list[Entry]


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag=45, gc=False):
    """Phase 2b: all slots up to `upto` are accepted under `ballot` (or known to be chosen), durably.

    Up to `held` they are as well, but perhaps not durably; `hole`: the Accept began behind that, so something
    that was sent before it is missing.
    """

    ballot: Term
    round: int
    upto: Index
    held: Index
    hole: bool = False


class Nack(msgspec.Struct, frozen=True, array_like=True, tag=46, gc=False):
    """What was asked is under a ballot below `ballot`, which is promised."""

    ballot: Term


class InstallSnapshot(msgspec.Struct, frozen=True, array_like=True, tag=47):
    """A piece of the leader's snapshot at a byte offset, for who lacks slots that the leader has
    forgotten."""

    ballot: Term
    mark: SnapshotMark
    offset: int
    data: bytes
    done: bool


class InstallSnapshotReply(msgspec.Struct, frozen=True, array_like=True, tag=48, gc=False):
    """Of the snapshot at `index`, `next_offset` bytes are held: go on from there."""

    ballot: Term
    index: Index
    next_offset: int


class TimeoutNow(msgspec.Struct, frozen=True, array_like=True, tag=49, gc=False):
    """The leader of `ballot` asks a voter that has accepted all it proposed to begin phase 1 at once."""

    ballot: Term


class ReadIndex(msgspec.Struct, frozen=True, array_like=True, tag=50, gc=False):
    """A follower asks the leader for a read index; `context` comes back with the reply."""

    context: int


class ReadIndexReply(msgspec.Struct, frozen=True, array_like=True, tag=51, gc=False):
    """`index` None: the asked node does not lead, or could not make sure that it does."""

    context: int
    index: Index | None


MultiPaxosMessage: TypeAlias = (
    Canvass
    | CanvassReply
    | Prepare
    | Promise
    | Accept
    | Accepted
    | Nack
    | InstallSnapshot
    | InstallSnapshotReply
    | TimeoutNow
    | ReadIndex
    | ReadIndexReply
)
