"""To receive a snapshot in pieces (§7), and to go on where it stopped.

The leader sends a piece, we write it aside, and the reply says how much is held; so a lost message or a
broken connection costs one piece.  A piece of another snapshot, or of another node's, begins the whole
anew: two nodes' snapshots of the same entries need not be the same bytes.

Installing is the one moment at which the log is not the truth: the store is about to become the snapshot.
From the last piece until the driver's answer nothing is appended and nothing is committed.  And the last
piece is only handed on once no save is under way, for an old entry that reached the disk after the snapshot
would, after a crash, seem to continue it.  """
from __future__ import annotations

from agreed.consensus.machine import ChunkSaved, SaveChunk, SnapshotInstalled, SnapshotMark, SnapshotRejected
from agreed.consensus.members import fault
from agreed.consensus.raft.messages import AppendEntriesReply, InstallSnapshot, InstallSnapshotReply
from agreed.consensus.raft.state import RaftState
from agreed.types import NodeId


class IncomingSnapshot:
    """Outlives the roles: a node may see terms and leaders come and go while its driver installs."""

    def __init__(self, raft: RaftState) -> None:
        self._raft = raft
        self._source: NodeId | None = None
        self._mark: SnapshotMark | None = None
        self._given = 0
        """Bytes handed to the driver."""
        self._held = 0
        """Bytes the driver has written."""
        self._last: SaveChunk | None = None
        """The last piece, while a save is still under way."""
        self.installing = False

    @property
    def busy(self) -> bool:
        """The whole snapshot is here: the log stands still until it is installed or rejected."""
        return self.installing or self._last is not None

    def on_install_snapshot(self, source: NodeId, message: InstallSnapshot) -> None:
        raft, mark = self._raft, message.mark
        if self.busy or not _is_plausible(message):
            return
        if mark.index <= raft.commit or raft.log.term(mark.index) == mark.term:
            self._known_already(source, mark)
            return
        if (source, mark) != (self._source, self._mark):
            if self._source == source and self._mark is not None and mark.index < self._mark.index:
                return  # a late piece of what the leader has given up
            self._source, self._mark, self._given, self._held = source, mark, 0, 0
        if message.offset != self._given:
            # A piece or a reply was lost.  Of what is still with the driver, its answer will tell.
            if self._held == self._given:
                raft.send(source, InstallSnapshotReply(raft.term, mark.index, self._held))
            return
        self._given += len(message.data)
        piece = SaveChunk(mark, message.offset, message.data, message.done)
        if message.done:
            self._last = piece
            self.hand_over()
        else:
            raft.effects.save_chunks.append(piece)

    def _known_already(self, source: NodeId, mark: SnapshotMark) -> None:
        """Our log has that entry, so it has the leader's whole prefix; and a snapshot holds only what is
        committed.  Nothing is replaced, and no newer entry is lost (§7)."""
        raft = self._raft
        if mark.index > raft.commit:
            raft.commit_to(mark.index)
        raft.promise(source, AppendEntriesReply(raft.term, 0, raft.commit), raft.serial)

    def hand_over(self) -> None:
        """Give the last piece to the driver, if nothing is being saved."""
        raft = self._raft
        if self._last is None or raft.saving:
            return
        piece, self._last = self._last, None
        if piece.mark.index <= raft.commit or raft.log.term(piece.mark.index) == piece.mark.term:
            self._forget()  # while we waited for the disk, the log itself has brought us there
            return
        self.installing = True
        raft.effects.save_chunks.append(piece)

    def on_chunk_saved(self, event: ChunkSaved) -> None:
        raft = self._raft
        if event.mark == self._mark and self._source is not None:
            self._held = event.next_offset
            # More than was given: the disk has it from before a restart, and the leader goes on behind it.
            self._given = max(self._given, self._held)
            raft.send(self._source, InstallSnapshotReply(raft.term, event.mark.index, event.next_offset))

    def on_installed(self, event: SnapshotInstalled) -> None:
        raft, source = self._raft, self._source
        if not self.installing or event.mark != self._mark:
            return
        self._forget()
        raft.restore(event.mark)
        if source is not None:
            raft.promise(source, AppendEntriesReply(raft.term, 0, event.mark.index), raft.ballot_serial)

    def on_rejected(self, event: SnapshotRejected) -> None:
        raft, source = self._raft, self._source
        if event.mark != self._mark or source is None:
            return
        self._forget()
        raft.send(source, InstallSnapshotReply(raft.term, event.mark.index, 0))

    def _forget(self) -> None:
        self.installing = False
        self._source = self._mark = self._last = None
        self._given = self._held = 0


def _is_plausible(message: InstallSnapshot) -> bool:
    mark = message.mark
    if mark.index <= 0 or not 0 < mark.term <= message.term or message.offset < 0:
        return False
    return bool(mark.members.voters) and fault(mark.members) is None
