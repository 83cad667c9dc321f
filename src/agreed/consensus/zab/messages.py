"""What nodes say to each other, in the words of Zab-1.0.

A zxid is (epoch, counter).  Here it is (term, index) of an entry: the epoch in which it was proposed, and its
place in the history.  The index counts on over epochs, so that a history has no gaps; it orders as the zxid
does.  `term` of a message is the epoch it belongs to.

ZooKeeper's messages travel over one connection each and arrive in order or not at all.  These may be lost,
doubled, delayed or reordered.  So what must be in order is numbered by where it joins the history
(`prev_index`), what is acknowledged is acknowledged up to an index, and who finds that something is missing
asks again within the epoch (`AckEpoch`, `Ask`) instead of leaving it.

What has the wrong shape is refused by a codec made for `ZabMessage`; what has the right shape and still
cannot be true is refused where it is received.
"""
from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import msgspec

from agreed.consensus.machine import Entry, SnapshotMark
from agreed.types import Index, NodeId, Term


class Phase(IntEnum):
    """What the sender of a notification is doing."""

    LOOKING = 0
    LEADING = 1
    """It was elected, and has yet to find a quorum that follows it."""
    ESTABLISHED = 2
    """It leads, and a quorum follows it."""


class Vote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who should lead, and how recent its history is: its currentEpoch and its last zxid.

    `appointed`: by the leader that handed over; of equally recent nodes it is preferred.
    """

    settled: Term
    last_term: Term
    last_index: Index
    appointed: bool
    name: NodeId


class Notification(msgspec.Struct, frozen=True, array_like=True, tag=80):
    """Election: a vote in a round of it.  `term` is the sender's acceptedEpoch: a leader of an epoch that
    looks for a leader leads it no longer."""

    term: Term
    round: int
    phase: Phase
    vote: Vote


class FollowerInfo(msgspec.Struct, frozen=True, array_like=True, tag=81, gc=False):
    """Discovery: I follow you; my acceptedEpoch is `term`, and I accepted it from `vote`."""

    term: Term
    vote: NodeId | None


class LeaderInfo(msgspec.Struct, frozen=True, array_like=True, tag=82, gc=False):
    """Discovery (NEWEPOCH): the epoch that begins, above all that a quorum has accepted."""

    term: Term


class AckEpoch(msgspec.Struct, frozen=True, array_like=True, tag=83):
    """Discovery: I accept no older epoch any more.  `settled` is my currentEpoch; `history` are the ends
    (term, last index) of the epochs in my history, the newest first, back to the one in which the last
    committed entry stands.  All of it is durable.

    Said again where a part of the synchronization was lost."""

    term: Term
    settled: Term
    history: list[tuple[Term, Index]]


class Diff(msgspec.Struct, frozen=True, array_like=True, tag=84):
    """Synchronization: our histories are equal up to (prev_term, prev_index); this follows.

    `truncate` (TRUNC): what you have instead was never committed, and goes."""

    term: Term
    prev_index: Index
    prev_term: Term
    truncate: bool
    entries: list[Entry]


class SnapshotPiece(msgspec.Struct, frozen=True, array_like=True, tag=85):
    """Synchronization (SNAP): a piece of the leader's snapshot at a byte offset."""

    term: Term
    mark: SnapshotMark
    offset: int
    data: bytes
    done: bool


class SnapshotPieceReply(msgspec.Struct, frozen=True, array_like=True, tag=86, gc=False):
    """Of the snapshot at `index`, `next_offset` bytes are held: go on from there."""

    term: Term
    index: Index
    next_offset: int


class NewLeader(msgspec.Struct, frozen=True, array_like=True, tag=87, gc=False):
    """Synchronization: the history up to `index` is what this epoch begins with for you."""

    term: Term
    index: Index


class AckNewLeader(msgspec.Struct, frozen=True, array_like=True, tag=88, gc=False):
    """Synchronization: that history up to `index`, and then `term` as my currentEpoch, are durable."""

    term: Term
    index: Index


class UpToDate(msgspec.Struct, frozen=True, array_like=True, tag=89, gc=False):
    """Synchronization ends: the epoch is established, and all up to `commit` is committed."""

    term: Term
    commit: Index


class Proposal(msgspec.Struct, frozen=True, array_like=True, tag=90):
    """Broadcast: entries of this epoch that follow `prev_index`; and what is committed (COMMIT rides along).

    The list of entries is shared between messages and never changed."""

    term: Term
    prev_index: Index
    commit: Index
    entries: list[Entry]


class Ack(msgspec.Struct, frozen=True, array_like=True, tag=91, gc=False):
    """Up to `index`, my durable history is yours."""

    term: Term
    index: Index


class Commit(msgspec.Struct, frozen=True, array_like=True, tag=92, gc=False):
    """Broadcast: all up to `commit` is committed."""

    term: Term
    commit: Index


class Ask(msgspec.Struct, frozen=True, array_like=True, tag=93, gc=False):
    """Broadcast: something is missing after `after`: send it again, in this same epoch."""

    term: Term
    after: Index


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=94, gc=False):
    """I lead `term` still; `last` was sent to you, `commit` is committed.  `round` comes back with the
    reply."""

    term: Term
    round: int
    last: Index
    commit: Index
    established: bool


class PingReply(msgspec.Struct, frozen=True, array_like=True, tag=95, gc=False):
    """I have accepted no newer epoch when I got that ping; my durable history is yours up to `index`."""

    term: Term
    round: int
    index: Index


class ReadIndex(msgspec.Struct, frozen=True, array_like=True, tag=96, gc=False):
    """SYNC: from which index on is a read of mine linearizable?  `context` comes back with the reply."""

    context: int


class ReadIndexReply(msgspec.Struct, frozen=True, array_like=True, tag=97, gc=False):
    """`index` None: the asked node does not lead, or could not make sure that it does."""

    context: int
    index: Index | None


ZabMessage: TypeAlias = (
    Notification
    | FollowerInfo
    | LeaderInfo
    | AckEpoch
    | Diff
    | SnapshotPiece
    | SnapshotPieceReply
    | NewLeader
    | AckNewLeader
    | UpToDate
    | Proposal
    | Ack
    | Commit
    | Ask
    | Ping
    | PingReply
    | ReadIndex
    | ReadIndexReply
)
