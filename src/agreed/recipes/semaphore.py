"""So many at a time, among all who know the name.

    async with Semaphore(sessions, "exports", permits=3) as held:
        ...

The first `permits` of the line hold one each, first come, first served.  How many there are is written at the
name itself when it is first used; who says another number is refused when he asks for a permit
(`PermitsDiffer`), because two who count differently would let in too many.
"""

from __future__ import annotations

from agreed.backends.contract import Absent, Put
from agreed.errors import AgreedError
from agreed.recipes.errors import PermitLost
from agreed.recipes.grant import Grant
from agreed.recipes.obtaining import Obtainable
from agreed.recipes.sessions import Sessions
from agreed.recipes.waiting import Among


class PermitsDiffer(AgreedError):
    """Others use this name with another number of permits (`theirs`)."""

    surely_not_done = True

    def __init__(self, name: str, ours: int, theirs: str) -> None:
        super().__init__(f"{name} has {theirs} permits, and not {ours}")
        self.theirs = theirs


class Semaphore(Obtainable[Grant]):
    granted = Grant
    loss = PermitLost

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        permits: int,
        *,
        timeout: float | None = None,
        ttl: float | None = None,
        value: bytes = b"",
    ) -> None:
        if permits < 1:
            raise ValueError(f"a semaphore has one permit or more, and not {permits}")
        super().__init__(sessions, name, Among(permits), timeout=timeout, ttl=ttl, value=value)
        self.permits = permits
        self._agreed = False

    async def _prepare(self) -> None:
        """The number is written once and never changed, so it is looked at once."""
        if self._agreed:
            return
        backend, ours = self._sessions.backend, str(self.permits).encode()
        while (entry := await backend.get(self.name)) is None:
            await backend.commit([Absent(self.name)], [Put(self.name, ours)])
        if entry.value != ours:
            raise PermitsDiffer(self.name, self.permits, entry.value.decode("utf-8", "replace"))
        self._agreed = True
