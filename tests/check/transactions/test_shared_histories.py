"""Other people's histories of transactions, with the verdicts that they expect.

The folder is named by JUDGED_HISTORIES; its files are not part of this project.
"""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agreed.check import read
from agreed.check.counter import counter
from agreed.check.history import History, Operation, history
from agreed.check.read.jepsen import from_maps
from agreed.check.transactions import Options, bank, list_append, long_fork, rw_register
from agreed.check.transactions.replay import problem
from agreed.check.verdict import Outcome, Verdict

FOLDER = os.environ.get("JUDGED_HISTORIES")
HISTORIES = Path(FOLDER or ".")

pytestmark = pytest.mark.skipif(not FOLDER, reason="JUDGED_HISTORIES names no folder with histories to judge")

CHECKERS = {"list-append": (list_append, "append"), "rw-register": (rw_register, "w")}
VALID = {True: Outcome.HOLDS, False: Outcome.VIOLATED, "unknown": Outcome.UNKNOWN}
NOTHING_DEPENDS = "empty-transaction-graph"


def test_the_cases_of_elle_get_their_verdicts() -> None:
    lines = (HISTORIES / "elle" / "elle_cases.jsonl").read_text(encoding="utf-8").splitlines()
    judged = 0
    for line in lines:
        case = json.loads(line)
        for expected in case["expect"]:
            told = _told(case["history"], expected.get("transaction_order"))
            _compare(case["name"], told, case["kind"], _options(case["options"], expected), expected)
        judged += 1
    assert judged == 39


def _told(maps: list[dict[str, Any]], order: list[int] | None) -> History:
    """The maps as a history; what completes without having been invoked was invoked just before.  `order`
    names the operations by their completions, in the order in which the server did them."""
    paired: list[dict[str, Any]] = []
    invoked: set[Any] = set()
    numbers: dict[int, int] = {}
    for each in maps:
        if each["type"] == "invoke" or each["process"] not in invoked:
            paired.append({**each, "type": "invoke"})
            invoked.add(each["process"])
        if each["type"] != "invoke":
            numbers[each["index"]] = sum(1 for one in paired if one["type"] == "invoke") - 1
            paired.append(each)
            invoked.discard(each["process"])
    told = from_maps(paired)
    if order is None:
        return told
    place = {numbers[completion]: position for position, completion in enumerate(order)}
    return history(_with_revision(operation, place[operation.index]) for operation in told)


def _with_revision(operation: Operation, revision: int) -> Operation:
    return msgspec.structs.replace(operation, revision=revision)


def _options(told: dict[str, bool], expected: dict[str, Any]) -> Options:
    return Options(
        models=expected["models"] or (),
        anomalies=expected["anomalies"] or (),
        writes_follow_reads_keys=told.get("wfr-keys", False),
        sequential_keys=told.get("sequential-keys", False),
        linearizable_keys=told.get("linearizable-keys", False),
    )


def _compare(name: str, told: History, kind: str, options: Options, expected: dict[str, Any]) -> None:
    checker, write = CHECKERS[kind]
    verdict = checker(told, options)
    assert verdict.outcome is VALID[expected["valid"]], name
    assert {finding.name for finding in verdict.findings} == set(expected["anomaly_types"]) - {
        NOTHING_DEPENDS
    }, name
    assert set(verdict.ruled_out) == set(expected["not"]), name
    assert problem(told, write, verdict, options) is None, name


def _of_file(name: str) -> History:
    return read.history((HISTORIES / name).read_text(encoding="utf-8"), name)


FILES: list[tuple[str, Any, bool]] = [
    ("elle/paper-example.edn", list_append, False),
    ("elle-cli/elle/paper-example.json", list_append, False),
    (
        "elle-cli/elle/list-append-gh-30.edn",
        lambda told: list_append(told, Options(models=("serializable",))),
        False,
    ),
    ("elle-cli/elle/rw-register.edn", rw_register, True),
    ("elle-cli/elle/rw-register.json", rw_register, True),
    ("elle-cli/jepsen/bank.edn", bank, True),
    ("elle-cli/jepsen/bank.json", bank, True),
    ("elle-cli/jepsen/bank-tidb.edn", bank, False),
    ("elle-cli/jepsen/bank-neg.edn", bank, True),
    ("elle-cli/jepsen/bank-negative-balances.json", bank, False),
    ("elle-cli/jepsen/counter.edn", counter, True),
    ("elle-cli/jepsen/counter.json", counter, True),
    ("elle-cli/jepsen/long-fork.edn", lambda told: long_fork(told, group_size=3), False),
]


@pytest.mark.parametrize(("name", "checker", "fine"), FILES)
def test_files_get_their_verdicts(name: str, checker: Any, fine: bool) -> None:
    verdict: Verdict = checker(_of_file(name))
    assert verdict.outcome is (Outcome.HOLDS if fine else Outcome.VIOLATED)


def test_snapshot_isolation_holds_without_a_single_miss() -> None:
    told = _of_file("elle/si-without-g-single.edn")
    options = Options(models=("snapshot-isolation", "repeatable-read"))
    verdict = list_append(told, options)
    assert {finding.name for finding in verdict.findings} == {"G2-item"}
    assert verdict.ruled_out == ("repeatable-read",)


def test_a_knot_of_thousands_is_untied() -> None:
    """Where Elle's search runs out of time and falls back to knowing that some circle exists, it is shown."""
    told = _of_file("elle/huge-scc.edn")
    verdict = list_append(told)
    assert verdict.ruled_out == ("strong-snapshot-isolation",)
    assert {finding.name for finding in verdict.findings} == {"G-single-item-realtime"}
    assert problem(told, "append", verdict) is None
