"""Who has voted, and what follows from it.

A vote that did not arrive is not a yes, and a vote that arrived twice is one vote.  Both sound too plain to
be said, and both have been got wrong.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from agreed.atomic_commit.messages import Decision, TransactionId, Vote
from agreed.types import Instant, NodeId


def unanimous(participants: Iterable[NodeId], votes: Mapping[NodeId, Vote]) -> bool:
    """Whether every single one has voted, and none of them no."""
    return all(votes.get(each) in (Vote.YES, Vote.READ_ONLY) for each in participants)


class Poll(msgspec.Struct):
    """One transaction whose participants are being asked."""

    transaction: TransactionId
    participants: tuple[NodeId, ...]
    deadline: Instant
    """From then on a missing vote is a no."""
    retry_at: Instant
    votes: dict[NodeId, Vote] = msgspec.field(default_factory=dict)

    def count(self, source: NodeId, vote: Vote) -> None:
        """The first of each participant counts."""
        if source in self.participants:
            self.votes.setdefault(source, vote)

    def missing(self) -> list[NodeId]:
        return [each for each in self.participants if each not in self.votes]

    def told(self) -> tuple[NodeId, ...]:
        """Who waits for the decision, or may do so: who voted no or read-only does not."""
        return tuple(each for each in self.participants if self.votes.get(each, Vote.YES) == Vote.YES)

    def decision(self, now: Instant) -> Decision | None:
        """None: it is too early to say."""
        if unanimous(self.participants, self.votes):
            return Decision.COMMIT
        if Vote.NO in self.votes.values() or now >= self.deadline:
            return Decision.ABORT
        return None
