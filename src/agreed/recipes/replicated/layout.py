"""What stands in the service below the name of a replicated object, all of it JSON.

    extent                          how many commands there have been: each append changes it, and holds only
                                    for the number that it has seen
    records/<segment>/<position>    the commands, 64 to a segment (`recipes.segments`)
    snapshot                        the newest state that is kept, and where its parts are
    parts/<place>/<number>          its bytes

A program that meets a `format` which it does not know stops, and so does one that finds a field which it does
not know: it would not know what it has left out.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from agreed.recipes.errors import CodecError


class Extent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`next` commands have been, with so many `bytes` in all."""

    next: int = 0
    bytes: int = 0
    format: int = 1


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command.  `since`: which form of it.  `version`: of the class of whoever asked, by which `digest` is
    that of the state after it.  `mark`: which request of which replica it was."""

    command: str
    arguments: msgspec.Raw
    since: int
    version: int
    digest: str
    mark: str
    now_ms: int
    seed: int
    format: int = 1


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state after `position` commands, in `parts` below `place`.  `version`: of the class that wrote
    it."""

    position: int
    place: str
    parts: int
    version: int
    digest: str
    now_ms: int
    format: int = 1


Kind = TypeVar("Kind", Extent, Record, Snapshot)

FORMAT: Final = 1


def read(key: str, raw: bytes, kind: type[Kind]) -> Kind:
    """Raises CodecError."""
    try:
        found = msgspec.json.decode(raw, type=kind)
    except (ValueError, msgspec.MsgspecError) as error:
        raise CodecError(f"what stands at {key} is no {kind.__name__.lower()}: {error}") from error
    if found.format != FORMAT:
        raise CodecError(f"{key} has format {found.format}, and this program knows {FORMAT}")
    return found
