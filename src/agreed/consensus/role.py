"""The answers of one role of a protocol: an object that lives as long as the node has that role.

It owns what makes sense only in it: votes, progress, reads.  Silence is every role's answer to what it has no
method for: such a message answers a question that is no longer asked.  Each protocol adds its own messages in
its `state.py`.
"""
from __future__ import annotations

from agreed.consensus.machine import ChunkLoaded, Proposed
from agreed.types import Index, Instant, NodeId


class Role:
    name = "none"

    def on_time(self, now: Instant) -> None:
        """`now` is at or after the instant we asked for."""

    def on_pause(self, late_ms: int) -> None:
        """We were told the time this much too late.  Whatever others said meanwhile may still wait to be
        read, so the silence is ours, not theirs."""

    def next_wake(self) -> Instant | None:
        """When `on_time` should be called next."""
        return None

    def on_flush(self) -> None:
        """The effects are about to be taken: say what is still to be said."""

    def on_saved(self) -> None:
        """`saved` or `saved_serial` has advanced."""

    def on_leave(self) -> None:
        """The role ends: nobody may be left waiting."""

    def needed_after(self) -> Index | None:
        """Who is catching up needs the log after this index, though a snapshot contains it."""
        return None

    def on_chunk_loaded(self, event: ChunkLoaded) -> None: ...

    def on_proposed(self, event: Proposed) -> None: ...

    def on_peer_lost(self, peer: NodeId) -> None: ...

    def on_transfer_requested(self, target: NodeId | None) -> None: ...

    def on_read_requested(self, ticket: int) -> None: ...

    def on_read_index(self, source: NodeId, context: int) -> None: ...
