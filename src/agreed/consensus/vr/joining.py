"""To arrive in a view that runs: bring our log in line with the primary's, and only then count.

A replica that has left its old view holds in its log what it once vouched for.  It keeps that until the new
view's log takes its place: what joins is kept, what contradicts is replaced, and the log is called one of the
new view (v' = v) only when it holds all that the view began with.  Three stories forbid less:

* v' raised at once, with the rest of the log still on its way: this log would be preferred to a complete one
  of an earlier view;
* the log cut back to the commit number when a newer view is heard of, as the paper's state transfer does: see
  `VrState.merge`;
* acknowledging what has come so far: it could be agreed on a quorum of logs of which the next view change
  sees only that they are of an old view.
"""
from __future__ import annotations

from agreed.consensus.machine import Entry
from agreed.consensus.vr.messages import Commit, Prepare, PrepareOk, StartView
from agreed.consensus.vr.state import Role, VrState, is_sound
from agreed.types import Index, Instant, NodeId, Term


class Joining(Role):
    def __init__(self, vr: VrState) -> None:
        self.vr = vr
        self.matched: Index = vr.commit
        """Up to here our log is known to be the other one."""
        self.goal: Index | None = None
        """Where we have arrived; None: not known yet."""

    # --- time ---

    def on_pause(self, late_ms: int) -> None:
        self.vr.extend_election()

    def listens_to(self, source: NodeId, present: Term) -> bool:
        vr = self.vr
        return present > vr.view or source == vr.primary_of(vr.view) or not vr.hears_primary

    def on_peer_lost(self, peer: NodeId) -> None:
        vr = self.vr
        if peer == vr.primary_of(vr.view):
            vr.leader, vr.heard = None, False
            delay = vr.dice.between(*vr.config.leader_loss_delay_ms)
            vr.election_deadline = min(vr.election_deadline, vr.now + delay)
            vr.arm(vr.election_deadline)

    def next_wake(self) -> Instant:
        return self.vr.election_deadline

    # --- what the primary of a running view says ---

    def on_start_view(self, source: NodeId, message: StartView) -> None:
        vr = self.vr
        if vr.installing or not is_sound(message.entries, message.after, vr.view):
            return
        self._learn_goal(message.began_at)
        after = message.after
        if after > self._known() and vr.log.term(after) != message.after_term:
            vr.ask_state(self._known())
            return
        self.matched = max(self._known(), after)
        self._take(source, message.entries, message.commit, message.round)

    def on_prepare(self, source: NodeId, message: Prepare) -> None:
        vr = self.vr
        if vr.installing:
            return
        if self.goal is None or message.entries[0].index > self._known() + 1:
            vr.ask_state(self._known())
        else:
            self._take(source, message.entries, message.commit, message.round)

    def on_commit(self, source: NodeId, message: Commit) -> None:
        vr = self.vr
        vr.ask_state(self._known())
        self._tell(source, message.round)

    def on_state(self) -> None:
        self.matched = self._known()
        self.advance()

    def _known(self) -> Index:
        """What is committed is in every log."""
        return max(self.matched, self.vr.commit)

    def _learn_goal(self, began_at: Index) -> None:
        self.goal = began_at

    def _take(self, source: NodeId, entries: list[Entry], commit: Index, round_number: int) -> None:
        vr = self.vr
        if not vr.merge(entries):
            return
        if entries:
            self.matched = max(self.matched, entries[-1].index)
        vr.learn_commit(commit, self.matched)
        self.advance()
        if vr.role is self:
            self._tell(source, round_number)
        else:
            vr.role.acknowledge(source, round_number)

    def advance(self) -> None:
        """Arrive, or ask for more."""
        if self.goal is None or self._known() < self.goal:
            return
        self.vr.settle()
        self.vr.become_backup()

    def _tell(self, source: NodeId, round_number: int) -> None:
        """How far we are; it counts for nothing, but that we are in this view, once that is durable."""
        vr = self.vr
        reply = PrepareOk(vr.view, round_number, self.matched, joined=False)
        vr.promise(source, reply, vr.ballot_serial)
