"""Registers whose writes can be told apart: what every sequential order of them must contain.

If r reads what w(x) wrote, and v(x) is another write of that key, then v is not between the two:

    v before r  =>  v before w          w before v  =>  r before v

Both are drawn on the causal order until nothing more follows.  A circle says that the history is not
sequentially consistent.  No circle does not say that it is (the question stays NP-complete: two writes may
be possible in either order, yet not all such pairs together), but what is forced leaves a search little to
choose.

(Bouajjani, Enea, Guerraoui, Hamza 2017 and Zennou, Bouajjani, Enea, Erradi, CAV 2019, "Gradual Consistency
Checking", for the idea; Gibbons and Korach 1997 for its hardness.)
"""
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from operator import gt

from agreed.check.causal_order import CausalOrder, Cyclic
from agreed.check.pieces import Contradiction, along, sides
from agreed.check.registers import INITIAL, NOT_A_READ, Number, Registers

NAME = "not sequentially consistent"


def saturated(read: Registers) -> CausalOrder | Contradiction:
    """The causal order with all that follows from it, or the circle.  No read may be from thin air."""
    known: dict[Number, list[Number]] = {}
    news = _from_the_beginning(read)
    before: CausalOrder | None = None
    while True:
        for first, second in news:
            known.setdefault(first, []).append(second)
        try:
            order = CausalOrder(read, known)
        except Cyclic as cyclic:
            around = (*cyclic.cycle, cyclic.cycle[0])
            everything = tuple(dict.fromkeys((*cyclic.cycle, *range(len(read.operations)))))
            return Contradiction(NAME, everything, along(read, around), sides(read, around))
        news = _consequences(order, before)
        if not news:
            return order
        before = order


def _from_the_beginning(read: Registers) -> dict[tuple[Number, Number], None]:
    """Reads of the initial value come before every write of their key."""
    return {
        (number, own[0]): None
        for number, writer in enumerate(read.writer)
        if writer == INITIAL
        for own in read.writes.get(read.operations[number].key, ())
    }


def _consequences(order: CausalOrder, before: CausalOrder | None) -> dict[tuple[Number, Number], None]:
    """What the two rules add to an order, but not what it says already, nor what followed from the one
    `before`.  Of each session only the last read of a writer matters, the last write before it, and the
    first after that writer."""
    read = order.registers
    everything = range(len(read.operations))
    changed = [before is None or before.clock(each) != order.clock(each) for each in everything]
    reads = _last_reads(read)
    found: dict[tuple[Number, Number], None] = {}
    for key, of in read.writes.items():
        touched = [any(changed[write] for write in own) for own in of]
        firsts: dict[tuple[Number, int], Number | None] = {}
        for number in reads.get(key, ()):
            writer = read.writer[number]
            for which, own in enumerate(of):
                if changed[number]:
                    latest = order.latest(own, number)
                    if latest is not None and latest != writer and not order.before(latest, writer):
                        found[latest, writer] = None
                if touched[which]:
                    if (writer, which) not in firsts:
                        firsts[writer, which] = order.first(own, writer)
                    first = firsts[writer, which]
                    if first is not None and not order.before(number, first):
                        found[number, first] = None
    return found


def _last_reads(read: Registers) -> dict[Hashable, list[Number]]:
    """By key: of each session the last read of each writer."""
    last: dict[tuple[int, Number], Number] = {}
    for number, writer in enumerate(read.writer):
        if writer >= 0:
            last[read.session[number], writer] = number
    found: dict[Hashable, list[Number]] = {}
    for number in last.values():
        found.setdefault(read.operations[number].key, []).append(number)
    return found


class Guide:
    """Which write may come next in a search for a sequential order: all that must be before it is done, and
    nobody who has yet to read would find it in place of what was there."""

    def __init__(self, order: CausalOrder) -> None:
        read = order.registers
        self._order = order
        self._reads: dict[Hashable, dict[int, list[Number]]] = {}
        """By key and session, in order."""
        for number, writer in enumerate(read.writer):
            if writer != NOT_A_READ:
                own = self._reads.setdefault(read.operations[number].key, {})
                own.setdefault(read.session[number], []).append(number)

    def may_be_next(self, write: Number, positions: Sequence[int]) -> bool:
        """`positions`: how many operations of each session are done."""
        order = self._order
        read = order.registers
        if any(map(gt, order.clock(write), positions)):
            return False
        for session, own in self._reads.get(read.operations[write].key, {}).items():
            waiting = bisect_left(own, positions[session], key=read.place.__getitem__)
            if waiting == len(own):
                continue
            writer = read.writer[own[waiting]]
            if writer == INITIAL:
                return False
            if writer != write and positions[read.session[writer]] > read.place[writer]:
                return False
        return True
