"""Why it is not linearizable: the operation that cannot be placed, and the smallest piece that forbids it.

The *culprit* is the operation at whose return no order is left: everything that had returned before can be
explained, and with it nothing can.

The *piece* is a set of answered operations, the culprit among them, that cannot be explained even if every
other operation is free to have happened or not, and (where the model can name all its states) whatever the
state was before the piece began.  Giving such freedom makes a history only easier to explain, so the piece
convicts the whole, and nobody has to look at the rest: `replay.counterexample` checks it so, with a search of
its own.

It is found by taking away: first what came before, then operations in ever smaller groups, as long as the
rest still cannot be.  The work is bounded in steps; where they run out the piece is larger than it might be,
and still a proof.
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence

from agreed.check.history import Operation
from agreed.check.models.model import AnyModel
from agreed.check.search import Search
from agreed.check.timeline import Timeline
from agreed.check.verdict import Finding, Witness
from agreed.check.witness import witness

NAME = "not linearizable"

MOST_STEPS = 50_000
"""Of all searches for a smaller piece together."""

MOST_ATTEMPTS = 5


def finding(model: AnyModel, key: Hashable, timeline: Timeline, search: Search) -> Finding:
    """What a search that failed has found."""
    assert search.failed_at is not None
    failed_at, before = search.failed_at, search
    if search.looks_ahead:
        failed_at, before = _first_that_fails(model, timeline, search)
    culprit = timeline.operations[~timeline.events[failed_at]]
    piece, whatever_before = _Pieces(model, timeline, failed_at, search.steps).smallest()
    attempts = _attempts(model, key, before)
    return Finding(
        name=NAME,
        operations=[each.index for each in piece],
        steps=_steps(culprit, whatever_before, len(piece), [each.states[-1:] for each in attempts]),
        key=key,
        attempts=attempts,
        culprit=culprit.index,
        whatever_before=whatever_before,
    )


def _first_that_fails(model: AnyModel, timeline: Timeline, failed: Search) -> tuple[int, Search]:
    """The first return up to which there is no order, and the search of all before.

    A search that looks ahead may end before it is there, having seen what will come.  Cut off at a return, it
    sees nothing beyond.  (Where that takes far longer than the search itself, a later return is named.)"""
    assert failed.failed_at is not None
    most = 10 * failed.steps + 10_000
    returns = [position for position, event in enumerate(timeline.events) if event < 0]
    explained, fails = returns.index(failed.failed_at), len(returns)
    before = _cut_off(model, timeline, failed.failed_at, most) or failed
    while fails - explained > 1:
        middle = (explained + fails) // 2
        search = _cut_off(model, timeline, returns[middle], most)
        if search is None or search.failed_at is None:
            explained, before = middle, search or before
        else:
            fails = middle
    return returns[explained], before


def _cut_off(model: AnyModel, timeline: Timeline, position: int, most_steps: int) -> Search | None:
    """A search, made, of what came before an event; what is under way then may have happened or not.  None if
    it takes too long."""
    events = timeline.events[:position]
    returned = {~event for event in events if event < 0}
    called = sorted(event for event in events if event >= 0)
    operations = [timeline.operations[number] for number in called]
    optional = frozenset(timeline.operations[number].index for number in called if number not in returned)
    foreseeing = model.foreseeing(operations, optional)
    search = Search(foreseeing, Timeline(foreseeing, operations, optional))
    for _ in search.run():
        if search.steps > most_steps:
            return None
    return search


def _attempts(model: AnyModel, key: Hashable, search: Search) -> list[Witness]:
    """Explanations of all that came before, each with another state at its end."""
    ends = search.ends[:MOST_ATTEMPTS]
    return [witness(model, search.timeline, path, model.initial, key) for _, (*_, path) in ends]


def _steps(
    culprit: Operation, whatever_before: bool, size: int, ends: Sequence[Sequence[str]]
) -> list[str]:
    states = sorted({state for end in ends for state in end}) or ["in which it began"]
    more = " (or another)" if len(ends) == MOST_ATTEMPTS else ""
    return [
        f"everything that had returned before operation {culprit.index} did can be explained, and leaves the "
        f"state {' or '.join(states)}{more}",
        f"operation {culprit.index} can take effect in none of these, nor after any of the operations that "
        "were under way or never answered",
        f"these {size} operations alone cannot be explained, "
        + ("whatever the state was before them" if whatever_before else "from the beginning"),
    ]


class _Pieces:
    """Sets of answered operations that might be enough to convict, and the searches that tell."""

    def __init__(self, model: AnyModel, timeline: Timeline, failed_at: int, steps: int) -> None:
        self.model = model
        self.steps_left = MOST_STEPS
        self.steps_each = 4 * steps + 2_000
        """A search that takes longer than the first has lost its way."""
        called = {event for event in timeline.events[:failed_at] if event >= 0}
        returned = {~event for event in timeline.events[: failed_at + 1] if event < 0}
        self.operations = [timeline.operations[number] for number in sorted(called)]
        self.answered = [timeline.operations[number] for number in sorted(returned)]
        self.culprit = timeline.operations[~timeline.events[failed_at]]
        self.starts = model.states(self.operations)

    def smallest(self) -> tuple[list[Operation], bool]:
        """The piece in the order of its calls, and whether it cannot be whatever came before."""
        piece = self._latest() if self.starts is not None else None
        whatever_before = piece is not None
        if piece is None:
            piece = self.answered
        size = max(len(piece) // 2, 1)
        while True:
            before = len(piece)
            place = 0
            while place < len(piece):
                rest = [
                    each
                    for number, each in enumerate(piece)
                    if not place <= number < place + size or each is self.culprit
                ]
                if len(rest) < len(piece) and self._convicts(rest, whatever_before):
                    piece = rest
                else:
                    place += size
            if size == 1 and len(piece) == before:
                return piece, whatever_before
            size = max(size // 2, 1)

    def _latest(self) -> list[Operation] | None:
        """The culprit and the latest calls before it, twice as many each time, until they convict."""
        others = [each for each in self.answered if each is not self.culprit]
        count = 1
        while True:
            piece = [*others[-count:], self.culprit]
            piece.sort(key=lambda each: (each.called, each.index))
            if self._convicts(piece, True):
                return piece
            if count >= len(others):
                return None
            count *= 2

    def _convicts(self, piece: Sequence[Operation], whatever_before: bool) -> bool:
        if self.steps_left <= 0:
            return False
        mandatory = {each.index for each in piece}
        began = min(each.called for each in piece) if whatever_before else self.operations[0].called
        considered = [
            each for each in self.operations if each.returned is None or each.returned >= began
        ]
        optional = frozenset(each.index for each in considered if each.index not in mandatory)
        model = self.model if whatever_before else self.model.foreseeing(considered, optional)
        search = Search(
            model, Timeline(model, considered, optional), self.starts if whatever_before else None
        )
        most = min(self.steps_left, self.steps_each)
        turns = search.run()
        try:
            while search.steps < most:
                next(turns)
        except StopIteration as end:
            return not end.value
        finally:
            self.steps_left -= search.steps + len(considered)
        return False
