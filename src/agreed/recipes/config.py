"""A typed value that is followed: its newest state is at hand, without a question to anybody.

    async with Config(sessions, "config/app", Settings, default=Settings()) as config:
        config.value.limit                              costs nothing; is as new as what we have heard
        off = config.on_change(lambda state: ...)
        async for state in config.states(): ...         the state now, then each newer one

What is at hand is good for configuration: it may be behind by a moment, and where the service cannot be
reached, by all that happens meanwhile (`error` says so, and it is caught up with as soon as it can be).  It
never goes back to an older state.

A value that cannot be read does not replace one that could: it is logged, and stands in `error`.  Without the
key the `default` holds, with version 0.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from agreed.backends.contract import Entry
from agreed.client.errors import Forked, SessionClosed
from agreed.errors import AgreedError
from agreed.recipes.cell import Versioned
from agreed.recipes.codec import Codec, codec_of
from agreed.recipes.errors import CodecError
from agreed.recipes.following import Following, Stream
from agreed.recipes.sessions import Sessions

LOG: Final = logging.getLogger("agreed.recipes")

AGAIN_AFTER_S: Final = 1.0
"""A service that cannot be reached is asked again after so long; its own client has tried by then."""

Value = TypeVar("Value")


class Config(Generic[Value]):
    """`error`: why the newest state is not at hand; None: it is, for all we know."""

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
        self.error: AgreedError | None = None
        self._backend = sessions.backend
        self._codec = codec_of(kind) if codec is None else codec
        self._default = self._state = Versioned(default, 0)
        self._listeners: list[Callable[[Versioned[Value]], None]] = []
        self._news = asyncio.Condition()
        self._following: asyncio.Task[None] | None = None

    @property
    def value(self) -> Value:
        return self._state.value

    @property
    def version(self) -> int:
        """0 of the default."""
        return self._state.version

    def on_change(self, callback: Callable[[Versioned[Value]], None]) -> Callable[[], None]:
        """`callback(state)` on the event loop, for each newer state.  Returns what takes it off."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def states(self) -> Stream[Versioned[Value]]:
        """The state now, then each newer one, until the configuration is closed."""
        return Stream(self._newer())

    async def _newer(self) -> AsyncGenerator[Versioned[Value], None]:
        while self._following is not None:
            told = self._state
            yield told
            async with self._news:
                while self._state is told and self._following is not None:
                    await self._news.wait()

    async def __aenter__(self) -> Self:
        """Returns when the state was read once.  Raises what the backend does, and CodecError."""
        states = self._watched()
        try:
            found = await states.next()
            self._state = self._default if found is None else self._read(found)
        except BaseException:
            await states.close()
            raise
        self._following = asyncio.create_task(self._follow(states))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.wait((following,))
        async with self._news:
            self._news.notify_all()

    # --- inside -----------------------------------------------------------------------------------------

    def _watched(self) -> Following[Entry | None]:
        return Following(self._backend, self.name, lambda: self._backend.get(self.name), below=False)

    async def _follow(self, states: Following[Entry | None]) -> None:
        while True:
            try:
                async with states:
                    async for found in states:
                        await self._take(found)
            except (SessionClosed, Forked) as error:
                self.error = error
                return
            except AgreedError as error:
                LOG.warning("%s cannot be followed at present: %s", self.name, error)
                self.error = error
            await asyncio.sleep(AGAIN_AFTER_S)
            states = self._watched()

    async def _take(self, found: Entry | None) -> None:
        try:
            state = self._default if found is None else self._read(found)
        except CodecError as error:
            LOG.error("%s: version %s is kept, the newer one is none: %s", self.name, self.version, error)
            self.error = error
            return
        self.error = None
        if state == self._state:
            return
        self._state = state
        for listener in list(self._listeners):
            try:
                listener(state)
            except Exception:
                LOG.exception("what was to hear of a newer %s failed", self.name)
        async with self._news:
            self._news.notify_all()

    def _read(self, found: Entry) -> Versioned[Value]:
        return Versioned(self._codec.decode(found.value), found.version)
