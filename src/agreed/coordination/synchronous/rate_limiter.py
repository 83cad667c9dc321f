"""The synchronous face of `agreed.recipes.rate_limiter`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.coordination.on_the_loop import OnTheLoop
from agreed.recipes import rate_limiter


class RateLimiter(OnTheLoop[rate_limiter.RateLimiter]):
    """`wall_s`, `monotonic_s`: the clocks."""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    @property
    def permits(self) -> int:
        return self.asynchronous.permits

    @property
    def period_s(self) -> float:
        return self.asynchronous.period_s

    def acquire(self, permits: int = 1, timeout: float | None = None) -> None:
        """Raises AcquireTimeout, at once where it is known that it would take longer; it has `maybe` where no
        answer came whether they were taken.  Differs where others say another rate."""
        self._wait_for(self.asynchronous.acquire(permits, timeout))

    def try_acquire(self, permits: int = 1) -> bool:
        return cast("bool", self._wait_for(self.asynchronous.try_acquire(permits)))


OnTheLoop.FACES[rate_limiter.RateLimiter] = RateLimiter
