"""Other people's histories of single objects, with the verdicts that they expect; and whether one is missing.

The folder is named by JUDGED_HISTORIES; its files are not part of this project.
"""
from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from bench.check import Shared, shared_histories

from agreed.check import linearizable, read, replay
from agreed.check.verdict import Outcome

FOLDER = os.environ.get("JUDGED_HISTORIES")
HISTORIES = Path(FOLDER or ".")

pytestmark = pytest.mark.skipif(not FOLDER, reason="JUDGED_HISTORIES names no folder with histories to judge")

JUDGED = list(shared_histories(HISTORIES)) if FOLDER else []
FAMILIES = {"porcupine/jepsen": 51, "porcupine/kv": 10, "knossos": 59, "elle-cli": 12}
"""How many files there are, by the folder that they are in; a file with two lines counts twice."""


@pytest.mark.parametrize("family", FAMILIES)
def test_files_get_their_verdicts_with_proofs(family: str) -> None:
    found = [each for each in JUDGED if each.file.startswith(family)]
    wrong = [problem for each in found if (problem := _problem(each))]
    assert wrong == []
    assert len(found) >= FAMILIES[family]


def _problem(shared: Shared) -> str:
    told = read.history((HISTORIES / shared.file).read_text(encoding="utf-8"), shared.file)
    verdict = linearizable(told, shared.made_model())
    if verdict.outcome is not shared.expected:
        return f"{shared.file}: {verdict.outcome}"
    problems = replay.verdict(told, shared.made_model(), verdict, MOST_STEPS)
    for finding in verdict.findings:
        assert finding.culprit is not None
        for attempt in finding.attempts:
            problems += replay.attempt(told, shared.made_model(), attempt, finding.culprit)
    problems = [each for each in problems if each != replay.TOO_MANY_STEPS]
    return f"{shared.file}: {'; '.join(problems)}" if problems else ""


MOST_STEPS = 5_000
"""Of the replayer, for a piece: it searches plainly, and of the largest pieces it would not see the end."""


def test_no_file_is_left_out() -> None:
    """Each is judged here, or named by the tests of the question that it is about."""
    with (HISTORIES / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        listed = {row["file"]: row["expected"] for row in csv.DictReader(file, delimiter="\t")}
    here = {each.file for each in JUDGED}
    elsewhere = "\n".join(
        path.read_text(encoding="utf-8")
        for path in Path(__file__).parent.rglob("test_*.py")
        if path != Path(__file__)
    )
    left_out = {name for name in listed if name not in here and Path(name).name not in elsewhere}
    assert {name for name in left_out if not listed[name].startswith("not asserted")} == set()
    for name in left_out:
        assert len(read.history((HISTORIES / name).read_text(encoding="utf-8"), name)) > 0


def test_every_expected_verdict_is_one_of_two() -> None:
    assert {each.expected for each in JUDGED} == {Outcome.HOLDS, Outcome.VIOLATED}
