"""What nodes say to each other, in the words of the paper's figure 2 and figure 13.

Each message is a frozen msgspec struct with an integer tag; `RaftMessage` is their union, so a codec made
for it refuses what has the wrong shape.  What has the right shape and still cannot be true is refused where
it is received.  Any of them may be lost, doubled, delayed or reordered.

Where we differ from the paper: an AppendEntriesReply says *up to where* logs match, so that a late or doubled
one can only say less than is known, never something false; and appends carry a `round`, by which a reply
proves that its sender followed this leader after a given moment (reads, leases).  """
from __future__ import annotations

from typing import TypeAlias

import msgspec

from agreed.consensus.machine import Entry, SnapshotMark
from agreed.types import Index, Term


class RequestVote(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A candidate asks for a vote in `term` (§5.2); its log ends at (last_index, last_term) (§5.4.1).

    `pre`: would you, if I asked in that term?  Nobody's term changes by it (thesis 9.6).
    `transfer`: the old leader asked me to; do not refuse because you hear it still (thesis 3.10).
    """

    term: Term
    last_index: Index
    last_term: Term
    pre: bool = False
    transfer: bool = False


class RequestVoteReply(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """`term` is the voter's own, but of a granted pre-vote it is the term that was asked for."""

    term: Term
    granted: bool
    pre: bool = False


class AppendEntries(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Entries that follow (prev_index, prev_term) in the leader's log (§5.3); none: a heartbeat or a notice
    of the commit index.  The list of entries is shared between messages and never changed."""

    term: Term
    prev_index: Index
    prev_term: Term
    commit: Index
    round: int
    entries: list[Entry]


class AppendEntriesReply(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """`match`: up to here our *durable* log is the leader's.

    `rejected` is the prev_index that did not match, 0 where nothing was rejected; the conflict says where to
    try next: our entry there has `conflict_term`, which begins at `conflict_index`; a `conflict_term` of 0
    means that our log ends before `conflict_index`.
    """

    term: Term
    round: int
    match: Index
    rejected: Index = 0
    conflict_term: Term = 0
    conflict_index: Index = 0


class InstallSnapshot(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A piece of the leader's snapshot at a byte offset (§7)."""

    term: Term
    mark: SnapshotMark
    offset: int
    data: bytes
    done: bool


class InstallSnapshotReply(msgspec.Struct, frozen=True, array_like=True, tag=6, gc=False):
    """Of the snapshot at `index`, `next_offset` bytes are held: go on from there."""

    term: Term
    index: Index
    next_offset: int


class TimeoutNow(msgspec.Struct, frozen=True, array_like=True, tag=7, gc=False):
    """The leader of `term` asks a voter that has its whole log to campaign at once (thesis 3.10)."""

    term: Term


class ReadIndex(msgspec.Struct, frozen=True, array_like=True, tag=8, gc=False):
    """A follower asks the leader for a read index; `context` comes back with the reply (thesis 6.4)."""

    context: int


class ReadIndexReply(msgspec.Struct, frozen=True, array_like=True, tag=9, gc=False):
    """`index` None: the asked node does not lead, or could not make sure that it does."""

    context: int
    index: Index | None


RaftMessage: TypeAlias = (
    RequestVote
    | RequestVoteReply
    | AppendEntries
    | AppendEntriesReply
    | InstallSnapshot
    | InstallSnapshotReply
    | TimeoutNow
    | ReadIndex
    | ReadIndexReply
)
