"""A typed value that is followed: its newest state is at hand, without a question to anybody.

    async with Config(sessions, "config/app", Settings, default=Settings()) as config:
        config.value.limit                              costs nothing; is as new as what we have heard
        off = config.on_change(lambda state: ...)
        async for state in config.states(): ...         the state now, then each newer one

What is at hand is good for configuration: it may be behind by a moment, and where the service cannot be
reached, by all that happens meanwhile (`error` says so, and it is caught up with as soon as it can be).  It
never goes back to an older state.  That the service is silent is noticed within some seconds (`follower.py`).

A value that cannot be read does not replace one that could: it is logged, and stands in `error`.  Without the
key the `default` holds, with version 0.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from agreed.backends.contract import Changes, Entry
from agreed.errors import AgreedError
from agreed.recipes.cell import Versioned
from agreed.recipes.codec import Codec, codec_of
from agreed.recipes.errors import CodecError
from agreed.recipes.follower import Follower
from agreed.recipes.following import Stream
from agreed.recipes.sessions import Sessions

LOG: Final = logging.getLogger("agreed.recipes")

Value = TypeVar("Value")


class Config(Generic[Value]):
    """Any number of tasks may have entered it at once; it is followed until the last of them has left."""

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        kind: type[Value],
        *,
        default: Value,
        codec: Codec[Value] | None = None,
    ) -> None:
        self.name = name
        self._backend = sessions.backend
        self._codec = codec_of(kind) if codec is None else codec
        self._default = self._state = Versioned(default, 0)
        self._listeners: list[Callable[[Versioned[Value]], None]] = []
        self._unreadable: CodecError | None = None
        self._follower = Follower(self._backend, name, self._keep_up, below=False)

    @property
    def error(self) -> AgreedError | None:
        """Why the newest state is not at hand; None: it is, for all we know."""
        return self._follower.error or self._unreadable

    @property
    def value(self) -> Value:
        return self._state.value

    @property
    def version(self) -> int:
        """0 of the default."""
        return self._state.version

    def on_change(self, callback: Callable[[Versioned[Value]], None]) -> Callable[[], None]:
        """`callback(state)` on the event loop, for each newer state that is read, the one at entering among
        them.  Returns what takes it off."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def states(self) -> Stream[Versioned[Value]]:
        """The state now, then each newer one, until the configuration is closed.  Raises what the backend
        does where it cannot be followed any more (SessionClosed, Forked)."""
        return Stream(self._newer())

    async def _newer(self) -> AsyncGenerator[Versioned[Value], None]:
        told: Versioned[Value] | None = None
        while await self._follower.newer(lambda: self._state, told):
            told = self._state
            yield told

    async def __aenter__(self) -> Self:
        """Returns when the state was read once.  Raises what the backend does, and CodecError."""
        await self._follower.begin()
        if self._unreadable is not None:
            await self._follower.end()
            raise self._unreadable.with_traceback(None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._follower.end()

    # --- inside -----------------------------------------------------------------------------------------

    async def _keep_up(self, changes: Changes | None) -> None:
        found = await self._backend.get(self.name)
        try:
            state = self._default if found is None else self._read(found)
        except CodecError as error:
            LOG.error("%s: version %s is kept, the newer one is none: %s", self.name, self.version, error)
            self._unreadable = error
            return
        self._unreadable = None
        if state.version == self.version:
            return
        self._state = state
        for listener in list(self._listeners):
            try:
                listener(state)
            except Exception:
                LOG.exception("what was to hear of a newer %s failed", self.name)
        self._follower.tell()

    def _read(self, found: Entry) -> Versioned[Value]:
        """Raises CodecError, whatever somebody's own codec raises."""
        try:
            return Versioned(self._codec.decode(found.value), found.version)
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"{self.name}: {type(error).__name__}: {error}") from error
