"""What replicas say to each other, in the words of the paper's section 4.

Each message is a frozen msgspec struct with an integer tag; `VrMessage` is their union, so a codec made for
it refuses what has the wrong shape.  What has the right shape and still cannot be true is refused where it is
received.  Any of them may be lost, doubled, delayed or reordered.

Where we differ from the paper: logs travel as the part that the receiver lacks, and what is left is asked for
(GetState); Prepare and Commit carry a `round`, by which an answer proves that its sender was in this view
after a given moment (reads); `crashes` are the crash vectors of Michael et al. (DISC 2017), empty where
there is a disk.
"""
from __future__ import annotations

from typing import TypeAlias

import msgspec

from agreed.consensus.machine import Entry, SnapshotMark
from agreed.types import Index, Term


class StartViewChange(msgspec.Struct, frozen=True, array_like=True, tag=60, gc=False):
    """The sender would leave its `present` view for `view`; if both are equal, it has left.  Nothing is
    promised by it: whoever is still in its present view may stay there."""

    view: Term
    present: Term


class DoViewChange(msgspec.Struct, frozen=True, array_like=True, tag=61):
    """To the primary of `view`: the sender has left all earlier views, and this is its log.

    `settled` is the last view in which it was normal (v' of the paper); its log ends at
    (last_index, last_term).  Of the log come only entries after `commit`, and not always all of them.
    """

    view: Term
    settled: Term
    last_index: Index
    last_term: Term
    commit: Index
    commit_term: Term
    entries: list[Entry]
    crashes: tuple[int, ...] = ()


class StartView(msgspec.Struct, frozen=True, array_like=True, tag=62):
    """The view runs.  Its log was made when the view began up to `began_at`, where an entry of the view
    stands; of it come entries after (after, after_term)."""

    view: Term
    began_at: Index
    after: Index
    after_term: Term
    commit: Index
    round: int
    entries: list[Entry]


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag=63):
    """Entries of the primary's log, at least one.  The list is shared between messages and never changed."""

    view: Term
    commit: Index
    round: int
    entries: list[Entry]


class PrepareOk(msgspec.Struct, frozen=True, array_like=True, tag=64, gc=False):
    """`match`: up to here our *durable* log is the primary's.

    Without `joined` we do not have all yet that the view began with; then it counts for nothing, and only
    tells how far we are."""

    view: Term
    round: int
    match: Index
    joined: bool = True


class Commit(msgspec.Struct, frozen=True, array_like=True, tag=65, gc=False):
    """No entries: we still lead, this is agreed, answer this round; you were sent everything up to `upto`."""

    view: Term
    commit: Index
    round: int
    upto: Index


class GetState(msgspec.Struct, frozen=True, array_like=True, tag=66, gc=False):
    """Please send what follows `after`; and if that begins with a snapshot: of the one at index `snapshot`
    the first `offset` bytes are here already."""

    view: Term
    after: Index
    snapshot: Index = 0
    offset: int = 0


class NewState(msgspec.Struct, frozen=True, array_like=True, tag=67):
    """To a new primary, from the replica whose log it takes over: entries that follow `after`.  A running
    view's primary answers a GetState by StartView or Prepare instead."""

    view: Term
    after: Index
    entries: list[Entry]


class SnapshotPiece(msgspec.Struct, frozen=True, array_like=True, tag=68):
    """A piece of the sender's snapshot at a byte offset, because its log no longer holds what was asked
    for."""

    view: Term
    mark: SnapshotMark
    offset: int
    data: bytes
    done: bool


class Recovery(msgspec.Struct, frozen=True, array_like=True, tag=69, gc=False):
    """A replica that lost its memory asks: with `counter` 0 how often it has crashed, else to be told of the
    present view in this life, the so many-th."""

    nonce: int
    counter: int


class RecoveryResponse(msgspec.Struct, frozen=True, array_like=True, tag=70, gc=False):
    """From a replica whose status is normal.  `last_index` is that of the primary's log, 0 from a backup."""

    nonce: int
    counter: int
    view: Term
    last_index: Index
    crashes: tuple[int, ...]


class ReadIndex(msgspec.Struct, frozen=True, array_like=True, tag=71, gc=False):
    """A backup asks the primary for a read index; `context` comes back with the reply."""

    context: int


class ReadIndexReply(msgspec.Struct, frozen=True, array_like=True, tag=72, gc=False):
    """`index` None: the asked replica does not lead, or could not make sure that it does."""

    context: int
    index: Index | None


VrMessage: TypeAlias = (
    StartViewChange
    | DoViewChange
    | StartView
    | Prepare
    | PrepareOk
    | Commit
    | GetState
    | NewState
    | SnapshotPiece
    | Recovery
    | RecoveryResponse
    | ReadIndex
    | ReadIndexReply
)
