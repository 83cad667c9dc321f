"""What a node has promised, and must still keep after it was killed, lost its power, or had its disk fail.

Cluster-wide invariants notice a broken promise only when it has done harm, and it takes several unlucky
events in a row until it does.  Each promise by itself can be checked at the moment at which it is broken:

    votes       in one term one data directory tells one candidate that it has its vote, over all its lives
    entries     what the log has reported as saved is there when the next process has recovered
    soundness   a data directory that nothing has damaged is not refused
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from agreed.consensus.raft.messages import RequestVote, RequestVoteReply
from agreed.sim.outcome import Broken
from agreed.types import Identity, NodeId, Term

if TYPE_CHECKING:
    from agreed.sim.node import Node
    from agreed.sim.storage import Storage


class Durability:
    def __init__(self) -> None:
        self._votes: dict[tuple[NodeId, Identity, Term], NodeId] = {}

    def said(self, node: Node, target: NodeId, message: RequestVote | RequestVoteReply) -> None:
        """A vote leaves: a candidate's own with its request, another's with the reply."""
        if message.pre:
            return
        if isinstance(message, RequestVote):
            target = node.name
        elif not message.granted:
            return
        known = self._votes.setdefault((node.name, node.identity, message.term), target)
        if known != target:
            raise Broken("two votes in a term", f"{node.name} in {message.term}: {known}, {target}")

    def came_back(self, node: Node, before: Storage, after: Storage) -> None:
        """The same data directory, before its last process ended and now."""
        for index, term in before.saved():
            if not after.holds(index, term):
                raise Broken(
                    "what was saved is gone",
                    f"{node.name} had saved {index} of term {term}, and has come back without it",
                )

    def refused(self, node: Node, reason: str) -> None:
        if not node.disk.damaged:
            raise Broken("a sound disk is refused", f"{node.name}: {reason}")
