"""The one feed of changes: every watch of every wire protocol is a view of it.

To be completed with the class `Feed` (readable from any kept revision).
"""
from __future__ import annotations

from enum import IntEnum

import msgspec

from agreed.store.records import Record
from agreed.types import Revision


class Space(IntEnum):
    TREE = 0
    FLAT = 1


class EventKind(IntEnum):
    CREATED = 1
    CHANGED = 2
    DELETED = 3


class Event(msgspec.Struct, frozen=True, gc=False):
    """`record` is the key after the change (for a deletion: the key as it was before it)."""

    revision: Revision
    kind: EventKind
    space: Space
    record: Record
    previous: Record | None
    """The record before the change, None for a creation."""
