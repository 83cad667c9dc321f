"""How far a branch has come, as its connection knows."""
from __future__ import annotations

from enum import Enum


class Progress(Enum):
    """UNKNOWN from the moment at which it is asked to prepare or to commit until the database has answered:
    whoever dies or is interrupted in between has to leave the branch to recovery, or to its database."""

    IDLE = "idle"
    WORKING = "working"
    UNKNOWN = "unknown"
    PREPARED = "prepared"
    FINISHED = "finished"
