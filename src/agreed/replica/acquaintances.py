"""Whom a node dials, and where.

    members     everybody in the newest set that this node knows
    leaving     who was in the set before, for a while: a leader that removes itself has to hear that the
                others have it; were it cut off at their first word of its removal, it would never know
    callers     who speaks to this node as one of its cluster, and is not in any set that it knows

The callers are there because of this story.  n3 is cut off while n4 joins, and n4 comes to lead.  Now n3 is
back: n4 knows it and dials it, and sends it the log.  But n3 has never heard of n4 and would only dial n1 and
n2; so it could not answer, n4 would send the same first entries again and again, and n3 would never get to
the entry that tells it who n4 is.  Whoever is listened to must be answered.
"""

from __future__ import annotations

from collections.abc import Mapping

from agreed.consensus.members import Member, Members
from agreed.replica.founding import all_members
from agreed.types import NodeId


class Acquaintances:
    """`configured`: addresses that the operator has given here, which are newer than what was agreed when a
    member joined."""

    def __init__(self, me: NodeId, configured: Mapping[NodeId, str]) -> None:
        self._me = me
        self._configured = configured
        self._members: dict[NodeId, str] = {}
        self._leaving: dict[NodeId, str] = {}
        self._callers: dict[NodeId, str] = {}
        self._connections: dict[NodeId, int] = {}

    @property
    def addresses(self) -> dict[NodeId, str]:
        return {**self._callers, **self._leaving, **self._members}

    def members_changed(self, members: Members) -> frozenset[NodeId]:
        """Who is leaving: to be passed to `forget` after a while."""
        current = {member.name: member.address for member in all_members(members) if member.name != self._me}
        for name in current.keys() & self._configured.keys():
            current[name] = self._configured[name]
        left = {name: self._members[name] for name in self._members.keys() - current.keys()}
        self._members = current
        self._leaving = {**self._leaving, **left}
        return frozenset(left)

    def forget(self, leaving: frozenset[NodeId]) -> None:
        for name in leaving:
            self._leaving.pop(name, None)

    def called(self, member: Member) -> None:
        """A connection from it was let in, as from one of our cluster."""
        self._connections[member.name] = self._connections.get(member.name, 0) + 1
        self._callers[member.name] = self._configured.get(member.name, member.address)

    def hung_up(self, name: NodeId) -> None:
        """One of its connections is gone."""
        left = self._connections.pop(name, 1) - 1
        if left > 0:
            self._connections[name] = left
        else:
            self._callers.pop(name, None)
