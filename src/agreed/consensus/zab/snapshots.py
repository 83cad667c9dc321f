"""To receive a snapshot in pieces (SNAP), and to go on where it stopped.

The leader sends a piece, we write it aside, and the reply says how much is held; so a lost message or a
broken connection costs one piece.  A piece of another snapshot, or of another node's, begins the whole
anew: two nodes' snapshots of the same entries need not be the same bytes.

Installing is the one moment at which the log is not the truth: the store is about to become the snapshot.
From the last piece until the driver's answer nothing is appended, nothing is committed, and our history is
told to nobody.  And the last piece is only handed on once no save is under way, for an old entry that reached
the disk after the snapshot would, after a crash, seem to continue it.
"""
from __future__ import annotations

from agreed.consensus.machine import ChunkSaved, SaveChunk, SnapshotInstalled, SnapshotMark, SnapshotRejected
from agreed.consensus.members import fault
from agreed.consensus.zab.messages import Ack, SnapshotPiece, SnapshotPieceReply
from agreed.consensus.zab.state import ZabState
from agreed.types import NodeId


class IncomingSnapshot:
    """Outlives the roles: a node may see epochs and leaders come and go while its driver installs."""

    def __init__(self, zab: ZabState) -> None:
        self._zab = zab
        self._source: NodeId | None = None
        self._mark: SnapshotMark | None = None
        self._given = 0
        """Bytes handed to the driver."""
        self._held = 0
        """Bytes the driver has written."""
        self._last: SaveChunk | None = None
        """The last piece, while a save is still under way."""
        self._writing = False
        """A piece is with the driver."""
        self.installing = False

    @property
    def busy(self) -> bool:
        """The whole snapshot is here: the log stands still until it is installed or rejected."""
        return self.installing or self._last is not None

    def on_piece(self, source: NodeId, message: SnapshotPiece) -> None:
        """From the leader of our epoch."""
        zab, mark = self._zab, message.mark
        if self.busy or self._writing or not _is_plausible(message):
            return  # one piece at a time: a late one of an earlier attempt must not overtake what is written
        if mark.index <= zab.commit or zab.log.term(mark.index) == mark.term:
            # We have that entry, and so all before it; nothing is replaced, and nothing newer is lost.
            if mark.index > zab.commit:
                zab.commit_to(mark.index)
            zab.promise(source, Ack(zab.term, zab.commit), zab.serial)
            return
        if (source, mark) != (self._source, self._mark):
            if self._source == source and self._mark is not None and mark.index < self._mark.index:
                return  # a late piece of what the leader has given up
            self._source, self._mark, self._given, self._held = source, mark, 0, 0
        if message.offset != self._given:
            # A piece or a reply was lost.  Of what is still with the driver, its answer will tell.
            if self._held == self._given:
                zab.send(source, SnapshotPieceReply(zab.term, mark.index, self._held))
            return
        self._given += len(message.data)
        piece = SaveChunk(mark, message.offset, message.data, message.done)
        if message.done:
            self._last = piece
            self.hand_over()
        else:
            self._writing = True
            zab.effects.save_chunks.append(piece)

    def hand_over(self) -> None:
        """Give the last piece to the driver, if nothing is being saved."""
        zab = self._zab
        if self._last is None or zab.saving:
            return
        piece, self._last = self._last, None
        if piece.mark.index <= zab.commit or zab.log.term(piece.mark.index) == piece.mark.term:
            self._forget()  # while we waited for the disk, the log itself has brought us there
            return
        self.installing = True
        zab.effects.save_chunks.append(piece)

    def on_chunk_saved(self, event: ChunkSaved) -> None:
        zab = self._zab
        self._writing = False
        if event.mark == self._mark and self._source is not None:
            self._held = event.next_offset
            # More than was given: the disk has it from before a restart, and the leader goes on behind it.
            self._given = max(self._given, self._held)
            zab.send(self._source, SnapshotPieceReply(zab.term, event.mark.index, event.next_offset))

    def on_installed(self, event: SnapshotInstalled) -> bool:
        """True where the log is now that snapshot."""
        if not self.installing or event.mark != self._mark:
            return False
        self._forget()
        self._zab.restore(event.mark)
        return True

    def on_rejected(self, event: SnapshotRejected) -> None:
        zab, source = self._zab, self._source
        if event.mark != self._mark or source is None:
            return
        self._forget()
        zab.send(source, SnapshotPieceReply(zab.term, event.mark.index, 0))

    def _forget(self) -> None:
        self.installing = False
        self._source = self._mark = self._last = None
        self._given = self._held = 0


def _is_plausible(message: SnapshotPiece) -> bool:
    mark = message.mark
    if mark.index <= 0 or not 0 < mark.term <= message.term or message.offset < 0:
        return False
    return bool(mark.members.voters) and fault(mark.members) is None
