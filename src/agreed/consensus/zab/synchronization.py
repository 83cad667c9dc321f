"""DIFF, TRUNC or SNAP: where two histories part, and what the follower needs.

An entry is named by its zxid, and a primary proposes in order to a history that it took over as a whole.  So
two histories that both hold an entry are equal up to it, and where they part can be told from the *ends* of
the epochs in one of them alone: in the newest epoch that both know, the shorter one's end is the last common
entry.

    leader     1 1 1 1 | 3 3 3
    follower   1 1 1 1 1 1 | 2 2     ends (2, 8) (1, 6)
                     ^ the leader ends epoch 1 at 4: TRUNC to 4, then what follows
"""
from __future__ import annotations

from agreed.consensus.log import Log
from agreed.types import Index, Term


def history_of(log: Log, commit: Index) -> list[tuple[Term, Index]]:
    """The ends (term, last index) of the epochs in this log, the newest first, back to the one in which the
    last committed entry stands: that one is in every leader's history."""
    ends: list[tuple[Term, Index]] = []
    index = log.last_index
    while True:
        term = log.term(index)
        assert term is not None
        ends.append((term, index))
        first = log.first_of_term(index)
        if first <= commit or first <= log.base_index:
            return ends
        index = first - 1


def is_history(ends: list[tuple[Term, Index]]) -> bool:
    """Whether these can be the ends of the epochs of a history."""
    if not ends:
        return False
    later_term, later_index = ends[0][0] + 1, ends[0][1] + 1
    for term, index in ends:
        if term >= later_term or index >= later_index:
            return False
        later_term, later_index = term, index
    return True


def last_common(log: Log, ends: list[tuple[Term, Index]]) -> Index | None:
    """The last entry that a history with these ends has in common with ours; None where it is before what our
    log still holds, and only a snapshot will do (SNAP)."""
    for term, last in ends:
        ours = log.last_up_to_term(term)
        if ours < log.base_index:
            return None
        if log.term(ours) == term:
            common = min(last, ours)
            return common if common >= log.base_index else None
    return None
