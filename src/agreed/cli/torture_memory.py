"""Users of a service in memory: all of it is this process, so nobody can be killed.  What goes wrong instead:

    user-cancel     a user that awaits is cancelled with all that it holds and waits for; somebody new comes
    cut, cut-long   nobody reaches the node, for less or for more than the time to live: sessions expire
    still, still-long       the node does nothing for a while, nor do clients that do not await

`agreed.torture.users` knows nothing of nodes in memory, which stand above it; so this stands here.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from agreed.embedded.memory import node_named
from agreed.torture.users import asynchronous, synchronous
from agreed.torture.users.diary import Diary
from agreed.torture.users.grounds import ROOT, Staff
from agreed.torture.users.seats import Holding, who_holds

KINDS: Final = {"user-cancel": 0.6, "cut": 0.16, "cut-long": 0.08, "still": 0.1, "still-long": 0.06}
"""How often which."""

EVERY_S: Final = 0.5
TTL_S: Final = 1.0


@dataclass
class _Chair:
    """Where a user sits that is a task, or threads."""

    number: int
    life: int = 0
    task: asyncio.Task[None] | None = None
    thread: threading.Thread | None = None
    failure: str = ""

    @property
    def who(self) -> str:
        return f"u{self.number}.{self.life}"

    @property
    def working(self) -> bool:
        if self.task is not None:
            return not self.task.done()
        return self.thread is not None and self.thread.is_alive()


class MemoryGround:
    name = "memory"
    ttl_s = TTL_S

    def __init__(self, staff: Staff, tell: Callable[[str], None]) -> None:
        self.played: Counter[str] = Counter()
        self.problems: list[str] = []
        self._staff = staff
        self._tell = tell
        self._name = f"torture-{staff.seed}"
        self._node = node_named(self._name)
        self._chairs = [_Chair(number) for number in range(1, staff.number + 1)]

    @property
    def url(self) -> str:
        return f"memory://{self._name}/{ROOT}"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        for chair in self._chairs:
            self._start(chair)
        try:
            yield
        finally:
            await self._end_those_who_await()

    def _start(self, chair: _Chair) -> None:
        chair.life += 1
        task = self._staff.task(chair.number, chair.life, self.url, self.ttl_s)
        diary = Diary(task.diary)
        if not task.synchronous:
            chair.task = asyncio.ensure_future(asynchronous.live(task, diary))
            return

        def live() -> None:
            try:
                synchronous.live(task, diary)
            except BaseException:
                chair.failure = traceback.format_exc()

        chair.thread = threading.Thread(target=live, name=task.who, daemon=True)
        chair.thread.start()

    async def _end_those_who_await(self) -> None:
        tasks = [chair.task for chair in self._chairs if chair.task is not None]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def play(self, seconds: float, holding: Holding) -> None:
        dice = random.Random(f"{self._staff.seed}/users")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(dice.expovariate(1 / EVERY_S))
            self.notice_the_dead()
            kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
            self.played[kind] += 1
            if kind == "user-cancel":
                await self._cancel(dice, await who_holds(holding))
            else:
                part = dice.uniform(1.2, 2.5) if kind.endswith("-long") else dice.uniform(0.05, 0.6)
                await self._trouble(kind.partition("-")[0], part * self.ttl_s)

    async def _cancel(self, dice: random.Random, holds: str) -> None:
        those = [chair for chair in self._chairs if chair.task is not None]
        if not those:
            return
        chair = next((chair for chair in those if chair.who == holds), dice.choice(those))
        assert chair.task is not None
        self._tell(f"user-cancel {chair.who}")
        chair.task.cancel()
        await asyncio.gather(chair.task, return_exceptions=True)
        self._start(chair)

    async def _trouble(self, kind: str, seconds: float) -> None:
        self._tell(f"{kind} for {seconds:.1f} s")
        if kind == "still":
            self._node.stand_still(seconds)
            await asyncio.sleep(seconds)
            return
        self._node.cut()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._node.mend()

    async def heal(self) -> None:
        self._node.mend()

    def present(self) -> list[str]:
        return [chair.who for chair in self._chairs]

    def notice_the_dead(self) -> None:
        for chair in self._chairs:
            if not chair.working:
                self._blame(chair, "ended by itself")
                self._start(chair)

    def _blame(self, chair: _Chair, what: str) -> None:
        failure, chair.failure = chair.failure, ""
        if chair.task is not None and chair.task.done() and not chair.task.cancelled():
            error = chair.task.exception()
            failure = "".join(traceback.format_exception(error)) if error is not None else ""
        self.problems.append(f"user {chair.who} {what}:\n{failure}")

    async def until_all_left(self, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while any(chair.working for chair in self._chairs) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for chair in self._chairs:
            if chair.working:
                self.problems.append(f"user {chair.who} did not leave in {within_s:.0f} s")
            elif chair.failure or (chair.task is not None and chair.task.exception() is not None):
                self._blame(chair, "left with an error")
