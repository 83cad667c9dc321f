"""How things look to one session: an order of all writes in which each of its own reads sees the latest.

Causal memory and PRAM let every session have an order of its own (a view).  Causal memory: it must contain
the causal order of what the session can know of, that is, of all that is causally before its last
operation.  PRAM: it must contain the order of each session, and from writes to this session's own reads;
what others have read does not matter.

That is the least relation hb of Bouajjani et al.: it contains that order, and whenever a write w1(x) is
before an own read r that reads w2(x), then w1 is before w2.  Two things can be wrong with it: a write is
before an own read of the initial value (WriteHBInitRead), or it has a cycle (CyclicHB).

Instead of the relation we keep one number for each operation, its level: before which of the own reads
(numbered from 0) it has to be.  That is all that the rule asks, because own reads are in one line.  Going
back from the last own read, one pass is enough: what a read r_i demands lowers levels to less than i, so
never touches the demands of the reads after it, which have been heard already.

Put in the order of the levels, the operations are a view, and the session's reads see what they saw: all
writes w1(x) before r_i are before the one that r_i read from, and all others come later than r_i.
"""
from __future__ import annotations

from agreed.check.causal_order import Cyclic, line
from agreed.check.pieces import Contradiction, along, sides
from agreed.check.registers import INITIAL, NOT_A_READ, Number, Registers


class SessionView:
    """`order` is the view, or `wrong` says why there is none.

    With `every_read` it is that of causal memory (the causal order must have no cycle then); without, that of
    PRAM."""

    def __init__(self, registers: Registers, session: int, every_read: bool) -> None:
        self._registers = registers
        self._session = session
        self._every_read = every_read
        own = registers.sessions[session]
        self._reads = [number for number in own if registers.writer[number] != NOT_A_READ]
        self._beyond = len(self._reads) + 1
        self._level = [self._beyond] * len(registers.operations)
        self._demanded: dict[Number, dict[Number, Number]] = {}
        """By write: which writes must be before it, each for the sake of which own read."""
        self.wrong: Contradiction | None = None
        self.order: list[Number] = []
        for level, read in enumerate(self._reads):
            self._lower(read, level)
        for number in (own[-1],) if every_read else [each[-1] for each in registers.sessions]:
            self._lower(number, len(self._reads))
        self._demand()
        if self.wrong is None:
            self._arrange()

    def _lower(self, number: Number, level: int) -> None:
        """It has to be before the own read of that number, and so has all that is before it."""
        registers = self._registers
        waiting = [number]
        while waiting:
            number = waiting.pop()
            if self._level[number] <= level:
                continue
            self._level[number] = level
            place, session = registers.place[number], registers.session[number]
            if place:
                waiting.append(registers.sessions[session][place - 1])
            if registers.writer[number] >= 0 and (self._every_read or session == self._session):
                waiting.append(registers.writer[number])
            waiting.extend(self._demanded.get(number, ()))

    def _demand(self) -> None:
        """Every own read, from the last to the first, puts the other writes before it before its writer.

        `latest` needs no more than one look at each write, since what is before a read has less and less in
        it as we go back."""
        registers = self._registers
        latest = {key: [len(own) - 1 for own in of] for key, of in registers.writes.items()}
        for level in range(len(self._reads) - 1, -1, -1):
            read = self._reads[level]
            writer, key = registers.writer[read], registers.operations[read].key
            for which, own in enumerate(registers.writes.get(key, ())):
                at = latest[key][which]
                while at >= 0 and self._level[own[at]] > level:
                    at -= 1
                latest[key][which] = at
                if at < 0 or own[at] == writer:
                    continue
                if writer == INITIAL:
                    self.wrong = self._of_the_initial_value(own[at], read)
                    return
                self._demanded.setdefault(writer, {}).setdefault(own[at], read)
                self._lower(own[at], self._level[writer])

    def _arrange(self) -> None:
        registers = self._registers
        follow = range(len(registers.operations)) if self._every_read else self._reads
        extra: dict[Number, list[Number]] = {}
        for later, of in self._demanded.items():
            for earlier in of:
                extra.setdefault(earlier, []).append(later)
        try:
            order = line(registers, follow, extra, self._level)
        except Cyclic as cyclic:
            self.wrong = self._of_a_cycle(cyclic.cycle)
            return
        self.order = [
            number
            for number in order
            if self._level[number] < self._beyond
            and (registers.writer[number] == NOT_A_READ or registers.session[number] == self._session)
        ]

    def _of_the_initial_value(self, write: Number, read: Number) -> Contradiction:
        says = self._registers.says
        before = f"{says(write)} comes before {says(read)}, which finds what was there in the beginning"
        steps = (*self._reasons(), before)
        return Contradiction("WriteHBInitRead", (*self._involved(), write, read), steps)

    def _of_a_cycle(self, cycle: list[Number]) -> Contradiction:
        around = (*cycle, cycle[0])
        steps = (*self._reasons(), *along(self._registers, around))
        return Contradiction(
            "CyclicHB", (*self._involved(), *cycle), steps, sides(self._registers, around)
        )

    def _reasons(self) -> list[str]:
        """Why writes are where they are, in the eyes of this session."""
        says = self._registers.says
        return [
            f"{says(read)} has seen {says(earlier)} and finds {says(later)}: so for client "
            f"{self._registers.process(self._session)} the first comes before the second"
            for later, of in self._demanded.items()
            for earlier, read in of.items()
        ]

    def _involved(self) -> list[Number]:
        return [number for number, level in enumerate(self._level) if level < self._beyond]
