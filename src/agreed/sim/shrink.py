"""Makes a failing run small: fewer faults, fewer operations, fewer nodes, and still the same failure.

The material is the plan of the run, where everything that was to happen stands in a list.  Delta debugging
(Zeller and Hildebrandt 2002, `ddmin`) leaves out halves, quarters, ... single items of a list and keeps
whatever still fails in the same way.  Leaving out an item does not shift the dice of the others, because each
draws from a stream of its own name; but it does change what happens, so nothing is assumed: every candidate
is played.

The passes, repeated until none of them helps: what comes after the failure, whole nodes, whole clients,
faults, operations.  Coarse ones come first: a node that goes takes hundreds of events of every later attempt
with it.

The result depends on the plan and on the number of plays alone; a bound in seconds (`out_of_time`) can only
end the search sooner.  It is a local minimum: no single item can be left out, as far as the bounds allowed.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Exhausted(Exception):
    """The bound of plays or of time is reached."""


def minimal(items: Sequence[Item], fails: Callable[[tuple[Item, ...]], bool]) -> tuple[Item, ...]:
    """A part of `items`, in their order, that fails, and no longer does without any one of them (ddmin).

    Assumes that all of `items` fail.  Later items are left out first: what comes after the failure goes at
    once.  Whatever `fails` raises ends the search.
    """
    kept = tuple(items)
    if kept and fails(()):
        return ()
    size = len(kept) // 2
    while size:
        start = len(kept) - size
        shorter = False
        while start > -size:
            candidate = kept[: max(start, 0)] + kept[start + size :]
            if len(candidate) < len(kept) and candidate and fails(candidate):
                kept, shorter = candidate, True
            start -= size
        # Single items are tried again until none can go; larger pieces get one round each.
        if size > 1 or not shorter:
            size //= 2
    return kept
