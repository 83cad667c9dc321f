"""To change the view: all send their logs to the next primary, and it begins with the best one (section 4.2).

A replica in this role has left all earlier views for good.  It says so to the new view's primary with a
DoViewChange, once that is durable, and waits for the view to begin.  The new primary takes the log with the
highest (v', n) of a quorum.  Why that holds all that was agreed: what was agreed in view u was acknowledged
by a quorum that was normal in u, one of which is among those asked; so the best has v' >= u, and if v' = u it
is at least as long.

A DoViewChange carries the entries after its sender's commit number, as many as fit.  What the new primary
still lacks of the best log it asks for, and takes in as `VrState.merge` does; if it is interrupted, its own
log has lost nothing that could be agreed, for that is in the best log too.

Without a disk a DoViewChange may be one that its sender has forgotten in a crash since: the crash vectors of
the others tell (Michael, Ports, Sharma and Szekeres 2017)."""
from __future__ import annotations

from agreed.consensus.machine import ChunkLoaded, LoadChunk
from agreed.consensus.vr.joining import Joining
from agreed.consensus.vr.messages import (
    DoViewChange,
    GetState,
    NewState,
    SnapshotPiece,
    StartViewChange,
)
from agreed.consensus.vr.state import VrState, is_sound
from agreed.types import Index, Instant, NodeId, Term


