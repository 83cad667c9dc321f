"""The object between two commands, and what a command makes of it.

Between two commands the object is the bytes that `schema.encode` makes of it, and nothing else.  Each command
begins with an object that was read from them, and what it leaves is written again.  That costs some twenty
milliseconds for a megabyte, and buys this:

    * a command that raises has changed nothing: its object is thrown away
    * what a snapshot would lose (aliases, attributes that nobody has declared, a defaultdict) is lost at once
      and on every replica, not months later on the one that started anew
    * a value that is not of its type is told to whoever asked for the command, and is never in the log
    * the digest of the bytes tells after each single command whether two replicas are the same
    * nobody reads what is not agreed upon yet, and what a query changes is seen by no command
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any, Generic

from agreed.recipes.errors import CodecError, Diverged, NewerVersion
from agreed.recipes.replicated.layout import Record
from agreed.recipes.replicated.schema import Method, Object, Schema
from agreed.recipes.replicated.stamps import stamped


def digest_of(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


class State(Generic[Object]):
    """After `position` commands.  `now_ms`: the time of the last one."""

    def __init__(
        self, schema: Schema[Object], position: int, raw: bytes, now_ms: int, fresh: Object | None = None
    ) -> None:
        self.schema = schema
        self.position = position
        self.raw = raw
        self.now_ms = now_ms
        self._fresh = fresh
        """Read from `raw`, and seen by nobody yet."""
        self._read: Object | None = None

    @functools.cached_property
    def digest(self) -> str:
        return digest_of(self.raw)

    def ask(self, query: Method, arguments: bytes) -> Any:
        """Raises what the query raises, and CodecError."""
        if self._read is None:
            self._read = self._take()
        return query.result(query.run(self._read, arguments))

    def run(self, command: Method, arguments: bytes, now_ms: int, seed: int) -> tuple[State[Object], Any]:
        """The state after it, and what it returned.  Raises what the command raises, and CodecError where it
        leaves something that is no state; this one stays what it is."""
        of = self._take()
        with stamped(now_ms=now_ms, seed=seed):
            returned = command.run(of, arguments)
        raw = self.schema.encode(of)
        fresh = self.schema.decode(raw)
        return State(self.schema, self.position + 1, raw, now_ms, fresh), returned

    def applied(self, name: str, record: Record) -> State[Object]:
        """What a command of the log makes of it.

        Raises NewerVersion, Diverged; CodecError for a command that the class does not have."""
        if record.since > self.schema.version:
            where = f"{name}: command {record.command} at {self.position}"
            raise NewerVersion(where, record.since, self.schema.version)
        command = self.schema.commands.get((record.command, record.since))
        if command is None:
            raise CodecError(
                f"{name}: {record.command} of version {record.since}, at {self.position} in the log, is no"
                f" command of {self.schema.name}"
            )
        try:
            after, _ = self.run(command, bytes(record.arguments), record.now_ms, record.seed)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise Diverged(name, self.position, record.command, told, record.digest) from error
        if record.version == self.schema.version and record.digest != after.digest:
            raise Diverged(name, self.position, record.command, after.digest, record.digest)
        return after

    def _take(self) -> Object:
        fresh, self._fresh = self._fresh, None
        return self.schema.decode(self.raw) if fresh is None else fresh
