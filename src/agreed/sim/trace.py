"""Every event of a run: counted, hashed, and written down where somebody wants to read the story.

The hash covers what happened, to whom, when, and every byte that was carried; two runs with one hash are the
same run.  It is fed in large pieces, for an event must cost next to nothing.
"""
from __future__ import annotations

import hashlib
import struct

import msgspec

_HEAD = struct.Struct("<QBHHI").pack
"""Time, kind, who, with whom, how many bytes follow."""

_FLUSH_AT = 512

# What an event is.  The numbers are part of the hash and mean nothing.
ALARM, FRAME, SERVER_BYTES, CLIENT_BYTES, SAVED, FILE_JOB, CONNECTED, CLOSED, FAULT, START, STOP = range(11)


class Line(msgspec.Struct, frozen=True):
    """One line of the story.

    kind            "sent", "message" (when it is heard), "state", "disk", "fault", "mended", "up", "down",
                    "call", "return", "log", or "broken"
    who, other      nodes or clients; of a message the sender and the receiver
    began_us        of a message: when it was sent; of others the same as `at_us`
    at_us           microseconds of virtual time
    number          joins lines that belong together (a fault and its end, a call and its return), else 0
    """

    at_us: int
    kind: str
    who: str
    text: str
    other: str = ""
    began_us: int = 0
    number: int = 0


class Trace:
    def __init__(self, *, telling: bool = False) -> None:
        self.events = 0
        self.telling = telling
        """Whether lines are wanted; ask this before a line is made."""
        self.lines: list[Line] = []
        self._hash = hashlib.sha256()
        self._parts: list[bytes] = []

    def event(self, now: int, kind: int, who: int, other: int = 0, data: bytes = b"") -> None:
        """Something has happened to somebody; `who` and `other` are their numbers."""
        parts = self._parts
        parts.append(_HEAD(now, kind, who, other, len(data)))
        if data:
            parts.append(data)
        self.events += 1
        if len(parts) > _FLUSH_AT:
            self._hash.update(b"".join(parts))
            parts.clear()

    def tell(
        self,
        now: int,
        kind: str,
        who: str,
        text: str,
        other: str = "",
        began: int | None = None,
        number: int = 0,
    ) -> None:
        self.lines.append(Line(now, kind, who, text, other, now if began is None else began, number))

    def digest(self) -> str:
        """Of all events so far."""
        self._hash.update(b"".join(self._parts))
        self._parts.clear()
        return self._hash.hexdigest()
