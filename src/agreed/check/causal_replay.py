"""Checks what `causal` and `sequential` say of registers, without trusting them: the definitions, read
literally.

`problem` takes a verdict and says what is wrong with it.  An order that is to explain a history is
replayed.  A piece that cannot be is tried in every order there is, which is why pieces should be small:
about a dozen operations.  Nothing here knows of bad patterns, clocks or levels; the two have only the
history in common.

The definitions (Bouajjani, Enea, Guerraoui, Hamza, POPL 2017, section 3).  A causal order is a partial
order of the operations that contains the order of each session; the least one that also leads from each
write to its readers serves if any does, because more order only adds to what a read has to take account of.

    CC    for each operation there is an order of its causal past in which it has its answer
    CM    ... in which all operations of its session up to it have their answers
    CCv   one order of all; each operation has its answer in its causal past put in that order
    PRAM  (Lipton and Sandberg, 1988) for each session an order of all writes and its own reads, in which
          these have their answers, and which contains the order of every session
    SC    (Lamport, 1979) one order of all, which contains that of every session, in which all have their
          answers
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agreed.check.history import History, Operation, Process, Status
from agreed.check.models.values import frozen
from agreed.check.verdict import Finding, Outcome, Verdict, Witness

Definition: TypeAlias = Literal["CC", "CM", "CCv", "PRAM", "SC"]

Cell: TypeAlias = tuple[Hashable, Hashable]
"""A key and a value of it."""


@dataclass(frozen=True, slots=True)
class Event:
    """A read that was answered or a write that may have happened."""

    index: int
    process: Process
    key: Hashable
    value: Hashable
    reads: bool


def events(operations: Sequence[Operation], initial: object) -> list[Event]:
    """What there is to explain: answered reads (None is an answer only if registers begin with it), and
    writes that did not surely fail."""
    found = []
    for each in operations:
        if each.function in ("read", "get") and each.status is Status.OK:
            if each.result is not None or initial is None:
                found.append(Event(each.index, each.process, each.key, frozen(each.result), True))
        elif each.function in ("write", "put") and each.status is not Status.FAIL:
            found.append(Event(each.index, each.process, each.key, frozen(each.argument), False))
    return found


class Facts:
    """Events with their causal order, as sets of positions: bit i of `past[j]` says that i is before j."""

    def __init__(self, told: Sequence[Event], initial: object) -> None:
        self.told = told
        self.initial = frozen(initial)
        count = len(told)
        self.session_past = [
            sum(1 << i for i in range(j) if told[i].process == told[j].process) for j in range(count)
        ]
        wrote: dict[Cell, list[int]] = {}
        for i, event in enumerate(told):
            if not event.reads:
                wrote.setdefault((event.key, event.value), []).append(i)
        self.writers = [wrote.get((event.key, event.value), []) if event.reads else [] for event in told]
        self.past = list(self.session_past)
        for j, of in enumerate(self.writers):
            for i in of:
                self.past[j] |= 1 << i
        changed = True
        while changed:
            changed = False
            for j in range(count):
                more = self.past[j]
                for i in bits(self.past[j]):
                    more |= self.past[i]
                changed = changed or more != self.past[j]
                self.past[j] = more
        self.cyclic = any(self.past[j] >> j & 1 for j in range(count))

    def thin(self) -> bool:
        return any(
            event.reads and not of and event.value != self.initial
            for event, of in zip(self.told, self.writers, strict=True)
        )

    def in_some_order(self, of: int, past: Sequence[int], answered: int) -> bool:
        """Whether the events `of` can be put in an order that contains `past` so that those `answered` read
        the latest value."""
        dead: set[tuple[int, frozenset[Cell]]] = set()

        def after(done: int, values: frozenset[Cell]) -> bool:
            if done == of:
                return True
            if (done, values) in dead:
                return False
            now = dict(values)
            for j in bits(of & ~done):
                if past[j] & of & ~done:
                    continue
                event = self.told[j]
                if not event.reads:
                    now_after = frozenset({**now, event.key: event.value}.items())
                elif answered >> j & 1 and now.get(event.key, self.initial) != event.value:
                    continue
                else:
                    now_after = values
                if after(done | 1 << j, now_after):
                    return True
            dead.add((done, values))
            return False

        return after(0, frozenset())


def bits(of: int) -> Iterator[int]:
    while of:
        lowest = of & -of
        yield lowest.bit_length() - 1
        of ^= lowest


def _weakly(facts: Facts) -> bool:
    return all(facts.in_some_order(past | 1 << j, facts.past, 1 << j) for j, past in enumerate(facts.past))


def _memory(facts: Facts) -> bool:
    return all(
        facts.in_some_order(past | 1 << j, facts.past, facts.session_past[j] | 1 << j)
        for j, past in enumerate(facts.past)
    )


def _convergent(facts: Facts) -> bool:
    count = len(facts.told)

    def after(order: tuple[int, ...], done: int) -> bool:
        if len(order) == count:
            return True
        return any(
            not facts.past[j] & ~done and _decided(facts, order, j) and after((*order, j), done | 1 << j)
            for j in range(count)
            if not done >> j & 1
        )

    return after((), 0)


def _decided(facts: Facts, order: Sequence[int], j: int) -> bool:
    """Whether j, if it reads, has read the last of what is causally before it in that order."""
    event = facts.told[j]
    if not event.reads:
        return True
    seen = [
        facts.told[i].value
        for i in order
        if facts.past[j] >> i & 1 and facts.told[i].key == event.key and not facts.told[i].reads
    ]
    return (seen[-1] if seen else facts.initial) == event.value


def _pipelined(facts: Facts) -> bool:
    writes = sum(1 << i for i, event in enumerate(facts.told) if not event.reads)
    sessions = {event.process for event in facts.told}
    own = {
        process: sum(1 << i for i, event in enumerate(facts.told) if event.process == process)
        for process in sessions
    }
    return all(facts.in_some_order(writes | of, facts.session_past, of) for of in own.values())


def _sequentially(facts: Facts) -> bool:
    everything = (1 << len(facts.told)) - 1
    return facts.in_some_order(everything, facts.session_past, everything)


DEFINITIONS: dict[Definition, Callable[[Facts], bool]] = {
    "CC": _weakly,
    "CM": _memory,
    "CCv": _convergent,
    "PRAM": _pipelined,
    "SC": _sequentially,
}


def explainable(operations: Sequence[Operation], kind: Definition, initial: object = None) -> bool:
    """By trying every order.  Values must be unique; a write that nobody answered and nobody read is taken as
    done, which makes no difference."""
    facts = Facts(events(operations, initial), initial)
    if facts.thin() or (facts.cyclic and kind in ("CC", "CM", "CCv")):
        return False
    return DEFINITIONS[kind](facts)


def problem(history: History, kind: Definition, verdict: Verdict, initial: object = None) -> str | None:
    """What does not stand of a verdict about registers; None if all does."""
    told = events(history.operations, initial)
    match verdict.outcome:
        case Outcome.UNKNOWN:
            return None if verdict.reason else "it is unknown, and not said why"
        case Outcome.HOLDS:
            return _of_witnesses(told, kind, verdict.witnesses, history, initial)
        case Outcome.VIOLATED:
            if not verdict.findings:
                return "it is violated, and not said by what"
            told_wrong = (_of_finding(history, kind, finding, initial) for finding in verdict.findings)
            return next((wrong for wrong in told_wrong if wrong), None)


def _of_finding(history: History, kind: Definition, finding: Finding, initial: object) -> str | None:
    piece = [each for each in history.operations if each.index in set(finding.operations)]
    if len(piece) != len(finding.operations):
        return "the piece names an operation twice, or one that is not there"
    inside = events(piece, initial)
    known = {(each.key, each.value) for each in inside if not each.reads}
    outside = {(each.key, each.value) for each in events(history.operations, initial) if not each.reads}
    for each in inside:
        if each.reads and (each.key, each.value) in outside - known:
            return f"operation {each.index} is in the piece, and who wrote its value is not"
    return "the piece can be explained" if explainable(piece, kind, initial) else None


def _of_witnesses(
    told: Sequence[Event], kind: Definition, witnesses: Sequence[Witness], history: History, initial: object
) -> str | None:
    answered = {each.index for each in history.operations if each.status is Status.OK}
    named = {index for witness in witnesses for index in witness.order}
    missing = [each.index for each in told if each.index in answered and each.index not in named]
    if missing:
        return f"no order has operation {missing[0]}"
    facts = Facts([each for each in told if each.index in answered | named], initial)
    if facts.thin():
        return "a value was read that nobody wrote"
    if kind in ("CC", "CCv", "SC"):
        if len(witnesses) != 1:
            return "there should be one order"
        return _of_order(facts, kind, witnesses[0].order)
    processes = {each.process for each in facts.told}
    if {witness.key for witness in witnesses} != processes or len(witnesses) != len(processes):
        return "there should be one order for each session"
    return next((wrong for each in witnesses if (wrong := _of_view(facts, kind, each))), None)


def _positions(facts: Facts, order: Sequence[int]) -> list[int] | None:
    where = {event.index: i for i, event in enumerate(facts.told)}
    if len(set(order)) != len(order) or not where.keys() >= set(order):
        return None
    return [where[index] for index in order]


def _of_order(facts: Facts, kind: Definition, order: Sequence[int]) -> str | None:
    positions = _positions(facts, order)
    if positions is None or len(positions) != len(facts.told):
        return "the order has an operation twice, or one that did not happen, or lacks one"
    past = facts.session_past if kind == "SC" else facts.past
    done = 0
    for at, j in enumerate(positions):
        if past[j] & ~done:
            return f"operation {facts.told[j].index} stands before one that is before it"
        if kind == "SC":
            seen = positions[:at]
        elif kind == "CCv":
            seen = [i for i in positions[:at] if facts.past[j] >> i & 1]
        else:
            seen = _own_order(facts, positions, j)
        if facts.told[j].reads and _latest(facts, seen, j) != facts.told[j].value:
            return f"operation {facts.told[j].index} does not read what is there"
        done |= 1 << j
    return None


def _own_order(facts: Facts, positions: Sequence[int], j: int) -> list[int]:
    """Of CC: the causal past of j with all that need not come after the writer it read from put first."""
    past = [i for i in positions if facts.past[j] >> i & 1]
    writer = facts.writers[j]
    if not writer:
        return past
    after = [i for i in past if i == writer[0] or facts.past[i] >> writer[0] & 1]
    return [i for i in past if i not in after] + after


def _latest(facts: Facts, seen: Sequence[int], j: int) -> Hashable:
    key = facts.told[j].key
    values = [facts.told[i].value for i in seen if facts.told[i].key == key and not facts.told[i].reads]
    return values[-1] if values else facts.initial


def _of_view(facts: Facts, kind: Definition, witness: Witness) -> str | None:
    positions = _positions(facts, witness.order)
    if positions is None:
        return f"the view of {witness.key} has an operation twice, or one that did not happen"
    own = [i for i, event in enumerate(facts.told) if event.process == witness.key]
    writes = sum(1 << i for i, event in enumerate(facts.told) if not event.reads)
    if kind == "PRAM":
        past, needed = facts.session_past, writes
    else:
        past, needed = facts.past, facts.past[own[-1]] & writes
    needed |= sum(1 << i for i in own)
    everything = sum(1 << i for i in positions)
    if needed & ~everything:
        return f"the view of {witness.key} lacks an operation"
    done = 0
    for at, j in enumerate(positions):
        if past[j] & everything & ~done:
            return f"in the view of {witness.key}, operation {facts.told[j].index} stands too early"
        reads = facts.told[j].process == witness.key and facts.told[j].reads
        if reads and _latest(facts, positions[:at], j) != facts.told[j].value:
            return f"in the view of {witness.key}, operation {facts.told[j].index} reads something else"
        done |= 1 << j
    return None
