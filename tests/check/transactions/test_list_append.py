"""Lists: for each anomaly the smallest history that has it, and its neighbour that has not."""
from __future__ import annotations

from itertools import permutations

import pytest

from agreed.check.history import History, Operation, Status, history
from agreed.check.transactions import Options, list_append
from agreed.check.transactions.replay import problem
from agreed.check.verdict import Budget, Outcome, Verdict
from agreed.errors import ConfigurationError, MalformedInput
from tests.check.transactions.story import in_a_row, together


def judged(told: History, *models: str, anomalies: tuple[str, ...] = ()) -> Verdict:
    options = Options(models=models, anomalies=anomalies)
    verdict = list_append(told, options)
    assert problem(told, "append", verdict, options) is None
    return verdict


def names(verdict: Verdict) -> set[str]:
    return {finding.name for finding in verdict.findings}


GALLERY = {
    "G0: two append to both keys, in opposite orders": (
        together("ax1 ay1", "ax2 ay2", "rx[1 2] ry[2 1]"),
        {"G0"},
        {"read-uncommitted"},
    ),
    "G1a: an aborted append is read": (together("fail ax1", "rx[1]"), {"G1a"}, {"read-committed"}),
    "G1b: between two appends of one transaction": (
        together("ax1 ax2", "rx[1]"),
        {"G1b", "G-single-item"},
        {"read-committed"},
    ),
    "G1c: each reads what the other appended": (
        together("ax1 ry[1]", "ay1 rx[1]"),
        {"G1c"},
        {"read-committed"},
    ),
    "G-single: sees one append of a transaction and misses the other": (
        together("ax1 ay1", "rx[1] ry[]"),
        {"G-single-item"},
        {"consistent-view", "repeatable-read"},
    ),
    "G-nonadjacent: two readers see two appends in two orders": (
        together("ax1", "ay1", "rx[1] ry[]", "ry[1] rx[]"),
        {"G-nonadjacent-item"},
        {"snapshot-isolation", "repeatable-read"},
    ),
    "G2: write skew": (together("rx[] ay1", "ry[] ax1"), {"G2-item"}, {"repeatable-read"}),
    "lost update: both read one version, and both append": (
        together("ax1", "rx[1] ax2", "rx[1] ax3", "rx[1 2 3]"),
        {"lost-update", "G-single-item"},
        {"update-atomic", "cursor-stability"},
    ),
    "internal: does not see its own append": (
        together("ax1 rx[]", "rx[1]"),
        {"internal"},
        {"read-atomic"},
    ),
    "internal: reads twice and differently": (
        together("rx[] rx[1]", "ax1"),
        {"internal", "G-single-item"},
        {"read-atomic", "consistent-view", "repeatable-read"},
    ),
    "future read: reads what it appends later": (
        together("rx[1] ax1", "rx[1]"),
        {"future-read"},
        {"read-committed"},
    ),
    "dirty update: on top of what was aborted": (
        together("fail ax1", "ax2", "rx[1 2]"),
        {"G1a", "dirty-update"},
        {"read-committed"},
    ),
    "duplicate: one append took effect twice": (
        together("ax1", "rx[1 1]"),
        {"duplicate-elements"},
        {"read-uncommitted"},
    ),
    "incompatible: neither read is the beginning of the other": (
        together("ax1", "ax2", "rx[1]", "rx[2]"),
        {"incompatible-order"},
        {"read-committed"},
    ),
    "incompatible: not in the order in which they were appended": (
        together("ax1 ax2", "rx[2 1]"),
        {"incompatible-order", "G1b"},
        {"read-committed"},
    ),
    "garbage: nobody appended it": (together("ax1", "rx[7]"), {"garbage-read"}, {"read-uncommitted"}),
    "cyclic versions: the server says 2 came first, and a reader 1": (
        together("rev9 ax1", "rev4 ax2", "rx[1 2]"),
        {"cyclic-versions"},
        {"read-uncommitted"},
    ),
    "cyclic versions: an append of an early revision is not in a list of a later one": (
        together("rev4 ax1", "rev9 ax2", "rx[2]"),
        {"cyclic-versions"},
        {"read-uncommitted"},
    ),
}


@pytest.mark.parametrize("case", GALLERY)
def test_the_gallery(case: str) -> None:
    told, anomalies, ruled_out = GALLERY[case]
    verdict = judged(told, "serializable")
    assert verdict.outcome is Outcome.VIOLATED
    assert names(verdict) == anomalies
    assert set(verdict.ruled_out) == ruled_out


