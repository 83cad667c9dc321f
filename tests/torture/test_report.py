"""What is said of a run, and of several together."""
from __future__ import annotations

from collections import Counter
from pathlib import Path

from agreed.check.history import Operation, Status, history
from agreed.check.read import jsonlines, watchlines
from agreed.check.verdict import Outcome, Verdict
from agreed.check.watches import Change, Delivered, WatchEvent, Watching, Write, watches
from agreed.torture.report import Tally, lines, save
from agreed.torture.run import Judged, Report
from agreed.torture.workloads.judgement import Judgement

OPERATIONS = history(
    [
        Operation(0, "p0", "write", 1, None, 10, 20, Status.OK, "0", 7),
        Operation(1, "p1", "cas", [1, 2], None, 30, 40, Status.FAIL, "0"),
        Operation(2, "p2", "write", 3, None, 50, None, Status.INFO, "0"),
    ]
)


def a_report(outcome: Outcome, *problems: str) -> Report:
    judgement = Judgement("linearizable", OPERATIONS, Verdict("linearizable register", outcome))
    return Report(
        {"register": Judged(OPERATIONS, [judgement])}, Counter(kill=2, pause=1), list(problems), compared=5
    )


def test_a_run_is_told_in_counts_and_ends_with_one_word() -> None:
    told = list(lines(a_report(Outcome.HOLDS)))
    assert told[0] == "faults: 2 kill, 1 pause"
    assert "register: 3 operations, 1 done, 1 refused, 1 without an answer" in told
    assert told[-1] == "everything holds, in 3 operations"
    assert list(lines(a_report(Outcome.UNKNOWN)))[-1].startswith("UNKNOWN")
    assert list(lines(a_report(Outcome.HOLDS, "n1 ended by itself")))[-1].startswith("VIOLATED")


def test_several_runs_are_counted_together() -> None:
    tally = Tally()
    tally.add(90, a_report(Outcome.HOLDS))
    tally.add(90, a_report(Outcome.HOLDS))
    assert (tally.holds, tally.violated) == (True, False)
    assert list(tally.lines()) == [
        "2 runs, 3.0 minutes of work, 6 operations: 2 done, 2 refused, 2 without an answer",
        "faults: 6: 4 kill, 2 pause",
        "verdicts: 2: 2 holds, 0 violated, 0 unknown",
    ]


def test_one_that_does_not_hold_is_not_forgotten() -> None:
    tally = Tally()
    for outcome in (Outcome.UNKNOWN, Outcome.HOLDS):
        tally.add(60, a_report(outcome))
    assert (tally.holds, tally.violated) == (False, False)
    tally.add(60, a_report(Outcome.HOLDS, "n1 and n2 differ"))
    tally.add(60, a_report(Outcome.HOLDS))
    assert (tally.holds, tally.violated) == (False, True)


def test_what_was_judged_can_be_judged_again(tmp_path: Path) -> None:
    save(a_report(Outcome.HOLDS), tmp_path / "kept", draw_all=True)
    kept = (tmp_path / "kept" / "register-linearizable.jsonl").read_text(encoding="utf-8")
    assert jsonlines.read(kept) == OPERATIONS
    assert (tmp_path / "kept" / "register-linearizable.html").exists()


def test_what_watchers_were_told_is_kept_with_what_was_written(tmp_path: Path) -> None:
    records = [Watching("w", 0, "/a/", True), Delivered("w", (WatchEvent(1, "/a/x", Change.CREATED),))]
    written = [Write(1, "/a/x", "1")]
    judgement = Judgement("persistent", OPERATIONS, watches(records, written), records, written)
    save(Report({"watch": Judged(OPERATIONS, [judgement])}), tmp_path, draw_all=True)
    kept = (tmp_path / "watch-persistent.records.jsonl").read_text(encoding="utf-8")
    assert watches(*watchlines.read_streams(kept)) == judgement.verdict
    assert judgement.verdict.holds
