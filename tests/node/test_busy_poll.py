"""Busy polling: for how long a loop goes round without sleeping, and that it gives way meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from agreed.consensus.machine import Ballot, Entry, EntryKind, Save
from agreed.consensus.members import Members
from agreed.node.busy_poll import LEAVE_ALONE_NS, TAKEN_NS, BusyPoll
from agreed.node.shell import LONE_BYTES, Shell
from agreed.replica.events import Effects


class Loop:
    """Goes round as often as somebody asked for it; each round takes 100 microseconds."""

    def __init__(self) -> None:
        self.now_us = 0
        self.gave_way = 0
        self.others_want_us = 0
        self._soon: list[Callable[[], None]] = []

    def poll(self, microseconds: int) -> BusyPoll:
        return BusyPoll(self._soon.append, microseconds, lambda: self.now_us * 1_000, self._give_way)

    def _give_way(self) -> None:
        self.gave_way += 1
        self.now_us += self.others_want_us

    @property
    def would_sleep(self) -> bool:
        return not self._soon

    def round(self) -> None:
        self.now_us += 100
        due, self._soon[:] = list(self._soon), []
        assert len(due) <= 1, "looks twice in one round"
        for each in due:
            each()

    def until_it_sleeps(self) -> int:
        """How long that took, in microseconds."""
        began = self.now_us
        while not self.would_sleep:
            self.round()
        return self.now_us - began


def test_it_looks_for_as_long_as_told_and_gives_way_each_time() -> None:
    loop = Loop()
    loop.poll(500).expect()
    assert loop.until_it_sleeps() == 500
    assert loop.gave_way == 4


def test_what_is_expected_meanwhile_makes_it_longer_and_not_busier() -> None:
    loop = Loop()
    poll = loop.poll(500)
    poll.expect()
    loop.round()
    loop.round()
    poll.expect()
    assert loop.until_it_sleeps() == 500


def test_it_sleeps_and_can_be_called_again() -> None:
    loop = Loop()
    poll = loop.poll(300)
    for _ in range(3):
        poll.expect()
        assert loop.until_it_sleeps() == 300
        loop.now_us += 10_000


def test_who_gives_the_processor_away_to_others_leaves_it_to_them_for_a_while() -> None:
    loop = Loop()
    loop.others_want_us = TAKEN_NS // 1000
    poll = loop.poll(500)
    poll.expect()
    loop.until_it_sleeps()
    assert loop.gave_way == 1
    poll.expect()
    assert loop.would_sleep
    loop.now_us += LEAVE_ALONE_NS // 1000
    loop.others_want_us = 10
    poll.expect()
    loop.until_it_sleeps()
    assert loop.gave_way > 3


def test_zero_never_looks() -> None:
    loop = Loop()
    loop.poll(0).expect()
    assert loop.would_sleep


@pytest.mark.parametrize(("payload_bytes", "awake"), [(0, 1), (LONE_BYTES, 1), (LONE_BYTES + 1, 0)])
def test_a_node_stays_awake_behind_a_lone_write_and_not_behind_many(payload_bytes: int, awake: int) -> None:
    expected: list[None] = []
    submitted: list[Save] = []
    shell = object.__new__(Shell)
    shell._peers = SimpleNamespace(send=None)  # type: ignore[assignment]
    shell._clients = {}
    shell._known_members = Members(())
    shell.replica = SimpleNamespace(members=shell._known_members)  # type: ignore[assignment]
    shell._writer = SimpleNamespace(submit=submitted.append)  # type: ignore[assignment]
    shell._busy_poll = SimpleNamespace(expect=lambda: expected.append(None))  # type: ignore[assignment]
    save = Save(1, Ballot(1, None), [Entry(1, 1, EntryKind.PAYLOAD, bytes(payload_bytes))])
    shell._do(Effects(saves=[save]))
    assert submitted == [save]
    assert len(expected) == awake
