"""All promises together, and what is kept of them in files."""

from __future__ import annotations

import json

import pytest

from agreed.check.grants import Acknowledgement, Effect, Look, Put, Terms, Told, grants, together
from agreed.check.history import Status
from agreed.check.read import grantlines
from agreed.check.verdict import Budget, Outcome
from agreed.cli.check import judge
from agreed.cli.check_properties import Question
from agreed.errors import MalformedInput
from tests.check.grants.told import came, tenure

TWO_AT_ONCE = Told(tenures=[tenure("A", 1, 0, 10, 50), tenure("B", 2, 0, 20, 60)])

OF_EVERYTHING = Told(
    terms=Terms(permits=1, drained=True),
    tenures=[tenure("A", 1, 0, 10, 50, 40, name="j")],
    accesses=[came(11, "A", 1, name="j")],
    looks=[Look(name="e", by="A", asked=1, answered=2, token=None)],
    puts=[Put(job="j", status=Status.OK)],
    acknowledgements=[Acknowledgement(job="j", token=1, holder="A", status=Status.OK)],
    effects=[Effect(job="j", token=1)],
)


def test_each_promise_is_judged_that_something_is_told_about() -> None:
    assert list(grants(Told())) == ["tokens", "certainty"]
    assert list(grants(OF_EVERYTHING)) == ["tokens", "certainty", "leaders", "jobs"]
    assert all(verdict.holds for verdict in grants(OF_EVERYTHING).values())


def test_where_there_are_more_permits_more_may_hold() -> None:
    assert not together(grants(TWO_AT_ONCE).values()).holds
    shared = Told(terms=Terms(permits=2), tenures=TWO_AT_ONCE.tenures)
    assert together(grants(shared).values()).holds


def test_nothing_is_lost_before_the_end() -> None:
    put = Told(puts=[Put(job="j", status=Status.OK)])
    assert together(grants(put).values()).holds
    at_the_end = Told(terms=Terms(drained=True), puts=put.puts)
    (finding,) = together(grants(at_the_end).values()).findings
    assert finding.name == "lost"


@pytest.mark.parametrize("told", [Told(), TWO_AT_ONCE, OF_EVERYTHING])
def test_what_was_written_is_read_as_it_was(told: Told) -> None:
    again = grantlines.read(grantlines.write(told))
    assert grantlines.write(again) == grantlines.write(told)
    assert [list(each.findings) for each in grants(again).values()] == [
        list(each.findings) for each in grants(told).values()
    ]


@pytest.mark.parametrize("line", ["[]", '{"type": "Tenure"}', '{"type": "Nothing"}', "x"])
def test_what_is_no_record_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(MalformedInput, match="line 2"):
        grantlines.read(f"{json.dumps({'type': 'Terms'})}\n{line}\n")


def test_a_file_is_judged_again_by_the_command() -> None:
    question = Question("cas-register", None, Budget())
    _, judged = judge("lock.jsonl", grantlines.write(TWO_AT_ONCE), "grants", question)
    assert judged.verdict.outcome is Outcome.VIOLATED
    assert "together with A with token 1" in judged.verdict.reason
