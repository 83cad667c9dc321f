"""To send a snapshot in pieces to a follower that lacks what our log no longer holds.

One piece is on its way at a time: the follower's reply says where to go on, so the two sides need agree on
nothing else.  A piece, a reply or a connection may be lost; then the transfer is *stalled*, and the next word
from the follower makes it go on where it was.  When the driver has a newer snapshot than the one that was
begun and no longer the old one, the transfer begins anew with the newer.
"""
from __future__ import annotations

from agreed.consensus.machine import ChunkLoaded, LoadChunk
from agreed.consensus.multipaxos.messages import InstallSnapshot, InstallSnapshotReply
from agreed.consensus.multipaxos.progress import Pace, Progress
from agreed.consensus.multipaxos.state import PaxosState
from agreed.types import Instant


class OutgoingSnapshots:
    def __init__(self, paxos: PaxosState) -> None:
        self._paxos = paxos

    def begin(self, follower: Progress) -> None:
        follower.snapshot()
        self._load(follower)

    def _load(self, follower: Progress) -> None:
        paxos = self._paxos
        follower.loading = True
        follower.stalled = False
        follower.piece_at = paxos.now
        index = follower.sending.index if follower.sending is not None else 0
        paxos.effects.load_chunks.append(LoadChunk(follower.name, follower.offset, index))

    def on_chunk_loaded(self, follower: Progress, event: ChunkLoaded) -> None:
        if follower.pace is not Pace.SNAPSHOT or not follower.loading:
            return
        follower.loading = False
        if event.mark is None or event.mark.index < self._paxos.slots.base_index:
            # Gone, or too old to be followed by our log: look again when the follower is next heard.
            follower.sending, follower.offset, follower.stalled = None, 0, True
            return
        if event.mark != follower.sending:
            follower.sending = event.mark
            if event.offset != 0:
                follower.offset = 0
                self._load(follower)
                return
        if event.offset != follower.offset:
            return
        follower.piece_at = self._paxos.now
        piece = InstallSnapshot(self._paxos.term, event.mark, event.offset, event.data, event.done)
        self._paxos.send(follower.name, piece)

    def on_reply(self, follower: Progress, message: InstallSnapshotReply) -> None:
        sending = follower.sending
        if follower.pace is not Pace.SNAPSHOT or sending is None or follower.loading:
            return
        if message.index != sending.index or message.next_offset < 0:
            return
        if message.next_offset == follower.offset and not follower.stalled:
            return  # the piece that begins there is on its way
        follower.offset = message.next_offset
        self._load(follower)

    def heard(self, follower: Progress) -> None:
        """The follower is there; if the transfer had stalled, go on."""
        if follower.stalled and not follower.loading:
            self._load(follower)

    def on_beat(self, follower: Progress, now: Instant) -> None:
        """A piece that was not answered for so long was lost, or its reply."""
        if follower.pace is Pace.SNAPSHOT and not follower.loading:
            follower.stalled |= now - follower.piece_at >= self._paxos.config.election_timeout_ms[0]
