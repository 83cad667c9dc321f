"""What a leader gathers for its next entries: its own batches, and those that followers forward.

A batch stays the bytes it came in.  Two stories are prevented here:

* A leader whose disk hangs can propose nothing, while every node repeats once a second what is not yet
  applied.  Without a limit all of that would become one entry, too large for any message between nodes: never
  replicated, and nothing behind it either.  So gathering stops at a limit (whoever is not heard repeats
  itself), and an entry takes no more than fits.
* What is in the log is applied by every node, now and at each restart.  So a batch is looked at before it
  gets there: one that cannot be read, or that speaks in the name of another node, goes no further.
"""

from __future__ import annotations

import msgspec

from agreed.store.commands import Batch
from agreed.types import NUMBER_MOST, NodeId, Stamp

MAX_GATHERED_BYTES = 64 * 1024 * 1024

MAX_ENTRY_BYTES = 8 * 1024 * 1024
"""Of an entry with more than one batch; a message between nodes may be eight times as large."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Batch)


class _Proposal(msgspec.Struct, array_like=True):
    """`Payload` with its batches as the bytes they came in: a batch is not encoded again on its way."""

    stamp_ms: Stamp
    batches: list[msgspec.Raw]


class Proposals:
    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._batches: list[tuple[NodeId, bytes]] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def full(self) -> bool:
        """There is an entry's worth of them: what need not be said yet can wait."""
        return self.size_bytes >= MAX_ENTRY_BYTES

    def add(self, source: NodeId, batch: bytes) -> None:
        """Whoever said it says it again, so it may be left out."""
        if self.size_bytes + len(batch) <= MAX_GATHERED_BYTES:
            self._batches.append((source, batch))
            self.size_bytes += len(batch)

    def clear(self) -> None:
        self._batches.clear()
        self.size_bytes = 0

    def next(self, stamp_ms: Stamp) -> tuple[bytes, tuple[NodeId, ...]]:
        """The payload of the next entry (at least one batch), and the followers that wait for it."""
        count = size = 0
        for _, batch in self._batches:
            if count and size + len(batch) > MAX_ENTRY_BYTES:
                break
            count += 1
            size += len(batch)
        taken, self._batches = self._batches[:count], self._batches[count:]
        self.size_bytes -= size
        waiting = {source for source, _ in taken if source != self._me}
        proposal = _Proposal(stamp_ms, [msgspec.Raw(batch) for _, batch in taken])
        return _encoder.encode(proposal), tuple(sorted(waiting))


def fault(source: NodeId, forwarded: bytes) -> str | None:
    """Why this must not come into the log in the name of the node `source`, or None."""
    try:
        batch = _decoder.decode(forwarded)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return f"it cannot be read: {error}"
    if batch.origin.rpartition(".")[0] != source:
        return f"it speaks in the name of {batch.origin}"
    if not (0 < batch.life < NUMBER_MOST and 0 < batch.first < NUMBER_MOST):
        return "its numbers are none that a node can reach"
    return None
