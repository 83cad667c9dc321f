"""A number among all who know its name.

    counter = Counter(sessions, "orders")
    number = await counter.add(1)               the new value; no two additions have the same one in between

An addition is made exactly once, also where its answer is lost on the way (`changing.py` says how, and when
it cannot be told: then the error has `maybe`).  A counter that nobody has changed is 0.

Counting is for one writer at a time: with dozens of clients at once most attempts meet another one.  Numbers
that only have to be different come from `ids.py`, a hundred at a time.
"""

from __future__ import annotations

from agreed.recipes.changing import Register
from agreed.recipes.following import Following
from agreed.recipes.sessions import Sessions


class Counter:
    def __init__(self, sessions: Sessions, name: str) -> None:
        self.name = name
        self._backend = sessions.backend
        self._register = Register(sessions.backend, name, int)

    async def get(self) -> int:
        return await self._register.read() or 0

    async def add(self, number: int = 1) -> int:
        """The value with this addition, and no later one."""

        def step(value: int | None) -> tuple[int, int]:
            after = (value or 0) + number
            return after, after

        return await self._register.change(step)

    async def set(self, number: int) -> None:
        """Whatever it was."""
        await self._register.change(lambda value: (number, number))

    def follow(self) -> Following[int]:
        """The value, then each newer one; not each in between."""
        return Following(self._backend, self.name, self.get, below=False)
