"""Whether the client tells the truth: its answers and errors as a history, judged as a register.

What returned was done; what is `surely_not_done` was not; what may have been done may have been at any moment
since.  If any of these were a lie, the reads of the others would not fit.
"""
from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import pytest

from agreed.check.history import History, Operation, Status, history
from agreed.check.linearizable import linearizable
from agreed.check.models.register import Register
from agreed.check.verdict import Outcome
from agreed.client import aio
from agreed.client.errors import ClientError, Unanswered
from tests.client.servers import StoreServer

Judged = Callable[[ClientError], Status]


def truthful(error: ClientError) -> Status:
    return Status.FAIL if error.surely_not_done else Status.INFO


async def recorded(url: str, seed: int, judged: Judged, clients: int = 4, operations: int = 40) -> History:
    """What clients saw who write numbers that nobody else writes, and read."""
    found: list[Operation] = []
    values = iter(range(1, clients * operations + 1))

    async def live(number: int) -> None:
        dice = random.Random(seed * 100 + number)
        lives = 0
        async with await aio.connect(url, connect_timeout_s=60) as session:
            for _ in range(operations):
                await asyncio.sleep(dice.random() * 0.004)
                value = next(values) if dice.random() < 0.5 else None
                timeout_s = dice.choice((0.001, 20.0, 20.0, 20.0))
                function = "read" if value is None else "write"
                index, called = len(found), time.monotonic_ns()
                found.append(Operation(index, "", function, value, None, called, None, Status.INFO))
                status, result = Status.OK, None
                try:
                    if value is None:
                        result = int((await session.get("/x", fresh=True, timeout_s=timeout_s)).data)
                    else:
                        await session.set("/x", b"%d" % value, timeout_s=timeout_s)
                except Unanswered as error:
                    status = Status.FAIL if value is None else judged(error)
                process = f"{number}/{lives}"
                lives += status is Status.INFO
                returned = None if status is Status.INFO else time.monotonic_ns()
                found[index] = Operation(index, process, function, value, result, called, returned, status)

    await asyncio.gather(*[live(number) for number in range(clients)])
    return history(found)


def told(seed: int, judged: Judged) -> History:
    async def story() -> History:
        async with asyncio.timeout(60), StoreServer(seed) as server:
            async with await aio.connect(server.url) as session:
                await session.create("/x", b"0")
            server.loss = 0.06
            return await recorded(server.url, seed, judged)

    return asyncio.run(story())


@pytest.mark.parametrize("seed", range(3))
def test_what_the_client_says_is_true(seed: int) -> None:
    seen = told(seed, truthful)
    assert any(each.status is Status.INFO for each in seen), "nothing was ever lost"
    assert linearizable(seen, Register(0)).outcome is Outcome.HOLDS


def test_a_client_that_takes_silence_for_a_no_is_found() -> None:
    assert any(
        linearizable(told(seed, lambda error: Status.FAIL), Register(0)).outcome is Outcome.VIOLATED
        for seed in range(10)
    )
