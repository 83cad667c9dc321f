"""Before, after, equal, or none of them: what two moments of a distributed computation can be to each other.

Happens-before (Lamport 1978) is the least relation on events that is transitive and in which

    an event of a node happens before the next event of that node,
    the sending of a message happens before its receipt.

Two different events of which neither happens before the other are *concurrent*: nothing that either did can
have had an influence on the other.  It has nothing to do with the same time: of two concurrent events one may
be an hour older.  And the relation is of what is *possible*: what happened before need not have been the
cause.
"""
from __future__ import annotations

from enum import Enum


class Causality(Enum):
    """What the first of two is to the second."""

    BEFORE = "before"
    AFTER = "after"
    EQUAL = "equal"
    CONCURRENT = "concurrent"

    @property
    def converse(self) -> Causality:
        """What the second is to the first."""
        return _CONVERSE.get(self, self)


_CONVERSE = {Causality.BEFORE: Causality.AFTER, Causality.AFTER: Causality.BEFORE}
