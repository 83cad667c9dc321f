"""Votes: given once, after they are durable, for a log that is complete enough; and counted once.

Two leaders in a term, or a leader that lacks what was agreed, are what a wrong vote leads to when some more
bad luck comes together.  The wrong vote itself can be seen each time, so it is looked for here:

    said        a vote leaves (a candidate's own with its request for the others'): is it durable, and the
                only one that this data directory has ever given in this term?
    given       a node has made up its mind: did the candidate's log hold all that the voter's does (§5.4.1)?
    heard       a candidate is told of a vote
    elected     a node leads: have a quorum told it that they vote for it, in this term?
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from agreed.consensus.quorum import Quorum
from agreed.consensus.raft.messages import RequestVote, RequestVoteReply
from agreed.consensus.raft.raft import Raft
from agreed.sim.outcome import Broken
from agreed.types import Identity, NodeId, Term

if TYPE_CHECKING:
    from agreed.sim.node import Node

VOTES = frozenset({RequestVote, RequestVoteReply})
"""The messages that this is about."""


class Elections:
    def __init__(self) -> None:
        self._given: dict[tuple[NodeId, Identity, Term], NodeId] = {}
        self._heard: dict[tuple[NodeId, Term], set[NodeId]] = {}
        self._asked: dict[tuple[NodeId, Term], tuple[Term, int]] = {}
        """Candidate and term -> how the log ended that it named."""

    def said(self, node: Node, target: NodeId, message: object) -> None:
        if isinstance(message, RequestVote) and not message.pre:
            self._asked[node.name, message.term] = (message.last_term, message.last_index)
            self._promised(node, message.term, node.name)
        elif isinstance(message, RequestVoteReply) and message.granted and not message.pre:
            self._promised(node, message.term, target)

    def _promised(self, node: Node, term: Term, candidate: NodeId) -> None:
        known = self._given.setdefault((node.name, node.identity, term), candidate)
        if known != candidate:
            raise Broken("two votes in a term", f"{node.name} in {term}: {known}, {candidate}")
        durable = node.storage.durable_ballot
        if durable.term < term or (durable.term == term and durable.vote != candidate):
            on_disk = f"{durable.vote} in {durable.term}"
            told = f"{node.name} votes for {candidate} in {term}, on its disk stands {on_disk}"
            raise Broken("a vote before it is durable", told)

    def given(self, node: Node, raft: Raft) -> None:
        """Its vote has changed in the last turn; and its log has not, unless who was elected has appended."""
        asked = self._asked.get((raft.vote or "", raft.term))
        appended = raft.leader is not None or raft.log.last_term == raft.term
        if asked is None or raft.vote == node.name or appended:
            return
        own = (raft.log.last_term, raft.log.last_index)
        if asked < own:
            raise Broken(
                "a vote for a log that lacks something",
                f"{node.name} votes in {raft.term} for {raft.vote}: its log ends at {asked}, ours at {own}",
            )

    def heard(self, node: Node, peer: NodeId, message: object) -> None:
        if isinstance(message, RequestVoteReply) and message.granted and not message.pre:
            self._heard.setdefault((node.name, message.term), set()).add(peer)

    def elected(self, node: Node, raft: Raft) -> None:
        voters = self._heard.get((node.name, raft.term), set()) | {node.name}
        if not Quorum(raft.members).has(voters):
            told = f"{node.name} in {raft.term}, by {sorted(voters)} of {raft.quorum.names}"
            raise Broken("elected without a quorum", told)
