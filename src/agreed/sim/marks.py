"""The situations that a campaign should get into sometimes, by name: what is never reached is never tested.

`Outcome.marks` counts them.  A campaign reports those that no run has reached.
"""
from __future__ import annotations

MARKS = (
    # elections and the log
    "leader elected",
    "leader stepped down",
    "truncated suffix",
    # snapshots
    "snapshot written",
    "snapshot installed",
    "snapshot over a log",
    # clients
    "lock taken",
    "watch told",
    "client tried again",
    "client timed out",
)
