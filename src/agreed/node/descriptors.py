"""How many files and sockets this process may have open, and how many of them are for clients.

The story: a thousand clients take all that the system gives a process by default.  Then the log needs its
next file and gets none.  That is a disk that fails, so the node ends; its clients go to the next one, and
that one ends as well.
"""

from __future__ import annotations

import resource
from contextlib import suppress

RESERVED = 256
"""For the log, snapshots, peers and operators, and for those who are accepted before they are refused."""


def as_many_as_allowed() -> int:
    """Raise the limit of this process as far as it may, and return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft


def as_many_as_there_are() -> int:
    """The limit of a process that is not ours to change."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def for_clients(limit: int, configured: int) -> int:
    """How many connections of clients fit.  `configured`: how many are wanted at most, 0 for all that fit."""
    if limit == resource.RLIM_INFINITY:
        return configured
    fitting = max(limit - RESERVED, limit // 2)
    return min(configured, fitting) if configured else fitting
