"""What we ask of TCP between nodes: to notice soon that nobody is there.

When a network is cut, nothing tells either end.  What was sent is sent again, at ever longer intervals, and
for a quarter of an hour; so for up to two minutes after the network is whole again nothing would come
through, though everybody is back.  A connection that is given up after some seconds is dialled anew at once.
"""

from __future__ import annotations

import asyncio
import socket

UNHEARD_MS = 5_000
"""Longer than a lost packet takes to be repeated a few times, shorter than any session lives."""


def give_up_when_unheard(transport: asyncio.BaseTransport) -> None:
    """End this connection when what was sent is not confirmed, or an idle peer not heard, for `UNHEARD_MS`.

    A system that does not know such an option does without it."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    seconds = UNHEARD_MS // 1_000
    options = (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", seconds),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", seconds),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", UNHEARD_MS),
    )
    for level, name, value in options:
        if hasattr(socket, name):
            connection.setsockopt(level, getattr(socket, name), value)
