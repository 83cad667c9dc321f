"""The synchronous face of `agreed.recipes.log`; written by `tools/write_synchronous.py`.

Each class has the methods of its namesake: what is awaited there is waited for here, on whichever thread
calls.  Do not change this file; change what it is written from.
"""

from __future__ import annotations

from typing import Generic, cast

from agreed.coordination.bodies import Stream
from agreed.coordination.on_the_loop import OnTheLoop
from agreed.recipes import log
from agreed.recipes.codec import Value
from agreed.recipes.log import Record


class Log(OnTheLoop[log.Log[Value]], Generic[Value]):
    """Abstract base class for generic types.

    A generic type is typically declared by inheriting from
    this class parameterized with one or more type variables.
    For example, a generic mapping type might be defined as::

      class Mapping(Generic[KT, VT]):
          def __getitem__(self, key: KT) -> VT:
              ...
          # Etc.

    This class can then be used as follows::

      def lookup_name(mapping: Mapping[KT, VT], key: KT, default: VT) -> VT:
          try:
              return mapping[key]
          except KeyError:
              return default"""

    @property
    def name(self) -> str:
        return self.asynchronous.name

    def append(self, value: Value) -> int:
        """Its offset.  Who is cancelled does not know whether it was appended.

        Raises CodecError; what the backend does, with `maybe` only where the session was lost meanwhile."""
        return cast("int", self._wait_for(self.asynchronous.append(value)))

    def length(self) -> int:
        """The offset of the next one that is appended."""
        return cast("int", self._wait_for(self.asynchronous.length()))

    def first(self) -> int:
        """The offset of the first one that is kept."""
        return cast("int", self._wait_for(self.asynchronous.first()))

    def read(self, since: int | None = 0, *, follow: bool = False) -> Stream[Record[Value]]:
        """From offset `since` on (None: what is appended from the first `next` on).  With `follow` it waits
        for those that come, otherwise it ends with the last one that is there.

        The stream raises LogTrimmed where the next one is not kept any more."""
        return cast("Stream[Record[Value]]", self._call(self.asynchronous.read, since, follow=follow))

    def trim(self, before: int) -> None:
        """Records below offset `before` are not needed any more.  Doing it twice is doing it once."""
        self._wait_for(self.asynchronous.trim(before))


OnTheLoop.FACES[log.Log] = Log
