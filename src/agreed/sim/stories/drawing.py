"""A story as one self-contained picture (SVG) that a page can show where no script runs.

It has the lanes, arrows and marks of the interactive page (`agreed.check.explain.space_time`), and the logs:
time goes down, and as there every instant has a line of its own, however long nothing happened before it.

    |      what happens to a node is written at the right of its lane, below the instant
    ▮      it leads                          ✕  it crashes; until it restarts the lane is broken
    [a][b] its log as it lies on its disk; the colour says under which leader an entry was written, and a
           firm border that the node knows it to be agreed

Labels stand on their arrows, in the half of the gap that is not the notes'.
"""
from __future__ import annotations

import math
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from html import escape

import msgspec

from agreed.check.explain.space_time import Mark, MarkKind, Message
from agreed.sim.stories.stage import Log, Story

GAP = 350
"""Pixels between two lanes."""
LEFT, TOP, RIGHT, BOTTOM = 24, 46, 220, 34
LINE, TEXT_LINE = 20, 15
LEAST = 24
"""Pixels from one instant to the next where nothing is written at it."""
LABELS_AT = (0.71, 0.5, 0.3)
"""Where in a gap labels stand, from its left lane: away from the notes if they can."""
SLOT, SLOT_HIGH = 19, 15
NEAR = 15
"""Labels with so little between them would be in each other's way."""
LETTER = 5.6
"""Pixels of a letter of a label, about."""

STYLE = """
svg { --ground: #fff; --ink: #1f2328; --quiet: #656d76; --line: #b1bac4; --arrow: #4a6da7; --lost: #cf222e;
      --leads: #bf8700; --t0: #eef0f2; --t1: #b6d7f5; --t2: #f6d3a1; --t3: #bfe5bf; --t4: #e5c4ea; }
@media (prefers-color-scheme: dark) {
svg { --ground: #0d1117; --ink: #e6edf3; --quiet: #8b949e; --line: #484f58; --arrow: #79a7e3; --lost: #ff7b72;
      --leads: #d29922; --t0: #21262d; --t1: #1d4b73; --t2: #6b4a14; --t3: #23572a; --t4: #573060; } }
text { font: 11px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
.title { font-size: 15px; font-weight: 600; }
.text, .legend { fill: var(--quiet); }
.lane { font-size: 13px; font-weight: 600; text-anchor: middle; }
.label { text-anchor: middle; font-size: 10.5px; fill: var(--arrow); stroke: var(--ground); stroke-width: 3px;
         paint-order: stroke; }
.label.lost { fill: var(--lost); }
.note { stroke: var(--ground); stroke-width: 3px; paint-order: stroke; }
.slot { font-size: 10px; text-anchor: middle; }
line.lane, .broken { stroke: var(--line); stroke-width: 1.5; }
.broken { stroke-dasharray: 1 5; }
.leads { stroke: var(--leads); stroke-width: 5; }
.arrow { stroke: var(--arrow); fill: none; }
.arrow.lost { stroke: var(--lost); stroke-dasharray: 4 3; }
.head { fill: var(--arrow); }
.cross { stroke: var(--lost); stroke-width: 2; }
.agreed { stroke: var(--ink); stroke-width: 1.2; }
.open { stroke: var(--line); stroke-dasharray: 2 2; }
"""


def svg(story: Story) -> str:
    return _Picture(story).drawn()


