"""One object's operations made ready for searching: small numbers instead of operations, and events in order.

Operations of equal effect share a *class*, so that the model is asked once for all of them.  An operation
that returns holds a *slot*, one bit of a mask, from its call to its return; slots are used again, so masks
stay as small as the number of clients.  Operations that never returned have no slot: of two with equal effect
either may stand for the other, so they are only counted, class by class.

Intervals are closed: at equal times, calls come before returns.
"""
from __future__ import annotations

from collections.abc import Hashable, Iterable

from agreed.check.history import Operation
from agreed.check.models.model import AnyModel


class Timeline:
    """What the search reads.  Operations are numbered here in the order of their calls."""

    def __init__(
        self, model: AnyModel, operations: Iterable[Operation], optional: frozenset[int] = frozenset()
    ) -> None:
        """`operations` in the order of their calls; those that say nothing are left out.  `optional` names
        (by `Operation.index`) answered ones that need not have happened (counterexamples make use of it)."""
        self.operations: list[Operation] = []
        self.classes: list[int] = []
        """By operation."""
        self.samples: list[Operation] = []
        """By class: one of its operations."""
        self.pure: list[bool] = []
        """By class: it changes no state."""
        self.crashes: list[int] = []
        """By class: how many of its operations need not have happened."""
        self.events: list[int] = []
        """A call of operation n is n, and its return is ~n."""
        self._numbers: dict[Hashable, int] = {}
        moments: list[tuple[int, int, int]] = []
        for operation in operations:
            effect = model.effect(operation)
            if effect is None:
                continue
            kind = self._class(model, effect, operation)
            crashed = operation.returned is None or operation.index in optional
            if crashed and self.pure[kind]:
                continue
            number = len(self.operations)
            self.operations.append(operation)
            self.classes.append(kind)
            moments.append((operation.called, 0, number))
            if crashed or operation.returned is None:
                self.crashes[kind] += 1
            else:
                moments.append((operation.returned, 1, number))
        moments.sort()
        self.events = [~number if returns else number for _, returns, number in moments]
        self.returns = {~event: position for position, event in enumerate(self.events) if event < 0}
        """By operation: the position of its return, if it has one."""
        self.last = self._last_returns()
        """By class: the position after which none of it can take effect any more."""
        self.bits = self._slots()
        """By operation: the one bit of its slot, or 0 if it need not have happened."""
        self.end = self._end(model)
        """How many events matter: after them only such operations return as are always possible."""

    def _class(self, model: AnyModel, effect: Hashable, operation: Operation) -> int:
        kind = self._numbers.get(effect)
        if kind is None:
            kind = self._numbers[effect] = len(self.samples)
            self.samples.append(model.prepared(operation))
            self.pure.append(model.reads_only(operation))
            self.crashes.append(0)
        return kind

    def _end(self, model: AnyModel) -> int:
        always = [model.always(sample) for sample in self.samples]
        for position in range(len(self.events) - 1, -1, -1):
            if self.events[position] < 0 and not always[self.classes[~self.events[position]]]:
                return position + 1
        return 0

    def _last_returns(self) -> list[int]:
        last = [-1] * len(self.samples)
        for number, kind in enumerate(self.classes):
            last[kind] = max(last[kind], self.returns.get(number, len(self.events)))
        return last

    def _slots(self) -> list[int]:
        bits = [0] * len(self.operations)
        taken = 0
        for event in self.events:
            if event < 0:
                taken ^= bits[~event]
            elif event in self.returns:
                bits[event] = lowest_free = ~taken & (taken + 1)
                taken |= lowest_free
        return bits
