"""Header fields: from compressed bytes (HPACK, RFC 7541) to fields, and back; and the rules for them.

Huffman codes, the static table and the dynamic one are those of `hpack`.  The loop over a block is ours, for
two reasons.  A client that has settled sends the same few bytes for every call of a method; `FieldsDecoder`
keeps what it made of a block under the block's bytes, for as long as the dynamic table does not change, and
with it whatever the layer above has made of it (`Fields.meaning`).  And a block that is too long is read to
its end without being kept, so that the table stays in step and only its stream dies; unless it is a bomb, a
few bytes that stand for megabytes, and ends the connection where it is seen to be one.

What we send is encoded without touching the dynamic table at all.  So an encoded block is a constant, good
for any connection at any time, and can be kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, TypeAlias

from hpack import Encoder, HPACKError, NeverIndexedHeaderTuple
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from agreed.wire.http2.faults import ConnectionFault
from agreed.wire.http2.frames import END_HEADERS, END_STREAM, HEAD, ErrorCode, FrameType

Field: TypeAlias = tuple[bytes, bytes]
Rule: TypeAlias = Callable[[Iterable[Field]], str | None]
"""What is wrong with the fields, or None."""

TABLE_BYTES: Final = 4096
"""Of the dynamic table that the peer may fill: the default, which we never change."""

FIELD_BYTES: Final = 32
"""What each field costs beside its own bytes, in a table and in a list."""

TABLE_CLOSED: Final = b"\x20"
"""A peer that allows a smaller table than the default has to be told that we obey (RFC 7541, 4.2); we use
none, so we always say zero."""

SHORT_FIELD_BYTES: Final = 100
BLOCKS_KEPT: Final = 128
BLOCK_BYTES_KEPT: Final = 1024

BOMB_FACTOR: Final = 4
"""A list so many times as long as we have said that it may be is no oversight."""

_STATIC: Final = {0x80 + number: field for number, field in enumerate(HeaderTable.STATIC_TABLE, start=1)}
"""By the byte that stands for each."""

UNCHECKED: Final = "unchecked"


class Fields:
    """One block.  `oversized`: it was longer than allowed, and `fields` is only its beginning.

    `meaning` belongs to the layer above: what it has read out of these fields, once for all blocks that are
    the same.  `content_length` is known once the fields have been checked."""

    __slots__ = ("_as_trailers", "_initial", "content_length", "fields", "meaning", "oversized")

    def __init__(self, fields: tuple[Field, ...], oversized: bool = False) -> None:
        self.fields = fields
        self.oversized = oversized
        self.meaning: object = None
        self.content_length: int | None = None
        self._initial: str | None = UNCHECKED
        self._as_trailers: str | None = UNCHECKED

    def initial_problem(self, rule: Rule) -> str | None:
        """What is wrong with them as the first fields of a message; one `rule` for all of a connection."""
        problem = self._initial
        if problem is UNCHECKED:
            problem = rule(self.fields)
            lengths = {value for name, value in self.fields if name == b"content-length"}
            if lengths:
                length = lengths.pop()
                if lengths or not _LENGTH(length):
                    problem = problem or "a content-length that is none"
                else:
                    self.content_length = int(length)
            self._initial = problem
        return problem

    def trailers_problem(self) -> str | None:
        problem = self._as_trailers
        if problem is UNCHECKED:
            problem = self._as_trailers = trailers_problem(self.fields)
        return problem

    def __repr__(self) -> str:
        return f"Fields({self.fields!r})"

    def get(self, name: bytes) -> bytes | None:
        for found, value in self.fields:
            if found == name:
                return value
        return None


def _compression_fault(text: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.COMPRESSION_ERROR, text)


class FieldsDecoder:
    __slots__ = ("_kept", "_list_bytes_most", "_table")

    def __init__(self, list_bytes_most: int) -> None:
        self._list_bytes_most = list_bytes_most
        self._table = HeaderTable()
        self._kept: dict[bytes, Fields] = {}

    def decode(self, block: bytes) -> Fields:
        """Raises `ConnectionFault`: after a block that is not understood, no later one can be."""
        kept = self._kept.get(block)
        if kept is not None:
            return kept
        fields, changed = self._read(block)
        if changed:
            self._kept.clear()
        elif len(block) <= BLOCK_BYTES_KEPT:
            if len(self._kept) >= BLOCKS_KEPT:
                self._kept.clear()
            self._kept[block] = fields
        return fields

    def _read(self, block: bytes) -> tuple[Fields, bool]:
        """The fields, and whether the table has changed."""
        found: list[Field] = []
        changed = False
        table = self._table
        static = _STATIC
        left = self._list_bytes_most
        bomb = left * (1 - BOMB_FACTOR)
        position, size = 0, len(block)
        while position < size:
            first = block[position]
            if 0x80 < first < 0xFF:
                # Nearly every field of a client that has settled: one byte.
                position += 1
                field = static[first] if first < 0xBE else self._at(first - 0x80)
            elif first & 0x80:
                index, position = _integer(block, position, 0x7F)
                field = self._at(index)
            elif first & 0x60 == 0x20:
                if found:
                    raise _compression_fault("the table is resized in the middle of a block")
                capacity, position = _integer(block, position, 0x1F)
                if capacity > TABLE_BYTES:
                    raise _compression_fault(f"a table of {capacity} bytes; {TABLE_BYTES} are allowed")
                table.maxsize = capacity
                changed = True
                continue
            else:
                indexed = first & 0x40
                index, position = _integer(block, position, 0x3F if indexed else 0x0F)
                if index:
                    name = self._at(index)[0]
                else:
                    name, position = _string(block, position)
                value, position = _string(block, position)
                field = (name, value)
                if indexed:
                    table.add(name, value)
                    changed = True
            left -= len(field[0]) + len(field[1]) + FIELD_BYTES
            if left >= 0:
                found.append(field)
            elif left < bomb:
                raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a list of fields far longer than allowed")
        return Fields(tuple(found), left < 0), changed

    def _at(self, index: int) -> Field:
        entries = self._table.dynamic_entries
        if 61 < index < 62 + len(entries):
            return entries[index - 62]
        try:
            return self._table.get_by_index(index)
        except HPACKError:
            raise _compression_fault(f"there is no entry {index} in the table") from None


def _integer(block: bytes, position: int, mask: int) -> tuple[int, int]:
    """A number, which begins in the lower bits of the byte at `position` (RFC 7541, 5.1)."""
    value = block[position] & mask
    position += 1
    if value < mask:
        return value, position
    for shift in (0, 7, 14, 21):
        if position >= len(block):
            raise _compression_fault("a block ends in a number")
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _compression_fault("a number that no block can need")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    if position >= len(block):
        raise _compression_fault("a block ends where a string begins")
    coded = block[position] & 0x80
    length, position = _integer(block, position, 0x7F)
    end = position + length
    if end > len(block):
        raise _compression_fault("a block ends in a string")
    text = block[position:end]
    if not coded:
        return text, end
    try:
        return decode_huffman(text), end
    except HPACKError:
        raise _compression_fault("a string that Huffman's code cannot have made") from None


# --- rules (RFC 9113, 8.2 and 8.3) --------------------------------------------------------------------------

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_BAD_VALUE: Final = re.compile(rb"[\x00\r\n]|^[ \t]|[ \t]$").search
_LENGTH: Final = re.compile(rb"[0-9]{1,18}").fullmatch
_STATUS: Final = re.compile(rb"[1-9][0-9][0-9]").fullmatch
_OF_THE_CONNECTION: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_OF_REQUESTS: Final = frozenset((b":method", b":scheme", b":path", b":authority", b":protocol"))
_OF_RESPONSES: Final = frozenset((b":status",))


@lru_cache(maxsize=1024)
def _short_field_problem(name: bytes, value: bytes) -> str | None:
    """The same fields come again and again, and are short; only they are worth the memory."""
    return _field_problem(name, value)


def _field_problem(name: bytes, value: bytes) -> str | None:
    """What is wrong with a field wherever it stands."""
    if name[:1] != b":":
        if not _NAME(name):
            return f"a field cannot be called {name!r}"
        if name in _OF_THE_CONNECTION or (name == b"te" and value != b"trailers"):
            return f"{name!r} belongs to HTTP/1.1"
    if _BAD_VALUE(value):
        return f"{name!r} cannot have the value {value!r}"
    return None


def _pseudo_fields(fields: Iterable[Field], allowed: frozenset[bytes]) -> dict[bytes, bytes] | str:
    """Those that begin with a colon, or what is wrong with any field."""
    found: dict[bytes, bytes] = {}
    regular = False
    for name, value in fields:
        if name[:1] == b":":
            if regular or name not in allowed or name in found:
                return f"{name!r} is out of place"
            found[name] = value
        else:
            regular = True
        short = len(name) + len(value) <= SHORT_FIELD_BYTES
        problem = _short_field_problem(name, value) if short else _field_problem(name, value)
        if problem is not None:
            return problem
    return found


def request_problem(fields: Iterable[Field]) -> str | None:
    pseudo = _pseudo_fields(fields, _OF_REQUESTS)
    if isinstance(pseudo, str):
        return pseudo
    if pseudo.get(b":method") == b"CONNECT":
        return None if b":authority" in pseudo else "CONNECT to nowhere"
    if not pseudo.get(b":method") or not pseudo.get(b":scheme") or not pseudo.get(b":path"):
        return "a request needs a method, a scheme and a path"
    return None


def response_problem(fields: Iterable[Field]) -> str | None:
    pseudo = _pseudo_fields(fields, _OF_RESPONSES)
    if isinstance(pseudo, str):
        return pseudo
    return None if _STATUS(pseudo.get(b":status", b"")) else "an answer needs a status"


def trailers_problem(fields: Iterable[Field]) -> str | None:
    pseudo = _pseudo_fields(fields, frozenset())
    return pseudo if isinstance(pseudo, str) else None


# --- what we send -------------------------------------------------------------------------------------------

_ENCODER: Final = Encoder()


class EncodedFields:
    """A block ready to be sent on any stream.  `going` and `ending` are the first bytes of its HEADERS frame
    without and with END_STREAM."""

    __slots__ = ("block", "ending", "going")

    def __init__(self, block: bytes) -> None:
        self.block = block
        word = len(block) << 8 | FrameType.HEADERS
        self.going = HEAD.pack(word, END_HEADERS, 0)[:5]
        self.ending = HEAD.pack(word, END_HEADERS | END_STREAM, 0)[:5]


def encode(fields: Iterable[Field]) -> EncodedFields:
    """Names in lower case, pseudo-fields first.  Never touches the dynamic table."""
    return EncodedFields(_ENCODER.encode([NeverIndexedHeaderTuple(name, value) for name, value in fields]))
