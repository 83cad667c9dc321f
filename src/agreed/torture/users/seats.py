"""The user processes, and what is done to them while they work.

A seat is a place at which a user works; whoever dies there is followed by somebody new, with another name and
nothing of what the one before knew.

    user-kill       SIGKILL; somebody new comes at once, or after a while
    user-stop       SIGSTOP for a part of the time to live, SIGCONT: what is held is still held, mostly
    user-stop-long  SIGSTOP for longer than that: everything is lost, and it does not know

Where one of them serves all others (`file://`), it is hit the more often; that is counted as, say, `user-kill
(serves)`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from agreed.torture.processes import ServerProcess, last_lines

KINDS: Final = {"user-kill": 0.3, "user-stop": 0.35, "user-stop-long": 0.35}
"""How often which."""

RATE_PER_SEAT: Final = 0.12
"""Faults for each seat and second."""

SERVES: Final = 0.4
"""How often a fault is meant for whoever serves."""

HOLDS: Final = 0.8
"""How often it is meant for whoever holds something."""

ABSENT_S: Final = 2.0


PATIENCE_S: Final = 3.0
"""Then somebody who holds nothing is hit."""

Holding: TypeAlias = Callable[[], Coroutine[Any, Any, str]]


async def who_holds(holding: Holding) -> str:
    """Empty: nobody did in that time."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await holding()
    except TimeoutError:
        return ""


@dataclass
class Seat:
    """`command(life)`: what the user is started with that sits here as the so-many-th."""

    number: int
    command: Callable[[int], list[str]]
    output: Path
    life: int = 0
    process: ServerProcess | None = None
    troubled: bool = False

    @property
    def who(self) -> str:
        return f"u{self.number}.{self.life}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    def is_process(self, number: int | None) -> bool:
        return self.process is not None and self.process.pid == number

    def start(self) -> None:
        self.life += 1
        self.process = ServerProcess(self.command(self.life), output=self.output)


@dataclass
class Seats:
    """`problems`: whoever ended without being told to."""

    seats: list[Seat]
    ttl_s: float
    played: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def start(self) -> None:
        for seat in self.seats:
            seat.start()

    async def play(
        self,
        seconds: float,
        dice: random.Random,
        tell: Callable[[str], None],
        holding: Holding,
        serving: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Fault after fault, each at a seat that has none; returns when the last one is over.  `holding`: who
        holds something, as soon as somebody does; `serving`: the process of these that serves the others."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        async with asyncio.TaskGroup() as together:
            while self.seats and loop.time() < until:
                await asyncio.sleep(dice.expovariate(RATE_PER_SEAT * len(self.seats)))
                self.notice_the_dead()
                its_own = random.Random(dice.random())
                together.create_task(self._one(its_own, tell, holding, serving, until))

    async def _one(
        self,
        dice: random.Random,
        tell: Callable[[str], None],
        holding: Holding,
        serving: Callable[[], int | None],
        until: float,
    ) -> None:
        who = await who_holds(holding) if dice.random() < HOLDS else ""
        server = serving() if dice.random() < SERVES else None
        free = [seat for seat in self.seats if seat.running and not seat.troubled]
        if not free or asyncio.get_running_loop().time() > until:
            return
        meant = [seat for seat in free if seat.is_process(server)] or [
            seat for seat in free if seat.who == who
        ]
        seat = dice.choice(meant or free)
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        self.played[f"{kind} (serves)" if seat.is_process(server) else kind] += 1
        await self._play(kind, seat, dice, tell, until)

    async def _play(
        self, kind: str, seat: Seat, dice: random.Random, tell: Callable[[str], None], until: float
    ) -> None:
        """`until`: by the clock of the loop; then it is over."""
        assert seat.process is not None
        seat.troubled = True
        try:
            if kind == "user-kill":
                tell(f"{kind} {seat.who}")
                seat.process.kill()
                await asyncio.sleep(dice.choice((0.0, dice.uniform(0, ABSENT_S))))
                seat.start()
                return
            part = dice.uniform(0.05, 0.8) if kind == "user-stop" else dice.uniform(1.1, 2.0)
            tell(f"{kind} {seat.who} for {part * self.ttl_s:.1f} s")
            process = seat.process
            process.pause()
            await asyncio.sleep(min(part * self.ttl_s, max(0.0, until - asyncio.get_running_loop().time())))
            if process.running:
                process.resume()
        finally:
            seat.troubled = False

    def notice_the_dead(self) -> None:
        for seat in self.seats:
            if not seat.troubled and not seat.running and seat.process is not None:
                said = last_lines(seat.output, 25)
                self.problems.append(
                    f"user {seat.who} ended by itself with {seat.process.returncode}:\n{said}"
                )
                seat.start()

    async def until_all_left(self, within_s: float) -> None:
        """They were told that they may; who does not is a problem."""
        deadline = asyncio.get_running_loop().time() + within_s
        for seat in self.seats:
            while seat.running and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.05)
            if seat.running:
                self.problems.append(f"user {seat.who} did not leave in {within_s:.0f} s")
            elif seat.process is not None and seat.process.returncode:
                said = last_lines(seat.output, 25)
                self.problems.append(f"user {seat.who} left with {seat.process.returncode}:\n{said}")

    def stop(self) -> None:
        """Every process that was started here is gone when this returns."""
        for seat in self.seats:
            if seat.process is not None and seat.running:
                seat.process.kill()
