"""Something has happened, and all who wait for it go on.

    event = Event(sessions, "migrated")
    await event.wait(timeout=60.0)          returns when it is set; at once if it is
    await event.set()
    await event.clear()                     from now on it is waited for again

Whoever waits when it is set goes on, also where it is cleared a moment later: beside the state stands how
often it was set, so that nobody has to be fast.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from agreed.backends.contract import Change, Entry
from agreed.recipes.changing import Fate, change, put
from agreed.recipes.errors import CodecError, WaitTimeout
from agreed.recipes.following import Following
from agreed.recipes.sessions import Sessions


class _State(msgspec.Struct, frozen=True):
    is_set: bool = False
    times: int = 0
    """How often it was set."""
    format: int = 1


DECODER: Final = msgspec.json.Decoder(_State)


class Event:
    def __init__(self, sessions: Sessions, name: str) -> None:
        self.name = name
        self._backend = sessions.backend

    async def is_set(self) -> bool:
        return (await self._look()).is_set

    async def set(self) -> None:
        """Doing it twice is doing it once."""
        seen = _State()

        def plan(found: Entry | None) -> Sequence[Change] | None:
            nonlocal seen
            seen = self._state(found)
            if seen.is_set:
                return None
            return put(self.name, msgspec.json.encode(_State(True, seen.times + 1)))

        def fate(found: Entry | None) -> Fate:
            return Fate.DONE if self._state(found).times > seen.times else Fate.NOT_DONE

        await change(self._backend, self.name, plan, fate)

    async def clear(self) -> None:
        """It is not set any more, for those who come from now on."""
        seen = _State()

        def plan(found: Entry | None) -> Sequence[Change] | None:
            nonlocal seen
            seen = self._state(found)
            if not seen.is_set:
                return None
            return put(self.name, msgspec.json.encode(_State(False, seen.times)))

        def fate(found: Entry | None) -> Fate:
            # Set since then: so somebody has cleared it before, and if it was not us it is as if it were.
            now = self._state(found)
            return Fate.DONE if not now.is_set or now.times > seen.times else Fate.NOT_DONE

        await change(self._backend, self.name, plan, fate)

    async def wait(self, timeout: float | None = None) -> None:
        """Raises WaitTimeout."""
        limit = asyncio.timeout(timeout)
        try:
            async with limit, self._backend.changes(self.name, below=False) as changes:
                first = state = await self._look()
                while not state.is_set and state.times == first.times:
                    await changes.wait()
                    state = await self._look()
        except TimeoutError as error:
            if not limit.expired():
                raise  # the backend's own
            raise WaitTimeout(f"{self.name} was not set within {timeout} s") from error

    def follow(self) -> Following[bool]:
        """Whether it is set, then each change of that."""
        return Following(self._backend, self.name, self.is_set, below=False)

    async def _look(self) -> _State:
        return self._state(await self._backend.get(self.name))

    def _state(self, found: Entry | None) -> _State:
        if found is None:
            return _State()
        try:
            return DECODER.decode(found.value)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CodecError(f"what stands at {self.name} is no event: {error}") from error
