"""What was written, and what reached those who watched: the words in which watches are judged.

A watch follows keys from a revision on.  It is recorded as it is lived through, in the order of arrival:

    Watching("w1", after=4, key="/a/", prefix=True)             everything below /a/ after revision 4
    Delivered("w1", [WatchEvent(5, "/a/x", Change.CREATED)])    one message
    Progressed("w1", 7)                                         nothing up to revision 7 is still to come
    Watching("w1", after=7, key="/a/", prefix=True)             the connection broke: go on after that
    Ended("w1")                                                 nobody watches any more

The other side is the truth: `Write`s, each with the revision at which the store made it.  A write of which
nobody knows whether it happened has none; the first event that tells of it settles that, for all watchers.

Keys are text, values anything that can be compared.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from agreed.check.history import Process


class Change(Enum):
    """What became of a key."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


EVERY_CHANGE = frozenset(Change)


class Write(msgspec.Struct, frozen=True):
    """One key, set to a value or deleted.  Several of one revision happened as one, in the order given.

    Whether it created the key is not asked: it follows from the writes before.  To delete what is not there
    changes nothing."""

    revision: int | None
    key: str
    value: object = None
    deleted: bool = False


class WatchEvent(msgspec.Struct, frozen=True):
    """One change of one key, as a watcher is told.  What it is not told is UNSET, and not judged."""

    revision: int
    key: str
    kind: Change
    value: object = UNSET
    previous: object = UNSET
    """The value before; None: there was none."""


class Watching(msgspec.Struct, frozen=True, tag=True):
    """A watch begins: of all keys, of one, or of all that begin with `key`, from the first revision after
    `after`.  Of a watcher that watches already: it goes on there, on a new connection."""

    watcher: Process
    after: int
    key: str | None = None
    prefix: bool = False
    kinds: frozenset[Change] = EVERY_CHANGE

    def covers(self, key: str) -> bool:
        return self.key is None or key == self.key or (self.prefix and key.startswith(self.key))


class Delivered(msgspec.Struct, frozen=True, tag=True):
    """One message with events.  (What a server cut in pieces and a client library joined is one message.)"""

    watcher: Process
    events: Sequence[WatchEvent]


class Progressed(msgspec.Struct, frozen=True, tag=True):
    """The server's word that nothing up to this revision is still to come (a progress notification)."""

    watcher: Process
    revision: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    watcher: Process


WatchRecord = Watching | Delivered | Progressed | Ended


class Fact(NamedTuple):
    """A write with what is known of it once all writes are known."""

    revision: int
    key: str
    kinds: frozenset[Change]
    """More than one where it is not known whether the key was there before."""
    value: object
    previous: object
    """UNSET: not known."""
    number: int
    """Of the write, in the order in which writes were given."""


def settle(
    records: Iterable[WatchRecord], written: Sequence[Write]
) -> tuple[list[tuple[int, Write]], frozenset[str]]:
    """The writes that happened, each with its number; to those of which nobody knew, the revision is given at
    which the first event tells of them.  And the keys of which one is left that no event tells of."""
    happened = [(number, write) for number, write in enumerate(written) if write.revision is not None]
    known = {(write.revision, write.key) for _, write in happened}
    doubtful: dict[str, list[tuple[int, Write]]] = defaultdict(list)
    for number, write in enumerate(written):
        if write.revision is None:
            doubtful[write.key].append((number, write))
    for record in records:
        for event in record.events if isinstance(record, Delivered) else ():
            if (event.revision, event.key) in known:
                continue
            perhaps = doubtful.get(event.key, [])
            for number, write in perhaps:
                if _tells_of(event, write):
                    perhaps.remove((number, write))
                    happened.append((number, msgspec.structs.replace(write, revision=event.revision)))
                    known.add((event.revision, event.key))
                    break
    return happened, frozenset(key for key, perhaps in doubtful.items() if perhaps)


def _tells_of(event: WatchEvent, write: Write) -> bool:
    if (event.kind is Change.DELETED) != write.deleted:
        return False
    return write.deleted or event.value is UNSET or event.value == write.value


def facts(
    writes: Iterable[tuple[int, Write]], initial: Mapping[str, object] | None, doubtful: Collection[str]
) -> list[Fact]:
    """The writes that changed something, each with its number, in the order of their revisions.

    `initial` is what was there before the first; None: not known.  Of keys that are `doubtful` it is never
    known what was there before: a write that perhaps happened may have come between."""
    present: dict[str, object] = dict(initial or {})
    known = set(present)
    made = []
    certain = [(write.revision, number, write) for number, write in writes if write.revision is not None]
    for revision, number, write in sorted(certain, key=lambda each: each[:2]):
        told = (initial is not None or write.key in known) and write.key not in doubtful
        before = present.get(write.key) if told else UNSET
        was_there = write.key in present
        known.add(write.key)
        if write.deleted:
            present.pop(write.key, None)
            if was_there or not told:
                made.append(Fact(revision, write.key, frozenset({Change.DELETED}), None, before, number))
            continue
        present[write.key] = write.value
        kinds = {Change.CREATED, Change.CHANGED}
        if told:
            kinds.remove(Change.CREATED if was_there else Change.CHANGED)
        made.append(Fact(revision, write.key, frozenset(kinds), write.value, before, number))
    return made
