"""Ranges of keys in byte order, as etcd writes them.

    (key, None)       just this key
    (key, b"\\0")      every key from `key` on
    (key, end)        [key, end); empty where end <= key
"""
from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedList

FROM_KEY_ON = b"\0"


def contains(key: bytes, range_end: bytes | None, candidate: bytes) -> bool:
    """Whether `candidate` lies in the range."""
    if range_end is None:
        return candidate == key
    return key <= candidate and (range_end == FROM_KEY_ON or candidate < range_end)


def keys_in(keys: SortedList[bytes], key: bytes, range_end: bytes | None) -> Iterator[bytes]:
    """Those of `keys` that lie in the range, in order.  `keys` must not change meanwhile."""
    if range_end is None:
        return iter((key,) if key in keys else ())
    if range_end == FROM_KEY_ON:
        return keys.irange(key)  # type: ignore[no-any-return]
    return keys.irange(key, range_end, (True, False)) if key < range_end else iter(())


def count_in(keys: SortedList[bytes], key: bytes, range_end: bytes | None) -> int:
    """How many of `keys` lie in the range; takes no walk over them."""
    if range_end is None:
        return 1 if key in keys else 0
    if range_end == FROM_KEY_ON:
        return len(keys) - int(keys.bisect_left(key))
    return max(int(keys.bisect_left(range_end)) - int(keys.bisect_left(key)), 0)


def prefix_end(prefix: bytes) -> bytes:
    """The `range_end` for which [prefix, range_end) is all that begins with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return FROM_KEY_ON
    return stripped[:-1] + bytes([stripped[-1] + 1])
