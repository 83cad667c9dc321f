"""So many in so much time, over all who know the name.

    limiter = RateLimiter(sessions, "mail-provider", permits=100, period_s=60.0)
    await limiter.acquire()                     waits until one more is allowed
    if await limiter.try_acquire(5): ...        five more, now or not at all

It is a bucket with `burst` permits (`permits` of them, if nothing else is said), into which permits drip
evenly, `permits` in each `period_s`.  So in any stretch of time of length t no more than

    burst + t * permits / period_s

are given: after a rest all of a burst at once, and in the long run the rate.  With burst=1 they come one by
one.  (GCRA of ATM, ITU-T I.371: what is kept is the one moment at which the bucket would be full again.)

The service has no clock that could be asked, so the clocks are those of the clients, and this is what is
promised.  The newest time that anybody has written is the time: who is behind goes on from there, by his own
monotonic clock.  A clock that is ahead of the others by e seconds gives e * permits / period_s permits more
than there should be, once, and locks nobody out.  Clocks that go evenly, as those of machines with NTP, give
what is promised to within the milliseconds by which they differ.

A permit that was taken is used: there is no giving back.  Who stops waiting has taken none (who is cancelled
in the very moment in which it is given, has).  Nobody stands in line: among those of one object it is first
come, first served; among clients whoever asks at the right moment.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from typing import Final

import msgspec

from agreed.recipes.changing import Register
from agreed.recipes.errors import AcquireTimeout, Differs
from agreed.recipes.sessions import Sessions

SCATTER: Final = 0.1
"""Those who wait for the same moment ask a little later, by this part of the time for one permit at most, so
that they do not all ask at once."""


class _State(msgspec.Struct, frozen=True):
    """`full_at`: seconds since 1970; then the bucket is full again."""

    permits: int
    period_s: float
    burst: int
    full_at: float


class _Asked:
    """`for_them`: the service was asked for the permits, and not only whether they can be had."""

    for_them = False


class RateLimiter:
    """`wall_s`, `monotonic_s`: the clocks."""

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        permits: int,
        period_s: float,
        *,
        burst: int | None = None,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.permits = permits
        self.period_s = period_s
        self.burst = permits if burst is None else burst
        if permits < 1 or self.burst < 1 or not 0 < period_s < math.inf:
            raise ValueError("permits, a burst and a period are more than nothing")
        self._each_s = period_s / permits
        self._sessions = sessions
        self._register = Register(sessions.backend, name, _State)
        self._monotonic_s = monotonic_s
        self._ahead_s = wall_s() - monotonic_s()
        self._in_turn = asyncio.Lock()

    async def acquire(self, permits: int = 1, timeout: float | None = None) -> None:
        """Raises AcquireTimeout, at once where it is known that it would take longer; it has `maybe` where no
        answer came whether they were taken.  Differs where others say another rate."""
        limit = asyncio.timeout(timeout)
        asked = _Asked()
        try:
            async with limit, self._in_turn:
                while (wait_s := await self._ask(permits, asked)) > 0:
                    when = limit.when()
                    if when is not None and asyncio.get_running_loop().time() + wait_s > when:
                        raise AcquireTimeout(f"{self.name}: not within {timeout} s, but in {wait_s:.3f} s")
                    await self._sessions.pause(wait_s + random.random() * SCATTER * self._each_s)
        except TimeoutError as error:
            if not limit.expired():
                raise  # the backend's own, or ours
            raise AcquireTimeout(f"{self.name}: not within {timeout} s", maybe=asked.for_them) from error

    async def try_acquire(self, permits: int = 1) -> bool:
        return await self._ask(permits, _Asked()) <= 0

    async def _ask(self, permits: int, asked: _Asked) -> float:
        """Seconds until they can be had; 0: they are taken."""
        if not 1 <= permits <= self.burst:
            raise ValueError(f"between 1 and {self.burst} permits can be had at once, and not {permits}")

        def step(state: _State | None) -> tuple[_State | None, int]:
            now = self._now(state)
            full_at = max(now, now if state is None else state.full_at) + permits * self._each_s
            wait_s = full_at - now - self.burst * self._each_s
            asked.for_them = wait_s <= 1e-6  # what is lost of a number of this size
            if not asked.for_them:
                return None, math.ceil(wait_s * 1e6)
            return _State(self.permits, self.period_s, self.burst, full_at), 0

        return await self._register.change(step) / 1e6

    def _now(self, state: _State | None) -> float:
        """A bucket is never emptier than empty: if it seems so, our clock is behind."""
        now = self._monotonic_s() + self._ahead_s
        if state is None:
            return now
        for what, ours, theirs in (
            ("permits in a period", self.permits, state.permits),
            ("seconds in a period", self.period_s, state.period_s),
            ("permits in a burst", self.burst, state.burst),
        ):
            if ours != theirs:
                raise Differs(self.name, what, ours, theirs)
        behind_s = max(0.0, state.full_at - self.burst * self._each_s - now)
        self._ahead_s += behind_s
        return now + behind_s
