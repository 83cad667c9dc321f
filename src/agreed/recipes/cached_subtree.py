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
stands, and else counts from when it was heard last.  Silence is noticed after `ASKED_EVERY_S` and
`ANSWERED_WITHIN_S` (`follower.py`), if nothing else tells; a reading that takes longer than that counts as
well.  It can be read all the time.  `refresh` reads it anew, and shows what was acknowledged before it was
called.

What has changed is read again, and all of it where that is not known: at first, after the connection was
lost, on a ZooKeeper before 3.6.  At most half of the time is spent on that.  `most` and `most_bytes` are what
may be in memory (twice as much for a moment), and what is larger is refused (TooMuchBelow).  Each entry is
one that was; all of them together need not be of one moment, for they are read one by one: of keys that were
changed together one may be seen before the other.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, Collection, Iterable
from functools import cached_property
from types import TracebackType
from typing import Final, Self

import msgspec

from agreed.backends.contract import Changes, Entry
from agreed.backends.errors import TooMuchBelow
from agreed.client.errors import TimedOut
from agreed.errors import AgreedError
from agreed.recipes.follower import Follower
from agreed.recipes.following import Stream
from agreed.recipes.kv import Entries, Names
from agreed.recipes.sessions import Sessions

KEYS_MOST: Final = 10_000
BYTES_MOST: Final = 64 * 1024 * 1024

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
    """Any number of tasks may have entered it at once; it is followed until the last of them has left."""

    def __init__(
        self, sessions: Sessions, name: str, *, most: int = KEYS_MOST, most_bytes: int = BYTES_MOST
    ) -> None:
        self.name = name
        self.most = most
        self.most_bytes = most_bytes
        self._backend = sessions.backend
        self._view = View(name, 0, ())
        self._newest = 0
        """What was read is as of this revision at least, and nothing older is taken."""
        self._gaps = 0
        """So often what was shown had to bridge a time in which nobody could hear what happened."""
        self._one_by_one = asyncio.Lock()
        self._follower = Follower(self._backend, name, self._keep_up, below=True)

    @property
    def error(self) -> AgreedError | None:
        """Why it is not followed at present; None: it is, for all we know."""
        return self._follower.error

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
        return self._follower.stale_for()

    def changes(self) -> Stream[SubtreeChange]:
        """All there is, then what has become of it, until this is closed.  Raises what the backend does when
        it cannot be followed any more (SessionClosed, Forked)."""
        return Stream(self._differences())

    async def refresh(self) -> None:
        """Read it anew: what was acknowledged before is shown then.  Raises what the backend does."""
        async with self._one_by_one:
            found = await self._follower.asked(
                self._backend.subtree(self.name, most=self.most, most_bytes=self.most_bytes)
            )
            self._raise_if_older(found.revision, self._newest)
            self._show(found.revision, found.entries)

    async def __aenter__(self) -> Self:
        """Returns when all of it was read.  Raises what the backend does, and TooMuchBelow."""
        await self._follower.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._follower.end()

    # --- inside -----------------------------------------------------------------------------------------

    async def _keep_up(self, changes: Changes | None) -> None:
        """Reads what has changed; all of it, where that is not known."""
        touched = None if changes is None else changes.touched()
        while changes and touched and touched.keys is not None and len(touched.keys) <= READ_ONE_BY_ONE:
            async with self._one_by_one:
                entries = await self._with(touched.keys)
                known, touched = touched, changes.touched()
                if touched.keys is None:
                    break  # perhaps what was read is older than that
                # With nothing else told meanwhile, all is in it up to where the service is by now.
                self._show(known.revision if touched.keys else touched.revision, entries)
            if not touched.keys:
                return
            await self._follower.rest()
        await self.refresh()

    async def _with(self, keys: Collection[str]) -> Collection[Entry]:
        """The entries that are shown, with those keys as they are now."""
        if not keys:
            return self._view.entries.values()
        entries = {entry.key: entry for entry in self._view.entries.values()}
        found = await self._follower.asked(asyncio.gather(*map(self._backend.get, keys)))
        for key, entry in zip(keys, found, strict=True):
            known = entries.pop(key, None)
            if entry is not None:
                self._raise_if_older(entry.modified, 0 if known is None else known.modified)
                entries[key] = entry
        return entries.values()

    def _raise_if_older(self, revision: int, known: int) -> None:
        if revision < known:
            raise TimedOut(f"{self.name}: the service showed an older state than before", maybe=False)

    def _show(self, revision: int, entries: Iterable[Entry]) -> None:
        view = View(self.name, max(revision, self.revision), entries)
        if len(view.entries) > self.most or view.bytes > self.most_bytes:
            raise TooMuchBelow(self.name, self.most, self.most_bytes)
        self._newest = max(self._newest, view.revision, *(each.modified for each in view.entries.values()))
        self._view = view
        self._gaps += self.error is not None  # until all of it was read on a new watch
        self._follower.tell()

    async def _differences(self) -> AsyncGenerator[SubtreeChange, None]:
        told, gaps = View(self.name, 0, ()), -1
        while await self._follower.newer(lambda: self._view, told):
            now, of_now = self._view, self._gaps
            change = difference(told, now, resynchronized=gaps != of_now)
            told, gaps = now, of_now
            if change.put or change.deleted or change.resynchronized:
                yield change
