"""What is under way each time that an operation returns.

A search looks at nothing but returns, and may come back to one of them; so what it has to know there is put
together once, and kept as long as it may.
"""
from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agreed.check.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Moment:
    """Right before a return."""

    position: int
    """Of the return among the events."""
    kind: int
    """The class of what returns."""
    bit: int
    """Its slot."""
    changing: Mapping[int, Sequence[int]]
    """Of the operations under way that change something, by class: their slots, in the order of returns."""
    reading: Mapping[int, int]
    """Of the other operations under way, by slot: the class."""
    crashed: Sequence[int]
    """The classes of never-answered operations that were called."""
    available: int
    """How many of each that is, packed (`Counts`)."""
    next_reads: Sequence[int]
    """The classes of the first answered reads that were not called yet."""


class Counts:
    """How many of each class, packed into one integer, with a spare bit above each count: `(a | spare) - b`
    keeps every spare bit if and only if b has no more of any class than a."""

    def __init__(self, crashes: Sequence[int]) -> None:
        self.spare = 0
        self.one: list[int] = []
        """By class."""
        self.field: list[int] = []
        """By class: the bits in which it is counted."""
        shift = 0
        for most in crashes:
            width = most.bit_length()
            self.one.append(1 << shift)
            self.field.append(((1 << width) - 1) << shift)
            if width:
                self.spare |= 1 << (shift + width)
                shift += width + 1


def moments(timeline: Timeline, counts: Counts, look_ahead: int) -> Iterator[Moment]:
    """All that matter, in their order.  `look_ahead`: how many reads to come are told."""
    bits, classes = timeline.bits, timeline.classes
    reads = [number for number, bit in enumerate(bits) if bit and timeline.pure[classes[number]]]
    under_way: dict[int, list[tuple[int, int]]] = {}
    reading: dict[int, int] = {}
    crashed: dict[int, None] = {}
    available = 0
    called = 0
    for position in range(timeline.end):
        event = timeline.events[position]
        number = event if event >= 0 else ~event
        kind, bit = classes[number], bits[number]
        if event < 0:
            changing = {each: tuple([slot for _, slot in slots]) for each, slots in under_way.items()}
            ahead = [classes[each] for each in reads[called : called + look_ahead]]
            yield Moment(position, kind, bit, changing, dict(reading), tuple(crashed), available, ahead)
            if timeline.pure[kind]:
                del reading[bit]
            elif len(under_way[kind]) == 1:
                del under_way[kind]
            else:
                del under_way[kind][0]
        elif not bit:
            crashed[kind] = None
            available += counts.one[kind]
        elif timeline.pure[kind]:
            reading[bit] = kind
            called += 1
        else:
            insort(under_way.setdefault(kind, []), (timeline.returns[number], bit))
