"""The story of one run as text: what was to happen, what did, and what broke.

    agreed simulate --seed 4711 --profile disk
    no leader in time: ...

    PLAN      what of it was tried: nodes, clients, every fault and every request with its time
    STORY     one line for each thing that happened:  seconds  who  what

Of a message the line stands where it was heard, and says when it was sent; of one that nobody heard, where
it was sent.  Rows of lines that differ in nothing but their time (heartbeats, mostly) are told once, with how
many there were: what is left is what a reader wants to follow.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from agreed.sim.outcome import Outcome
from agreed.sim.plan import Conditions, Fault, Plan
from agreed.sim.trace import Line


def transcript(outcome: Outcome, *, command: str = "", folded: bool = True) -> str:
    """The whole page; `command` is what plays it again.  `folded` False: every line, as it was."""
    found = outcome.failure or "clean"
    head = [command] if command else []
    head += [
        f"{found}: {outcome.message}",
        f"{outcome.events} events, {seconds(outcome.simulated_ms * 1_000)} s, trace {outcome.trace_hash}",
    ]
    return "\n".join([*head, "", "PLAN", *plan_lines(outcome.plan), "", "STORY", *story(outcome, folded), ""])


def seconds(microseconds: int) -> str:
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


def plan_lines(plan: Plan) -> Iterator[str]:
    """What was to happen, in the order of time; conditions only where they are not the usual ones."""
    yield f"  seed {plan.seed}, {plan.nodes} nodes, {plan.clients} clients, faults for {plan.storm_ms} ms"
    usual = Conditions()
    for field in Conditions.__struct_fields__:
        value = getattr(plan.conditions, field)
        if value != getattr(usual, field):
            yield f"  {field} = {value}"
    happenings = [(fault.at_ms, 0, fault.number, fault_line(fault)) for fault in plan.faults]
    for ask in plan.asks:
        what = f"{ask.client} asks for {ask.function} {ask.key}".rstrip()
        happenings.append((ask.at_ms, 1, ask.number, f"{what} (patient for {ask.patience_ms} ms)"))
    for at_ms, _, _, line in sorted(happenings):
        yield f"{seconds(at_ms * 1_000):>12}  {line}"


def fault_line(fault: Fault) -> str:
    lasting = f" for {fault.lasting_ms} ms" if fault.lasting_ms else ""
    amount = f" ({fault.amount})" if fault.amount else ""
    return f"FAULT {fault.number}: {fault.kind.value} {fault.target}{lasting}{amount}"


def story(outcome: Outcome, folded: bool) -> Iterator[str]:
    lines = without_departures(outcome.transcript)
    width = max((len(_who(line)) for line in lines), default=0)
    for line, times in fold(lines) if folded else ((line, 1) for line in lines):
        again = f"   (and {times - 1} more like it)" if times > 1 else ""
        sent = f"   sent {seconds(line.began_us)}" if line.kind == "message" else ""
        if line.kind == "sent":
            sent = "   and nobody heard it"
        yield f"{seconds(line.at_us):>12}  {_who(line):<{width}}  {_shout(line)}{line.text}{sent}{again}"


def _who(line: Line) -> str:
    return f"{line.who} -> {line.other}" if line.other else line.who


def _shout(line: Line) -> str:
    """What a reader looks for when skimming."""
    return f"{line.kind.upper()} " if line.kind in ("fault", "mended", "broken") else ""


def without_departures(lines: Sequence[Line]) -> list[Line]:
    """Each message once for each time it was heard, or where it was sent if it never was."""
    heard = {(line.who, line.other, line.text, line.began_us) for line in lines if line.kind == "message"}
    return [
        line
        for line in lines
        if line.kind != "sent" or (line.who, line.other, line.text, line.at_us) not in heard
    ]


_COUNTED = re.compile(r"\bround \d+")
"""What grows with every heartbeat, and nobody wants to read."""

NEAR = 12
"""Among so many lines before it a line is looked for that says the same: heartbeats go to several nodes, and
answers come between them."""


def fold(lines: Sequence[Line]) -> Iterable[tuple[Line, int]]:
    """Lines with how often each came in a row, apart from others that came in rows beside it.

    Only messages are folded; anything else that happens ends all rows, so that no message is told to have
    come before what it came after.
    """
    told: list[tuple[Line, int]] = []
    open_rows: dict[tuple[str, str, str, str], int] = {}
    for line in lines:
        if line.kind not in ("message", "sent"):
            open_rows.clear()
            told.append((line, 1))
            continue
        key = (line.kind, line.who, line.other, _COUNTED.sub("", line.text))
        place = open_rows.get(key)
        if place is not None and len(told) - place <= NEAR:
            told[place] = (told[place][0], told[place][1] + 1)
        else:
            open_rows[key] = len(told)
            told.append((line, 1))
    return told
