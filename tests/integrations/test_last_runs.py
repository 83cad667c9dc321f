"""What a schedule has done, from one leader to the next."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from agreed.coordination.synchronous.election import Term
from agreed.integrations.last_runs import FORGET_AFTER, LastRuns
from agreed.integrations.leadership import Leadership
from agreed.recipes.errors import LeadershipLost
from tests.integrations.test_leadership import standing, until

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

Led = tuple[Leadership, Term]

_numbers = itertools.count(1)


@contextlib.contextmanager
def leading(url: str) -> Iterator[Led]:
    with standing(url) as leadership:
        until(leadership.term)
        term = leadership.term()
        assert term is not None
        yield leadership, term


@pytest.fixture
def led() -> Iterator[Led]:
    with leading(f"memory://runs/{next(_numbers)}") as both:
        yield both


AWKWARD = ["plain", "with a/slash", ".", "..", "", "Ünï%2f", "run-run-"]


def test_the_next_leader_finds_what_was_claimed() -> None:
    with leading("memory://runs/next") as (one, first):
        runs = LastRuns(one)
        runs.take_over(first)
        for name in AWKWARD:
            runs.claim(first, name, NOON)
            runs.claim(first, name, NOON + timedelta(hours=1))
        one.close()
        with leading("memory://runs/next") as (two, second):
            found = LastRuns(two)
            found.take_over(second)
            for name in AWKWARD:
                run = found.get(name)
                assert run is not None
                assert (run.at, run.count, run.token) == (NOON + timedelta(hours=1), 2, first.token)
            assert found.get("another") is None


def test_times_are_kept_in_one_zone(led: Led) -> None:
    leadership, term = led
    runs = LastRuns(leadership)
    runs.claim(term, "it", NOON.astimezone(timezone(timedelta(hours=-5))))
    runs.take_over(term)
    run = runs.get("it")
    assert run is not None
    assert run.at == NOON
    assert run.at.tzinfo is UTC or run.at.utcoffset() == timedelta(0)


def test_a_leader_that_was_claims_nothing(led: Led) -> None:
    leadership, term = led
    runs = LastRuns(leadership)
    term.release()
    with pytest.raises(LeadershipLost):
        runs.claim(term, "it", NOON)
    assert runs.get("it") is None
    runs.take_over(term)
    assert runs.get("it") is None


def test_where_time_counts_from_is_kept_once(led: Led) -> None:
    leadership, term = led
    runs = LastRuns(leadership)
    many = {f"entry {number}": NOON for number in range(1200)}  # more than one commit takes
    runs.begin(term, many)
    runs.claim(term, "entry 7", NOON + timedelta(hours=1))
    runs.begin(term, {**many, "entry 7": NOON + timedelta(hours=2)})
    runs.take_over(term)
    seventh, last = runs.get("entry 7"), runs.get("entry 1199")
    assert seventh is not None
    assert (seventh.at, seventh.count) == (NOON + timedelta(hours=1), 1)
    assert last is not None
    assert (last.at, last.count) == (NOON, 0)


def test_what_is_old_and_not_known_is_forgotten(led: Led) -> None:
    leadership, term = led
    runs = LastRuns(leadership)
    for name, at in (("old", NOON), ("old and known", NOON), ("new", NOON + FORGET_AFTER)):
        runs.claim(term, name, at)
    runs.forget(term, {"old and known"}, NOON + FORGET_AFTER + timedelta(seconds=1))
    runs.take_over(term)
    assert [name for name in ("old", "old and known", "new") if runs.get(name)] == [
        "old and known",
        "new",
    ]