NEIGHBOURS = {
    "G0": together("ax1 ay1", "ax2 ay2", "rx[1 2] ry[1 2]"),
    "G1a, but nobody knows whether it aborted": together("info ax1", "rx[1]"),
    "G1b, but all of it": together("ax1 ax2", "rx[1 2]"),
    "G1c, but only one reads the other": together("ax1 ry[]", "ay1 rx[1]"),
    "G-single, but misses both": together("ax1 ay1", "rx[] ry[]", "rx[1]"),
    "G-nonadjacent, but in one order": together("ax1", "ay1", "rx[1] ry[]", "ry[1] rx[1]"),
    "G2, but the second sees the first": together("rx[] ay1", "ry[1] ax1"),
    "lost update, but the second read the first": together("ax1", "rx[1] ax2", "rx[1 2] ax3", "rx[1 2 3]"),
    "internal, with its own append": together("ax1 rx[1]", "rx[1]"),
    "own appends on top of what others left": together("ax1 ax2", "rx[1 2] ax3 rx[1 2 3] ax4 rx[1 2 3 4]"),
    "appends that nobody read, in no order": together("rx[]", "ax1", "ax2", "ax3"),
    "revisions that agree": together("rev4 ax1", "rev9 ax2", "rx[1 2]", "rev12 ax3"),
    "revisions that two claim say nothing": together("rev4 ax1", "rev4 ax2", "rx[2]", "rx[2 1]"),
}


@pytest.mark.parametrize("case", NEIGHBOURS)
def test_what_is_near_to_it_holds_and_has_an_order(case: str) -> None:
    verdict = judged(NEIGHBOURS[case], "serializable")
    assert verdict.outcome is Outcome.HOLDS
    assert len(verdict.witnesses) == 1


def test_a_model_does_not_mind_what_it_allows() -> None:
    """Write skew: snapshot isolation allows it, serializability does not."""
    told = together("rx[] ay1", "ry[] ax1")
    assert judged(told, "snapshot-isolation").holds
    assert judged(told, "serializable").outcome is Outcome.VIOLATED


def test_a_long_fork_is_allowed_by_all_but_snapshot_isolation_and_repeatable_read() -> None:
    told = together("ax1", "ay1", "rx[1] ry[]", "ry[1] rx[]")
    assert judged(told, "parallel-snapshot-isolation").holds
    assert judged(told, "consistent-view").holds
    assert judged(told, "snapshot-isolation").outcome is Outcome.VIOLATED


@pytest.mark.parametrize(
    ("process", "form", "model"),
    [
        ("p1", "-process", "strong-session-serializable"),
        ("p8", "-realtime", "strict-serializable"),
    ],
)
def test_a_read_that_misses_an_earlier_append_breaks_the_order_of_the_session_or_of_time(
    process: str, form: str, model: str
) -> None:
    told = in_a_row("ax1", "p1 ax2", f"{process} rx[1]", "p3 rx[1 2]")
    assert judged(told, "serializable").holds
    verdict = judged(told, model)
    assert names(verdict) == {"G-single-item" + form}


def test_two_that_overlap_have_no_order_in_time() -> None:
    """The miss is allowed if the append had not returned when the read was called, or did just then."""
    late = together("0..10 ax1", "10..20 rx[]", "15..30 rx[1]")
    assert judged(late, "strict-serializable").holds
    later = together("0..10 ax1", "11..20 rx[]", "15..30 rx[1]")
    assert names(judged(later, "strict-serializable")) == {"G-single-item-realtime"}


def test_a_form_is_told_only_if_it_rules_out_more() -> None:
    """The lost update is against real time as well; but it is no snapshot isolation in any form."""
    told = in_a_row("ax1", "rx[1] ax2", "rx[1] ax3")
    verdict = judged(told, "strict-serializable")
    assert names(verdict) == {"lost-update", "G2-item"}
    assert "strict-serializable" in verdict.also_ruled_out


def test_of_a_transaction_that_nobody_heard_of_an_overwrite_is_no_g0() -> None:
    """T2 may have aborted: then its readers saw what was aborted, and nothing was overwritten."""
    verdict = judged(together("ax1 ay1", "info ax2 ay2", "rx[1 2] ry[2 1]"), "serializable")
    assert names(verdict) == {"G1c"}
    assert verdict.ruled_out == ("read-committed",)


def test_an_overwrite_past_such_a_transaction_is_one_all_the_same() -> None:
    """Of x the order is 1 3 2 whether 3 took effect or not, so without it 1 is overwritten by 2."""
    told = together("ax1 ay2", "info ax3", "ax2 ay1", "rx[1 3 2] ry[1 2]")
    assert "G0" in names(judged(told, "serializable"))


