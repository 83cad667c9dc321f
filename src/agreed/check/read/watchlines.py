"""What reached those who watched, and what was written, from a file: JSON Lines, one record per line.

    {"type": "Write", "revision": 1, "key": "/a/x", "value": "1"}
    {"type": "Watching", "watcher": "w", "after": 0, "key": "/a/", "prefix": true}
    {"type": "Delivered", "watcher": "w", "events": [{"revision": 1, "key": "/a/x", "kind": "created"}]}

The records are those of `watches` (Watching, Delivered, Progressed, Ended) or those of one-shot watches
(WatchSet, WatchFired, Seen, Forgotten), with their fields, each watcher's in the order of arrival; and the
writes.  What a record leaves out is not known, or as its class says.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from agreed.check.read.json_text import decoded
from agreed.check.watches import OneShotRecord, WatchRecord, Write
from agreed.errors import MalformedInput

Record = TypeVar("Record")


class _Write(Write, frozen=True, tag="Write"):
    """A write, with its type."""


def read_streams(text: str) -> tuple[list[WatchRecord], list[Write]]:
    """For `watches`.  Raises MalformedInput, with the line."""
    return _split(_decoded(text, msgspec.json.Decoder(WatchRecord | _Write)))


def read_one_shot(text: str) -> tuple[list[OneShotRecord], list[Write]]:
    """For `one_shot`.  Raises MalformedInput, with the line."""
    return _split(_decoded(text, msgspec.json.Decoder(OneShotRecord | _Write)))


def write(records: Sequence[WatchRecord | OneShotRecord], written: Sequence[Write]) -> str:
    """Such a file."""
    tagged = [_Write(each.revision, each.key, each.value, each.deleted) for each in written]
    return "".join(msgspec.json.encode(each).decode() + "\n" for each in (*tagged, *records))


def _decoded(text: str, decoder: msgspec.json.Decoder[Record]) -> Iterable[Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield decoded(decoder, line)
            except MalformedInput as error:
                raise MalformedInput(f"line {number}: {error}") from error


def _split(things: Iterable[Record | _Write]) -> tuple[list[Record], list[Write]]:
    records: list[Record] = []
    written: list[Write] = []
    for thing in things:
        if isinstance(thing, _Write):
            written.append(Write(thing.revision, thing.key, thing.value, thing.deleted))
        else:
            records.append(thing)
    return records, written
