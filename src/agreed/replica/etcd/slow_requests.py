"""Requests that begin to come and do not end: each may take a minute, then its connection is closed.

Who sends half a request and holds the connection open costs memory for as long as it likes, a thousand times
over.  A connection between two requests costs next to nothing, and may stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from agreed.types import Instant

if TYPE_CHECKING:
    from agreed.replica.etcd.calls import Call
    from agreed.replica.etcd.front import EtcdClients

PATIENCE_MS: Final = 60_000


class Slow(Protocol):
    def too_slow(self) -> None: ...


class SlowRequests:
    """One for the node, as if it were a service; it has no methods of its own."""

    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._since: dict[Slow, Instant] = {}
        front.on_round.append(self._round)

    def handlers(self) -> Mapping[str, Callable[[Call, Any], None]]:
        return {}

    def begun(self, connection: Slow) -> None:
        """There is half a request; said again and again until it is whole."""
        if connection not in self._since:
            self._since[connection] = self._front.replica.now

    def whole(self, connection: Slow) -> None:
        self._since.pop(connection, None)

    def _round(self) -> None:
        before = self._front.replica.now - PATIENCE_MS
        # In the order in which they began: the first that is not too slow ends the search.
        for connection, since in list(self._since.items()):
            if since > before:
                break
            del self._since[connection]
            connection.too_slow()
