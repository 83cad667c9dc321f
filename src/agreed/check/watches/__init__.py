"""Did those who watched see what was written?

    watches(records, written)     watches that see every change: streams, feeds, persistent watches
    one_shot(records, written)    ZooKeeper's watches, which are used up by one event

Both take what reached the watchers and what was written (`records`, `one_event`) and give a verdict; for the
first, `picture` makes a history of it that can be drawn.
"""
from __future__ import annotations

from agreed.check.watches.one_event import (
    FiredKind,
    Forgotten,
    OneShotRecord,
    Seen,
    WatchFired,
    WatchOf,
    WatchSet,
    one_shot,
)
from agreed.check.watches.picture import picture
from agreed.check.watches.records import (
    Change,
    Delivered,
    Ended,
    Progressed,
    WatchEvent,
    Watching,
    WatchRecord,
    Write,
)
from agreed.check.watches.stream import watches

__all__ = [
    "Change",
    "Delivered",
    "Ended",
    "FiredKind",
    "Forgotten",
    "OneShotRecord",
    "Progressed",
    "Seen",
    "WatchEvent",
    "WatchFired",
    "WatchOf",
    "WatchRecord",
    "WatchSet",
    "Watching",
    "Write",
    "one_shot",
    "picture",
    "watches",
]
