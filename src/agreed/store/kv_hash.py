"""One number for all versions of the flat space up to a revision, to compare members by.

Members that hold the same and were compacted at the same revision have the same number; whether a member has
given back the memory of what was compacted makes no difference.  (It is not the number that a real etcd
would have: both are a CRC32C, but over what each has on its disk.)

What is to be hashed is taken in one go, as a list of references, and may be hashed at leisure (`step`), while
the store goes on changing: a million versions take about a second.
"""
from __future__ import annotations

from typing import Final

import google_crc32c
import msgspec

from agreed.store.mvcc import History
from agreed.store.results import Refusal
from agreed.types import Revision

STEP: Final = 5_000
"""Versions: some milliseconds."""

_encode = msgspec.msgpack.Encoder().encode


class KvHash:
    """`revision` and `compacted` tell what is hashed: the versions that `compacted` leaves, up to
    `revision`."""

    __slots__ = ("_next", "_records", "compacted", "revision", "value")

    def __init__(self, history: History, revision: Revision) -> None:
        self.compacted = history.compacted
        self.revision = revision
        self._records = history.kept_until(revision)
        self._next = 0
        self.value = 0

    def step(self, most: int = STEP) -> bool:
        """Whether it is through now; then `value` is the number, of 32 bits."""
        some = self._records[self._next : self._next + most]
        self._next += len(some)
        rows = [
            _encode((r.key, r.value, r.create_revision, r.modify_revision, r.version, r.lease)) for r in some
        ]
        self.value = google_crc32c.extend(self.value, b"".join(rows))
        return self._next >= len(self._records)


def kv_hash(history: History, asked: Revision, revision: Revision) -> KvHash | Refusal:
    """To be stepped.  `asked` 0: as of `revision`, the store's.  At the compacted revision itself nothing is
    hashed, as in etcd."""
    if asked > revision:
        return Refusal.FUTURE_REVISION
    if 0 < asked <= history.compacted:
        return Refusal.COMPACTED
    return KvHash(history, asked if asked > 0 else revision)
