"""What was reached, how often, by whom first; and what never was."""
from __future__ import annotations

from agreed.sim.coverage import Coverage, MarkReached, TableRow


def three_runs() -> Coverage:
    coverage = Coverage(["figure 8", "joint configuration", "full disk"])
    coverage.add(("swarm", 1), {"figure 8": 2}, [("leader", "RequestVote", "refused", 3)])
    coverage.add(("disk", 1), {"figure 8": 1, "full disk": 0}, [("leader", "RequestVote", "stepped down", 4)])
    coverage.add(("disk", 2), {"unheard of": 7}, [("follower", "AppendEntries", "appended", 50)])
    return coverage


def test_marks_say_how_often_in_how_many_runs_and_where_first() -> None:
    report = three_runs().report()
    assert report.runs == 3
    assert report.marks == [
        MarkReached("figure 8", 3, 2, "swarm", 1),
        MarkReached("joint configuration", 0, 0, None, None),
        MarkReached("full disk", 0, 0, None, None),
        MarkReached("unheard of", 7, 1, "disk", 2),
    ]


def test_what_was_never_reached_is_told() -> None:
    coverage = three_runs()
    assert coverage.never() == coverage.report().never == ["joint configuration", "full disk"]
    assert coverage.line() == "2 marks (2 never), 3 transitions"


def test_the_table_is_summed_and_sorted() -> None:
    coverage = three_runs()
    coverage.add(("disk", 3), {}, [("leader", "RequestVote", "refused", 1)])
    assert coverage.report().table == [
        TableRow("follower", "AppendEntries", "appended", 50),
        TableRow("leader", "RequestVote", "refused", 4),
        TableRow("leader", "RequestVote", "stepped down", 4),
    ]


def test_as_text() -> None:
    assert three_runs().marks_text() == "\n".join(
        [
            "mark                 times  runs  of runs  first",
            "figure 8                 3     2   66.7 %  swarm 1",
            "joint configuration      0     0    0.0 %  never",
            "full disk                0     0    0.0 %  never",
            "unheard of               7     1   33.3 %  disk 2",
        ]
    )
    assert three_runs().table_text() == "\n".join(
        [
            "role      message        outcomes",
            "follower  AppendEntries  appended 50",
            "leader    RequestVote    stepped down 4, refused 3",
        ]
    )
