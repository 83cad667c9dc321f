"""What a run of the bank says about itself."""
from __future__ import annotations

from collections import Counter

from tests.transactions.bank_report import LockWatch, Report


def watched(*looks: tuple[str, set[str], float]) -> LockWatch:
    watch = LockWatch()
    for database, prepared, now in looks:
        watch.look(database, frozenset(prepared), now)
    return watch


def test_a_branch_is_locked_from_the_first_look_that_shows_it_to_the_first_that_does_not() -> None:
    watch = watched(
        ("left", {"t"}, 1.0),
        ("right", {"t", "u"}, 2.0),
        ("left", {"t"}, 3.0),
        ("left", set(), 5.0),
        ("right", {"u"}, 6.0),
    )
    assert [(each.database, each.locked_s) for each in watch.branches] == [("left", 4.0), ("right", 4.0)]
    assert (watch.most_at_once, watch.longest_s, watch.account_seconds(1.0)) == (3, 4.0, 8.0)
    assert watch.longer_than(4.0) == []


def test_a_wrong_is_told_and_then_there_is_no_good_verdict() -> None:
    good = Report("decisions in raft", 7, 10.0, told=Counter({"committed": 20}), took_s=[0.01, 0.03], rows=22)
    assert "verdict    money conserved" in good.text()
    assert "22 in the journals, of 2 nobody lived to hear" in good.text()
    bad = Report("decisions in raft", 7, 10.0, violations=["half of t is lost"])
    assert "WRONG      half of t is lost" in bad.text()
    assert "verdict" not in bad.text()
