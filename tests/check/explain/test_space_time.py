"""Space-time diagrams as text."""
from __future__ import annotations

import msgspec
import pytest

from agreed.check.explain.space_time import Lane, Mark, MarkKind, Message, diagram
from agreed.errors import MalformedInput
from tests.check.explain.test_html import EVIL, Read

LANES = [Lane("n1"), Lane("n2", "learner")]
VOTE = Message("n1", "n2", 1_000, 3_000, "RequestVote", "vote")
LOST = Message("n2", "n1", 3_000, None, "Vote", "vote", "dropped")
CRASH = Mark(MarkKind.CRASH, 4_000, "crash", "n1")
PARTITION = Mark(MarkKind.FAULT, 2_000, "n1 | n2", until=9_000)


def test_times_count_from_the_first_event() -> None:
    read = Read(diagram(LANES, [VOTE, LOST], [CRASH, PARTITION], "seed 7", "agreed simulate --seed 7"))
    data = msgspec.json.decode(read.texts["data"])
    assert data["span"] == 8_000
    assert [(each["sent"], each["received"]) for each in data["messages"]] == [(0, 2_000), (2_000, None)]
    assert [(each["kind"], each["at"], each.get("until")) for each in data["marks"]] == [
        ("crash", 3_000, None),
        ("fault", 1_000, 8_000),
    ]
    assert data["lanes"][1] == {"name": "n2", "detail": "learner"}
    assert data["subtitle"] == "agreed simulate --seed 7"
    assert read.sources == []


def test_an_end_at_time_zero_is_an_end() -> None:
    early = [Message("n1", "n2", -5, 0, "hello")]
    assert '"span":5' in diagram(LANES, early, [])
    assert '"span":7' in diagram(LANES, [], [Mark(MarkKind.FAULT, -7, "cut", until=0)])


def test_nothing_at_all_can_be_drawn() -> None:
    assert '"span":0' in diagram([], [], [])


def test_what_happened_is_never_markup() -> None:
    messages, marks = [Message(EVIL, EVIL, 0, 1, EVIL)], [Mark(MarkKind.NOTE, 0, EVIL)]
    page = diagram([Lane(EVIL)], messages, marks, EVIL, EVIL)
    assert Read(page).tags == Read(diagram(LANES, [VOTE], [CRASH])).tags


@pytest.mark.parametrize(
    ("lanes", "messages", "marks"),
    [
        ([Lane("n1"), Lane("n1")], [], []),
        (LANES, [Message("n1", "n3", 0, 1, "")], []),
        (LANES, [Message("n3", "n1", 0, 1, "")], []),
        (LANES, [Message("n1", "n2", 2, 1, "")], []),
        (LANES, [], [Mark(MarkKind.NOTE, 0, "", "n3")]),
        (LANES, [], [Mark(MarkKind.FAULT, 2, "", until=1)]),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    lanes: list[Lane], messages: list[Message], marks: list[Mark]
) -> None:
    with pytest.raises(MalformedInput):
        diagram(lanes, messages, marks)
