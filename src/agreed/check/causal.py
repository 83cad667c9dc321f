"""Causal consistency of registers, in the four strengths that have names.

    causal(history, "CC")      every read is explained by what is causally before it (weak causal consistency)
    causal(history, "CCv")     ... and all do so by one order of the writes, so replicas converge
    causal(history, "CM")      ... and each session by one order of its own (causal memory)
    causal(history, "PRAM")    each session by one order of its own, whatever others have read

CCv and CM both imply CC; neither implies the other; CM implies PRAM; sequential consistency implies all four.
The definitions are those of Bouajjani, Enea, Guerraoui and Hamza (POPL 2017), who have also shown that, where
it is known who read from whom (`registers`), each is violated only by one of a few bad patterns:

| pattern         | what is wrong                                                          | violates     |
| --------------- | ---------------------------------------------------------------------- | ------------ |
| ThinAirRead     | a read of what nobody wrote                                            | all          |
| CyclicCO        | causal order leads in a circle                                         | CC, CCv, CM  |
| WriteCOInitRead | a read of the initial value, causally after a write                    | CC, CCv, CM  |
| WriteCORead     | a read of a value that was causally overwritten before                 | CC, CCv, CM  |
| CyclicCF        | what reads tell of the order of writes, with causal order: a circle    | CCv          |
| WriteHBInitRead | as WriteCOInitRead, in what one session can tell of the order          | CM, PRAM     |
| CyclicHB        | ... leads in a circle                                                  | CM, PRAM     |

(For PRAM the last two are those of the order of sessions and of what this one session has read; see
`session_views`.)

The answer.  It holds: an order of all operations that contains causal order (CC), one of all operations by
which every read can be decided (CCv), or for each session the order as it saw it (CM, PRAM; `Witness.key`
is the process).  It is violated: the smallest piece found, a history of its own (`pieces`), and which
pattern it is. `causal_replay` checks either without the patterns.  It is unknown: if nothing is wrong with
what can be told apart, but not everything could be (`Registers.doubt`).

The cost is about the number of operations times that of sessions, once for CC and CCv, and once for each
session for CM and PRAM.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from agreed.check.causal_order import CausalOrder, Cyclic, line
from agreed.check.history import History
from agreed.check.pieces import Contradiction, along, closed, sides, smallest
from agreed.check.registers import INITIAL, NOBODY, NOT_A_READ, Number, Registers, registers
from agreed.check.session_views import SessionView
from agreed.check.verdict import Dependency, Finding, Outcome, Verdict, Witness

Kind: TypeAlias = Literal["CC", "CM", "CCv", "PRAM"]

Views: TypeAlias = Mapping[int | None, Sequence[Number]]
"""Orders that explain a history; by session, or None for all."""


def causal(history: History, kind: Kind, initial: object = None) -> Verdict:
    """Was this possible under that kind of causal consistency?  Every register begins with `initial`.

    Raises MalformedInput for values that cannot be compared."""
    judged = f"causal ({kind})"
    read = registers(history, initial)
    found = EXPLAINERS[kind](read)
    if isinstance(found, Contradiction):
        finding = finding_of(read, found, lambda piece: contradiction(piece, kind))
        return Verdict(judged, Outcome.VIOLATED, findings=(finding,), steps=len(read.operations))
    if read.doubt:
        return Verdict(judged, Outcome.UNKNOWN, reason=read.doubt, steps=len(read.operations))
    witnesses = tuple(
        Witness(
            key=None if session is None else read.process(session),
            order=tuple(read.operations[number].index for number in order),
        )
        for session, order in found.items()
    )
    return Verdict(judged, Outcome.HOLDS, witnesses=witnesses, steps=len(read.operations))


def contradiction(read: Registers, kind: Kind) -> Contradiction | None:
    """The first bad pattern that the kind excludes."""
    found = EXPLAINERS[kind](read)
    return found if isinstance(found, Contradiction) else None


def finding_of(
    read: Registers, wrong: Contradiction, impossible: Callable[[Registers], Contradiction | None]
) -> Finding:
    """The contradiction in its smallest piece."""
    piece, shown = smallest(read.keeping(closed(read, wrong.operations)), impossible)
    told = dict.fromkeys((*shown.operations, *range(len(piece.operations))))
    return Finding(
        name=shown.name,
        operations=tuple(piece.operations[number].index for number in told),
        steps=shown.steps,
        cycle=tuple(
            Dependency(
                before=piece.operations[first].index,
                after=piece.operations[second].index,
                kind=kind,
                key=None if kind == "process" else piece.operations[first].key,
            )
            for first, kind, second in shown.cycle
        ),
    )


def from_thin_air(read: Registers) -> Contradiction | None:
    for number, writer in enumerate(read.writer):
        if writer == NOBODY:
            return Contradiction("ThinAirRead", (number,), (f"{read.says(number)}: nobody wrote that",))
    return None


def causally(read: Registers) -> CausalOrder | Contradiction:
    """The causal order, unless it leads in a circle."""
    try:
        return CausalOrder(read)
    except Cyclic as cyclic:
        around = (*cyclic.cycle, cyclic.cycle[0])
        return Contradiction("CyclicCO", tuple(cyclic.cycle), along(read, around), sides(read, around))


def overwritten(order: CausalOrder) -> Contradiction | None:
    """A read of what had causally been overwritten."""
    read = order.registers
    for number, writer in enumerate(read.writer):
        if writer == NOT_A_READ:
            continue
        for own in read.writes.get(read.operations[number].key, ()):
            latest = order.latest(own, number)
            if latest is None or latest == writer:
                continue
            if writer == INITIAL:
                path = order.path(latest, number)
                told = (*along(read, path), f"yet {read.says(number)} finds what was there in the beginning")
                cycle = (*sides(read, path), (number, "rw", latest))
                return Contradiction("WriteCOInitRead", tuple(path), told, cycle)
            if order.before(writer, latest):
                seen = order.path(latest, number)
                path = [*order.path(writer, latest), *seen[1:]]
                told = (*along(read, path), f"yet {read.says(number)} finds what was overwritten")
                cycle = (*sides(read, seen), (number, "rw", latest))
                return Contradiction("WriteCORead", tuple(path), told, cycle)
    return None


def conflicts(order: CausalOrder) -> dict[tuple[Number, Number], Number]:
    """Pairs of writes to one key of which the first must be before the second if there is one order of all,
    because a read after both saw the second; and that read.  (Those that are not known anyhow, and of each
    session the last: those before it follow.)"""
    read = order.registers
    found: dict[tuple[Number, Number], Number] = {}
    for number, writer in enumerate(read.writer):
        if writer >= 0:
            for own in read.writes[read.operations[number].key]:
                latest = order.latest(own, number)
                if latest is not None and latest != writer and not order.before(latest, writer):
                    found.setdefault((latest, writer), number)
    return found


def _explained(read: Registers) -> CausalOrder | Contradiction:
    wrong = from_thin_air(read)
    if wrong is not None:
        return wrong
    order = causally(read)
    if isinstance(order, Contradiction):
        return order
    return overwritten(order) or order


def _causal(read: Registers) -> Views | Contradiction:
    order = _explained(read)
    return order if isinstance(order, Contradiction) else {None: order.line}


def _convergent(read: Registers) -> Views | Contradiction:
    order = _explained(read)
    if isinstance(order, Contradiction):
        return order
    known = conflicts(order)
    extra: dict[Number, list[Number]] = {}
    for first, second in known:
        extra.setdefault(first, []).append(second)
    try:
        return {None: line(read, range(len(read.operations)), extra)}
    except Cyclic as cyclic:
        return _conflict(order, known, cyclic.cycle)


def _conflict(
    order: CausalOrder, known: Mapping[tuple[Number, Number], Number], cycle: Sequence[Number]
) -> Contradiction:
    read = order.registers
    involved = list(cycle)
    told: list[str] = []
    for first, second in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
        reader = known.get((first, second))
        if reader is None:
            told += along(read, (first, second))
        else:
            involved += order.path(first, reader)
            told.append(
                f"{read.says(first)} is before {read.says(second)} in every order of all writes: "
                f"{read.says(reader)} comes after both"
            )
    around = sides(read, (*cycle, cycle[0]))
    return Contradiction("CyclicCF", tuple(dict.fromkeys(involved)), tuple(told), around)


def _in_views(read: Registers, every_read: bool) -> Views | Contradiction:
    views: dict[int | None, Sequence[Number]] = {}
    for session in range(len(read.sessions)):
        view = SessionView(read, session, every_read)
        if view.wrong is not None:
            return view.wrong
        views[session] = view.order
    return views


def _memory(read: Registers) -> Views | Contradiction:
    order = _explained(read)
    return order if isinstance(order, Contradiction) else _in_views(read, every_read=True)


def _pipelined(read: Registers) -> Views | Contradiction:
    return from_thin_air(read) or _in_views(read, every_read=False)


EXPLAINERS: dict[Kind, Callable[[Registers], Views | Contradiction]] = {
    "CC": _causal,
    "CCv": _convergent,
    "CM": _memory,
    "PRAM": _pipelined,
}
