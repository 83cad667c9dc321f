"""A leader's change of members: joint set, then the new set, one change at a time (§6; thesis 4.3).

A change may begin only when the last one is committed, and when something of the leader's own term is:
without the second rule two leaders in turn could each have begun a change on a set the other does not know,
and their quorums need not share a voter (found by Ongaro in 2015).

The joint set is left by whoever leads when it is committed, so a leader that dies in between changes nothing.
"""
from __future__ import annotations

from collections.abc import Mapping

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.members import (
    Members,
    MembersChange,
    Promote,
    SetVoters,
    after,
    encode_members,
    everybody,
    final,
    refusal,
)
from agreed.consensus.quorum import Quorum
from agreed.consensus.raft.progress import Progress
from agreed.consensus.raft.state import RaftState
from agreed.types import NodeId


class PendingChange:
    def __init__(self, raft: RaftState) -> None:
        self._raft = raft
        self._ticket: int | None = None

    def request(
        self, ticket: int, change: MembersChange, progress: Mapping[NodeId, Progress], *, settled: bool
    ) -> None:
        raft = self._raft
        reason = self._not_now(settled=settled) or refusal(raft.members, change)
        if reason is None:
            reason = self._refuse_unsafe(change, progress)
        if reason is not None:
            raft.answer(ticket, reason)
            return
        self._ticket = ticket
        self._append(after(raft.members, change))

    def _not_now(self, *, settled: bool) -> str | None:
        raft = self._raft
        if not settled:
            return "this leader has not yet committed anything in its term: try again"
        if raft.log.members_index > raft.commit or raft.members.outgoing:
            return "another change of members is under way"
        return None

    def _refuse_unsafe(self, change: MembersChange, progress: Mapping[NodeId, Progress]) -> str | None:
        """What would make the cluster wait for a node that is not ready, or strip it of its leader."""
        raft = self._raft
        target = after(raft.members, change)
        own = everybody(raft.members).get(raft.me)
        holder = everybody(target).get(raft.me)
        if own is not None and holder is not None and holder.identity != own.identity:
            return f"{raft.me} leads with the identity that is to be replaced: hand over leadership first"
        if isinstance(change, Promote) and not self._caught_up(progress.get(change.name)):
            return f"{change.name} has not caught up"
        if isinstance(change, SetVoters):
            ready = [member.name for member in change.voters if self._caught_up(progress.get(member.name))]
            if not Quorum(Members(change.voters)).has(ready):
                return "no majority of the new voters has caught up: add them as learners first"
        return None

    def _caught_up(self, follower: Progress | None) -> bool:
        raft = self._raft
        if follower is None:
            return False
        if follower.name == raft.me:
            return True
        patience = raft.config.election_timeout_ms[0]
        near = raft.log.last_index - follower.match <= raft.config.promote_lag_entries
        return near and follower.match > 0 and raft.now - follower.heard_at < patience

    def _append(self, members: Members) -> None:
        raft = self._raft
        payload = encode_members(members)
        raft.append([Entry(raft.log.last_index + 1, raft.term, EntryKind.MEMBERS, payload)])

    def on_commit(self, *, settled: bool) -> None:
        raft = self._raft
        if raft.log.members_index > raft.commit:
            return
        if raft.members.outgoing:
            # A joint set left by an earlier leader is committed for us only with something of our own term.
            if settled:
                self._append(final(raft.members))
        elif self._ticket is not None:
            ticket, self._ticket = self._ticket, None
            raft.answer(ticket, None)

    def abandon(self) -> None:
        """We lead no longer; the next leader may finish the change, or never have heard of it."""
        if self._ticket is not None:
            ticket, self._ticket = self._ticket, None
            self._raft.answer(ticket, "leadership was lost: the change may still be made")
