"""Jobs that were put, handed out and acknowledged: each rule has a history that breaks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest

from agreed.check.grants import Access, Acknowledgement, Put, Tenure, jobs_done
from agreed.check.history import Status
from tests.check.grants.told import came, found, tenure

OK, FAIL, INFO = Status.OK, Status.FAIL, Status.INFO


def put(status: Status = OK) -> Put:
    return Put(job="j", status=status)


def given(holder: str, token: int) -> Tenure:
    return tenure(holder, token, token, token, name="j")


def said(holder: str, token: int, status: Status = OK) -> Acknowledgement:
    return Acknowledgement(job="j", token=token, holder=holder, status=status)


def worked(holder: str, token: int) -> Access:
    return came(token, holder, token, name="j")


A, B = given("A", 1), given("B", 2)
BY_A, BY_B = worked("A", 1), worked("B", 2)
BOTH = [BY_A, BY_B]


class Story(NamedTuple):
    puts: Sequence[Put]
    tenures: Sequence[Tenure]
    acknowledgements: Sequence[Acknowledgement]
    accesses: Sequence[Access]
    effects: Mapping[str, int] | None
    found: Sequence[str] = ()


STORIES: dict[str, Story] = {
    "nothing at all": Story([], [], [], [], {}),
    "done": Story([put()], [A], [said("A", 1)], [BY_A], {"j": 1}),
    "lost by one, done by another": Story([put()], [A, B], [said("B", 2)], BOTH, {"j": 2}),
    "one was refused": Story([put()], [A, B], [said("A", 1, FAIL), said("B", 2)], BOTH, {"j": 2}),
    "done, though nobody was told": Story([put()], [A], [said("A", 1, INFO)], [BY_A], {"j": 1}),
    "perhaps put, and not there": Story([put(INFO)], [], [], [], {}),
    "perhaps put, and done": Story([put(INFO)], [A], [said("A", 1)], [BY_A], {"j": 1}),
    "the end was not reached": Story([put()], [A], [], [], None),
    "perhaps done, and again": Story([put()], [A, B], [said("A", 1, INFO), said("B", 2)], BOTH, {"j": 2}),
    # --- and what must not be
    "nobody has put it": Story([], [A], [], [], {}, ["out of nowhere"]),
    "putting it has failed": Story([put(FAIL)], [A], [], [], {}, ["out of nowhere"]),
    "never handed out": Story([put()], [], [], [], {}, ["lost"]),
    "handed out, and then nothing": Story([put()], [A], [], [BY_A], {}, ["lost"]),
    "perhaps done, and it was not": Story([put()], [A], [said("A", 1, INFO)], [BY_A], {}, ["lost"]),
    "done, and its effect is not there": Story([put(INFO)], [A], [said("A", 1)], [BY_A], {}, ["lost"]),
    "handed out again": Story([put()], [A, B], [said("A", 1)], BOTH, {"j": 1}, ["after it was done"]),
    "both were told so": Story(
        [put()],
        [A, B],
        [said("A", 1), said("B", 2)],
        BOTH,
        {"j": 2},
        ["done twice", "after it was done"],
    ),
    "another was told": Story([put()], [A, B], [said("B", 2)], BOTH, {"j": 1}, ["another was told"]),
    "it was refused, and is done": Story(
        [put()], [A], [said("A", 1, FAIL)], [BY_A], {"j": 1}, ["another was told"]
    ),
    "nobody has said so, and it is done": Story([put()], [A], [], [BY_A], {"j": 1}, ["another was told"]),
    "done before it was worked on": Story([put()], [A], [said("A", 1)], [], {"j": 1}, ["never worked on"]),
    "another has worked on it": Story([put()], [A], [said("A", 1)], [BY_B], {"j": 1}, ["never worked on"]),
}


@pytest.mark.parametrize("name", STORIES)
def test_what_may_be_and_what_must_not(name: str) -> None:
    story = STORIES[name]
    verdict = jobs_done(story.puts, story.tenures, story.acknowledgements, story.accesses, story.effects)
    assert found(verdict) == list(story.found)
