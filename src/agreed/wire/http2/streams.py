"""One stream: what each side may still say on it (RFC 9113, 5.1), and what waits on it.

Only streams that are open or half closed exist.  When both sides have ended, or either has reset it, the
stream is forgotten, and a few bytes of memory about all those before it (`Past`) do the rest.
"""

from __future__ import annotations

from collections import deque

from agreed.wire.http2.fields import EncodedFields

REMEMBERED = 1_000


class Stream:
    """`send_window` and `receive_window`: what we may send, and what the peer may, in bytes; a change of the
    peer's settings can make the first negative (6.9.2).

    `waiting` is what the peer's windows do not let through yet; `last` stands behind it: trailers, or True
    for an end without any.  `told`: the layer above knows it.  `content_left`: of a
    `content-length`."""

    __slots__ = (
        "begun_at",
        "content_left",
        "last",
        "local_ended",
        "number",
        "receive_window",
        "remote_begun",
        "remote_ended",
        "send_window",
        "told",
        "unreturned",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, number: int, send_window: int, receive_window: int, now: int) -> None:
        self.number = number
        self.send_window = send_window
        self.receive_window = receive_window
        self.unreturned = 0
        self.begun_at = now
        self.remote_begun = False
        self.remote_ended = False
        self.local_ended = False
        self.told = False
        self.content_left: int | None = None
        self.waiting: deque[bytes | memoryview] | None = None
        self.waiting_bytes = 0
        self.last: EncodedFields | bool = False


class Past:
    """What one has to know about streams that are no more, in bounded memory.

    Every number up to the newest has been used, but for gaps: a peer that goes from 5 to 9 has closed 7
    without ever using it, and must not use it now (5.1.1), which is another fault than to speak on a stream
    that has ended.  And on streams that we have reset, the peer may go on for a moment, because it does not
    know it yet (5.4.2)."""

    __slots__ = ("_gaps", "_reset")

    def __init__(self) -> None:
        self._gaps: deque[range] = deque(maxlen=REMEMBERED)
        self._reset: dict[int, None] = {}

    def skip(self, first: int, behind: int) -> None:
        self._gaps.append(range(first, behind, 2))

    def was_skipped(self, number: int) -> bool:
        return any(number in gap for gap in self._gaps)

    def remember_reset(self, number: int) -> None:
        if len(self._reset) >= REMEMBERED:
            del self._reset[next(iter(self._reset))]
        self._reset[number] = None

    def was_reset(self, number: int) -> bool:
        return number in self._reset
