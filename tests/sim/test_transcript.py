"""A story that one can read: what was to happen, what did, and what broke; without a thousand heartbeats."""
from __future__ import annotations

from agreed.check.history import History
from agreed.sim.outcome import Outcome
from agreed.sim.plan import Ask, Conditions, Fault, FaultKind, Plan
from agreed.sim.trace import Line
from agreed.sim.transcript import fold, transcript, without_departures

PLAN = Plan(
    seed=7,
    profile="disk",
    nodes=3,
    clients=1,
    storm_ms=900,
    conditions=Conditions(pipelined=4),
    faults=(
        Fault(2, 250, FaultKind.POWER, "leader", lasting_ms=40),
        Fault(5, 100, FaultKind.DRIFT, "n1", amount=9),
    ),
    asks=(Ask(1, 120, "c1", "set", "a"),),
)


def message(at_us: int, who: str, other: str, text: str) -> Line:
    return Line(at_us, "message", who, text, other, at_us - 100)


LINES = (
    Line(1_000, "state", "n1", "leads in term 2", began_us=1_000),
    message(2_000, "n1", "n2", "heartbeat"),
    message(2_100, "n1", "n3", "heartbeat"),
    message(3_000, "n1", "n2", "heartbeat"),
    message(3_100, "n1", "n3", "heartbeat"),
    Line(240_000, "sent", "n1", "heartbeat", "n3", 240_000),
    Line(250_000, "fault", "n1", "power goes", began_us=250_000),
    message(250_001, "n1", "n2", "heartbeat"),
    Line(249_901, "sent", "n1", "heartbeat", "n2", 249_901),
    Line(260_000, "broken", "", "two leaders in term 2", began_us=260_000),
)


def outcome(failure: str | None) -> Outcome:
    message = "n1 and n2 in term 2"
    return Outcome(7, "disk", PLAN, failure, message, "abc", 1_234, 260, {}, [], History(()), LINES)


def test_a_transcript_tells_the_plan_and_the_story() -> None:
    assert transcript(outcome("two leaders"), command="agreed simulate --seed 7").splitlines() == [
        "agreed simulate --seed 7",
        "two leaders: n1 and n2 in term 2",
        "1234 events, 0.260000 s, trace abc",
        "",
        "PLAN",
        "  seed 7, 3 nodes, 1 clients, faults for 900 ms",
        "  pipelined = 4",
        "    0.100000  FAULT 5: drift n1 (9)",
        "    0.120000  c1 asks for set a (patient for 1500 ms)",
        "    0.250000  FAULT 2: power leader for 40 ms",
        "",
        "STORY",
        "    0.001000  n1        leads in term 2",
        "    0.002000  n1 -> n2  heartbeat   sent 0.001900   (and 1 more like it)",
        "    0.002100  n1 -> n3  heartbeat   sent 0.002000   (and 1 more like it)",
        "    0.240000  n1 -> n3  heartbeat   and nobody heard it",
        "    0.250000  n1        FAULT power goes",
        "    0.250001  n1 -> n2  heartbeat   sent 0.249901",
        "    0.260000            BROKEN two leaders in term 2",
    ]


def test_unfolded_it_has_every_line() -> None:
    text = transcript(outcome(None), folded=False)
    assert text.startswith("clean: ")
    assert len(text.split("STORY\n")[1].splitlines()) == len(LINES) - 1, "sent and heard is one line"


def test_folding_loses_no_line_and_crosses_nothing_that_happened() -> None:
    lines = without_departures(LINES)
    folded = list(fold(lines))
    assert sum(times for _, times in folded) == len(lines) == len(LINES) - 1
    assert [line for line, _ in folded] == [lines[0], lines[1], lines[2], *lines[5:]]


def test_what_came_long_before_is_not_folded_with_what_came_late() -> None:
    others = [message(2_000 + number, "n2", "n1", f"answer {number}") for number in range(20)]
    again = message(9_000, "n1", "n2", "heartbeat")
    assert list(fold([LINES[1], *others, again]))[-1] == (again, 1)
