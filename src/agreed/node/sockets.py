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

IDLE_S = 30
"""After so long a silence clients are asked whether they are there, by their system: they need not know."""


def give_up_when_unheard(transport: asyncio.BaseTransport) -> None:
    """End this connection when what was sent is not confirmed, or an idle peer not heard, for `UNHEARD_MS`.

    A system that does not know such an option does without it."""
    idle = UNHEARD_MS // 1_000
    _ask_for(transport, TCP_KEEPIDLE=idle, TCP_KEEPINTVL=1, TCP_KEEPCNT=idle, TCP_USER_TIMEOUT=UNHEARD_MS)


def end_when_gone(transport: asyncio.BaseTransport) -> None:
    """End this connection some time after the other machine is gone without a word.

    An etcd client that watches may rightly say nothing for days; without this, one that lost its power would
    be kept for as long, with all that is to be told to it."""
    _ask_for(transport, TCP_KEEPIDLE=IDLE_S, TCP_KEEPINTVL=IDLE_S // 3, TCP_KEEPCNT=3)


def _ask_for(transport: asyncio.BaseTransport, **options: int) -> None:
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in options.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
