"""A copy of all that stands below a name, kept as new as what was heard: reading it asks nobody.

    async with CachedSubtree(sessions, "config") as tree:       returns when all of it was read once
        tree.get("app/limit")                                   Entry of config/app/limit, or None
        tree.keys()                                             ["app/limit", ...]
        tree.list("app")                                        the entries directly below config/app
        view = tree.view                                        one state, for reads that belong together
        async for change in tree.changes(): ...                 all there is, then what has become of it

Names are relative to the one that is followed; "" is that name itself.  Entries have their whole keys.

Whoever waits for changes is told the difference between the state that he was told last and the newest one,
however much lies between them: what lasted for a moment may not be seen, and nobody who is slow costs more
memory than one old state.  The first of them is all there is, and says `resynchronized`; so does the first
after the service could not be reached.

What is shown never goes back: a state that is older than the one before is not taken.  It may be behind, as
every copy is, and says by how much at least: `stale_for()` is 0 while the service answers and its watch
stands, and else counts from when it was heard last (which is noticed after `ASKED_EVERY_S` and
`ANSWERED_WITHIN_S`, if nothing else tells).  It can be read all the time.  `refresh` reads it anew, and shows
what was acknowledged before it was called.

What has changed is read again, and all of it where that is not known: at first, after the connection was
lost, on a ZooKeeper before 3.6.  At most half of the time is spent on that.  `most` and `most_bytes` are what
may be in memory (twice as much for a moment), and what is larger is refused (TooMuchBelow).  Each entry is
one that was; all of them together need not be of one moment, for they are read one by one: of keys that were
changed together one may be seen before the other.
"""

from __future__ import annotations

import asyncio
import logging
import os
from bisect import bisect_left
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterable
from functools import cached_property
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from agreed.backends.contract import Changes, Entry
from agreed.backends.errors import TooMuchBelow
from agreed.client.driver import seconds
from agreed.client.errors import Forked, SessionClosed, TimedOut
from agreed.errors import AgreedError
from agreed.recipes.following import Stream
from agreed.recipes.kv import Entries, Names
from agreed.recipes.sessions import Sessions

Found = TypeVar("Found")

LOG: Final = logging.getLogger("agreed.recipes")

KEYS_MOST: Final = 10_000
BYTES_MOST: Final = 64 * 1024 * 1024

ASKED_EVERY_S: Final = 2.0
"""So often somebody looks whether the service still answers, while nothing changes."""

ANSWERED_WITHIN_S: Final = 3.0

AGAIN_AFTER_S: Final = 0.5
"""A service that cannot be reached is asked again after so long; its own client has tried by then."""


READ_ONE_BY_ONE: Final = 64
"""Where more keys have changed than this, all of it is read."""


class View:
    """One state.  It never changes, and may be read on any thread."""

    def __init__(self, name: str, revision: int, entries: Iterable[Entry]) -> None:
        self.name = name
        self.revision = revision
        begin = len(name) + 1 if name else 0
        self.entries = {entry.key[begin:]: entry for entry in entries}

    @cached_property
    def bytes(self) -> int:
        """Of keys and values."""
        return sum(len(entry.key) + len(entry.value) for entry in self.entries.values())

    @cached_property
    def _sorted(self) -> Names:
        return sorted(self.entries.keys() - {""})

    def get(self, key: str) -> Entry | None:
        return self.entries.get(key)

    def keys(self) -> Names:
        """All that are below it, at any depth."""
        return list(self._sorted)

    def list(self, directory: str = "") -> Entries:
        """The keys directly below it, by name."""
        below = self._below(directory)
        begin = len(directory) + 1 if directory else 0
        return [self.entries[key] for key in below if "/" not in key[begin:]]

    def names(self, directory: str = "") -> Names:
        """The names directly below it; also of what is no key and has keys below it."""
        begin = len(directory) + 1 if directory else 0
        return sorted({key[begin:].partition("/")[0] for key in self._below(directory)})

    def _below(self, directory: str) -> Names:
        if not directory:
            return self._sorted
        start = bisect_left(self._sorted, f"{directory}/")
        return self._sorted[start : bisect_left(self._sorted, f"{directory}0")]  # what follows the slash


class SubtreeChange(msgspec.Struct, frozen=True):
    """From one state to a newer one: what is new or another, and what is gone, as it was.

    `resynchronized`: nobody could hear for a while what happened, or has not heard of it before."""

    revision: int
    put: tuple[Entry, ...]
    deleted: tuple[Entry, ...]
    resynchronized: bool


def difference(before: View, now: View, *, resynchronized: bool) -> SubtreeChange:
    old, new = before.entries, now.entries
    put = tuple(entry for key, entry in new.items() if old.get(key) != entry)
    deleted = tuple(entry for key, entry in old.items() if key not in new)
    return SubtreeChange(now.revision, put, deleted, resynchronized)


