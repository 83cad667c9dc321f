"""Version vectors, and siblings with theirs, as bytes: few, and for each only one form.

    how many nodes                       varint (LEB128)
    the length of each name              a byte each, 1 to 255
    the names, in UTF-8, ascending
    the least counter                    varint
    the width of what follows            a byte: 0, 1, 2, 4 or 8
    each counter less the least one      so many bytes each, little-endian

Of no nodes the first byte is all there is.  Counters of one cluster tend to lie close together, and then a
byte or two each is enough, however large they are.

The names come first and in one piece, so that who holds a vector with the same names (a peer that is heard
now and again) sees it by comparing bytes, decodes no name, and has two vectors that share one `Roster` and
are compared quickly:  `decode(data, known)`.

Siblings (whose values are bytes) are their number, and then for each, by dot: the length and the name of its
node, the number, and the length and bytes of its past and of its value.  Lengths are varints.

There is one form only: a decoder that took two would let a signature or a digest of the bytes differ where
the vectors are equal.
"""
from __future__ import annotations

import struct
from itertools import pairwise

from agreed.clocks.dotted import Dot, Sibling, Siblings
from agreed.clocks.version import (
    COUNTER_MOST,
    NAME_BYTES_MOST,
    Roster,
    VersionVector,
    packed,
    varint,
)
from agreed.errors import MalformedInput
from agreed.types import NodeId

WIDTHS = {0: "", 1: "B", 2: "H", 4: "I", 8: "Q"}
"""Bytes to the letter by which `struct` calls them."""

VARINT_BYTES_MOST = 9
"""63 bits."""


def encode(vector: VersionVector) -> bytes:
    """Raises ValueError if a name is not of 1 to 255 bytes in UTF-8."""
    names = vector.roster.encoded
    if not vector.lanes:
        return names
    counters = vector.counters()
    least = min(counters)
    above = [counter - least for counter in counters]
    width = _width(max(above))
    packed_above = struct.pack(f"<{len(above)}{WIDTHS[width]}", *above) if width else b""
    return b"".join((names, varint(least), bytes((width,)), packed_above))


def decode(data: bytes, known: VersionVector | None = None) -> VersionVector:
    """Raises MalformedInput for everything that `encode` does not write."""
    if known is not None and data.startswith(known.roster.encoded):
        roster, at = known.roster, len(known.roster.encoded)
    else:
        roster, at = _roster(data)
    size = len(roster.names)
    if size == 0:
        if at != len(data):
            raise MalformedInput("bytes after a version vector")
        return VersionVector(roster)
    least, at = _varint(data, at)
    if at >= len(data) or data[at] not in WIDTHS:
        raise MalformedInput("a version vector says no width that its counters may have")
    width = data[at]
    if len(data) - at - 1 != size * width:
        raise MalformedInput(f"{size} counters of {width} bytes each, in {len(data) - at - 1} bytes")
    above = struct.unpack_from(f"<{size}{WIDTHS[width]}", data, at + 1) if width else (0,) * size
    most = max(above)
    if least < 1 or least + most > COUNTER_MOST:
        raise MalformedInput(f"a counter is from 1 to {COUNTER_MOST}")
    if min(above) != 0 or _width(most) != width:
        raise MalformedInput("a version vector that is not in its shortest form")
    return packed(roster, [least + each for each in above])


def encode_siblings(siblings: Siblings[bytes]) -> bytes:
    """Raises ValueError if a name is not of 1 to 255 bytes in UTF-8."""
    parts = [varint(len(siblings.members))]
    for each in siblings.members:
        name, past = each.dot.node.encode(), encode(each.past)
        if not 1 <= len(name) <= NAME_BYTES_MOST:
            raise ValueError(f"the name of a node has 1 to {NAME_BYTES_MOST} bytes")
        parts += [varint(len(name)), name, varint(each.dot.counter)]
        parts += [varint(len(past)), past, varint(len(each.value)), each.value]
    return b"".join(parts)


def decode_siblings(data: bytes) -> Siblings[bytes]:
    """Raises MalformedInput for everything that `encode_siblings` does not write of what `put` and `merge`
    can lead to."""
    size, at = _varint(data, 0)
    members: list[Sibling[bytes]] = []
    while len(members) < size:
        name, at = _bytes(data, at)
        counter, at = _varint(data, at)
        past, at = _bytes(data, at)
        value, at = _bytes(data, at)
        if counter < 1 or not 1 <= len(name) <= NAME_BYTES_MOST:
            raise MalformedInput("the dot of a sibling is none")
        members.append(Sibling(Dot(_text(name), counter), decode(past), value))
    if at != len(data):
        raise MalformedInput("bytes after the last sibling")
    if any(second.dot <= first.dot for first, second in pairwise(members)):
        raise MalformedInput("siblings that are not in order")
    # Of each other, or of themselves: such a set would swallow what it is merged with.
    known: dict[NodeId, int] = {}
    for each in members:
        for node, counter in each.past.items():
            known[node] = max(counter, known.get(node, 0))
    if any(known.get(each.dot.node, 0) >= each.dot.counter for each in members):
        raise MalformedInput("siblings of which one knew another")
    return Siblings(tuple(members))


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """What begins there with its length, and where it ends."""
    length, at = _varint(data, at)
    if length > len(data) - at:
        raise MalformedInput(f"{length} bytes are said to follow, and {len(data) - at} do")
    return data[at : at + length], at + length


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise MalformedInput("the name of a node is not UTF-8") from error


def _width(number: int) -> int:
    return next(width for width in WIDTHS if number < 1 << 8 * width)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number = 0
    for place in range(VARINT_BYTES_MOST):
        if at + place >= len(data):
            raise MalformedInput("a version vector ends within a number")
        byte = data[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if byte == 0 and place:
                raise MalformedInput("a number that is not in its shortest form")
            return number, at + place + 1
    raise MalformedInput("a number of more than 63 bits")


def _roster(data: bytes) -> tuple[Roster, int]:
    """The names with which it begins, and where they end."""
    size, at = _varint(data, 0)
    # The lengths alone would be longer than all there is: refused before anything is made of that size.
    if size > len(data) - at:
        raise MalformedInput(f"{size} nodes in {len(data)} bytes")
    lengths = data[at : at + size]
    at += size
    names = []
    for length in lengths:
        if length == 0 or at + length > len(data):
            raise MalformedInput("a version vector ends within a name, or a name is empty")
        names.append(data[at : at + length])
        at += length
    told = tuple(map(_text, names))
    if any(second <= first for first, second in pairwise(told)):
        raise MalformedInput("the names of a version vector are not in order")
    return Roster(told), at
