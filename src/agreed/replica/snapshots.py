"""The store in pieces: out to our own disk while it serves, in from the leader's; and the digests.

Every node takes its snapshot after the same command (`Checkpoint`), so the snapshots of all nodes with one
index must be equal to the byte.  Each node tells the others the SHA-256 of its own; who differs from a
majority holds a state that was never agreed and must stop.

Out: the records are captured in one go (a list of references; records are immutable) and encoded piece by
piece, one piece at a time, with the turns of the node between them.  No request waits for a snapshot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from agreed.consensus.machine import ChunkLoaded, Entry, SnapshotInstalled, SnapshotMark, SnapshotTaken
from agreed.replica import events
from agreed.replica.clients import Client
from agreed.replica.events import SnapshotPiece, StartSnapshot
from agreed.replica.founding import all_members
from agreed.store.machine import Restorer, Store
from agreed.types import Index, NodeId
from agreed.wire.peer.messages import DigestReport

if TYPE_CHECKING:
    from agreed.replica.replica import Replica

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

    def disagreement(self, index: Index, voters: Collection[NodeId]) -> tuple[bool, list[NodeId]] | None:
        """None where all agree so far; else whether a majority of the voters stands against this node, and
        who differs from this node.  A learner has no voice in that, but may be wrong."""
        said = self._known.get(index, {})
        mine = said.get(self._me)
        if mine is None:
            return None
        others = [node for node, digest in said.items() if digest != mine]
        if not others:
            return None
        against: dict[bytes, int] = {}
        for node in others:
            against[said[node]] = against.get(said[node], 0) + (node in voters)
        return max(against.values()) > len(voters) // 2, others


class SnapshotKeeper:
    """What a node does with snapshots: takes its own, tells and compares digests, takes over the leader's."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._out = SnapshotOut()
        self._in = SnapshotIn()
        self._digests = Digests(replica.name)

    def take(self, entry: Entry) -> None:
        self._replica.checkpoint.taken()
        if self._out.running:
            self._replica.log(
                "warning", f"the snapshot before is still being written: none is taken at {entry.index}"
            )
            return
        mark = self._replica.machine.snapshot_mark(entry.index)
        self._replica.effects.snapshot.append(self._out.start(self._replica.store, mark))
        self._next_piece()

    def _next_piece(self) -> None:
        piece = self._out.next_piece()
        if piece is not None:
            self._replica.effects.snapshot.append(piece)

    def piece_written(self, event: events.SnapshotPieceWritten) -> None:
        self._next_piece()

    def written(self, event: events.SnapshotWritten) -> None:
        self._out.ended()
        self._replica.snapshot_index = max(self._replica.snapshot_index, event.mark.index)
        self._replica.machine.step(SnapshotTaken(event.mark))
        for member in all_members(self._replica.machine.members):
            if member.name != self._replica.name:
                self._replica.effects.send.append((member.name, DigestReport(event.mark.index, event.digest)))
        self._digest_known(self._replica.name, event.mark.index, event.digest)

    def chunk_loaded(self, event: ChunkLoaded) -> None:
        """A member that lacks too much is to be sent our newest snapshot.  Where that is no longer sound,
        another one is taken: the older ones may be too old for our log to lead on from them."""
        newest = self._replica.snapshot_index
        if event.mark is None or (event.offset == 0 and event.mark.index < newest):
            self._replica.checkpoint.wanted()
        self._replica.machine.step(event)

    def digest_received(self, source: NodeId, message: DigestReport) -> None:
        self._digest_known(source, message.index, message.digest)

    def _digest_known(self, node: NodeId, index: Index, digest: bytes) -> None:
        self._digests.report(node, index, digest)
        voters = {member.name for member in self._replica.machine.members.voters}
        found = self._digests.disagreement(index, voters)
        if found is None:
            return
        outvoted, others = found
        self._replica.log(
            "critical",
            f"at index {index} the state of {self._replica.name} differs from that of {', '.join(others)}",
        )
        if outvoted:
            self._replica.stop_serving(
                f"the state of {self._replica.name} at index {index} differs from that of a majority: "
                "replace this member (`agreed member replace`) and keep its data directory for a report"
            )

    def restore_piece(self, event: events.RestorePiece) -> None:
        self._in.feed(event.data)

    def restore_ended(self, event: events.RestoreEnded) -> None:
        """From here on the store is another one: what clients had asked of the old one has no known
        outcome."""
        self._replica.zookeeper.drop_all("this node took over a snapshot of the leader")
        self._replica.store = self._in.finish()
        self._replica.applied = self._replica.snapshot_index = event.mark.index
        lost = self._replica.requests.forget(
            self._replica.store.once.last(self._replica.origin, self._replica.requests.life)
        )
        for ticket in lost:
            if not isinstance(ticket, Client):  # of these none is connected any more
                ticket.lost()
        self._replica.etcd.restored()
        self._replica.checkpoint.taken()
        self._replica.machine.step(SnapshotInstalled(event.mark))
        # Now, for who knows when there is an entry behind it.
        self._replica.applied_more()
        self._replica.log("info", f"took over the leader's snapshot at index {event.mark.index}")