class CachedSubtree:
    """`error`: why it is not followed at present; None: it is, for all we know."""

    def __init__(
        self, sessions: Sessions, name: str, *, most: int = KEYS_MOST, most_bytes: int = BYTES_MOST
    ) -> None:
        self.name = name
        self.most = most
        self.most_bytes = most_bytes
        self.error: AgreedError | None = None
        self._backend = sessions.backend
        self._view = View(name, 0, ())
        self._newest = 0
        """What was read is as of this revision at least, and nothing older is taken."""
        self._heard_at = seconds()
        self._took_s = 0.0
        self._process = os.getpid()
        self._absences = 0
        self._ended = False
        self._one_by_one = asyncio.Lock()
        self._news = asyncio.Condition()
        self._following: asyncio.Task[None] | None = None

    @property
    def view(self) -> View:
        """The newest state that is known here."""
        return self._view

    @property
    def revision(self) -> int:
        """Up to which everything is in it."""
        return self._view.revision

    def get(self, key: str) -> Entry | None:
        return self._view.get(key)

    def keys(self) -> Names:
        """All that are below it, at any depth."""
        return self._view.keys()

    def list(self, directory: str = "") -> Entries:
        """The keys directly below it, by name."""
        return self._view.list(directory)

    def names(self, directory: str = "") -> Names:
        """The names directly below it; also of what is no key and has keys below it."""
        return self._view.names(directory)

    def stale_for(self) -> float:
        """Seconds since the service was heard last; 0 while it is followed."""
        is_ours = os.getpid() == self._process  # in a forked process nobody follows it
        follows = is_ours and self._following is not None and not self._following.done()
        return 0.0 if follows and self.error is None else max(0.0, seconds() - self._heard_at)

    def changes(self) -> Stream[SubtreeChange]:
        """All there is, then what has become of it, until this is closed.  Raises what the backend does when
        it cannot be followed any more (SessionClosed, Forked)."""
        return Stream(self._differences())

    async def refresh(self) -> None:
        """Read it anew: what was acknowledged before is shown then.  Raises what the backend does."""
        async with self._one_by_one:
            found = await self._timed(
                self._backend.subtree(self.name, most=self.most, most_bytes=self.most_bytes)
            )
            self._raise_if_older(found.revision, self._newest)
            await self._show(found.revision, found.entries)

    async def __aenter__(self) -> Self:
        """Returns when all of it was read.  Raises what the backend does, and TooMuchBelow."""
        reads = self._reads()
        try:
            await anext(reads)
            self.error, self._ended = None, False
        except BaseException:
            await reads.aclose()
            raise
        self._following = asyncio.create_task(self._follow(reads))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.wait((following,))
        await self._tell()

    # --- inside -----------------------------------------------------------------------------------------

    async def _follow(self, reads: AsyncGenerator[None, None]) -> None:
        while True:
            try:
                async for _ in reads:
                    self.error = None
            except (SessionClosed, Forked) as error:
                self.error = error
                self._ended = True
                await self._tell()
                return
            except AgreedError as error:
                LOG.warning("%s cannot be followed at present: %s", self.name, error)
                if self.error is None:
                    self._absences += 1
                self.error = error
            finally:
                await reads.aclose()
            await asyncio.sleep(max(AGAIN_AFTER_S, self._took_s))
            reads = self._reads()

    async def _reads(self) -> AsyncGenerator[None, None]:
        """A state was shown; again whenever it is another."""
        async with self._backend.changes(self.name, below=True) as changes:
            while True:
                await self.refresh()
                yield
                while await self._keep_up(changes):
                    yield

    async def _keep_up(self, changes: Changes) -> bool:
        """Waits until something changes, and reads that.  False: all of it is to be read."""
        while not await changes.wait(ASKED_EVERY_S):
            await self._ask()
        touched = changes.touched()
        while touched.keys is not None and len(touched.keys) <= READ_ONE_BY_ONE:
            async with self._one_by_one:
                entries = await self._with(touched.keys)
                known, touched = touched, changes.touched()
                if touched.keys is None:
                    break  # perhaps what was read is older than that
                # With nothing else told meanwhile, all is in it up to where the service is by now.
                await self._show(known.revision if touched.keys else touched.revision, entries)
            await asyncio.sleep(self._took_s)
            if not touched.keys:
                return True
        return False

    async def _with(self, keys: Collection[str]) -> Collection[Entry]:
        """The entries that are shown, with those keys as they are now."""
        if not keys:
            return self._view.entries.values()
        entries = {entry.key: entry for entry in self._view.entries.values()}
        found = await self._timed(asyncio.gather(*map(self._backend.get, keys)))
        for key, entry in zip(keys, found, strict=True):
            known = entries.pop(key, None)
            if entry is not None:
                self._raise_if_older(entry.modified, 0 if known is None else known.modified)
                entries[key] = entry
        return entries.values()

    async def _timed(self, reading: Awaitable[Found]) -> Found:
        asked_at = seconds()
        try:
            found = await reading
        finally:
            self._took_s = seconds() - asked_at
        self._heard_at = asked_at
        return found

    def _raise_if_older(self, revision: int, known: int) -> None:
        if revision < known:
            raise TimedOut(f"{self.name}: the service showed an older state than before", maybe=False)

    async def _show(self, revision: int, entries: Iterable[Entry]) -> None:
        view = View(self.name, max(revision, self.revision), entries)
        if len(view.entries) > self.most or view.bytes > self.most_bytes:
            raise TooMuchBelow(self.name, self.most, self.most_bytes)
        self._newest = max(self._newest, view.revision, *(each.modified for each in view.entries.values()))
        self._view = view
        await self._tell()

    async def _ask(self) -> None:
        """Whether anybody answers."""
        asked_at = seconds()
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S) as time:
                await self._backend.get(self.name or "0")
        except TimeoutError:
            if not time.expired():
                raise
            raise TimedOut(f"{self.name}: no answer in {ANSWERED_WITHIN_S:g} s", maybe=False) from None
        self._heard_at = asked_at

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _differences(self) -> AsyncGenerator[SubtreeChange, None]:
        told, absences = View(self.name, 0, ()), -1
        while self._following is not None:
            now, missed = self._view, self._absences
            change = difference(told, now, resynchronized=missed != absences)
            told, absences = now, missed
            if change.put or change.deleted or change.resynchronized:
                yield change
            async with self._news:
                while self._view is told and self._following is not None:
                    if self._ended and self.error is not None:
                        raise self.error
                    await self._news.wait()
