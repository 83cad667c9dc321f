"""So many things have to happen, and then all who wait go on, for ever.

    latch = Latch(sessions, "warmed-up", count=3)
    left = await latch.count_down()         each call counts once, also where its answer is lost
    await latch.wait(timeout=60.0)          returns when none is left

How many is fixed by the first who counts down or asks; who names another number is refused (`Differs`).  A
latch is used once: another job takes another name (the id of a run in it, say).
"""

from __future__ import annotations

import asyncio

import msgspec

from agreed.recipes.changing import Register
from agreed.recipes.errors import Differs, WaitTimeout
from agreed.recipes.following import Following
from agreed.recipes.sessions import Sessions


class _State(msgspec.Struct, frozen=True):
    count: int
    left: int


class Latch:
    def __init__(self, sessions: Sessions, name: str, count: int) -> None:
        if count < 1:
            raise ValueError(f"a latch counts one or more, and not {count}")
        self.name = name
        self.count = count
        self._backend = sessions.backend
        self._register = Register(sessions.backend, name, _State)

    async def count_down(self, number: int = 1) -> int:
        """How many are left; never fewer than none.  Raises Differs."""
        if number < 0:
            raise ValueError("a latch counts down only")

        def step(state: _State | None) -> tuple[_State, int]:
            left = max(0, self._checked(state).left - number)
            return _State(self.count, left), left

        return await self._register.change(step)

    async def left(self) -> int:
        """Raises Differs."""
        return self._checked(await self._register.read()).left

    async def wait(self, timeout: float | None = None) -> None:
        """Raises WaitTimeout; Differs."""
        limit = asyncio.timeout(timeout)
        try:
            async with limit, self._backend.changes(self.name, below=False) as changes:
                while await self._agreed():
                    await changes.wait()
        except TimeoutError as error:
            if not limit.expired():
                raise  # the backend's own
            raise WaitTimeout(f"{self.name} was not at zero within {timeout} s") from error

    def follow(self) -> Following[int]:
        """How many are left, then each change of that."""
        return Following(self._backend, self.name, self.left, below=False)

    async def _agreed(self) -> int:
        """How many are left, once it stands there of how many: who only waits has a say in that as well."""
        state = await self._register.read()
        return await self.count_down(0) if state is None else self._checked(state).left

    def _checked(self, state: _State | None) -> _State:
        if state is None:
            return _State(self.count, self.count)
        if state.count != self.count:
            raise Differs(self.name, "to count down", self.count, state.count)
        return state
