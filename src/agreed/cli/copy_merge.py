"""What becomes of each change that `agreed copy` brings from one store to another.

A name (a key, or a path) may hold something at the target already.  What was there before us, and whether we
may change it, is decided by three values: what the source holds now, what it held before, what the target
holds.

    the target holds what is wanted                     nothing is written
    the target holds what the source held before        it is written
    anything else: somebody has changed the target      a conflict: told, counted, left alone
                                                        (written with --overwrite)

Every write is guarded by what was read (a revision, a version), so that it cannot lose what somebody writes
at the same moment, and can be repeated when its answer was lost.  So a copy that was broken off is simply
run again: what is there already is seen to be there.
"""
from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from agreed.errors import AgreedError

OPERATIONS_MOST = 100
"""Of one transaction; etcd takes 128."""

BYTES_MOST = 512 * 1024
"""Of the values of one transaction, unless one alone has more; both take about a MiB."""

ATTEMPTS = 5
"""A guard may fail because somebody writes; one who writes again and again has a conflict with us."""


class CopyFailed(AgreedError):
    """The copy cannot go on; what was copied stays, and running it again goes on where it was."""

    surely_not_done = False


class CannotHold(AgreedError):
    """The target cannot hold this: a key that is no path, a value that is too large."""

    surely_not_done = True

    def __init__(self, name: bytes, reason: str) -> None:
        super().__init__(f"{shown(name)}: {reason}")
        self.name = name
        self.reason = reason


def digest(value: bytes) -> bytes:
    """What is remembered of a value, instead of it."""
    return hashlib.blake2b(value, digest_size=16).digest()


def shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


class Change(msgspec.Struct, frozen=True):
    """Bring `name` to `wanted` (None: take it away).

    before   digest of what the source held until now; None where it held nothing, or that is not known
    lease    of the source, on which it hangs; 0 for none
    forced   whatever is there goes: what `--delete` asks for"""

    name: bytes
    wanted: bytes | None
    before: bytes | None = None
    lease: int = 0
    forced: bool = False


def behind(earlier: Change, later: Change) -> Change:
    """Both as one."""
    return msgspec.structs.replace(later, before=earlier.before)


class Batch(NamedTuple):
    """Changes in the order of the source; with them the source is at `revision` (0 where it has none)."""

    changes: list[Change]
    revision: int = 0


class Held(msgspec.Struct, frozen=True):
    """What the target holds; `token` changes whenever it does.  `lease` is one of the target."""

    value: bytes
    token: int
    lease: int = 0


class Write(msgspec.Struct, frozen=True):
    """A change as it is to be made while the target holds `over` (None: nothing)."""

    change: Change
    over: Held | None


class Target(Protocol):
    """Where it is copied to."""

    def check(self, change: Change) -> None:
        """Raises `CannotHold` where it can be seen without asking."""
        ...

    def hangs_on(self, lease: int, held: Held) -> bool:
        """Whether that is as it should be where `lease` is that of the source."""
        ...

    async def read(self, names: Sequence[bytes]) -> dict[bytes, Held]: ...

    async def write(self, writes: Sequence[Write]) -> bool:
        """All of them, or none and False where one of the names does not hold `over` any more.
        Raises `CannotHold`, and then has written nothing."""
        ...

    def names(self, prefix: bytes) -> AsyncIterator[list[bytes]]:
        """All that are there, page by page; what must go first, first."""
        ...


class Counts(msgspec.Struct):
    copied: int = 0
    deleted: int = 0
    unchanged: int = 0
    conflicts: int = 0
    refused: int = 0
    ephemeral: int = 0
    """Of ZooKeeper's: they belong to a session that lives there, and are not copied."""

    def told(self) -> str:
        return ", ".join(f"{getattr(self, each)} {each}" for each in self.__struct_fields__)


class Merge:
    """Applies changes to a target; `tell` is given a sentence for each that was not made."""

    def __init__(
        self, target: Target, counts: Counts, tell: Callable[[str], None], *, overwrite: bool = False
    ) -> None:
        self._target = target
        self._counts = counts
        self._tell = tell
        self._overwrite = overwrite

    async def apply(self, changes: Sequence[Change]) -> None:
        """In this order, in few transactions.  Changes of one `apply` become one transaction where
        they fit into one and their names differ."""
        batch: dict[bytes, Change] = {}
        size = 0
        for change in changes:
            try:
                self._target.check(change)
            except CannotHold as error:
                self._refuse(error)
                continue
            length = len(change.name) + len(change.wanted or b"")
            full = len(batch) >= OPERATIONS_MOST or size + length > BYTES_MOST
            if batch and (full or change.name in batch):
                await self._write(list(batch.values()))
                batch, size = {}, 0
            batch[change.name] = change
            size += length
        if batch:
            await self._write(list(batch.values()))

    async def _write(self, changes: list[Change]) -> None:
        for _ in range(ATTEMPTS):
            held = await self._target.read([change.name for change in changes])
            writes = [write for change in changes if (write := self._decided(change, held)) is not None]
            if not writes:
                return
            try:
                done = await self._target.write(writes)
            except CannotHold as error:
                self._refuse(error)
                changes = [write.change for write in writes if write.change.name != error.name]
                continue
            if done:
                for write in writes:
                    if write.change.wanted is None:
                        self._counts.deleted += 1
                    else:
                        self._counts.copied += 1
                return
            changes = [write.change for write in writes]
        for change in changes:
            self._conflict(change)

    def _decided(self, change: Change, held: dict[bytes, Held]) -> Write | None:
        over = held.get(change.name)
        if over is None:
            if change.wanted is None:
                self._counts.unchanged += 1
                return None
            # What hangs on a lease may have gone with its copy of the lease.
            if change.before is None or change.lease or self._overwrite:
                return Write(change, None)
        elif over.value == change.wanted and self._target.hangs_on(change.lease, over):
            self._counts.unchanged += 1
            return None
        elif over.value == change.wanted and change.lease:
            # It hangs on a lease that nobody renews, of an earlier run.
            return Write(change, over)
        elif change.forced or self._overwrite or digest(over.value) == change.before:
            return Write(change, over)
        self._conflict(change)
        return None

    def _conflict(self, change: Change) -> None:
        self._counts.conflicts += 1
        self._tell(f"conflict: {shown(change.name)} was changed at the target, and is left as it is")

    def _refuse(self, error: CannotHold) -> None:
        self._counts.refused += 1
        self._tell(f"refused: {error}")
