"""The store in pieces: out to our own disk while it serves, in from the leader's; and the digests.

Every node takes its snapshot after the same command (`Checkpoint`), so the snapshots of all nodes with one
index must be equal to the byte.  Each node tells the others the SHA-256 of its own; who differs from a
majority holds a state that was never agreed and must stop.

Out: the records are captured in one go (a list of references; records are immutable) and encoded piece by
piece, one piece at a time, with the turns of the node between them.  No request waits for a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator

from agreed.consensus.machine import SnapshotMark
from agreed.replica.events import SnapshotPiece, StartSnapshot
from agreed.store.machine import Restorer, Store
from agreed.types import Index, NodeId

RECORDS_PER_PIECE = 500
"""About half a millisecond of work: what a request may have to wait for one piece."""

KEPT_DIGESTS = 4


class SnapshotOut:
    """At most one at a time; a checkpoint that comes while one is being written is passed over."""

    def __init__(self) -> None:
        self._pieces: Iterator[bytes] | None = None
        self._held: bytes | None = None
        self.running = False

    def start(self, store: Store, mark: SnapshotMark) -> StartSnapshot:
        assert not self.running
        self.running = True
        self._pieces = iter(store.capture().pieces(RECORDS_PER_PIECE))
        self._held = next(self._pieces)
        return StartSnapshot(mark)

    def next_piece(self) -> SnapshotPiece | None:
        """One ahead, so that the last piece is known to be the last."""
        if self._pieces is None or self._held is None:
            return None
        piece, self._held = self._held, next(self._pieces, None)
        if self._held is None:
            self._pieces = None
        return SnapshotPiece(piece, self._held is None)

    def ended(self) -> None:
        self.running = False
        self._pieces = self._held = None


class SnapshotIn:
    """Takes the pieces of a verified snapshot and makes a store of them."""

    def __init__(self) -> None:
        self._restorer: Restorer | None = None

    def feed(self, piece: bytes) -> None:
        if self._restorer is None:
            self._restorer = Restorer()
        self._restorer.feed(piece)

    def finish(self) -> Store:
        restorer, self._restorer = self._restorer, None
        assert restorer is not None, "a snapshot has at least one piece"
        return restorer.finish()


class Digests:
    """What the nodes said of their snapshots."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._known: dict[Index, dict[NodeId, bytes]] = {}

    def report(self, node: NodeId, index: Index, digest: bytes) -> None:
        self._known.setdefault(index, {})[node] = digest
        for old in sorted(self._known)[:-KEPT_DIGESTS]:
            del self._known[old]

    def disagreement(self, index: Index, voters: int) -> tuple[bool, list[NodeId]] | None:
        """None where all agree so far; else whether a majority of the voters stands against this node, and
        who differs from this node."""
        said = self._known.get(index, {})
        mine = said.get(self._me)
        if mine is None:
            return None
        others = [node for node, digest in said.items() if digest != mine]
        if not others:
            return None
        against: dict[bytes, int] = {}
        for node in others:
            against[said[node]] = against.get(said[node], 0) + 1
        return max(against.values()) > voters // 2, others
