"""Several locks, all of them or none.

    async with MultiLock(sessions, ["accounts/1", "accounts/2"], timeout=5.0) as held:
        await transfer(held.tokens["accounts/1"], held.tokens["accounts/2"])

They are the locks of `lock.py`, under the same names, and exclude who takes one of them alone.  They are
taken one after the other in the order of their names, whatever the order in which they are given, so two who
want some of the same ones never wait for each other in a circle.  (Who holds a lock already and then asks for
others has an order of his own, and is not protected.)

Who waits for the second holds the first.  When the time is over, or somebody cancels, or one of them is lost
meanwhile, what was taken is given back; the body runs with all of them, and when one is lost, all are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from agreed.backends.contract import Stands
from agreed.recipes.entering import Entering
from agreed.recipes.errors import AcquireTimeout, Lost
from agreed.recipes.grant import Grant
from agreed.recipes.lock import Lock
from agreed.recipes.obtaining import Holder
from agreed.recipes.sessions import Sessions


class MultiGrant:
    """The grants of all of them, by name."""

    def __init__(self, grants: Sequence[Grant]) -> None:
        self._grants = list(grants)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._grants}>"

    @property
    def tokens(self) -> dict[str, int]:
        """Each resource is given the token of its own lock."""
        return {grant.name: grant.token for grant in self._grants}

    @property
    def lost(self) -> bool:
        """One at least is."""
        return any(grant.lost for grant in self._grants)

    def lost_by_now(self) -> bool:
        """`lost`, also where nobody has noticed so far."""
        return any(grant.lost_by_now() for grant in self._grants)

    @property
    def held(self) -> bool:
        """All are, as far as is known here; `check` is the stricter question."""
        return all(grant.held for grant in self._grants)

    def remaining(self) -> float:
        """Seconds for which all of them are held for certain."""
        return min(grant.remaining() for grant in self._grants)

    def check(self) -> None:
        """Raises LockLost unless nobody else can hold any of them now, and NotHeld after `release`."""
        for grant in self._grants:
            grant.check()

    def loss(self) -> Lost:
        return next((grant for grant in self._grants if grant.lost), self._grants[0]).loss()

    def conditions(self) -> list[Stands]:
        """Guards for a commit that is done only while all are held."""
        return [grant.condition() for grant in self._grants]

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        """`callback()` on the event loop when the first of them is lost, once; at once if one is.  Returns
        what takes it off."""
        offs: list[Callable[[], None]] = []
        told = False

        def take_off() -> None:
            for off in offs:
                off()

        def tell() -> None:
            nonlocal told
            if not told:
                told = True
                take_off()
                callback()

        for grant in self._grants:
            offs.append(grant.on_lost(tell))
        return take_off

    async def release(self) -> None:
        """All of them at once, also where whoever waits for it is cancelled.  What went wrong is raised when
        all were tried."""
        releases = [asyncio.ensure_future(grant.release()) for grant in self._grants]
        ends = await asyncio.shield(asyncio.gather(*releases, return_exceptions=True))
        for end in ends:
            if end is not None:
                raise end


class MultiLock(Entering[MultiGrant]):
    """`timeout` is for who names no other; it is for all of them together."""

    def __init__(
        self,
        sessions: Sessions,
        names: Iterable[str],
        *,
        timeout: float | None = None,
        ttl: float | None = None,
        value: bytes = b"",
    ) -> None:
        super().__init__()
        self.names = sorted(set(names))
        self.timeout_s = timeout
        if not self.names:
            raise ValueError("several locks are one at least")
        self._sessions = sessions
        self._locks = [Lock(sessions, name, ttl=ttl, value=value) for name in self.names]

    async def acquire(self, timeout: float | None = None) -> MultiGrant:
        """Raises AcquireTimeout; what the backend does.  After each of them none is held or waited for."""
        timeout = self.timeout_s if timeout is None else timeout
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                while True:
                    held = await self._all()
                    if held is not None:
                        return held
        except TimeoutError as error:
            if not limit.expired():
                raise  # the backend's own
            raise AcquireTimeout(f"{', '.join(self.names)}: not obtained in {timeout} s") from error

    async def try_acquire(self) -> MultiGrant | None:
        """None where one of them cannot be had at once."""
        return await self._all(wait=False)

    async def holders(self) -> dict[str, Holder | None]:
        """Who has which of them now."""
        found = await asyncio.gather(*(lock.holder() for lock in self._locks))
        return dict(zip(self.names, found, strict=True))

    async def _all(self, *, wait: bool = True) -> MultiGrant | None:
        """None: one is not to be had, or was lost while others were waited for; none is held then."""
        grants: list[Grant] = []
        held: MultiGrant | None = None
        try:
            for lock in self._locks:
                grant = await lock.acquire() if wait else await lock.try_acquire()
                if grant is None:
                    return None
                grants.append(grant)
            if not any(grant.lost_by_now() for grant in grants):
                held = MultiGrant(grants)
            return held
        finally:
            if held is None and grants:
                self._sessions.tidy(MultiGrant(grants).release())
