"""Base-128 varints: seven bits a byte, the lowest first, the top bit set on all but the last.

https://protobuf.dev/programming-guides/encoding/#varints
"""

from __future__ import annotations

from typing import Final

from agreed.errors import MalformedInput

MASK_64: Final = (1 << 64) - 1
SIGN_64: Final = 1 << 63


def _written(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# The revision is in every message and soon has three bytes: two tables make one addition of it.
TABLE_SIZE: Final = 1 << 14
_FIRST: Final = [bytes((low | 0x80,)) for low in range(128)]
WHOLE: Final = tuple(
    [bytes((low,)) for low in range(128)]
    + [low + last for last in [bytes((high,)) for high in range(1, 128)] for low in _FIRST]
)
FIRST_TWO: Final = tuple([low + high for high in _FIRST for low in _FIRST])


def varint(number: int) -> bytes:
    """A negative number is written as its two's complement in 64 bits: ten bytes."""
    if 0 <= number < TABLE_SIZE * TABLE_SIZE:
        if number < TABLE_SIZE:
            return WHOLE[number]
        return FIRST_TWO[number % TABLE_SIZE] + WHOLE[number // TABLE_SIZE]
    return _written(number & MASK_64)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number, 64 bits of it, and where it ends.  Raises MalformedInput for more than ten bytes, and
    IndexError where the data end before it does; the caller knows what that means."""
    number = shift = 0
    while shift < 70:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & MASK_64, position
        shift += 7
    raise MalformedInput("a varint of more than ten bytes")


def read_short(data: bytes, position: int, limit: int) -> tuple[int, int]:
    """A tag or a length: at most five bytes, at most `limit`."""
    number = shift = 0
    while shift < 35:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number > limit:
                break
            return number, position
        shift += 7
    raise MalformedInput("a tag or a length that is too large")
