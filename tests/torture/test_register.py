"""A register that is not there: what it means to whoever asks one server, and to whoever asks them all."""
from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from agreed.check.verdict import Outcome
from agreed.torture.client import Stored
from agreed.torture.recorder import Clock, Recorder
from agreed.torture.workloads.register import Register
from agreed.torture.workloads.workload import Worker


class Sees:
    """A client that is shown these, one after the other."""

    name = session = "c/1"

    def __init__(self, *stored: Stored | None) -> None:
        self._stored = list(stored)

    async def read(self, path: str, *, fresh: bool) -> Stored | None:
        return self._stored.pop(0)


def judged(*reads: tuple[Stored | None, bool]) -> list[Outcome]:
    """Of reads, each fresh or not: linearizable, session guarantees."""
    client: Any = Sees(*(stored for stored, _ in reads))
    register, recorder = Register(), Recorder(Clock())
    worker = Worker(client, recorder, random.Random(1))

    async def play() -> None:
        for _, fresh in reads:
            await register._read(worker, 0, fresh=fresh)

    asyncio.run(play())
    return [each.verdict.outcome for each in register.judge(recorder.history(()))]


MADE = Stored("0", 0, 1)
UNHEARD_OF = Stored("7", 1, 2)


@pytest.mark.parametrize(
    ("reads", "outcomes"),
    [
        ([(None, False), (MADE, False)], [Outcome.HOLDS, Outcome.HOLDS]),
        ([(None, True)], [Outcome.VIOLATED, Outcome.VIOLATED]),
        ([(UNHEARD_OF, False)], [Outcome.HOLDS, Outcome.VIOLATED]),
    ],
    ids=["one server is behind", "nobody has it", "nobody wrote it"],
)
def test_what_is_not_there(reads: list[tuple[Stored | None, bool]], outcomes: list[Outcome]) -> None:
    assert judged(*reads) == outcomes
