"""Whether this node was removed, which it may believe once, and only when it is true.

Sets of members are read in the order of the log, and most of them are history by then.  Who has just joined
reads the sets from before its time first, and is in none of them.  And the set at the end of the log may be
taken back.  So removed is who *was* in an agreed set, and is neither in a later one nor in the newest.
"""

from __future__ import annotations

from agreed.consensus.members import Members
from agreed.replica.founding import all_members
from agreed.types import Identity, NodeId


class Belonging:
    """Of the holder of a name under one identity: the name may have been another one's before."""

    def __init__(self, name: NodeId, identity: Identity, agreed: Members) -> None:
        self._name = name
        self._identity = identity
        self._belonged = self._is_in(agreed)

    def is_over(self, agreed: Members, newest: Members) -> bool:
        """After another set was agreed upon."""
        if self._is_in(agreed):
            self._belonged = True
            return False
        return self._belonged and not self._is_in(newest)

    def _is_in(self, members: Members) -> bool:
        return any(m.name == self._name and m.identity in (0, self._identity) for m in all_members(members))
