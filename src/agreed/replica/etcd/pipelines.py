"""Requests that a client of the gateway sends without waiting for answers: so many a turn, and as it reads.

In a quarter of a megabyte there are a thousand requests, for a megabyte each perhaps.  Answered in one go
they would keep the node from its work for seconds, and take a gigabyte.  So a connection that has much to
write goes on with its next request when that was taken from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from agreed.replica.etcd.calls import Call
    from agreed.replica.etcd.front import EtcdClients


class Pipeline(Protocol):
    def go_on(self) -> None:
        """With the requests that have come already."""


class Pipelines:
    """One for the node, as if it were a service; it has no methods of its own."""

    def __init__(self, front: EtcdClients) -> None:
        self._waiting: dict[Pipeline, None] = {}
        front.on_turn.append(self._turn)

    def handlers(self) -> Mapping[str, Callable[[Call, Any], None]]:
        return {}

    def wait(self, connection: Pipeline) -> None:
        self._waiting[connection] = None

    def _turn(self) -> bool:
        waiting, self._waiting = self._waiting, {}
        for connection in waiting:
            connection.go_on()
        return bool(self._waiting)
