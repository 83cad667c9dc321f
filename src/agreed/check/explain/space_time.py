"""A space-time diagram (Lamport 1978): a lane for each node, time downwards, an arrow for each message.

It is for runs of which one knows who said what to whom and when: the failing run of a simulator, above all.
One HTML page, as self-contained as `explain.page`.  A reader can hide kinds of messages (heartbeats), choose
an event to see what may have caused it and what it may have caused (the relation "happened before": down the
lanes, along the arrows), and hide everything else.

Time is compressed: every event has a line of its own, however long nothing happened before it.  At one
instant, what is received comes first, then marks, then what is sent; for a node answers at the instant at
which it hears.

Times are nanoseconds, or any integers with the same order.
"""
from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from html import escape

import msgspec

from agreed.check.explain.html import filled, part
from agreed.errors import MalformedInput


class Lane(msgspec.Struct, frozen=True):
    """A node, or a client."""

    name: str
    detail: str = ""


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """An arrow.  `received` is None if it never arrived; one that arrived twice is two messages.

    `kind` is what a reader can hide ("AppendEntries"); `label` is written on the arrow."""

    source: str
    target: str
    sent: int
    received: int | None
    label: str
    kind: str = ""
    detail: str = ""


class MarkKind(Enum):
    NOTE = "note"
    """Something that happened to a node, or that it became."""
    SPAN = "span"
    """What a node was for some time (leader), from `at` to `until`."""
    CRASH = "crash"
    """From here to the next RESTART of the lane it is down."""
    RESTART = "restart"
    FAULT = "fault"
    """Done to the node, or with no lane to the network, from `at` to `until`."""
    WRONG = "wrong"
    """What must not be.  A button leads here, and to what may have caused it."""


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something at a moment or during a time, on a lane or (None) across all.  `until` None: to the end, of
    those that last."""

    kind: MarkKind
    at: int
    label: str
    lane: str | None = None
    until: int | None = None
    detail: str = ""


class _Diagram(msgspec.Struct):
    title: str
    subtitle: str
    span: int
    lanes: Sequence[Lane]
    messages: Sequence[Message]
    marks: Sequence[Mark]


def diagram(
    lanes: Sequence[Lane],
    messages: Sequence[Message],
    marks: Sequence[Mark],
    title: str = "",
    subtitle: str = "",
) -> str:
    """One page of HTML.  Lanes stand in the order given; messages of one instant in theirs.

    Raises MalformedInput for a lane that is named twice or not at all, and for a message that is received
    before it is sent."""
    _check(lanes, messages, marks)
    began = min((*(each.sent for each in messages), *(each.at for each in marks)), default=0)
    moments = [each.sent if each.received is None else each.received for each in messages]
    moments += [each.at if each.until is None else each.until for each in marks]
    drawn = _Diagram(
        title=title,
        subtitle=subtitle,
        span=max(moments, default=0) - began,
        lanes=lanes,
        messages=[
            msgspec.structs.replace(
                each,
                sent=each.sent - began,
                received=None if each.received is None else each.received - began,
            )
            for each in messages
        ],
        marks=[
            msgspec.structs.replace(
                each, at=each.at - began, until=None if each.until is None else each.until - began
            )
            for each in marks
        ],
    )
    return filled(
        part("space_time.html"),
        {
            "title": escape(title or "space-time diagram"),
            "style": "\n".join(part(name) for name in ("colors.css", "page.css", "space_time.css")),
            "script": "\n".join(part(name) for name in ("marks.js", "space_time_layout.js", "space_time.js")),
            "data": msgspec.json.encode(drawn).decode().replace("<", "\\u003c"),
        },
    )


def _check(lanes: Sequence[Lane], messages: Sequence[Message], marks: Sequence[Mark]) -> None:
    names = {lane.name for lane in lanes}
    if len(names) != len(lanes):
        raise MalformedInput("two lanes have the same name")
    for message in messages:
        if message.source not in names or message.target not in names:
            raise MalformedInput(f"a message from {message.source} to {message.target}, which is not a lane")
        if message.received is not None and message.received < message.sent:
            raise MalformedInput(f"{message.label!r} is received before it is sent")
    for mark in marks:
        if mark.lane is not None and mark.lane not in names:
            raise MalformedInput(f"a mark on {mark.lane}, which is not a lane")
        if mark.until is not None and mark.until < mark.at:
            raise MalformedInput(f"{mark.label!r} ends before it begins")
