"""To send a snapshot in pieces (SNAP) to a follower that lacks what our log no longer holds.

One piece is on its way at a time: the follower's reply says where to go on, so the two sides need agree on
nothing else.  A piece, a reply or a connection may be lost; then the transfer is *stalled*, and the next word
from the follower makes it go on where it was.  When the driver has a newer snapshot than the one that was
begun and no longer the old one, the transfer begins anew with the newer.
"""
from __future__ import annotations

from agreed.consensus.machine import ChunkLoaded, LoadChunk
from agreed.consensus.zab.learner import Learner, Pace
from agreed.consensus.zab.messages import SnapshotPiece, SnapshotPieceReply
from agreed.consensus.zab.state import ZabState
from agreed.types import Instant


class OutgoingSnapshots:
    def __init__(self, zab: ZabState) -> None:
        self._zab = zab

    def begin(self, learner: Learner) -> None:
        learner.snapshot()
        self._load(learner)

    def _load(self, learner: Learner) -> None:
        zab = self._zab
        learner.loading = True
        learner.stalled = False
        learner.piece_at = zab.now
        index = learner.sending.index if learner.sending is not None else 0
        zab.effects.load_chunks.append(LoadChunk(learner.name, learner.offset, index))

    def on_chunk_loaded(self, learner: Learner, event: ChunkLoaded) -> None:
        if learner.pace is not Pace.SNAPSHOT or not learner.loading:
            return
        learner.loading = False
        if event.mark is None or event.mark.index < self._zab.log.base_index:
            # Gone, or too old to be followed by our log: look again when the follower is next heard.
            learner.sending, learner.offset, learner.stalled = None, 0, True
            return
        if event.mark != learner.sending:
            learner.sending = event.mark
            if event.offset != 0:
                learner.offset = 0
                self._load(learner)
                return
        if event.offset != learner.offset:
            return
        learner.piece_at = self._zab.now
        piece = SnapshotPiece(self._zab.term, event.mark, event.offset, event.data, event.done)
        self._zab.send(learner.name, piece)

    def on_reply(self, learner: Learner, message: SnapshotPieceReply) -> None:
        sending = learner.sending
        if learner.pace is not Pace.SNAPSHOT or sending is None or learner.loading:
            return
        if message.index != sending.index or message.next_offset < 0:
            return
        if message.next_offset == learner.offset and not learner.stalled:
            return  # the piece that begins there is on its way
        learner.offset = message.next_offset
        self._load(learner)

    def heard(self, learner: Learner) -> None:
        """The follower is there; if the transfer had stalled, go on."""
        if learner.stalled and not learner.loading:
            self._load(learner)

    def on_beat(self, learner: Learner, now: Instant) -> None:
        """A piece that was not answered for so long was lost, or its reply."""
        if learner.pace is Pace.SNAPSHOT and not learner.loading:
            learner.stalled |= now - learner.piece_at >= self._zab.config.election_timeout_ms[0]
