"""From a configuration to an order that people and programs can follow: the operations, and each state.

Nothing that leaves this file is taken on trust from the search: the states are made by the model from the
order alone, and an order that the model refuses is a bug of ours that stops the program.
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence

from agreed.check.configurations import Path
from agreed.check.history import Operation
from agreed.check.models.model import AnyModel
from agreed.check.timeline import Timeline
from agreed.check.verdict import Witness


def witness(model: AnyModel, timeline: Timeline, path: Path | None, start: Hashable, key: object) -> Witness:
    """The order of a configuration, with the states through which it leads from `start`."""
    operations = [timeline.operations[number] for number in order_of(timeline, path)]
    states = states_along(model, start, model.resolved(operations)) or states_along(model, start, operations)
    assert states is not None, "the search goes only where the model lets it"
    return Witness(
        key=key,
        order=[operation.index for operation in operations],
        states=[model.show(state) for state in states],
    )


def order_of(timeline: Timeline, path: Path | None) -> list[int]:
    """The operations (their numbers in the timeline) in the order in which they took effect.

    Of never-answered ones with equal effect, those called first are used first.  Those that returned after
    the search had ended come last, as they returned."""
    steps = []
    while path is not None:
        steps.append(path)
        path = path[0]
    order: list[int] = []
    holders: dict[int, int] = {}
    crashed: dict[int, list[int]] = {}
    position = 0
    for _, slots, kind, event in reversed(steps):
        for number in timeline.events[position:event]:
            if number >= 0 and timeline.bits[number]:
                holders[timeline.bits[number]] = number
            elif number >= 0:
                crashed.setdefault(timeline.classes[number], []).append(number)
        position = event
        if kind >= 0:
            order.append(crashed[kind].pop(0))
        took_effect = [number for bit, number in holders.items() if bit & slots]
        order += sorted(took_effect, key=lambda number: (timeline.pure[timeline.classes[number]], number))
    done = set(order)
    return order + [~event for event in timeline.events[timeline.end :] if event < 0 and ~event not in done]


def states_along(
    model: AnyModel, start: Hashable, operations: Sequence[Operation]
) -> list[Hashable] | None:
    """A state after each operation, or None if the model refuses the order.

    Where an operation may lead to several states, they are all followed, and then one line of them is chosen
    from behind."""
    reached: list[list[Hashable]] = [[start]]
    for operation in operations:
        after = {after: None for state in reached[-1] for after in model.step(state, operation)}
        if not after:
            return None
        reached.append(list(after))
    chosen = [reached[-1][0]]
    for states, operation in zip(reached[-2:0:-1], reversed(operations), strict=False):
        chosen.append(next(state for state in states if chosen[-1] in model.step(state, operation)))
    chosen.reverse()
    return chosen if operations else []
