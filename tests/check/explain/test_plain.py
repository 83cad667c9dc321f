"""The same for a terminal."""
from __future__ import annotations

from agreed.check.explain import text
from agreed.check.explain.plain import COLUMNS, MOST_BARS, WIDTH
from agreed.check.history import history
from agreed.check.verdict import Finding, Outcome, Verdict, Witness
from tests.check.explain.examples import CIRCLE, EXPLAINED, STALE, STALE_READ, keyed, operation


def test_a_piece_that_cannot_be() -> None:
    assert text(STALE, STALE_READ) == """\
linearizable register: violated (no order explains it)

not linearizable
  #1    client 1  write 2   ├───●───┤
  #3    client 0  read → 1              ├─✗─┤
  1. everything before operation 3 leaves the state 2
  2. operation 3 read 1
  attempt 1: write 1 {1}, write 2 {2}; stuck at read → 1
  attempt 2: write 1 {1}, write 2 {2}, write 3 ? {3}; stuck at read → 1
"""


def test_a_circle() -> None:
    assert text(*CIRCLE) == """\
serializable: violated
ruled out: read-committed
and with these: serializable

G1c (key x)
  #0    client 0  append x 1, r y [2]  ├───────┤
  #1    client 1  append y 2, r x [1]      ├───────┤
  1. T1 is operation 0.
  2. T2 is operation 1.
  3. T1 comes before T2: it wrote 1 to x, and T2 read that.
  4. T2 comes before T1: it wrote 2 to y, and T1 read that.
  5. So each of them comes before the next.
"""


def test_an_order_that_explains_it() -> None:
    assert text(*EXPLAINED) == """\
linearizable register: holds

  #0    a  write 1    ├───────●───┤
  #1    b  read → 1       ├───────────────●───┤
  #2    a  write 2 ?                  ├───────────╌
"""


def test_long_lines_are_broken() -> None:
    models = [f"strong-model-{number}" for number in range(20)]
    finding = Finding("stale", (0,), ("because " * 30,))
    told = text(EXPLAINED[0], Verdict("x", Outcome.VIOLATED, findings=[finding], ruled_out=models))
    assert max(len(line) for line in told.splitlines()) <= WIDTH
    assert "strong-\n" not in told


def test_the_key_is_named() -> None:
    assert "not linearizable (key bad)" in text(*keyed())


def test_of_many_operations_the_last_are_shown_within_the_width() -> None:
    operations = [operation(number, number, "write", number, None, number, 1000) for number in range(100)]
    verdict = Verdict(
        "linearizable register",
        Outcome.VIOLATED,
        findings=[
            Finding("not linearizable", range(100), ("why",), attempts=[Witness(None, range(50), ["x"] * 50)])
        ],
    )
    told = text(history(operations), verdict)
    assert "... 76 earlier ones" in told
    assert told.count("├") == MOST_BARS
    assert max(len(line) for line in told.splitlines() if "├" in line) <= COLUMNS + 40
    assert "attempt 1: ... write 44 {x}" in told


def test_of_many_findings_the_first_are_shown() -> None:
    findings = [Finding(f"stale {number}", (0,), ("why",)) for number in range(9)]
    told = text(EXPLAINED[0], Verdict("x", Outcome.VIOLATED, findings=findings))
    assert "stale 4" in told
    assert "stale 5" not in told
    assert told.endswith("... and 4 more\n")


def test_what_is_not_known_is_not_drawn() -> None:
    verdict = Verdict("linearizable register", Outcome.UNKNOWN, "10 seconds were not enough")
    assert text(STALE, verdict) == "linearizable register: unknown (10 seconds were not enough)\n"
