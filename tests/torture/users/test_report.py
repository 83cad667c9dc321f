"""What is said of a run of users, and of several together."""

from __future__ import annotations

from collections import Counter

from agreed.check.grants import grants
from agreed.torture.users.judging import Written, told
from agreed.torture.users.report import Tally, lines
from agreed.torture.users.run import Report
from tests.check.grants.told import came, tenure


def a_report(*, twice: bool = False) -> Report:
    written = Written(
        tenures=[tenure("u1.1/lock", 1, 0, 10, 50), tenure("u2.1/lock", 2, 0, 20 if twice else 50, 60)],
        accesses=[came(11, "u1.1/lock", 1), came(55, "u2.1/lock", 2), came(56, "u1.1/lock", 1, False)],
        failures=Counter({"LockLost": 2, "AcquireTimeout": 1}),
    )
    verdicts = list(grants(told("lock", written, None)).values())
    return Report("etcd", ["lock"], Counter({"user-kill": 3}), 90.0, {"lock": written}, {"lock": verdicts})


def test_a_run_is_told_recipe_by_recipe() -> None:
    said = "\n".join(lines(a_report()))
    assert "faults: 3: 3 user-kill" in said
    assert "lock: 2 grants, 3 accesses, 1 refused by the fence, 2 grants lost" in said
    assert "1 AcquireTimeout, 2 LockLost" in said
    assert said.endswith("everything holds")


def test_what_was_found_is_told_in_the_words_of_the_judge() -> None:
    said = "\n".join(lines(a_report(twice=True)))
    assert "too many holders: a: u2.1/lock with token 2 was certain for" in said
    assert said.endswith("VIOLATED")


def test_a_problem_is_a_violation_and_what_is_not_promised_is_not() -> None:
    report = a_report()
    report.weaker.append("lock: a: two for a moment")
    assert report.holds
    assert "not promised here, and found: lock: a: two for a moment" in "\n".join(lines(report))
    report.problems.append("user u1.1 ended by itself with 1:\nTraceback")
    assert report.violated
    assert "problem: user u1.1 ended by itself" in "\n".join(lines(report))


def test_several_runs_are_told_together() -> None:
    tally = Tally()
    for report in (a_report(), a_report()):
        tally.add(report)
    said = "\n".join(tally.lines())
    assert "3.0 minutes of work" in said
    assert "lock: 6 faults (6 etcd), 4 grants, 6 accesses, 2 refused by the fence" in said
    assert "4 holds" in said
    assert tally.holds
    tally.add(a_report(twice=True))
    assert tally.violated
    assert not tally.holds
