"""Ballot numbers: whole numbers, each of which belongs to one member and to no other.

    ballot = round * 64 + rank of the member among the sorted names

Were a number shared, two proposers could propose different values for one slot under it, and acceptances of
both would be counted together.  A number is on disk before it is used, so a proposer that restarts takes a
higher one and not its old one again.
"""
from __future__ import annotations

from agreed.consensus.members import Members, everybody
from agreed.errors import ConfigurationError
from agreed.types import NodeId, Term

RANKS = 64
"""The most members there can be."""


class Ballots:
    """The numbers of one set of members, as one of them sees them.

    Raises ConfigurationError for more than 64 members.
    """

    __slots__ = ("_names", "_rank")

    def __init__(self, me: NodeId, members: Members) -> None:
        self._names = sorted(everybody(members))
        if len(self._names) > RANKS:
            raise ConfigurationError(f"Multi-Paxos has ballots for {RANKS} members, not {len(self._names)}")
        self._rank = self._names.index(me) if me in self._names else 0

    def owner(self, ballot: Term) -> NodeId | None:
        """Who alone may propose under this number; None where it is nobody's."""
        rank = ballot % RANKS
        return self._names[rank] if 0 <= rank < len(self._names) else None

    def after(self, ballot: Term) -> Term:
        """Our next number above this one."""
        return (ballot // RANKS + 1) * RANKS + self._rank
