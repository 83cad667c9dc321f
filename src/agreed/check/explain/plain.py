"""The small piece that cannot be, in a terminal: the same bars, points and sentences as on the page.

    not linearizable
      #0  0  write 1   ├──●──┤
      #1  1  write 2          ├──●──┤
      #2  0  read → 1                  ├─✗─┤
      attempt 1: write 1 {1}, write 2 {2}; stuck at read → 1

Time runs to the right and is compressed: each call, return and point has a column, however long it took.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from agreed.check.explain import words
from agreed.check.explain.drawing import Drawing, DrawnFinding, DrawnOperation, Order, draw
from agreed.check.history import History
from agreed.check.verdict import Outcome, Verdict

MOST_BARS = 24
MOST_FINDINGS = 5
COLUMNS = 56
"""In which bars are drawn."""

WIDTH = 100


def text(history: History, verdict: Verdict) -> str:
    """The verdict and its first findings, on lines of about a hundred characters."""
    drawing = draw(history, verdict)
    lines = [f"{drawing.judged}: {drawing.outcome}" + (f" ({drawing.reason})" if drawing.reason else "")]
    for what, models in (("ruled out", drawing.ruled_out), ("and with these", drawing.also_ruled_out)):
        if models:
            told = f"{what}: {', '.join(models)}"
            lines += wrap(told, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    for number, finding in enumerate(drawing.findings[:MOST_FINDINGS]):
        lines += ["", *_finding(drawing, finding, verdict.findings[number].key)]
    more = drawing.findings_in_all - MOST_FINDINGS
    if more > 0:
        lines += ["", f"... and {more} more"]
    if verdict.outcome is Outcome.HOLDS:
        for tab in drawing.tabs[:MOST_FINDINGS]:
            for order in tab.orders[:1]:
                if len(order.operations) <= MOST_BARS:
                    lines += ["", *([tab.name] if tab.name else []), *_bars(drawing, tab.operations, order)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _finding(drawing: Drawing, finding: DrawnFinding, key: object) -> Iterable[str]:
    yield finding.name + ("" if key is None else f" (key {words.name(key)})")
    order = finding.orders[0] if finding.orders else None
    yield from _bars(drawing, finding.operations, order)
    for number, step in enumerate(finding.steps, start=1):
        yield from wrap(f"{number}. {step}", WIDTH, initial_indent="  ", subsequent_indent="     ")
    for order in finding.orders:
        yield f"  {order.name}: {_so_far(drawing, order)}"


def _so_far(drawing: Drawing, order: Order) -> str:
    done = []
    for number, place in enumerate(order.operations):
        state = f" {{{order.states[number]}}}" if number < len(order.states) and order.states[number] else ""
        done.append(drawing.operations[place].label + state)
    told = ", ".join(done[-6:]) or "nothing"
    if len(done) > 6:
        told = f"... {told}"
    if order.stuck:
        told += "; stuck at " + ", ".join(drawing.operations[place].label for place in order.stuck)
    return told


def _bars(drawing: Drawing, places: Sequence[int], order: Order | None) -> Iterable[str]:
    """A line for each operation, in the order of their calls."""
    shown = sorted(places, key=lambda place: (drawing.operations[place].called, place))
    left_out = len(shown) - MOST_BARS
    shown = shown[-MOST_BARS:]
    if left_out > 0:
        yield f"  ... {left_out} earlier ones"
    bars = [drawing.operations[place] for place in shown]
    points = {}
    if order is not None:
        points = {place: at for place, at in zip(order.operations, order.at, strict=True) if place in shown}
    column, width = _columns(bars, points)
    names = [drawing.lanes[bar.lane] for bar in bars]
    widest = [max((len(each) for each in texts), default=0) for texts in (names, [bar.label for bar in bars])]
    stuck = set(order.stuck) if order else set()
    for place, bar, name in zip(shown, bars, names, strict=True):
        begin = column[(bar.called, 0, 0)]
        end = width - 1 if bar.returned is None else column[(bar.returned, 2, 0)]
        drawn = list(" " * begin + "─" * max(end - begin + 1, 1))
        drawn[begin] = "├"
        if end > begin:
            drawn[end] = "╌" if bar.returned is None else "┤"
        if place in points:
            drawn[column[(points[place], 1, list(points).index(place))]] = "●"
        elif place in stuck:
            drawn[(begin + end) // 2] = "✗"
        line = "".join(drawn)
        yield f"  #{bar.index:<4} {name:<{widest[0]}}  {bar.label:<{widest[1]}}  {line}"


def _columns(
    bars: Sequence[DrawnOperation], points: dict[int, int]
) -> tuple[dict[tuple[int, int, int], int], int]:
    """Where each call (0), point (1) and return (2) comes to stand; at one instant in that order, because
    intervals are closed."""
    moments = {(bar.called, 0, 0) for bar in bars}
    moments |= {(bar.returned, 2, 0) for bar in bars if bar.returned is not None}
    moments |= {(at, 1, number) for number, at in enumerate(points.values())}
    apart = max(1, min(4, COLUMNS // max(len(moments), 1)))
    crowded = min(1.0, COLUMNS / max(len(moments), 1))
    return (
        {moment: int(number * apart * crowded) for number, moment in enumerate(sorted(moments))},
        int(len(moments) * apart * crowded) + 1,
    )
