"""How many must say yes: majorities, and the two majorities of a joint set.

A quorum of a set of members is a majority of its voters and, while a joint change is under way, a majority of
the outgoing voters as well (§6).  Any two quorums of one set share a voter; that is all consensus rests on.

An outgoing voter whose name is held by a new identity is dead and forgotten: it still counts towards the size
of the old set, and can never say yes in it.  The new holder of the name lost the old one's votes and entries,
so letting it answer in the old one's place would let a majority forget what it agreed on.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping

from agreed.consensus.members import Members, everybody
from agreed.types import Identity, NodeId


def majority(size: int) -> int:
    """How many of `size` are more than half of them."""
    return size // 2 + 1


class Quorum:
    """The quorums of one set of members; made anew when the set changes."""

    __slots__ = ("_joint", "_need", "_outgoing_need", "names", "outgoing", "voters")

    def __init__(self, members: Members) -> None:
        holders = {member.name: member.identity for member in members.voters + members.learners}
        self.voters: tuple[NodeId, ...] = tuple(member.name for member in members.voters)
        self.outgoing: tuple[NodeId, ...] = tuple(
            member.name
            for member in members.outgoing
            if holders.get(member.name, member.identity) == member.identity
        )
        self.names: tuple[NodeId, ...] = tuple(dict.fromkeys(self.voters + self.outgoing))
        self._need = majority(len(members.voters))
        self._joint = bool(members.outgoing)
        self._outgoing_need = majority(len(members.outgoing))

    def has(self, names: Collection[NodeId]) -> bool:
        """Whether these are a quorum.  A set without voters has none."""
        if sum(name in names for name in self.voters) < self._need:
            return False
        return not self._joint or sum(name in names for name in self.outgoing) >= self._outgoing_need

    def lost(self, against: Collection[NodeId]) -> bool:
        """Whether no quorum is left once these have said no."""
        if sum(name not in against for name in self.voters) < self._need:
            return True
        return self._joint and sum(name not in against for name in self.outgoing) < self._outgoing_need

    def agreed(self, values: Mapping[NodeId, int]) -> int:
        """The highest value that a quorum has reached; who is not listed has reached 0."""
        value = _reached(self.voters, self._need, values)
        if self._joint:
            value = min(value, _reached(self.outgoing, self._outgoing_need, values))
        return value


def _reached(names: tuple[NodeId, ...], need: int, values: Mapping[NodeId, int]) -> int:
    if need > len(names):
        return 0
    reached = [values.get(name, 0) for name in names]
    reached.sort(reverse=True)
    return reached[need - 1]


def votes_under(members: Members, me: NodeId, identity: Identity) -> bool:
    """Whether we are a voter of this set: our name is, and it does not stand for another identity than ours.

    Who has no identity (0) goes by the name, and so does a set that does not say whose it means."""
    holder = everybody(members).get(me)
    ours = holder is not None and (not identity or holder.identity in (0, identity))
    return ours and me in Quorum(members).names