def test_what_never_took_effect_depends_on_nothing() -> None:
    """The unanswered transaction would close a circle, and nobody saw anything of it."""
    assert judged(together("ax1", "info ax2 ay2", "rx[1] ry[]"), "serializable").holds


def test_a_circle_is_told_in_sentences() -> None:
    verdict = judged(together("ax1 ay1", "rx[1] ry[]"), "serializable")
    (finding,) = verdict.findings
    assert [(side.before, side.after, side.kind, side.key) for side in finding.cycle] == [
        (1, 0, "rw", "y"),
        (0, 1, "wr", "x"),
    ]
    assert list(finding.steps) == [
        "T1 is operation 1 (process 1): read x as [1], read y as [].",
        "T2 is operation 0 (process 0): append 1 to x, append 1 to y.",
        "T1 comes before T2: it read y without 1, which T2 appended.",
        "T2 comes before T1: it wrote 1 to x, and T1 read that.",
        "So each of them comes before the next, and the last before the first.",
    ]


def test_who_shows_an_order_is_named_with_the_circle() -> None:
    (finding,) = judged(together("ax1 ay1", "ax2 ay2", "rx[1 2] ry[2 1]"), "read-uncommitted").findings
    assert finding.operations == (0, 1, 2)
    assert "since T3 read x with 1 before 2" in finding.steps[3]


def test_the_smallest_circle_is_shown() -> None:
    """A ring of five, and within the same knot one of two."""
    ring = ["ra[] ab1", "rb[] ac1", "rc[] ad1", "rd[] ae1", "re[] aa1"]
    assert len(judged(together(*ring), "serializable").findings[0].cycle) == 5
    ring[0] += " af1 rg[]"
    ring[2] += " ag1 rf[]"
    assert len(judged(together(*ring), "serializable").findings[0].cycle) == 2


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_order_of_the_operations_in_the_file_changes_nothing(order: tuple[int, ...]) -> None:
    texts = ["ax1", "ay1", "rx[1] ry[]", "ry[1] rx[]"]
    assert names(judged(together(*(texts[at] for at in order)))) == {"G-nonadjacent-item"}


def test_only_anomalies_that_are_asked_for_count() -> None:
    told = together("ax1 ax2", "rx[1]")
    assert judged(told, anomalies=("G0",)).holds
    assert names(judged(told, anomalies=("G1",))) == {"G1b"}
    assert names(judged(told, anomalies=("G2",))) == {"G-single-item"}


def test_writes_that_are_not_unique_are_not_judged() -> None:
    verdict = list_append(together("ax1", "ax1", "rx[1]"))
    assert verdict.outcome is Outcome.UNKNOWN
    assert "1 is written to 'x' by operation 0 and by operation 1" in verdict.reason


def test_where_nothing_depends_on_anything_nothing_is_known() -> None:
    for told in (together(), together("ax1"), together("ax1", "ax2"), together("rx[]")):
        verdict = judged(told, "serializable")
        assert verdict.outcome is Outcome.UNKNOWN
        assert "nothing could be judged" in verdict.reason


def test_time_is_bounded() -> None:
    """The clock jumps a second at each look."""
    seconds = iter(range(1000))
    budget = Budget(seconds=0.5, clock=lambda: float(next(seconds)))
    told = in_a_row(*(f"ax{number}" for number in range(8_000)))
    verdict = list_append(told, Options(budget=budget))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason.startswith("time")


@pytest.mark.parametrize(
    "result",
    [
        None,
        "rx",
        [["r", "x"]],
        [["r", "x", 3]],
        [["cas", "x", 1]],
        [["r", ["x"], []]],
        [["r", "x", [[1]]]],
        [7],
    ],
)
def test_what_is_no_transaction_is_refused(result: object) -> None:
    told = history([Operation(0, 0, "txn", None, result, 0, 1, Status.OK)])
    with pytest.raises(MalformedInput, match="operation 0"):
        list_append(told)


def test_models_and_anomalies_must_exist() -> None:
    with pytest.raises(ConfigurationError, match="no model of transactions"):
        list_append(together("ax1"), Options(models=("linearizable",)))
    with pytest.raises(ConfigurationError, match="no anomaly"):
        list_append(together("ax1"), Options(anomalies=("G9",)))


def test_many_findings_of_a_name_are_counted_and_a_few_told() -> None:
    told = together(
        *(f"fail a{key}1" for key in "abcdefghijklmno"), *(f"r{key}[1]" for key in "abcdefghijklmno")
    )
    verdict = judged(told, "read-committed")
    assert verdict.reason.startswith("G1a (15)")
    assert len(verdict.findings) == 8
