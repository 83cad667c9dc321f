"""The status of one node leads to all of them; a dead one has a row too, and the code at the end tells."""
from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from agreed.cli.exits import NO_ANSWER, REFUSED
from agreed.cli.status import command, span, survey
from agreed.consensus.members import Member, Members

from .fake_node import FakeNode, a_status


def test_one_node_leads_to_the_others() -> None:
    members = Members(())
    with (
        FakeNode(lambda request: a_status("n1", members, role="leader", commit_index=120)) as first,
        FakeNode(lambda request: a_status("n2", members, applied_index=90)) as second,
    ):
        members = Members((first.member("n1"),), learners=(second.member("n2"),))
        rows = survey([first.address], 5)
    assert [(row.name, row.vote, row.lag) for row in rows] == [("n1", "voter", 20), ("n2", "learner", 30)]


def test_a_node_that_was_asked_at_two_addresses_has_one_row() -> None:
    members = Members(())
    with FakeNode(lambda request: a_status("n1", members)) as node:
        members = Members((node.member("n1"),))
        (row,) = survey([node.address.replace("127.0.0.1", "localhost"), node.address], 5)
    assert row.vote == "voter"


def test_a_member_that_does_not_answer_has_a_row_with_the_reason() -> None:
    gone = Member("n2", 2, "127.0.0.1:1")
    members = Members(())
    with FakeNode(lambda request: a_status("n1", members)) as node:
        members = Members((node.member("n1"), gone))
        result = CliRunner().invoke(command, ["--node", node.address])
    assert result.exit_code == REFUSED
    assert re.search(r"n2 +127\.0\.0\.1:1 +voter +no answer", result.output)


@pytest.mark.parametrize(("problem", "code"), [(None, 0), ("it knows no leader", REFUSED)])
def test_the_code_at_the_end_tells_of_a_problem(problem: str | None, code: int) -> None:
    with FakeNode(lambda request: a_status("n1", problem=problem)) as node:
        result = CliRunner().invoke(command, ["--node", node.address])
    assert result.exit_code == code
    assert (problem or "n1") in result.output


def test_where_nobody_answers_the_code_says_so() -> None:
    result = CliRunner().invoke(command, ["--node", "127.0.0.1:1"])
    assert result.exit_code == NO_ANSWER


def test_a_program_reads_names_and_not_positions() -> None:
    members = Members(())
    with FakeNode(lambda request: a_status("n1", members, role="leader")) as node:
        members = Members((node.member("n1"),))
        result = CliRunner().invoke(command, ["--node", node.address, "--json"])
    (row,) = json.loads(result.output)
    assert row["name"] == "n1"
    assert row["status"]["role"] == "leader"
    assert row["status"]["members"]["voters"][0]["address"] == node.address


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(7_840, "7.8s"), (306_000, "5m 6s"), (3 * 3600_000 + 60_000, "3h 1m"), (100 * 3600_000, "4d 4h")],
)
def test_spans_of_time(milliseconds: int, words: str) -> None:
    assert span(milliseconds) == words
