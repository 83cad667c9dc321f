"""Leadership in the background, asked for by threads."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import agreed
from agreed.backends.contract import Put
from agreed.client.errors import Forked, SessionClosed
from agreed.errors import AgreedError, ConfigurationError
from agreed.integrations.candidacy import Where
from agreed.integrations.leadership import Leadership
from agreed.recipes.errors import LeadershipLost, NotHeld
from agreed.testing.server import ZooKeeperServer

WITHIN_S = 30.0


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def standing(url: str, name: str = "it") -> Iterator[Leadership]:
    leadership = Leadership(Where(url=url, name=name))
    leadership.start()
    try:
        yield leadership
    finally:
        leadership.close()


def test_one_leads_and_the_other_when_that_is_closed() -> None:
    with standing("memory://leadership/a") as one:
        assert one.wait(WITHIN_S)
        term = one.term()
        assert term is not None
        with standing("memory://leadership/a") as two:
            assert not two.wait(0.05)
            assert two.term() is None
            one.close()
            assert two.wait(WITHIN_S)
            after = two.term()
            assert after is not None
            assert after.token > term.token
            with pytest.raises(NotHeld):
                term.check()


def test_a_commit_of_a_term_that_is_over_changes_nothing() -> None:
    with standing("memory://leadership/b") as one, standing("memory://leadership/b") as two:
        until(lambda: one.term() or two.term())
        with agreed.connect("memory://leadership/b") as client:
            until(lambda: len(client.election("it").candidates()) == 2)
        leader, other = (one, two) if one.term() else (two, one)
        term = leader.term()
        assert term is not None
        assert leader.commit(term, [Put("kept/a", b"1")])
        term.release()
        until(other.term)
        assert not other.commit(term, [Put("kept/a", b"2")])
        assert [entry.value for entry in other.entries("kept")] == [b"1"]


def test_a_loss_is_known_to_whoever_asks(zk_server: ZooKeeperServer) -> None:
    with standing(zk_server.url) as leadership:
        until(leadership.term)
        term = leadership.term()
        assert term is not None
        zk_server.faults.expire(term.asynchronous.session.id)
        until(lambda: term.lost)
        with pytest.raises(LeadershipLost):
            term.check()
        until(leadership.term)  # it has stood again
        again = leadership.term()
        assert again is not None
        assert again.token > term.token


def test_a_url_that_is_none_is_told_at_the_start() -> None:
    """And not to a thread of the program whose end nobody sees."""
    with pytest.raises(ConfigurationError, match="nowhere"), standing("nowhere://x"):
        raise AssertionError


def test_what_has_ended_it_is_told() -> None:
    with standing("memory://leadership/d", name="..") as leadership, pytest.raises(AgreedError):
        until(leadership.term)


def test_who_has_not_begun_cannot_be_asked() -> None:
    with pytest.raises(SessionClosed, match="not started"):
        Leadership(Where(url="memory://x", name="it")).term()


def test_a_child_asks_for_itself() -> None:
    """Some servers start first and fork then: the child is no leader because its parent is."""
    with standing("memory://leadership/c") as leadership:
        until(leadership.term)

        def child() -> None:
            try:
                leadership.term()
            except Forked:
                leadership.close()  # nothing of it is this process's
                os._exit(7)
            os._exit(1)

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(WITHIN_S)
        assert process.exitcode == 7
        assert leadership.term() is not None
