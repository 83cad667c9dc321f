"""Sequential consistency: is there one order of all operations that contains that of each client, and in
which each has the answer it got?  (Lamport 1979.)  It is linearizability without real time: answers may be
old, but for everybody in the same way.

It is not local: each of two objects may be sequentially consistent and both together not, so nothing is cut
by keys.  It is NP-complete, for registers and unique values too.  So the answer is looked for where it is
cheap first.  For registers whose writes can be told apart (`registers`): what is not even causally
consistent is not sequentially consistent (`causal`), nor is that from which a circle follows
(`saturation`).  All else is searched (`sequential_search`), within a budget.

What is violated is shown by the smallest piece found.  With registers, a history of its own (`pieces`);
else answered operations that have no order even if every other one is free to have happened or not, with
any answer: that makes a history only easier to explain, so the piece convicts the whole.
`sequential_replay` checks both in the same way.
"""
from __future__ import annotations

from collections.abc import Sequence

from agreed.check.causal import contradiction, finding_of
from agreed.check.causal_order import CausalOrder
from agreed.check.history import History, Status
from agreed.check.models.key_value import KeyValue
from agreed.check.models.keyed import Keyed
from agreed.check.models.model import AnyModel
from agreed.check.models.register import Register
from agreed.check.pieces import Contradiction
from agreed.check.registers import Registers, registers
from agreed.check.saturation import NAME, Guide, saturated
from agreed.check.sequential_search import OutOfBounds, Plan, Search, plan
from agreed.check.verdict import Budget, Finding, Outcome, Verdict, Witness
from agreed.check.witness import states_along

PLAIN = (Register, KeyValue)
"""Models of which reads and writes are what `registers` takes them for, key by key."""

MOST_STEPS_OF_A_TRIAL = 5_000
"""Of a search for a smaller piece."""

MOST_STEPS_OF_TRIALS = 500_000
"""Of all of them together.  Where they run out the piece is larger than it might be, and still a proof."""


def sequential(history: History, model: AnyModel, budget: Budget | None = None) -> Verdict:
    """HOLDS with one order of all, VIOLATED with a piece that has none, or UNKNOWN with the bound that was
    reached.

    Raises MalformedInput for operations that the model does not know."""
    budget = budget or Budget()
    for operation in history:
        model.effect(operation)
    judged = f"sequential {model.name}"
    if isinstance(model, Keyed) and isinstance(model.model, PLAIN):
        model = model.model
    if isinstance(model, PLAIN):
        verdict = _of_registers(judged, history, model, budget)
        if verdict is not None:
            return verdict
    return _searched(judged, history, model, budget)


def _of_registers(judged: str, history: History, model: AnyModel, budget: Budget) -> Verdict | None:
    """None if it cannot be told who read what from whom, or if there is more evidence than that, and
    nothing is wrong with what can be told."""
    read = registers(history, model.initial)
    forced = _forced(read)
    if isinstance(forced, Contradiction):
        return Verdict(judged, Outcome.VIOLATED, findings=(finding_of(read, forced, _impossible),))
    told = sum(model.effect(each) is not None for each in history if each.status is not Status.INFO)
    if read.doubt or told != sum(each.status is Status.OK for each in read.operations):
        return None
    of = _plan(read, model)
    search = Search(model, of, budget, Guide(forced).may_be_next)
    try:
        order = search.run()
    except OutOfBounds as bound:
        return Verdict(judged, Outcome.UNKNOWN, reason=str(bound), steps=search.steps)
    if order is not None:
        return Verdict(judged, Outcome.HOLDS, witnesses=(_witness(model, of, order),), steps=search.steps)
    everything = Contradiction(NAME, tuple(range(len(read.operations))), (NO_ORDER,))
    finding = finding_of(read, everything, lambda piece: _without_order(piece, model))
    return Verdict(judged, Outcome.VIOLATED, findings=(finding,), steps=search.steps)


NO_ORDER = "every order of these operations that keeps that of each client gives one of them another answer"


def _forced(read: Registers) -> CausalOrder | Contradiction:
    """What every order must contain, or what is wrong, as far as can be told without searching; the weakest
    model that is broken gives it its name."""
    return contradiction(read, "CC") or contradiction(read, "CCv") or saturated(read)


def _impossible(piece: Registers) -> Contradiction | None:
    forced = _forced(piece)
    return forced if isinstance(forced, Contradiction) else None


def _plan(read: Registers, model: AnyModel) -> Plan:
    """Where it is known who read what from whom, what was never answered and is here did happen."""
    of = plan(model, read.operations)
    assert len(of.operations) == len(read.operations), "a model of registers knows all reads and writes"
    of.optional = [False] * len(of.operations)
    return of


def _without_order(piece: Registers, model: AnyModel) -> Contradiction | None:
    forced = _forced(piece)
    if isinstance(forced, Contradiction):
        return forced
    budget = Budget(steps=MOST_STEPS_OF_A_TRIAL)
    try:
        order = Search(model, _plan(piece, model), budget, Guide(forced).may_be_next).run()
    except OutOfBounds:
        return None
    return Contradiction(NAME, tuple(range(len(piece.operations))), (NO_ORDER,)) if order is None else None


def _searched(judged: str, history: History, model: AnyModel, budget: Budget) -> Verdict:
    of = plan(model, history.operations)
    search = Search(model, of, budget)
    try:
        order = search.run()
    except OutOfBounds as bound:
        return Verdict(judged, Outcome.UNKNOWN, reason=str(bound), steps=search.steps)
    if order is not None:
        return Verdict(judged, Outcome.HOLDS, witnesses=(_witness(model, of, order),), steps=search.steps)
    finding = _finding(history, model, _witness(model, of, search.farthest()))
    return Verdict(judged, Outcome.VIOLATED, findings=(finding,), steps=search.steps)


def _witness(model: AnyModel, of: Plan, order: Sequence[int]) -> Witness:
    """The order with the state of each operation's object after it."""
    states = [""] * len(order)
    by_object: dict[int, list[int]] = {}
    for place, number in enumerate(order):
        by_object.setdefault(of.objects[number], []).append(place)
    for places in by_object.values():
        reached = states_along(model, model.initial, [of.operations[order[place]] for place in places])
        assert reached is not None, "the search goes only where the model lets it"
        for place, state in zip(places, reached, strict=True):
            states[place] = model.show(state)
    return Witness(key=None, order=[of.operations[number].index for number in order], states=states)


def _finding(history: History, model: AnyModel, farthest: Witness) -> Finding:
    """Sets free what can be free, half of it at first, then less and less."""
    answered = [each for each in history if each.status is not Status.INFO]
    said = [each.index for each in answered if model.effect(each) is not None]
    free: set[int] = set()
    left = MOST_STEPS_OF_TRIALS
    size = max(len(said) // 2, 1)
    while True:
        before = len(said)
        start = 0
        while start < len(said) and left > 0:
            more = said[start : start + size]
            search = Search(
                model, plan(model, history.operations, free | set(more)), Budget(steps=MOST_STEPS_OF_A_TRIAL)
            )
            if len(more) < len(said) and _has_no_order(search):
                free.update(more)
                del said[start : start + size]
            else:
                start += size
            left -= search.steps
        if left <= 0 or (size == 1 and len(said) == before):
            steps = (f"{NO_ORDER}, even if every other operation may have happened or not",)
            return Finding(name=NAME, operations=tuple(said), steps=steps, attempts=(farthest,))
        size = max(size // 2, 1)


def _has_no_order(search: Search) -> bool:
    try:
        return search.run() is None
    except OutOfBounds:
        return False
