"""To fetch a snapshot in pieces, and to go on where it stopped.

Whoever lacks what the other's log no longer holds pulls: each GetState says how much of which snapshot is
here, and is said again with the next word of the other for as long as nothing comes.  So the sender needs to
remember nothing, and a lost message or a broken connection costs one piece.  A piece of another snapshot, or
of another replica's, begins the whole anew: two replicas' snapshots of the same entries need not be the same
bytes.

Installing is the one moment at which the log is not the truth: the store is about to become the snapshot.
From the last piece until the driver's answer nothing is appended, nothing is committed, and nothing is said
of our log in a view change.  And the last piece is only handed on once no save is under way, for an old entry
that reached the disk after the snapshot would, after a crash, seem to continue it.
"""
from __future__ import annotations

from agreed.consensus.machine import ChunkSaved, SaveChunk, SnapshotInstalled, SnapshotMark, SnapshotRejected
from agreed.consensus.members import fault
from agreed.consensus.vr.messages import SnapshotPiece
from agreed.consensus.vr.state import VrState
from agreed.types import Index, NodeId


class IncomingSnapshot:
    """Outlives the roles: a replica may see views and primaries come and go while its driver installs."""

    def __init__(self, vr: VrState) -> None:
        self._vr = vr
        self._source: NodeId | None = None
        self._mark: SnapshotMark | None = None
        self._given = 0
        """Bytes handed to the driver."""
        self._held = 0
        """Bytes the driver has written."""
        self._last: SaveChunk | None = None
        """The last piece, while a save is still under way."""
        self._installing = False

    @property
    def busy(self) -> bool:
        """The whole snapshot is here: the log stands still until it is installed or rejected."""
        return self._installing or self._last is not None

    @property
    def held(self) -> tuple[Index, int]:
        """Of which snapshot how much is here, to be said to whom it comes from."""
        if self._mark is None or self._source != self._vr.role.state_source():
            return 0, 0
        return self._mark.index, self._held

    def on_piece(self, source: NodeId, message: SnapshotPiece) -> None:
        vr, mark = self._vr, message.mark
        if self.busy or source != vr.role.state_source() or not _is_plausible(message):
            return
        if mark.index <= vr.commit or vr.log.term(mark.index) == mark.term:
            # Our log has that entry, so it has the sender's whole prefix; and a snapshot holds only what is
            # committed.  Nothing is replaced, and no newer entry is lost.
            vr.learn_commit(mark.index, mark.index)
            vr.role.on_state()
            return
        if self._given != self._held:
            # Our driver has a piece.  One that began another snapshot now could overtake it, and what is
            # written aside would be the beginning of one and the rest of the other.
            return
        if (source, mark) != (self._source, self._mark):
            self._source, self._mark, self._given, self._held = source, mark, 0, 0
        if message.offset != self._given:
            vr.ask_state(vr.commit)
            return
        self._given += len(message.data)
        piece = SaveChunk(mark, message.offset, message.data, message.done)
        if message.done:
            self._last = piece
            self.hand_over()
        else:
            vr.effects.save_chunks.append(piece)

    def hand_over(self) -> None:
        """Give the last piece to the driver, if nothing is being saved."""
        vr = self._vr
        if self._last is None or vr.saving:
            return
        piece, self._last = self._last, None
        if piece.mark.index <= vr.commit or vr.log.term(piece.mark.index) == piece.mark.term:
            self._forget()
            vr.role.on_state()
            return
        self._installing = True
        vr.effects.save_chunks.append(piece)

    def on_chunk_saved(self, event: ChunkSaved) -> None:
        vr = self._vr
        if event.mark == self._mark:
            # More than was given: the disk has it from before a restart, and we go on behind it.
            self._given = self._held = event.next_offset
            if not self.busy:
                vr.ask_state(vr.commit)

    def on_installed(self, event: SnapshotInstalled) -> None:
        if self._installing and event.mark == self._mark:
            self._forget()
            self._vr.restore(event.mark)
            self._vr.role.on_state()

    def on_rejected(self, event: SnapshotRejected) -> None:
        if event.mark == self._mark:
            self._forget()
            self._vr.role.on_state()

    def _forget(self) -> None:
        self._installing = False
        self._source = self._mark = self._last = None
        self._given = self._held = 0


def _is_plausible(message: SnapshotPiece) -> bool:
    mark = message.mark
    if mark.index <= 0 or not 0 < mark.term <= message.view or message.offset < 0:
        return False
    return bool(mark.members.voters) and fault(mark.members) is None
