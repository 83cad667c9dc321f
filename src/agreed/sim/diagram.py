"""A run as a space-time diagram: nodes and clients as lanes, messages as arrows, faults where they were.

What is drawn is the story that the run was told with (`run(..., telling=True)`), nothing else; how it looks
is `agreed.check.explain.space_time`'s affair.
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agreed.check.explain.space_time import Lane, Mark, MarkKind, Message, diagram
from agreed.sim.outcome import Outcome
from agreed.sim.trace import Line
from agreed.sim.transcript import without_departures

LABEL_MOST = 60
"""Characters on the picture; the rest is shown to whoever points at it."""


def drawn(outcome: Outcome, *, title: str = "") -> str:
    """One self-contained page of HTML."""
    lines = without_departures(outcome.transcript)
    return diagram(
        lanes(lines),
        list(messages(lines)),
        list(marks(lines, outcome.simulated_ms * 1_000)),
        title or f"{outcome.profile} {outcome.seed}",
        f"{outcome.failure or 'clean'}: {outcome.message}",
    )


def lanes(lines: Sequence[Line]) -> list[Lane]:
    """Nodes, then clients, each in the order of their numbers."""
    names = {line.who for line in lines if line.kind not in ("fault", "mended", "broken")}
    names |= {line.other for line in lines if line.other}
    clients = {line.who for line in lines if line.kind in ("call", "return")}
    ordered = sorted(names - {""}, key=lambda name: (name in clients, _number(name), name))
    return [Lane(name, "client" if name in clients else "node") for name in ordered]


def _number(name: str) -> int:
    found = re.search(r"\d+$", name)
    return int(found[0]) if found else 0


def messages(lines: Sequence[Line]) -> Iterator[Message]:
    for line in lines:
        if line.kind == "message":
            yield _message(line, line.began_us, line.at_us)
        elif line.kind == "sent":
            yield _message(line, line.at_us, None)


def _message(line: Line, sent_us: int, heard_us: int | None) -> Message:
    kind = line.text.partition(" ")[0]
    entries = re.search(r" \+\d+", line.text)
    term = re.search(r"\bterm (\d+)", line.text)
    label = kind + (f" {term[1]}" if term else "") + (entries[0] if entries else "")
    heard = None if heard_us is None else heard_us * 1_000
    return Message(line.who, line.other, sent_us * 1_000, heard, label, kind, line.text)


def marks(lines: Sequence[Line], end_us: int) -> Iterator[Mark]:
    """In the order in which they begin, but for those that last: they come when they end."""
    names = {lane.name for lane in lanes(lines)}
    started: set[str] = set()
    faults: dict[int, Line] = {}
    calls: dict[tuple[str, int], Line] = {}
    leading: dict[str, Line] = {}
    standing: dict[str, str] = {}
    for line in lines:
        match line.kind:
            case "fault":
                faults[line.number] = line
            case "mended" if line.number in faults:
                yield _fault(faults.pop(line.number), names, line.at_us)
            case "call":
                calls[line.who, line.number] = line
            case "return" if (line.who, line.number) in calls:
                call = calls.pop((line.who, line.number))
                yield _lasting(MarkKind.SPAN, call, line.text, line.at_us)
            case "up" if line.who in started:
                yield _moment(MarkKind.RESTART, line)
            case "up":
                started.add(line.who)
                yield _moment(MarkKind.NOTE, line)
            case "down":
                if line.who in leading:
                    yield _led(leading.pop(line.who), line.at_us)
                yield _moment(MarkKind.CRASH, line)
            case "state":
                yield from _state(line, leading, standing)
            case "disk" | "log" | "return":
                yield _moment(MarkKind.NOTE, line)
            case "broken":
                yield _moment(MarkKind.WRONG, line, lane=line.who if line.who in names else None)
    for line in faults.values():
        yield _fault(line, names, line.at_us)
    for line in leading.values():
        yield _led(line, max(end_us, line.at_us))
    for line in calls.values():
        yield _lasting(MarkKind.SPAN, line, f"{line.text}: never answered", max(end_us, line.at_us))


def _state(line: Line, leading: dict[str, Line], standing: dict[str, str]) -> Iterator[Mark]:
    """A note where role or term change, and leadership as long as it lasts."""
    stands = line.text.partition(",")[0]
    if standing.get(line.who) != stands:
        standing[line.who] = stands
        yield _moment(MarkKind.NOTE, line)
    leads = re.match(r"leads |leader ", line.text) is not None
    if leads:
        leading.setdefault(line.who, line)
    elif line.who in leading:
        yield _led(leading.pop(line.who), line.at_us)


def _led(line: Line, until_us: int) -> Mark:
    return _lasting(MarkKind.SPAN, line, "leader", until_us)


def _fault(line: Line, names: set[str], until_us: int) -> Mark:
    lane = line.who if line.who in names else None
    label = line.text if lane else f"{line.text} {line.who}".strip()
    return Mark(MarkKind.FAULT, line.at_us * 1_000, label, lane, until_us * 1_000)


def _lasting(kind: MarkKind, line: Line, text: str, until_us: int) -> Mark:
    return Mark(kind, line.at_us * 1_000, _short(text), line.who, until_us * 1_000, text)


def _moment(kind: MarkKind, line: Line, lane: str | None = None) -> Mark:
    lane = lane if kind is MarkKind.WRONG else line.who
    return Mark(kind, line.at_us * 1_000, _short(line.text), lane, detail=line.text)


def _short(text: str) -> str:
    return text if len(text) <= LABEL_MOST else f"{text[: LABEL_MOST - 1]}…"
