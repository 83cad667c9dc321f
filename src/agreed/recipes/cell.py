"""A typed value with a version, which whoever changes it can name.

    cell = Cell(sessions, "config/app", Settings)
    found = await cell.get()                            Versioned(value, version), or None
    await cell.set(settings, if_version=found.version)  BadVersion where somebody was faster
    await cell.update(lambda old: ...)                  again and again until nobody was faster

The value stands there as `codec.py` says and as nothing else, so that other programs read and write it too.
That has a price: who wrote it does not stand beside it.  A `set` or `update` whose answer is lost raises an
error with `maybe` where the key has changed since, for nobody can tell by whom; only a `set` without a
version that finds its own value there is content with it.  Numbers that must count exactly are for
`counter.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from agreed.backends.contract import Change, Delete, Entry
from agreed.client.errors import BadVersion
from agreed.recipes.changing import Changed, Fate, change, put
from agreed.recipes.codec import Codec, codec_of
from agreed.recipes.following import Following
from agreed.recipes.sessions import Sessions

Value = TypeVar("Value")


class Versioned(msgspec.Struct, Generic[Value], frozen=True):
    """`version` means nothing but equality; it is never 0, and no key has the same one twice."""

    value: Value
    version: int


class Cell(Generic[Value]):
    """`codec`: another way to write it than that of `codec_of(kind)`.  Everything raises CodecError where
    something else stands there, but `set` and `delete`."""

    def __init__(
        self, sessions: Sessions, name: str, kind: type[Value], *, codec: Codec[Value] | None = None
    ) -> None:
        self.name = name
        self._backend = sessions.backend
        self._codec = codec_of(kind) if codec is None else codec

    async def get(self) -> Versioned[Value] | None:
        return self._versioned(await self._backend.get(self.name))

    async def set(self, value: Value, *, if_version: int | None = None) -> Versioned[Value]:
        """`if_version`: only where it has this one, 0: only where there is none.  Raises BadVersion."""
        raw = self._codec.encode(value)

        def plan(found: Entry | None) -> Sequence[Change]:
            self._check(found, if_version)
            return put(self.name, raw)

        def fate(found: Entry | None) -> Fate:
            # Whoever has put it there: it is there, and was not when we began.  Who names a version wants to
            # be the only one.
            same = found is not None and found.value == raw and if_version is None
            return Fate.DONE if same else Fate.UNKNOWN

        changed = await change(self._backend, self.name, plan, fate, comes_and_goes=True)
        return Versioned(value, _version(changed))

    async def update(self, change_value: Callable[[Value | None], Value]) -> Versioned[Value]:
        """`change_value(old)` is the new one; None: there is none.  It may be called several times, and
        should do nothing but that."""
        value: Value

        def plan(found: Entry | None) -> Sequence[Change]:
            nonlocal value
            old = self._versioned(found)
            value = change_value(None if old is None else old.value)
            return put(self.name, self._codec.encode(value))

        changed = await change(self._backend, self.name, plan, _nobody_knows, comes_and_goes=True)
        return Versioned(value, _version(changed))

    async def delete(self, *, if_version: int | None = None) -> bool:
        """False: there was none.  Raises BadVersion."""
        before: Entry | None = None

        def plan(found: Entry | None) -> Sequence[Change] | None:
            nonlocal before
            before = found
            self._check(found, if_version)
            return None if found is None else [Delete(self.name)]

        def fate(found: Entry | None) -> Fate:
            if if_version is not None:
                return Fate.UNKNOWN
            still_there = found is not None and before is not None and found.created == before.created
            return Fate.NOT_DONE if still_there else Fate.DONE

        changed = await change(self._backend, self.name, plan, fate)
        return changed.before is not None

    def follow(self) -> Following[Versioned[Value] | None]:
        """The newest state, then each newer one; None: there is none."""
        return Following(self._backend, self.name, self.get, below=False)

    def _versioned(self, found: Entry | None) -> Versioned[Value] | None:
        return None if found is None else Versioned(self._codec.decode(found.value), found.version)

    def _check(self, found: Entry | None, if_version: int | None) -> None:
        version = 0 if found is None else found.version
        if if_version not in (None, version):
            raise BadVersion(self.name)


def _nobody_knows(found: Entry | None) -> Fate:
    return Fate.UNKNOWN


def _version(changed: Changed) -> int:
    """The version of what was put is the revision at which it was."""
    if changed.revision is not None:
        return changed.revision
    assert changed.after is not None, "it was found there"
    return changed.after.version
