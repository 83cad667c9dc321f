"""`async with`: what is obtained at its beginning and given back at its end.

    async with wanted as held: ...
    async with wanted.hold(timeout=5.0) as held: ...

The same object may be entered by any number of tasks at once, and by one task several times: each has what it
got itself.
"""

from __future__ import annotations

from types import TracebackType
from typing import Generic, TypeVar

from agreed.recipes.caller import caller
from agreed.recipes.holding import Held, Holding

Granted = TypeVar("Granted", bound=Held)


class Obtaining(Generic[Granted]):
    """One attempt, and the body that runs with what it got."""

    def __init__(self, wanted: Entering[Granted], timeout: float | None) -> None:
        self._wanted = wanted
        self._timeout_s = timeout
        self._holding: Holding | None = None

    async def __aenter__(self) -> Granted:
        grant = await self._wanted.acquire(self._timeout_s)
        self._holding = Holding(grant)
        return grant

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._holding is not None
        await self._holding.end(error)


class Entering(Generic[Granted]):
    """Whoever has `acquire` has the rest from here."""

    def __init__(self) -> None:
        self._holdings: dict[object, list[Obtaining[Granted]]] = {}

    async def acquire(self, timeout: float | None = None) -> Granted:
        raise NotImplementedError

    def hold(self, timeout: float | None = None) -> Obtaining[Granted]:
        """For `async with`, with a time of its own."""
        return Obtaining(self, timeout)

    async def __aenter__(self) -> Granted:
        obtaining = self.hold()
        grant = await obtaining.__aenter__()
        self._holdings.setdefault(caller(), []).append(obtaining)
        return grant

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        who = caller()
        if who not in self._holdings and len(self._holdings) == 1:
            # Entered in one task and left in another, as fixtures are: nobody else can be meant.
            [who] = self._holdings
        mine = self._holdings[who]
        obtaining = mine.pop()
        if not mine:
            del self._holdings[who]
        await obtaining.__aexit__(kind, error, trace)
