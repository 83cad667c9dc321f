"""What one end lets the other do on one connection: sizes, numbers, and how often.

The defaults are etcd's where etcd has one.  Floods are held by allowances that refill with time: a peer may
do a thing `burst` times at once, and so many times a second for ever.
"""

from __future__ import annotations

import msgspec

KIB = 1024
MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    max_concurrent_streams: int = 10_000
    """More are refused (REFUSED_STREAM), which a client may safely try again."""

    max_header_list_bytes: int = 32 * KIB
    """Of one block of fields, as RFC 9113 counts them (6.5.2): a JSON web token fits."""

    stream_window_bytes: int = MIB
    connection_window_bytes: int = 4 * MIB
    """At least 65,535 each; what a peer may send before it hears from us."""

    max_message_bytes: int = 2 * MIB
    """Of one gRPC message: etcd's `--max-request-bytes`, and 512 KiB on top of it."""

    max_partial_bytes: int = 64 * MIB
    """Of all messages of a connection whose end has not come yet."""

    ping_interval_least_ms: int = 5_000
    """etcd's `--grpc-keepalive-min-time`: pings that come sooner, without anything being sent in between,
    are strikes, and after `ping_strikes_most` of them the connection ends (`too_many_pings`)."""

    ping_strikes_most: int = 2

    reset_age_ms: int = 100
    """A stream cancelled sooner than this after its start is a rapid reset.  Clients with deadlines do
    cancel, and often, when a cluster has no leader; they wait longer than this before they do."""

    resets_burst: int = 1_000
    resets_per_second: int = 100

    idle_frames_burst: int = 1_000
    idle_frames_per_second: int = 100
    """Frames that ask for nothing but cost an answer or a look: SETTINGS, empty DATA, PRIORITY and
    acknowledgements of what was never said."""


class Allowance:
    """A bucket of `burst` tokens that refills at `per_second`."""

    __slots__ = ("_burst", "_filled_at", "_per_second", "_tokens_ms")

    def __init__(self, burst: int, per_second: int) -> None:
        self._burst = burst * 1000
        self._per_second = per_second
        self._tokens_ms = self._burst
        self._filled_at: int | None = None

    def spend(self, now: int, tokens: int = 1) -> bool:
        """Take so many tokens; False if there were not enough.  Counted in thousandths, so that no time is
        lost to rounding however often it is asked."""
        if self._filled_at is not None and now > self._filled_at:
            self._tokens_ms = min(self._burst, self._tokens_ms + (now - self._filled_at) * self._per_second)
        if self._filled_at is None or now > self._filled_at:
            self._filled_at = now
        self._tokens_ms -= 1000 * tokens
        return self._tokens_ms >= 0
