"""Connections of etcd clients, as the front sees them, whatever they speak."""
from __future__ import annotations

from typing import Protocol

from agreed.replica import events

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""By which HTTP/2 begins, and gRPC with it."""


class Connection(Protocol):
    """What speaks gRPC or HTTP/1.1.  `over`: nothing more will come of it, close it after `take`."""

    client: int

    @property
    def over(self) -> bool: ...

    def received(self, data: bytes) -> None:
        """Raises `MalformedInput` where the connection has to be dropped (after `take`)."""

    def take(self) -> bytes:
        """What is to be written now."""

    def client_reads(self, reads: bool) -> None:
        """Whether the client takes what is written to it: said when that changes."""

    def gone(self) -> None:
        """The connection is closed: every call of it is abandoned."""

    def shut_down(self) -> None:
        """Nothing new is taken; what is under way may end."""


class Unknown:
    """A connection of which too little was heard to know what it speaks."""

    __slots__ = ("address", "certificate", "heard", "port")

    def __init__(self, event: events.EtcdOpened) -> None:
        self.address = event.address
        self.port = event.port
        self.certificate = event.certificate
        self.heard = b""
