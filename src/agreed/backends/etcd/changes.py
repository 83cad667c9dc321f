"""That something may have changed, without telling what: nothing is kept but whether it has.

A watch begins at the moment at which the server takes it, and `async with` waits for that: whoever looks
afterwards and finds nothing new will be told what comes.  Where the stream broke, something may have happened
between; so whoever waits is told to look again, as soon as the server watches anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from agreed.backends.contract import Touched
from agreed.backends.etcd.calls import Calls
from agreed.backends.etcd.keys import Keys, Range, is_key
from agreed.backends.etcd.watches import Watches
from agreed.client.errors import ClientError, TimedOut
from agreed.wire.etcd.messages import WatchResponse

TOUCHED_MOST: Final = 1000
"""Whoever does not ask what was touched is not to have a list of all that ever was."""


class EtcdChanges:
    """See `contract.Changes`."""

    before = False

    def __init__(self, calls: Calls, keys: Keys, watches: Watches, key: str, *, below: bool) -> None:
        self._calls = calls
        self._keys = keys
        self._watches = watches
        self._key = key
        self._below = below
        self._range = keys.watched(key, below=below)
        self._is_watched = False
        self._changed = False
        self._touched: set[str] | None = set()
        self._revision = 0
        self._error: ClientError | None = None
        self._told = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> bool:
        try:
            async with asyncio.timeout(timeout_s) as time:
                while not self._changed:
                    await self._something_new()
        except TimeoutError:
            if not time.expired():
                raise
            return False
        self._changed = False
        return True

    async def __aenter__(self) -> Self:
        self._calls.raise_if_unusable()
        self._watches.add(self)
        try:
            async with asyncio.timeout(self._calls.request_timeout_s) as time:
                while not self._is_watched:
                    await self._something_new()
        except BaseException as error:
            self._watches.remove(self)
            if isinstance(error, TimeoutError) and time.expired():
                raise TimedOut(f"{self._key}: nobody watches it yet", maybe=False) from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watches.remove(self)

    def touched(self) -> Touched:
        touched, self._touched = self._touched, set()
        return Touched(self._revision, None if touched is None else frozenset(touched))

    async def _something_new(self) -> None:
        if self._error is not None:
            raise self._error
        self._told.clear()
        await self._told.wait()

    # --- for the stream ---------------------------------------------------------------------------------

    @property
    def range(self) -> Range:
        return self._range

    def start(self) -> int:
        return 0

    def created(self, revision: int) -> None:
        if self._is_watched:
            self._touched = None
            self._change()
        self._revision = revision
        self._is_watched = True
        self._told.set()

    def came(self, response: WatchResponse) -> None:
        changed = [event.kv for event in response.events if event.kv is not None]
        ours = [each.key for each in changed if self._keys.concerns(each.key, self._key, below=self._below)]
        if ours:
            self._touch(ours)
            self._change()
        if changed:
            # Of a large revision more may follow.  What the header says is not taken: there are servers that
            # say how far they are before they have told of it.
            self._revision = changed[-1].mod_revision - response.fragment

    def _touch(self, raw: Sequence[bytes]) -> None:
        if self._touched is not None:
            self._touched |= {text for text in map(self._keys.text, raw) if is_key(text)}
            if len(self._touched) > TOUCHED_MOST:
                self._touched = None

    def compacted(self) -> None:
        """Of now nothing can have been compacted; if a server thinks so all the same, it is asked again."""
        self._watches.add(self)

    def failed(self, error: ClientError) -> None:
        self._error = error
        self._told.set()

    def _change(self) -> None:
        self._changed = True
        self._told.set()