class Changing(Joining):
    name = "changing"

    def __init__(self, vr: VrState) -> None:
        super().__init__(vr)
        self.told: dict[NodeId, DoViewChange] = {}
        self.best: NodeId | None = None
        """We are the new primary: whose log we take over."""
        self._say_at: Instant = vr.now

    @property
    def presides(self) -> bool:
        """Whether it is us who begins this view."""
        return self.vr.primary_of(self.vr.view) == self.vr.me

    def start(self) -> None:
        self._say()

    # --- time ---

    def on_time(self, now: Instant) -> None:
        vr = self.vr
        if now >= self._say_at:
            self._say()
        if now >= vr.election_deadline:
            vr.step_down()

    def next_wake(self) -> Instant:
        return min(self._say_at, self.vr.election_deadline)

    def _say(self) -> None:
        """That we are here, and our DoViewChange; again for as long as the view has not begun."""
        vr = self.vr
        self._say_at = vr.now + vr.config.heartbeat_ms
        vr.arm(self._say_at)
        if vr.leader is None:
            for name in vr.others:
                vr.send(name, StartViewChange(vr.view, vr.view))
        if self.presides:
            if self.best is not None:
                vr.ask_state(self._known())
            self.decide()
        elif vr.leader is None and not vr.installing:
            vr.promise(vr.primary_of(vr.view), self.own(), vr.serial)

    def on_stray(self, source: NodeId, wished: Term) -> None:
        if wished < self.vr.view:  # or two that are here would go on telling each other
            self.vr.send(source, StartViewChange(self.vr.view, self.vr.view))

    def own(self) -> DoViewChange:
        """What we have to say of our log; not while a snapshot is about to take its place."""
        vr = self.vr
        log, commit = vr.log, vr.commit
        commit_term = log.term(commit)
        assert commit_term is not None
        entries = log.batch(commit + 1, vr.config.max_append_bytes)[0] if commit < log.last_index else []
        return DoViewChange(
            vr.view,
            vr.settled,
            log.last_index,
            log.last_term,
            commit,
            commit_term,
            entries,
            tuple(vr.crashes),
        )

    # --- the new primary ---

    def state_source(self) -> NodeId | None:
        return self.best if self.presides else self.vr.leader

    def on_do_view_change(self, source: NodeId, message: DoViewChange) -> None:
        if self.presides:
            self.told[source] = message
            self.decide()

    def on_saved(self) -> None:
        if self.presides:
            self.decide()

    def decide(self) -> None:
        """Choose, once a quorum, we ourselves among it, has left all earlier views."""
        vr = self.vr
        if self.best is not None or vr.installing or not vr.ballot_saved:
            return
        told = self._remembered({**self.told, vr.me: self.own()})
        if not self.enough(set(told)):
            return
        self.told = told
        self.best = max(told, key=lambda name: (*self.rank(told[name]), name == vr.me))
        best = told[self.best]
        self.goal = best.last_index
        if self.best == vr.me:
            self.matched = best.last_index
        elif best.commit <= vr.commit or vr.log.term(best.commit) == best.commit_term:
            self.matched = max(vr.commit, best.commit)
            if vr.merge(best.entries) and best.entries:
                self.matched = max(self.matched, best.entries[-1].index)
        self.advance()

    def enough(self, names: set[NodeId]) -> bool:
        """f+1 of 2f+1: any two such sets share a replica."""
        return self.vr.quorum.has(names)

    def rank(self, message: DoViewChange) -> tuple[int, ...]:
        """The last normal view first, and the length only among equals (section 4.2, step 3)."""
        return message.settled, message.last_index

    def _remembered(self, told: dict[NodeId, DoViewChange]) -> dict[NodeId, DoViewChange]:
        """Without those that their senders have since forgotten."""
        names = self.vr.names
        crashes = [max(counts) for counts in zip(*(m.crashes for m in told.values()), strict=True)]
        return {
            name: message
            for name, message in told.items()
            if not crashes or message.crashes[names.index(name)] >= crashes[names.index(name)]
        }

    def advance(self) -> None:
        if not self.presides:
            super().advance()
            return
        vr = self.vr
        if self.goal is None or self.best is None or vr.installing:
            return
        if self.goal < vr.commit:
            return  # no quorum can have such a best log: somebody does not tell the truth
        if self._known() < self.goal:
            vr.ask_state(self._known())
            return
        if vr.log.last_index > self.goal:
            vr.truncate(self.goal + 1)  # the view's first entry is about to take that place
        commit = min(max(message.commit for message in self.told.values()), self.goal)
        if commit > vr.commit:
            vr.commit_to(commit)
        vr.become_primary(self.told)

    def on_state(self) -> None:
        super().on_state()
        if self.vr.role is self:
            self._say()

    def on_new_state(self, source: NodeId, message: NewState) -> None:
        vr = self.vr
        if source != self.best or self.goal is None or vr.installing or not message.entries:
            return
        last = message.entries[-1].index
        if not is_sound(message.entries, message.after, vr.view) or last > self.goal:
            return
        if message.after <= self._known() and vr.merge(message.entries):
            self.matched = max(self.matched, last)
            self.advance()

    # --- the replica whose log is taken over ---

    def on_get_state(self, source: NodeId, message: GetState) -> None:
        vr = self.vr
        after: Index = message.after
        if source != vr.primary_of(vr.view) or vr.installing or not 0 <= after < vr.log.last_index:
            return
        if after < vr.log.base_index:
            named = message.snapshot >= vr.log.base_index
            offset, snapshot = (max(message.offset, 0), message.snapshot) if named else (0, 0)
            vr.effects.load_chunks.append(LoadChunk(source, offset, snapshot))
        else:
            entries, _ = vr.log.batch(after + 1, vr.config.max_append_bytes)
            vr.send(source, NewState(vr.view, after, entries))

    def on_chunk_loaded(self, event: ChunkLoaded) -> None:
        vr = self.vr
        if event.mark is not None and event.target == vr.primary_of(vr.view):
            piece = SnapshotPiece(vr.view, event.mark, event.offset, event.data, event.done)
            vr.send(event.target, piece)


def is_plausible(message: DoViewChange, replicas: int) -> bool:
    """Whether a correct replica could have sent it; `replicas` is 0 where there are no crash vectors."""
    last = message.last_index
    return (
        0 <= message.settled < message.view
        and 0 <= message.commit <= last
        and 0 <= message.commit_term <= message.last_term < message.view
        and len(message.crashes) == replicas
        and is_sound(message.entries, message.commit, message.last_term)
        and (not message.entries or message.entries[-1].index <= last)
    )
