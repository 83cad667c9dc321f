"""The whole store to one client, as an etcd would send it: a bbolt file in blobs, then its SHA-256.

What is sent is the store as it was when the call came in.  It is made a little at a time, at the end of the
turns of this node, and only as fast as the client takes it.
"""
from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agreed.replica.etcd.backup import buckets_of
from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.cluster import Census
from agreed.wire.etcd.bbolt import Writing
from agreed.wire.etcd.messages import SnapshotResponse

if TYPE_CHECKING:
    from agreed.replica.replica import Replica

BLOB_BYTES = 32 * 1024
BYTES_PER_TURN = 256 * 1024
PAUSES_PER_TURN = 2
"""How often within one turn the first pass may say that it is not through yet: some milliseconds each."""

BACKLOG_BYTES = 512 * 1024
"""What the client has not taken yet."""


class SnapshotStream:
    def __init__(self, call: Call, replica: Replica) -> None:
        self._call = call
        members = Census(replica).shown()
        self._writing = Writing(
            buckets_of(replica.store, members, replica.machine.term, replica.applied)
        )
        self._pieces = self._writing.pieces()
        self._blob = bytearray()
        self._sent = 0
        self._digest = hashlib.sha256()

    @property
    def over(self) -> bool:
        return self._call.closed

    @property
    def may_go_on(self) -> bool:
        """Whether the next turn need not wait for the client."""
        return not self.over and self._call.backlog < BACKLOG_BYTES

    def work(self) -> None:
        """A turn's worth."""
        made = pauses = 0
        while made < BYTES_PER_TURN and pauses < PAUSES_PER_TURN and self.may_go_on:
            piece = next(self._pieces, None)
            if piece is None:
                self._finish()
            elif not piece:
                pauses += 1
            else:
                made += len(piece)
                self._blob += piece
                while len(self._blob) >= BLOB_BYTES:
                    self._send(bytes(self._blob[:BLOB_BYTES]))
                    del self._blob[:BLOB_BYTES]

    def _send(self, blob: bytes) -> None:
        self._digest.update(blob)
        self._sent += len(blob)
        self._call.send(SnapshotResponse(None, self._writing.size_bytes - self._sent, blob))

    def _finish(self) -> None:
        if self._blob:
            self._send(bytes(self._blob))
        self._call.send(SnapshotResponse(None, 0, self._digest.digest()))
        self._call.end()
