"""The sessions that blocking programs share: one for each URL and process."""
from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial

from agreed.client import sync

_sessions: dict[tuple[int, str], sync.Session] = {}
_connecting = threading.Lock()


def session_of(cluster: str | sync.Session) -> sync.Session:
    """A session that is given, or the one of this process with the cluster at that URL.

    Raises what `agreed.client.connect` raises."""
    if not isinstance(cluster, str):
        return cluster
    with _connecting:
        key = (os.getpid(), cluster)  # a session does not survive a fork
        session = _sessions.get(key)
        if session is None or session.state.final:
            session = _sessions[key] = sync.connect(cluster)
        return session


def renewing(cluster: str | sync.Session) -> Callable[[], sync.Session] | None:
    """How to go on when a session is over: with another at that URL.  One that was given is its owner's."""
    return partial(session_of, cluster) if isinstance(cluster, str) else None
