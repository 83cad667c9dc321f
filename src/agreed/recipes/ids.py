"""Numbers that are given once, on the whole cluster.

    ids = IdGenerator(sessions, "orders")
    number = await ids.next()

A client takes a block of numbers at a time (`block` of them) and gives them without asking anybody.  So:

    no number is given twice, by whomever
    those of one generator grow
    of two clients the one that asks later may get the smaller number
    numbers are left out: what is left of a block when its client ends, and a block of which nobody knows any
    more whether it was taken

The first number is 1.  A name that is deleted begins anew, and then numbers are given twice.
"""

from __future__ import annotations

import asyncio
import os

from agreed.client.errors import Forked, Unanswered
from agreed.recipes.changing import Register
from agreed.recipes.sessions import Sessions

BLOCK = 100
"""A commit for a hundred numbers, and fewer than that lost with each client."""


class IdGenerator:
    def __init__(self, sessions: Sessions, name: str, *, block: int = BLOCK) -> None:
        if block < 1:
            raise ValueError(f"a block has one number or more, and not {block}")
        self.name = name
        self._block = block
        self._register = Register(sessions.backend, name, int)
        self._left = range(0)
        self._taking = asyncio.Lock()
        self._process = os.getpid()

    async def next(self) -> int:
        """Raises Forked in a process that is a copy of the one which took the block: both would give the
        same numbers."""
        if os.getpid() != self._process:
            raise Forked
        async with self._taking:
            if not self._left:
                self._left = await self.take(self._block)
            number, self._left = self._left[0], self._left[1:]
            return number

    async def take(self, count: int) -> range:
        """A block of one's own, of so many numbers; `next` gives none of them."""

        def step(given: int | None) -> tuple[int, int]:
            last = (given or 0) + count
            return last, last

        try:
            last = await self._register.change(step)
        except Unanswered as error:
            if error.surely_not_done:
                raise
            last = await self._register.change(step)  # the other block is left out, if it was taken
        return range(last - count + 1, last + 1)
