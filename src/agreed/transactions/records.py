"""What the log of decisions says of one transaction.

    open         begun, before the first branch is prepared; version 0
    committed    decided: every branch has voted for it; version 1, and final
    aborted      decided; version 1, and final
    (absent)     aborted and forgotten, or committed on all databases and forgotten

There is no way from committed or aborted to anything else, and none from absent to committed: whoever decides
replaces the open record at version 0, and there is only one such.

As JSON, so that any ZooKeeper shell shows it to a person in need.
"""
from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from agreed.atomic_commit.messages import Vote
from agreed.errors import MalformedInput


class State(StrEnum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Outcome(StrEnum):
    """How a transaction has ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"


class Branch(msgspec.Struct, frozen=True):
    """`database` is the identity that the database itself tells (not an address): programs may call one
    database by two names, and two databases by one."""

    name: str
    database: str
    vote: Vote | None = None


class Record(msgspec.Struct, frozen=True):
    """`limit_s`: an open one that is older may be aborted by anybody.  `by`: who has decided.

    `operations`: how many operations on the cluster are to happen in the instant of a commit.  Only the
    coordinator knows which, so with any of them nobody else may decide to commit."""

    state: State
    coordinator: str
    limit_s: float
    branches: tuple[Branch, ...]
    by: str = ""
    reason: str = ""
    operations: int = 0

    @property
    def outcome(self) -> Outcome | None:
        return None if self.state is State.OPEN else Outcome(self.state.value)

    def committed(self, votes: Mapping[str, Vote], by: str) -> Record:
        """Decided so.  Raises ValueError unless each branch has voted yes: see AC3 of `atomic_commit`."""
        missing = [each.name for each in self.branches if votes.get(each.name) is not Vote.YES]
        if missing:
            raise ValueError(f"no commit without the yes of {', '.join(missing)}")
        voted = tuple(msgspec.structs.replace(each, vote=votes[each.name]) for each in self.branches)
        return msgspec.structs.replace(self, state=State.COMMITTED, branches=voted, by=by)

    def aborted(self, by: str, reason: str) -> Record:
        return msgspec.structs.replace(self, state=State.ABORTED, by=by, reason=reason)


class Filed(msgspec.Struct, frozen=True):
    """A record as it lies in the store; times in ms, by the clock of the cluster."""

    record: Record
    begun_ms: int
    changed_ms: int


def encode(record: Record) -> bytes:
    return msgspec.json.encode(record)


def decode(data: bytes) -> Record:
    """Raises MalformedInput."""
    try:
        return msgspec.json.decode(data, type=Record)
    except msgspec.MsgspecError as error:
        raise MalformedInput(f"a record of a transaction that is none: {error}") from error
