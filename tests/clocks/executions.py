"""Random executions of a few processes, and happens-before of them by definition.

An execution is a list of events in an order in which they could have happened; nothing else is known of
it.  `Execution.happens_before` is worked out from the two rules of the definition and transitivity, with no
clock: for each event the set of all events that happen before it, as a bit for each.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

NODES = ("n1", "n2", "n3", "n4", "n5")


@dataclass(frozen=True)
class Event:
    """Of `node`.  `sent_by` is the number of the event at which the message was sent that is received here,
    or None for an event of its own (which may be the sending of a message: whoever likes receives it)."""

    node: str
    sent_by: int | None
    wall_ms: int
    """What the clock on the wall of that node said."""


@dataclass(frozen=True)
class Execution:
    events: Sequence[Event]

    @cached_property
    def directly_before(self) -> list[tuple[int, ...]]:
        """By event: the one before it of the same node, and the sending of what it receives."""
        last: dict[str, int] = {}
        found = []
        for number, event in enumerate(self.events):
            mine = last.get(event.node)
            found.append(tuple({each for each in (mine, event.sent_by) if each is not None}))
            last[event.node] = number
        return found

    @cached_property
    def past(self) -> list[int]:
        """By event: a bit for each event that happens before it."""
        found: list[int] = []
        for before in self.directly_before:
            known = 0
            for each in before:
                known |= found[each] | 1 << each
            found.append(known)
        return found

    def happens_before(self, first: int, second: int) -> bool:
        return bool(self.past[second] >> first & 1)

    def pairs(self) -> list[tuple[int, int]]:
        """Every pair, the earlier one (in the list) first: the other way round is never happens-before."""
        return [(first, second) for second in range(len(self.events)) for first in range(second)]

    def told(self) -> str:
        return "; ".join(
            f"{number}: {event.node}"
            + ("" if event.sent_by is None else f" hears {event.sent_by}")
            + f" at {event.wall_ms}"
            for number, event in enumerate(self.events)
        )


def drawn(random: Random, events: int, skew_ms: int = 40) -> Execution:
    """Some nodes talk much, some little; messages overtake each other, are doubled, or never arrive.  Walls
    differ by up to `skew_ms` and often stand still."""
    nodes = NODES[: random.randint(2, len(NODES))]
    offset = {node: random.randint(0, skew_ms) for node in nodes}
    chatty = random.choice((0.2, 0.5, 0.8))
    step = random.choice((0, 1, 3, 10))
    found: list[Event] = []
    now_ms = 1_000
    for number in range(events):
        node = random.choice(nodes)
        now_ms += random.randint(0, step)
        hears = random.randrange(number) if number and random.random() < chatty else None
        if hears is not None and found[hears].node == node:
            hears = None
        found.append(Event(node, hears, now_ms + offset[node]))
    return Execution(found)
