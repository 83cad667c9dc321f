"""Publishers and subscribers of one log who go on whatever happens, and what is judged afterwards.

A publisher gives the numbers 1, 2, 3, ... under its name, one after the other; now and then it crashes in the
middle of one, forgets everything but which number that was, and comes back.  A subscriber reads from the
beginning and remembers only its position.  Judged is

* that all subscribers were given the same, at consecutive offsets (total order),
* that it is exactly what was published, each number once and in order (no loss, no double),
* that it is a queue: linearizable with publishing as its entries and what one subscriber was given as what
  was taken out.  So the order is also that of real time.
"""
from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agreed.broadcast.aio import Log
from agreed.broadcast.layout import Message, Settings
from agreed.broadcast.publisher import Publisher
from agreed.check.history import History, Operation, Status, history
from agreed.check.linearizable import linearizable
from agreed.check.models.queues import FifoQueue
from agreed.check.verdict import Outcome
from agreed.client import aio
from agreed.client.errors import Unanswered
from tests.broadcast.running import DEADLINE_S

Wanted = TypeVar("Wanted")


class Storm:
    def __init__(self, url: str, settings: Settings, seed: int, crashes: float = 0.0) -> None:
        self.given: dict[str, list[Message]] = {}
        self.published: dict[str, int] = {}
        self.again = 0
        """How often somebody had to say something again, or came back from a crash."""
        self._url = url
        self._settings = settings
        self._dice = random.Random(seed)
        self._crashes = crashes
        self._operations: list[Operation] = []
        self._done = asyncio.Event()

    async def run(self, publishers: int, subscribers: int, messages: int) -> None:
        """Return when every subscriber has been given everything."""
        reading = [asyncio.ensure_future(self._subscribe(f"s{each}")) for each in range(subscribers)]
        await asyncio.gather(*[self._publish(f"p{each}", messages) for each in range(publishers)])
        self._done.set()
        await asyncio.gather(*reading)

    async def _open(self) -> tuple[aio.Session, Log]:
        session = await aio.connect(self._url, connect_timeout_s=DEADLINE_S, request_timeout_s=DEADLINE_S)
        return session, await self._again(lambda: Log.open(session, "/storm", self._settings))

    async def _again(self, wish: Callable[[], Awaitable[Wanted]]) -> Wanted:
        while True:
            try:
                return await wish()
            except Unanswered:
                self.again += 1

    # --- publishing -------------------------------------------------------------------------------------

    async def _come_back(self, name: str) -> tuple[aio.Session, Publisher]:
        session, log = await self._open()
        return session, await self._again(lambda: log.publisher(name))

    async def _publish(self, name: str, messages: int) -> None:
        session, publisher = await self._come_back(name)
        for number in range(1, messages + 1):
            called = time.monotonic_ns()
            payload = f"{name}:{number}".encode()
            while True:
                giving = asyncio.ensure_future(publisher.publish_once(number, payload))
                if self._dice.random() >= self._crashes:
                    await giving
                    break
                await asyncio.sleep(self._dice.choice((0.0, 0.002)))
                giving.cancel()
                session.abandon()
                self.again += 1
                session, publisher = await self._come_back(name)
            self._note(name, "enqueue", payload, None, called)
            self.published[name] = number
        await publisher.close()
        await session.close()

    # --- subscribing ------------------------------------------------------------------------------------

    def _everything(self, name: str) -> bool:
        return self._done.is_set() and len(self.given[name]) >= sum(self.published.values())

    async def _subscribe(self, name: str) -> None:
        given = self.given[name] = []
        session, log = await self._open()
        subscription = await self._again(lambda: log.subscribe(0))
        while not self._everything(name):
            called = time.monotonic_ns()
            try:
                message = await subscription.next(0.2)
            except TimeoutError:
                continue
            except Unanswered:
                self.again += 1
                continue
            given.append(message)
            if name == "s0":
                self._note(name, "dequeue", None, message.payload, called)
        await session.close()

    def _note(self, process: str, function: str, argument: object, result: object, called: int) -> None:
        index, returned = len(self._operations), time.monotonic_ns()
        self._operations.append(
            Operation(index, process, function, argument, result, called, returned, Status.OK)
        )

    # --- judging ----------------------------------------------------------------------------------------

    def history(self) -> History:
        return history(self._operations)

    def wrong(self) -> list[str]:
        """What cannot be; empty where all is well."""
        first, *others = self.given.values()
        found = [f"{name} was given something else" for name, given in self.given.items() if given != first]
        if [message.offset for message in first] != list(range(len(first))):
            found.append("offsets are not consecutive")
        for name, last in self.published.items():
            mine = [message.payload for message in first if message.publisher == name]
            if mine != [f"{name}:{number}".encode() for number in range(1, last + 1)]:
                found.append(f"{name} published 1 to {last}, and that is not what there is: {mine[:50]}")
        if linearizable(self.history(), FifoQueue()).outcome is not Outcome.HOLDS:
            found.append("it is no queue")
        assert others, "one subscriber agrees with himself always"
        return found
