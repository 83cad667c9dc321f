"""Where operations are said to have taken effect, where orders get stuck, what is left out, who has a tab."""
from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agreed.check.explain.drawing import MOST_FINDINGS, draw, moments_of, stuck
from agreed.check.history import Operation, Status, history
from agreed.check.verdict import Finding, Outcome, Verdict, Witness
from tests.check.explain.examples import CIRCLE, EXPLAINED, MS, STALE, STALE_READ, keyed, operation


def test_an_operation_takes_effect_in_the_middle_of_the_time_that_is_left_to_it() -> None:
    alone = [operation(0, 0, "w", 1, None, 0, 10)]
    assert moments_of(alone) == ([5], True)
    after = [operation(0, 0, "w", 1, None, 0, 10), operation(1, 1, "w", 2, None, 4, 20)]
    assert moments_of(after) == ([5, 12], True)
    against_their_calls = [after[1], after[0]]
    assert moments_of(against_their_calls) == ([7, 7], True)
    never_answered = [operation(0, 0, "w", 1, None, 3), operation(1, 1, "w", 2, None, 5)]
    assert moments_of(never_answered) == ([3, 5], True)
    assert moments_of([]) == ([], True)


def test_an_order_against_real_time_is_drawn_in_the_middle_of_each() -> None:
    first, second = operation(0, 0, "w", 1, None, 0, 10), operation(1, 1, "w", 2, None, 20, 30)
    assert moments_of([second, first]) == ([25, 5], False)
    assert moments_of([second, first, operation(2, 2, "w", 1, None, 7)])[0] == [25, 5, 7]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.booleans()), max_size=12))
def test_moments_lie_within_and_follow_the_order(drawn: list[tuple[int, int, bool]]) -> None:
    operations = [
        operation(number, number, "w", 1, None, called, None if forgotten else called + long)
        for number, (called, long, forgotten) in enumerate(drawn)
    ]
    moments, real_time = moments_of(operations)
    for each, moment in zip(operations, moments, strict=True):
        assert each.called <= moment
        assert each.returned is None or moment <= each.returned
    if real_time:
        assert all(one <= other for one, other in pairwise(moments))
    ahead = [
        (one, other)
        for number, one in enumerate(operations)
        for other in operations[number + 1 :]
        if other.returned is not None and other.returned < one.called
    ]
    assert real_time == (not ahead)


def test_it_is_stuck_where_one_of_those_that_may_be_next_would_have_to_be() -> None:
    remaining = [
        operation(0, 0, "r", None, 1, 0, 10),
        operation(1, 1, "r", None, 2, 5, 30),
        operation(2, 2, "r", None, 3, 11, 12),
        operation(3, 3, "w", 4, None, 0),
        operation(4, 4, "cas", [1, 2], None, 0, 5, Status.FAIL),
    ]
    assert stuck(list(enumerate(remaining))) == [0, 1]
    assert stuck(list(enumerate(remaining))[3:]) == []


def test_times_count_from_the_first_call() -> None:
    since_1970 = 1_700_000_000_000_000_000
    moved = history(
        [
            msgspec.structs.replace(
                each, called=each.called + since_1970, returned=each.returned and each.returned + since_1970
            )
            for each in STALE
        ]
    )
    drawing = draw(moved, STALE_READ)
    assert drawing.began == since_1970
    assert drawing.operations[0].called == 0
    assert drawing.operations[3].returned == 30 * MS
    assert drawing.operations[2].returned is None
    assert drawing.findings[0].orders[0].at == [5 * MS, 16 * MS]
    assert max(each.called for each in drawing.operations) < 2**53


def test_faults_are_cut_to_what_is_drawn() -> None:
    partition, kill = draw(STALE, STALE_READ).faults
    assert partition.name == "partition"
    assert (partition.began, partition.ended, partition.goes_on) == (8 * MS, 22 * MS, False)
    assert (kill.began, kill.ended, kill.goes_on) == (45 * MS, 50 * MS, True)
    assert partition.detail == "n1 | n2 n3"


def test_an_attempt_shows_its_states_and_its_culprit() -> None:
    (finding,) = draw(STALE, STALE_READ).findings
    assert finding.operations == [1, 3]
    first, second = finding.orders
    assert (first.operations, first.states, first.stuck) == ([0, 1], ["1", "2"], [3])
    assert second.operations == [0, 1, 2]


def test_without_a_culprit_it_is_found_among_what_the_attempt_left() -> None:
    (found,) = STALE_READ.findings
    unnamed = msgspec.structs.replace(found, culprit=None, operations=(0, 1, 3), attempts=found.attempts[:1])
    verdict = msgspec.structs.replace(STALE_READ, findings=[unnamed])
    (finding,) = draw(STALE, verdict).findings
    assert finding.orders[0].stuck == [3], "of the piece, which the attempt tried to explain"
    other = msgspec.structs.replace(unnamed, operations=(3,))
    (finding,) = draw(STALE, msgspec.structs.replace(STALE_READ, findings=[other])).findings
    assert finding.orders[0].stuck == [3], "of everything"


