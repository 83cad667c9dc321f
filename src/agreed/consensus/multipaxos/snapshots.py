"""To receive a snapshot in pieces, and to go on where it stopped.

The leader sends a piece, we write it aside, and the reply says how much is held; so a lost message or a
broken connection costs one piece.  A piece of another snapshot, or of another node's, begins the whole anew:
two nodes' snapshots of the same slots need not be the same bytes.

What we have accepted for slots *behind* the snapshot must outlive its arrival: with our voice it may be
chosen there.  The driver keeps the rest of a log that holds the snapshot's last entry, and voids any other,
so before the last piece is handed on the log is written once more from that entry on, with the snapshot's own
term in it (`Slots.to_save`), and that save waited for.  Where nothing is accepted behind it there is nothing
to keep, and the log may go.

From the last piece until the driver's answer nothing is accepted and nothing is committed.
"""
from __future__ import annotations

from agreed.consensus.machine import ChunkSaved, SaveChunk, SnapshotInstalled, SnapshotMark, SnapshotRejected
from agreed.consensus.members import fault
from agreed.consensus.multipaxos.messages import Accepted, InstallSnapshot, InstallSnapshotReply
from agreed.consensus.multipaxos.state import PaxosState
from agreed.types import NodeId


class IncomingSnapshot:
    """Outlives the roles: a node may see ballots and leaders come and go while its driver installs."""

    def __init__(self, paxos: PaxosState) -> None:
        self._paxos = paxos
        self._source: NodeId | None = None
        self._mark: SnapshotMark | None = None
        self._given = 0
        """Bytes handed to the driver."""
        self._held = 0
        """Bytes the driver has written."""
        self._last: SaveChunk | None = None
        """The last piece, while a save is still under way."""
        self._secured = False
        """The log is, or is being, written in such a way that it outlives the snapshot's arrival."""
        self.installing = False

    @property
    def busy(self) -> bool:
        """The whole snapshot is here: nothing is accepted until it is installed or rejected."""
        return self.installing or self._last is not None

    def on_install_snapshot(self, source: NodeId, message: InstallSnapshot) -> None:
        paxos, mark = self._paxos, message.mark
        if self.busy or not _is_plausible(message):
            return
        if mark.index <= paxos.held:
            self._known_already(source, mark)
            return
        if (source, mark) != (self._source, self._mark):
            if self._source == source and self._mark is not None and mark.index < self._mark.index:
                return  # a late piece of what the leader has given up
            self._source, self._mark, self._given, self._held = source, mark, 0, 0
        if message.offset != self._given:
            # A piece or a reply was lost.  Of what is still with the driver, its answer will tell.
            if self._held == self._given:
                paxos.send(source, InstallSnapshotReply(paxos.term, mark.index, self._held))
            return
        self._given += len(message.data)
        piece = SaveChunk(mark, message.offset, message.data, message.done)
        if message.done:
            self._last = piece
            self.hand_over()
        else:
            paxos.effects.save_chunks.append(piece)

    def _known_already(self, source: NodeId, mark: SnapshotMark) -> None:
        """We have accepted under this leader's ballot all that the snapshot holds; and that is chosen."""
        paxos = self._paxos
        paxos.choose(mark.index)
        paxos.promise(source, Accepted(paxos.term, 0, paxos.durable, paxos.held), paxos.ballot_serial)

    def hand_over(self) -> None:
        """Give the last piece to the driver, if nothing is being saved and nothing will be lost."""
        paxos, piece = self._paxos, self._last
        if piece is None or paxos.saving or paxos.effects.save is not None:
            return
        if not self._secured and paxos.slots.last_index > piece.mark.index:
            self._secured = True
            paxos.touch_for(piece.mark)
            return
        self._last = None
        self.installing = True
        paxos.effects.save_chunks.append(piece)

    def on_chunk_saved(self, event: ChunkSaved) -> None:
        paxos = self._paxos
        if event.mark == self._mark and self._source is not None:
            self._held = event.next_offset
            # More than was given: the disk has it from before a restart, and the leader goes on behind it.
            self._given = max(self._given, self._held)
            paxos.send(self._source, InstallSnapshotReply(paxos.term, event.mark.index, event.next_offset))

    def on_installed(self, event: SnapshotInstalled) -> None:
        paxos, source = self._paxos, self._source
        if not self.installing or event.mark != self._mark:
            return
        self._forget()
        paxos.restore(event.mark)
        if source is not None:
            paxos.promise(source, Accepted(paxos.term, 0, paxos.durable, paxos.held), paxos.ballot_serial)

    def on_rejected(self, event: SnapshotRejected) -> None:
        paxos, source = self._paxos, self._source
        if event.mark != self._mark or source is None:
            return
        self._forget()
        paxos.send(source, InstallSnapshotReply(paxos.term, event.mark.index, 0))

    def _forget(self) -> None:
        self.installing = self._secured = False
        self._source = self._mark = self._last = None
        self._given = self._held = 0


def _is_plausible(message: InstallSnapshot) -> bool:
    mark = message.mark
    if mark.index <= 0 or not 0 < mark.term <= message.ballot or message.offset < 0:
        return False
    return bool(mark.members.voters) and fault(mark.members) is None
