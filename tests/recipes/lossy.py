"""A way to a service on which answers get lost, when a test says so; around any backend.

    way = Lossy(sessions.backend)
    way.lose(Loss.DONE)             the next commit is done, and its answer is lost
    way.lose(Loss.NOT_DONE)         its request is
    way.lose(Loss.LATE)             its request is on its way, until the test says `await way.arrive()`
    way.lose(Loss.REFUSED)          it fails, and everybody knows that it was not done
    way.lose(Loss.UNHEARD)          it is done, and nobody hears of it for as long as he waits
    way.lose(Loss.NOTHING, ...)     it is answered, and the next ones are lost as is said
    way.meanwhile = others          awaited once, between the next loss and the look that follows it
    way.stall()                     the next look gets no answer, for as long as anybody waits for it

`way.lost` is how many commits were lost, `way.looked` how many keys were read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any, cast

from agreed.backends.contract import Backend, Change, Entry, Guard
from agreed.client.errors import ConnectionLost
from agreed.recipes.sessions import Sessions


class Loss(Enum):
    DONE = "done"
    NOT_DONE = "not done"
    LATE = "late"
    REFUSED = "refused"
    UNHEARD = "unheard"
    NOTHING = "nothing"


class Lossy:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._losses: list[Loss] = []
        self._late: list[tuple[Sequence[Guard], Sequence[Change]]] = []
        self._just_lost = self._stalls = False
        self.lost = 0
        self.looked = 0
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def lose(self, *losses: Loss) -> None:
        self._losses += losses

    async def arrive(self) -> list[int | None]:
        """What was on its way comes to the service; at which revision it was done."""
        late, self._late = self._late, []
        return [await self._backend.commit(guards, changes) for guards, changes in late]

    def stall(self) -> None:
        self._stalls = True

    async def get(self, key: str) -> Entry | None:
        stalls, self._stalls = self._stalls, False
        if stalls:
            await asyncio.Event().wait()
        looks_after_a_loss, self._just_lost = self._just_lost, False
        if looks_after_a_loss and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        found = await self._backend.get(key)
        self.looked += 1
        return found

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        loss = self._losses.pop(0) if self._losses else None
        if loss is None or loss is Loss.NOTHING:
            return await self._backend.commit(guards, changes)
        self.lost += 1
        self._just_lost = True
        if loss in (Loss.DONE, Loss.UNHEARD):
            await self._backend.commit(guards, changes)
            if loss is Loss.UNHEARD:
                await asyncio.Event().wait()
        elif loss is Loss.LATE:
            self._late.append((guards, changes))
        raise ConnectionLost("the test wants it so", maybe=loss is not Loss.REFUSED)


def lossy(sessions: Sessions) -> tuple[Sessions, Lossy]:
    """Sessions whose commits go this way; those of `sessions` are closed by whoever opened them."""
    way = Lossy(sessions.backend)
    return Sessions(cast("Backend", way), sessions.ttl_s), way
