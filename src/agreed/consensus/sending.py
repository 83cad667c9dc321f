"""To send a snapshot in pieces to a follower that lacks what our log no longer holds (Raft §7).

One piece is on its way at a time: the follower's reply says where to go on, so the two sides need agree on
nothing else.  A piece, a reply or a connection may be lost; then the transfer is *stalled*, and the next word
from the follower makes it go on where it was.  When the driver has a newer snapshot than the one that was
begun and no longer the old one, the transfer begins anew with the newer.

Raft, Multi-Paxos and ZAB push snapshots in this way.  A replica of Viewstamped Replication fetches.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agreed.consensus.machine import ChunkLoaded, Effects, LoadChunk, SnapshotMark
from agreed.consensus.progress import Progress
from agreed.types import Index, Instant, NodeId, Term


class Receiver(Progress):
    """A follower that may be sent a snapshot."""

    __slots__ = ("loading", "offset", "piece_at", "sending", "stalled")

    def __init__(self, name: NodeId, next_index: Index, now: Instant) -> None:
        super().__init__(name, next_index, now)
        self.sending: SnapshotMark | None = None
        """Which snapshot, once its first piece is loaded."""
        self.offset = 0
        """Where the piece on its way begins."""
        self.loading = False
        """Our driver is reading that piece."""
        self.stalled = False
        """The piece may be lost; load it again as soon as the follower is heard."""
        self.piece_at: Instant = now
        """When that piece was asked for or sent."""

    @property
    def takes_snapshot(self) -> bool:
        """Whether a snapshot is what it is being sent."""
        raise NotImplementedError

    def snapshot(self) -> None:
        """From now on it is."""
        raise NotImplementedError

    def _clear_transfer(self) -> None:
        self.sending = None
        self.offset = 0
        self.loading = self.stalled = False


class _Config(Protocol):
    @property
    def election_timeout_ms(self) -> tuple[int, int]: ...


class Sender(Protocol):
    """What is needed of the machine whose snapshots these are."""

    now: Instant
    effects: Effects

    @property
    def term(self) -> Term: ...

    @property
    def log_begins_after(self) -> Index:
        """Entries up to here are in a snapshot only."""

    @property
    def config(self) -> _Config: ...

    def send(self, target: NodeId, message: object) -> None: ...


class PieceReply(Protocol):
    """Of the snapshot at `index`, `next_offset` bytes are held: go on from there."""

    @property
    def index(self) -> Index: ...

    @property
    def next_offset(self) -> int: ...


Piece = Callable[[Term, SnapshotMark, int, bytes, bool], object]
"""The protocol's message for (term, mark, offset, data, done)."""


class OutgoingSnapshots:
    def __init__(self, machine: Sender, piece: Piece) -> None:
        self._machine = machine
        self._piece = piece

    def begin(self, follower: Receiver) -> None:
        follower.snapshot()
        self._load(follower)

    def _load(self, follower: Receiver) -> None:
        follower.loading = True
        follower.stalled = False
        follower.piece_at = self._machine.now
        index = follower.sending.index if follower.sending is not None else 0
        self._machine.effects.load_chunks.append(LoadChunk(follower.name, follower.offset, index))

    def on_chunk_loaded(self, follower: Receiver, event: ChunkLoaded) -> None:
        machine = self._machine
        if not follower.takes_snapshot or not follower.loading:
            return
        follower.loading = False
        if event.mark is None or event.mark.index < machine.log_begins_after:
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
        follower.piece_at = machine.now
        machine.send(
            follower.name, self._piece(machine.term, event.mark, event.offset, event.data, event.done)
        )

    def on_reply(self, follower: Receiver, message: PieceReply) -> None:
        sending = follower.sending
        if not follower.takes_snapshot or sending is None or follower.loading:
            return
        if message.index != sending.index or message.next_offset < 0:
            return
        if message.next_offset == follower.offset and not follower.stalled:
            return  # the piece that begins there is on its way
        follower.offset = message.next_offset
        self._load(follower)

    def heard(self, follower: Receiver) -> None:
        """The follower is there; if the transfer had stalled, go on."""
        if follower.stalled and not follower.loading:
            self._load(follower)

    def on_beat(self, follower: Receiver, now: Instant) -> None:
        """A piece that was not answered for so long was lost, or its reply."""
        if follower.takes_snapshot and not follower.loading:
            follower.stalled |= now - follower.piece_at >= self._machine.config.election_timeout_ms[0]