class _Picture:
    def __init__(self, story: Story) -> None:
        self._story = story
        self._x = {lane.name: LEFT + GAP * number for number, lane in enumerate(story.lanes)}
        self._beside: dict[tuple[int, str], list[Mark | Log]] = defaultdict(list)
        for mark in story.marks:
            if mark.kind is not MarkKind.SPAN and mark.lane is not None:
                self._beside[mark.at, mark.lane].append(mark)
        for log in story.logs:
            self._beside[log.at, log.lane].append(log)
        self._width = LEFT + GAP * (len(story.lanes) - 1) + RIGHT
        self._text = textwrap.wrap(story.text, int((self._width - 40) / LETTER))
        self._top = TOP + TEXT_LINE * len(self._text)
        self._y = self._instants()
        self._end = max(self._y.values()) + LINE
        terms = sorted({slot.term for log in story.logs for slot in log.slots if slot.term})
        self._colour = {0: 0} | {term: 1 + number % 4 for number, term in enumerate(terms)}
        self._taken: list[tuple[float, float, float]] = []
        """By labels: from where to where, and how far down."""

    def _instants(self) -> dict[int, float]:
        """Where each instant stands: below all that is written at the one before it."""
        story = self._story
        moments = {each.at for each in story.marks} | {each.at for each in story.logs}
        moments |= {each.until for each in story.marks if each.until is not None}
        for message in story.messages:
            moments |= {message.sent, self._heard(message)}
        places, place = {}, float(self._top + 26)
        for moment in sorted(moments):
            places[moment] = place
            lines = max((len(self._beside[moment, lane.name]) for lane in story.lanes), default=0)
            place += LEAST + LINE * lines
        return places

    def _heard(self, message: Message) -> int:
        """What is lost would have come when others do."""
        if message.received is not None:
            return message.received
        return min(each.sent for each in self._story.messages if each.sent >= message.sent) + 10

    def drawn(self) -> str:
        height = self._end + BOTTOM + 14
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {height:.0f}" '
            f'width="{self._width}" height="{height:.0f}" role="img">'
        )
        story = self._story
        parts = [
            head,
            f"<title>{escape(story.title)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{self._width}" height="{height:.0f}" fill="var(--ground)"/>',
            f'<text class="title" x="{LEFT - 12}" y="24">{escape(story.title)}</text>',
            *(
                f'<text class="text" x="{LEFT - 12}" y="{TOP - 4 + TEXT_LINE * number}">{escape(line)}</text>'
                for number, line in enumerate(self._text)
            ),
            *self._lanes(),
            *(part for message in _together(story.messages) for part in self._arrow(message)),
            *(part for (at, lane), each in self._beside.items() for part in self._notes(at, lane, each)),
            *self._legend(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    # --- lanes --------------------------------------------------------------------------------------------

    def _lanes(self) -> Iterator[str]:
        for lane in self._story.lanes:
            x, top = self._x[lane.name], self._top + 14
            yield f'<text class="lane" x="{x}" y="{top - 6}">{escape(lane.name)}</text>'
            ups = [mark for mark in self._story.marks if mark.lane == lane.name]
            place: float = top
            for mark in ups:
                y = self._y[mark.at]
                if mark.kind is MarkKind.CRASH:
                    yield _line("lane", x, place, x, y)
                    yield f'<path class="cross" d="M{x - 5} {y - 5}l10 10m0 -10l-10 10"/>'
                    place = y
                elif mark.kind is MarkKind.RESTART:
                    yield _line("broken", x, place, x, y)
                    place = y
                elif mark.kind is MarkKind.SPAN and mark.until is not None:
                    yield _line("leads", x, y, x, self._y[mark.until])
            down = [mark.kind for mark in ups if mark.kind in (MarkKind.CRASH, MarkKind.RESTART)]
            style = "broken" if down and down[-1] is MarkKind.CRASH else "lane"
            yield _line(style, x, place, x, self._end)

    # --- messages -----------------------------------------------------------------------------------------

    def _arrow(self, message: Message) -> Iterator[str]:
        x1, y1 = self._x[message.source], self._y[message.sent]
        x2, y2 = self._x[message.target], self._y[self._heard(message)]
        lost = " lost" if message.received is None else ""
        if lost:
            share = 0.62 if abs(x2 - x1) <= GAP else 0.85
            end_x, end_y = x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
            yield _line(f"arrow{lost}", x1, y1, end_x, end_y)
            yield f'<path class="cross" d="M{end_x - 4:.1f} {end_y - 4:.1f}l8 8m0 -8l-8 8"/>'
        else:
            yield _line("arrow", x1, y1, x2, y2)
            yield _head(x1, y1, x2, y2)
        x, y = self._label_place(message, x1, y1, x2, y2)
        angle = math.degrees(math.atan2(y2 - y1, abs(x2 - x1))) * (1 if x2 > x1 else -1)
        yield (
            f'<text class="label{lost}" transform="translate({x:.1f} {y - 3:.1f}) rotate({angle:.1f})">'
            f"{escape(message.label)}</text>"
        )

    def _label_place(
        self, message: Message, x1: float, y1: float, x2: float, y2: float
    ) -> tuple[float, float]:
        """In the gap where fewest labels stand at that height."""
        left, right = sorted((x1, x2))
        gaps = range(round((left - LEFT) / GAP), round((right - LEFT) / GAP))
        best: tuple[int, float, float, int] | None = None
        for share, gap in ((share, gap) for share in LABELS_AT for gap in gaps):
            x = LEFT + GAP * (gap + share)
            y = y1 + (y2 - y1) * (x - x1) / (x2 - x1)
            reach = LETTER * len(message.label) / 2
            clash = sum(
                1
                for left_most, right_most, at in self._taken
                if abs(at - y) < NEAR and left_most < x + reach and x - reach < right_most
            )
            if best is None or clash < best[0]:
                best = (clash, x, y, gap)
        assert best is not None
        _, x, y, _ = best
        self._taken.append((x - reach, x + reach, y))
        return x, y

    # --- what is written beside a lane --------------------------------------------------------------------

    def _notes(self, at: int, lane: str, notes: list[Mark | Log]) -> Iterator[str]:
        x, y = self._x[lane] + 9, self._y[at] + 14
        for note in notes:
            if isinstance(note, Mark):
                yield f'<text class="note" x="{x}" y="{y:.0f}">{escape(note.label)}</text>'
            else:
                yield from self._log(x, y, note)
            y += LINE

    def _log(self, x: float, y: float, log: Log) -> Iterator[str]:
        for number, slot in enumerate(log.slots):
            left = x + (SLOT + 1) * number
            style = "agreed" if slot.agreed else "open"
            yield (
                f'<rect class="{style}" x="{left}" y="{y - 11:.0f}" width="{SLOT}" height="{SLOT_HIGH}" '
                f'fill="var(--t{self._colour[slot.term]})"/>'
                f'<text class="slot" x="{left + SLOT / 2}" y="{y:.0f}">{escape(slot.text or "·")}</text>'
            )
        if not log.slots:
            yield f'<text class="note legend" x="{x}" y="{y:.0f}">(empty log)</text>'

    def _legend(self) -> Iterator[str]:
        y = self._end + BOTTOM
        yield (
            f'<text class="legend" x="{LEFT - 12}" y="{y:.0f}">Thick: leads. Boxes: its log on disk; '
            "colour: under which leader it was written; firm border: known to be agreed; "
            "·: empty; ?: a hole.</text>"
        )


def _together(messages: list[Message]) -> Iterator[Message]:
    """What is said to one node at one moment stands on one arrow."""
    arrows: dict[tuple[str, str, int, bool], Message] = {}
    for message in messages:
        key = (message.source, message.target, message.sent, message.received is None)
        before = arrows.get(key)
        label = message.label if before is None else f"{before.label}; {message.label}"
        arrows[key] = msgspec.structs.replace(message, label=label)
    yield from arrows.values()


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{x1:.0f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _head(x1: float, y1: float, x2: float, y2: float) -> str:
    """The point of an arrow."""
    length = math.hypot(x2 - x1, y2 - y1)
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    back_x, back_y = x2 - 8 * dx, y2 - 8 * dy
    points = ((x2, y2), (back_x - 3.4 * dy, back_y + 3.4 * dx), (back_x + 3.4 * dy, back_y - 3.4 * dx))
    return '<polygon class="head" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>'
