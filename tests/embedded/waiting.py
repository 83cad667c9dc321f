"""Waiting for a condition, with a deadline that only a defect reaches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

DEADLINE_S = 30.0


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.001)
