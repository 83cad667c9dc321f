"""The story of a run as a picture: who is a lane, what is an arrow, and how long things last."""
from __future__ import annotations

from agreed.check.explain.space_time import Mark, MarkKind, Message
from agreed.check.history import History
from agreed.sim.diagram import drawn, lanes, marks, messages
from agreed.sim.outcome import Outcome
from agreed.sim.plan import Conditions, Plan
from agreed.sim.run import run
from agreed.sim.trace import Line
from agreed.sim.transcript import without_departures


def line(
    at_us: int, kind: str, who: str, text: str, other: str = "", began: int | None = None, number: int = 0
) -> Line:
    return Line(at_us, kind, who, text, other, at_us if began is None else began, number)


LINES = [
    line(0, "up", "n2", "starts"),
    line(0, "up", "n10", "starts"),
    line(5, "sent", "n2", "AppendEntries term 3 after (1, 1) +4 commit 1", "n10"),
    line(6, "state", "n2", "leader of term 3, log to 5, commit 1"),
    line(7, "call", "c1", "write a", number=8),
    line(8, "state", "n2", "leader of term 3, log to 6, commit 1"),
    line(9, "message", "n2", "AppendEntries term 3 after (1, 1) +4 commit 1", "n10", 5),
    line(10, "sent", "n10", "Heard", "n2"),
    line(11, "fault", "n2", "pause", number=1),
    line(12, "fault", "n2>*", "lose 50", number=2),
    line(15, "down", "n2", "power is lost"),
    line(16, "mended", "n2", "pause", number=1),
    line(18, "up", "n2", "cut a torn tail"),
    line(19, "return", "c1", "write a: info connection lost", number=8),
    line(19, "call", "c1", "read a", number=9),
    line(20, "broken", "", "two leaders: n2 and n10"),
]


def test_nodes_come_first_in_the_order_of_their_numbers() -> None:
    assert [(lane.name, lane.detail) for lane in lanes(LINES)] == [
        ("n2", "node"),
        ("n10", "node"),
        ("c1", "client"),
    ]


def test_a_message_is_one_arrow_and_one_that_was_not_heard_has_no_end() -> None:
    text = "AppendEntries term 3 after (1, 1) +4 commit 1"
    assert list(messages(without_departures(LINES))) == [
        Message("n2", "n10", 5_000, 9_000, "AppendEntries 3 +4", "AppendEntries", text),
        Message("n10", "n2", 10_000, None, "Heard", "Heard", "Heard"),
    ]


def test_what_lasts_has_an_end() -> None:
    found = list(marks(LINES, 25))
    lasting = [mark for mark in found if mark.until is not None]
    write, read = "write a: info connection lost", "read a: never answered"
    assert sorted(lasting, key=lambda mark: (mark.at, mark.label)) == [
        Mark(MarkKind.SPAN, 6_000, "leader", "n2", 15_000, "leader"),
        Mark(MarkKind.SPAN, 7_000, write, "c1", 19_000, write),
        Mark(MarkKind.FAULT, 11_000, "pause", "n2", 16_000),
        Mark(MarkKind.FAULT, 12_000, "lose 50 n2>*", None, 12_000),
        Mark(MarkKind.SPAN, 19_000, read, "c1", 25_000, read),
    ]


def test_moments_are_what_they_were() -> None:
    found = [(mark.kind, mark.at, mark.lane) for mark in marks(LINES, 25) if mark.until is None]
    assert found == [
        (MarkKind.NOTE, 0, "n2"),
        (MarkKind.NOTE, 0, "n10"),
        (MarkKind.NOTE, 6_000, "n2"),
        (MarkKind.CRASH, 15_000, "n2"),
        (MarkKind.RESTART, 18_000, "n2"),
        (MarkKind.WRONG, 20_000, None),
    ]


def test_a_run_is_drawn_with_every_message_that_was_heard() -> None:
    outcome = run(1, "network", telling=True)
    heard = [each for each in messages(without_departures(outcome.transcript)) if each.received is not None]
    assert len(heard) == sum(line.kind == "message" for line in outcome.transcript) > 20
    assert all(each.received is not None and each.received > each.sent for each in heard)
    page = drawn(outcome, title="a run")
    assert "<title>a run" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_story_that_nobody_told_is_an_empty_picture() -> None:
    plan = Plan(1, "swarm", 1, 0, 1, Conditions())
    outcome = Outcome(1, "swarm", plan, "two leaders", "here", "", 0, 0, {}, [], History(()))
    assert "two leaders: here" in drawn(outcome)
