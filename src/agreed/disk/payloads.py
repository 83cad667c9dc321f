"""What the records of the log hold, as bytes.

Integers are little-endian.  A *ballot* is: term (8), settled term (8), length of the vote's name (2; 0xFFFF:
no vote), name.

    SEGMENT     format version (4), identity of the data directory (8), index (8) and term (8) of the entry
                before the first one of this file, ballot
    SAVES       any number of: ballot, number of entries (4), entries;
                an entry: index (8), term (8), kind (1), length (4), payload
    LOG_START   index (8) and term (8) of the last entry of a received snapshot
"""
from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agreed.consensus.machine import Ballot, Entry, EntryKind, Save
from agreed.types import Identity, Index, Term

FORMAT_VERSION = 1

_SEGMENT = struct.Struct("<IQQQ")
_BALLOT = struct.Struct("<QQH")
_COUNT = struct.Struct("<I")
_ENTRY = struct.Struct("<QQBI")
_LOG_START = struct.Struct("<QQ")
_NO_VOTE = 0xFFFF
_KINDS = {int(kind): kind for kind in EntryKind}


class SegmentHeader(NamedTuple):
    """With it a log file can be read although those before it are gone."""

    version: int
    identity: Identity
    previous_index: Index
    previous_term: Term
    ballot: Ballot


class SavedBatch(NamedTuple):
    """What a `Save` holds besides its serial, which means nothing after a restart."""

    ballot: Ballot
    entries: list[Entry]


def _encode_ballot(ballot: Ballot) -> bytes:
    if ballot.vote is None:
        return _BALLOT.pack(ballot.term, ballot.settled, _NO_VOTE)
    name = ballot.vote.encode()
    return _BALLOT.pack(ballot.term, ballot.settled, len(name)) + name


def _decode_ballot(data: bytes, offset: int) -> tuple[Ballot, int]:
    term, settled, length = _BALLOT.unpack_from(data, offset)
    offset += _BALLOT.size
    if length == _NO_VOTE:
        return Ballot(term, None, settled), offset
    return Ballot(term, data[offset : offset + length].decode(), settled), offset + length


def encode_segment_header(header: SegmentHeader) -> bytes:
    return _SEGMENT.pack(*header[:4]) + _encode_ballot(header.ballot)


def decode_segment_header(payload: bytes) -> SegmentHeader:
    """Raises ValueError where the bytes are not one."""
    try:
        version, identity, previous_index, previous_term = _SEGMENT.unpack_from(payload)
        ballot, _ = _decode_ballot(payload, _SEGMENT.size)
        return SegmentHeader(version, identity, previous_index, previous_term, ballot)
    except struct.error as error:
        raise ValueError(f"not a segment header: {error}") from error


def encode_saves(saves: Sequence[Save]) -> bytes:
    parts = []
    for save in saves:
        parts.append(_encode_ballot(save.ballot))
        parts.append(_COUNT.pack(len(save.entries)))
        for entry in save.entries:
            parts.append(_ENTRY.pack(entry.index, entry.term, entry.kind, len(entry.payload)))
            parts.append(entry.payload)
    return b"".join(parts)


def decode_saves(payload: bytes) -> Iterator[SavedBatch]:
    """Raises ValueError where the bytes are not what `encode_saves` makes."""
    offset = 0
    end = len(payload)
    try:
        while offset < end:
            ballot, offset = _decode_ballot(payload, offset)
            (count,) = _COUNT.unpack_from(payload, offset)
            offset += _COUNT.size
            entries = []
            for _ in range(count):
                index, term, kind, length = _ENTRY.unpack_from(payload, offset)
                offset += _ENTRY.size
                entries.append(Entry(index, term, _KINDS[kind], payload[offset : offset + length]))
                offset += length
            if offset > end:
                raise ValueError("a batch of saves is cut short")
            yield SavedBatch(ballot, entries)
    except (struct.error, KeyError) as error:
        raise ValueError(f"not a batch of saves: {error}") from error


def encode_log_start(index: Index, term: Term) -> bytes:
    return _LOG_START.pack(index, term)


def decode_log_start(payload: bytes) -> tuple[Index, Term]:
    """Raises ValueError where the bytes are not one."""
    try:
        index, term = _LOG_START.unpack(payload)
    except struct.error as error:
        raise ValueError(f"not a log start: {error}") from error
    return index, term
