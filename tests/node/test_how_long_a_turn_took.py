"""How long a turn took is told at the beginning of the next one: who was busy has not listened."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from agreed.node.turns import Turns
from agreed.replica import events


class Replica:
    """Takes some time for what it is told."""

    wake = None

    def __init__(self) -> None:
        self.now = 1_000
        self.told: list[int] = []

    def step(self, event: object) -> None:
        if isinstance(event, events.TimePassed):
            self.told.append(event.busy_ms)
        else:
            assert isinstance(event, int)
            self.now += event

    def take(self) -> events.Effects:
        self.now += 3
        return events.Effects()


class Clock:
    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def now(self) -> int:
        return self._replica.now

    def wall_ms(self) -> int:
        return 0


class Node(Turns):
    def _do(self, effects: events.Effects) -> None: ...

    def _crash(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("each_time", [False, True])
def test_it_is_told_once_at_the_beginning_of_the_next(each_time: bool) -> None:
    replica = Replica()

    async def run() -> None:
        node = Node(cast(Any, replica), cast(Any, Clock(replica)), (0, 0), each_time, lambda *said: None)
        for turn in ((700, 20), (0,), (5,)):
            for event in turn:
                node.happened(event)
            await asyncio.sleep(0)
            replica.now += 10_000  # nothing happens

    asyncio.run(run())
    assert replica.told == ([0, 0, 723, 3] if each_time else [0, 723, 3])
