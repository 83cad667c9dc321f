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

from agreed.check.causal_order import CausalOrder, Cyclic
from agreed.check.pieces import Contradiction, along, sides
from agreed.check.registers import INITIAL, NOT_A_READ, Number, Registers

NAME = "not sequentially consistent"


def saturated(read: Registers) -> CausalOrder | Contradiction:
    """The causal order with all that follows from it, or the circle.  No read may be from thin air."""
    known: dict[Number, list[Number]] = {}
    news = _from_the_beginning(read)
    while True:
        for first, second in news:
            known.setdefault(first, []).append(second)
        try:
            order = CausalOrder(read, known)
        except Cyclic as cyclic:
            around = (*cyclic.cycle, cyclic.cycle[0])
            everything = tuple(dict.fromkeys((*cyclic.cycle, *range(len(read.operations)))))
            return Contradiction(NAME, everything, along(read, around), sides(read, around))
        news = _consequences(order)
        if not news:
            return order


def _from_the_beginning(read: Registers) -> dict[tuple[Number, Number], None]:
    """Reads of the initial value come before every write of their key."""
    return {
        (number, own[0]): None
        for number, writer in enumerate(read.writer)
        if writer == INITIAL
        for own in read.writes.get(read.operations[number].key, ())
    }


def _consequences(order: CausalOrder) -> dict[tuple[Number, Number], None]:
    """What the two rules add to an order, but not what it says already.  Of each session only the last write
    before a read matters, and the first after its writer."""
    read = order.registers
    found: dict[tuple[Number, Number], None] = {}
    for number, writer in enumerate(read.writer):
        if writer < 0:
            continue
        for own in read.writes[read.operations[number].key]:
            latest = order.latest(own, number)
            if latest is not None and latest != writer and not order.before(latest, writer):
                found[latest, writer] = None
            first = order.first(own, writer)
            if first is not None and not order.before(number, first):
                found[number, first] = None
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
        if any(order.count(session, write) > done for session, done in enumerate(positions)):
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