def test_a_circle_has_arrows() -> None:
    (finding,) = draw(*CIRCLE).findings
    arrows = [(arrow.source, arrow.target, arrow.kind) for arrow in finding.arrows]
    assert arrows == [(0, 1, "wr x"), (1, 0, "wr y")]
    assert [arrow.step for arrow in finding.arrows] == [2, 3]
    assert finding.names == {0: "T1", 1: "T2"}
    assert finding.tab == 0


def test_where_sentences_and_arrows_are_not_as_many_none_is_taken_for_another() -> None:
    looked_at, verdict = CIRCLE
    (found,) = verdict.findings
    unclear = msgspec.structs.replace(found, steps=(*found.steps, "T1 comes before T3."))
    (finding,) = draw(looked_at, msgspec.structs.replace(verdict, findings=[unclear])).findings
    assert [arrow.step for arrow in finding.arrows] == [None, None]


def test_where_keys_are_not_apart_each_operation_says_its_own() -> None:
    looked_at, verdict = keyed()
    as_one = msgspec.structs.replace(verdict, witnesses=(), findings=())
    assert draw(looked_at, verdict).operations[0].label == "write 1"
    assert draw(looked_at, as_one).operations[0].label == "write good 1"


def test_objects_that_were_judged_apart_have_tabs_the_violated_first() -> None:
    drawing = draw(*keyed())
    assert [(tab.name, tab.outcome, list(tab.operations)) for tab in drawing.tabs] == [
        ("bad", "violated", [1, 4]),
        ("good", "holds", [0, 3]),
        ("ugly", "unknown", [2, 5]),
    ]
    assert drawing.findings[0].tab == 0
    assert drawing.tabs[1].orders[0].operations == [0, 3]


def test_what_was_judged_as_one_has_one_tab() -> None:
    looked_at, _ = keyed()
    verdict = Verdict("sequential", Outcome.HOLDS, witnesses=[Witness(None, (0, 1, 2, 3, 4, 5))])
    (tab,) = draw(looked_at, verdict).tabs
    assert (tab.name, len(tab.operations)) == ("", 6)


def test_objects_smaller_than_keys_have_what_was_judged_together() -> None:
    """A model may take a set apart into its elements: no operation has such a key."""
    operations = [operation(number, number, "add", number, None, 0, 10) for number in range(3)]
    verdict = Verdict(
        "linearizable set",
        Outcome.VIOLATED,
        witnesses=[Witness("element 0", (0,)), Witness("element 1", (1,))],
        findings=[Finding("not linearizable", (2,), ("lost",), key="element 2")],
    )
    drawing = draw(history(operations), verdict)
    assert [(tab.name, list(tab.operations)) for tab in drawing.tabs] == [
        ("element 2", [2]),
        ("element 0", [0]),
        ("element 1", [1]),
    ]


def test_of_too_many_those_near_the_finding_stay() -> None:
    operations: list[Operation] = []
    for number in range(100):
        operations.append(operation(number, 0, "write", number, None, 10 * number, 10 * number + 5))
    findings = [Finding("not linearizable", (60, 3), ("why",))]
    drawing = draw(history(operations), Verdict("x", Outcome.VIOLATED, findings=findings), most=10)
    kept = [each.index for each in drawing.operations]
    assert len(kept) == 10
    assert {3, 60} <= set(kept)
    assert drawing.operations_in_all == 100
    assert drawing.findings[0].operations == [kept.index(60), kept.index(3)]
    assert sum(abs(index - 3) < 10 for index in kept) == 9, "the first of the finding is the centre"
    assert draw(history(operations), Verdict("x", Outcome.HOLDS), most=10).operations[0].index == 0


def test_too_many_findings_are_counted() -> None:
    findings = [Finding("stale", (0,), ("why",))] * (MOST_FINDINGS + 5)
    drawing = draw(EXPLAINED[0], Verdict("x", Outcome.VIOLATED, findings=findings))
    assert len(drawing.findings) == MOST_FINDINGS
    assert drawing.findings_in_all == MOST_FINDINGS + 5


def test_nothing_at_all_can_be_drawn() -> None:
    drawing = draw(history([]), Verdict("linearizable register", Outcome.HOLDS))
    assert drawing.operations == []
    assert drawing.span == 0


def test_several_orders_are_told_apart() -> None:
    verdict = Verdict("causal (CM)", Outcome.HOLDS, witnesses=[Witness(None, (0, 1)), Witness(None, (1, 0))])
    (tab,) = draw(EXPLAINED[0], verdict).tabs
    assert [order.name for order in tab.orders] == ["order 1 of 2", "order 2 of 2"]
