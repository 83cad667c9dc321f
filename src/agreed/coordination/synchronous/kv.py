"""The synchronous face of `agreed.recipes.kv`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import cast

from agreed.backends.contract import Entry
from agreed.coordination.bodies import Following, Watching
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.recipes import kv
from agreed.recipes.kv import Entries, Names


class KeyValues(OnTheLoop[kv.KeyValues]):
    def get(self, key: str) -> Entry | None:
        return cast("Entry | None", self._wait_for(self.asynchronous.get(key)))

    def put(self, key: str, value: bytes, *, if_absent: bool = False, if_version: int | None = None) -> int:
        """The version that it has now.  Raises Conflict."""
        return cast(
            "int",
            self._wait_for(self.asynchronous.put(key, value, if_absent=if_absent, if_version=if_version)),
        )

    def delete(self, key: str, *, if_version: int | None = None) -> None:
        """It may be gone already, unless a version is named.  Raises Conflict."""
        self._wait_for(self.asynchronous.delete(key, if_version=if_version))

    def list(self, directory: str = "") -> Entries:
        """The keys directly below it, by name; their values come with them."""
        return cast("Entries", self._wait_for(self.asynchronous.list(directory)))

    def names(self, directory: str = "") -> Names:
        """The names directly below it; also of what is no key and has keys below it."""
        return cast("Names", self._wait_for(self.asynchronous.names(directory)))

    def count(self, directory: str = "") -> int:
        """How many `names` there are; no values are read for it."""
        return cast("int", self._wait_for(self.asynchronous.count(directory)))

    def watch(self, key: str, *, below: bool = False, since: int | None = None) -> Watching:
        """Every change of the key (`below`: and of all below it), in order.  Raises Unsupported."""
        return cast("Watching", self._call(self.asynchronous.watch, key, below=below, since=since))

    def follow(self, key: str) -> Following[Entry | None]:
        """What is there now, then each newer state."""
        return cast("Following[Entry | None]", self._call(self.asynchronous.follow, key))

    def follow_list(self, directory: str = "") -> Following[Entries]:
        """All that is directly below now, then whenever it is another; each time the whole list is read."""
        return cast("Following[Entries]", self._call(self.asynchronous.follow_list, directory))


OnTheLoop.FACES[kv.KeyValues] = KeyValues
