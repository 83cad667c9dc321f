"""To be a backup: take what the primary numbers, say what is durable, and wait for a silence (section 4.1).

A backup's status is normal, so its log is a beginning of its primary's: a Prepare can leave a gap, never
contradict.  What is missing is asked for (GetState), and nothing is acknowledged that does not join (the
paper: a backup "won't process" a Prepare before it has all earlier ones).

A Prepare that carries nothing new, or a Commit, vouches for nothing that is not durable already; the answer
leaves at once, and reads do not wait for this disk.

A primary that has stepped down, or was restarted, is a backup of nobody: its log is that of the view, and
nobody but it could lead that view.  """
from __future__ import annotations

from agreed.consensus.machine import Send
from agreed.consensus.vr.messages import Commit, Prepare, PrepareOk, StartView
from agreed.consensus.vr.state import Role, VrState, is_sound
from agreed.types import Instant, NodeId, Term


class Backup(Role):
    name = "backup"
    normal = True

    def __init__(self, vr: VrState) -> None:
        self.vr = vr
        self._round_answered = 0

    # --- time ---

    def on_time(self, now: Instant) -> None:
        if now >= self.vr.election_deadline:
            self.vr.step_down()

    def on_pause(self, late_ms: int) -> None:
        self.vr.extend_election()

    def next_wake(self) -> Instant:
        return self.vr.election_deadline

    def on_peer_lost(self, peer: NodeId) -> None:
        """Our primary is probably dead: ask for the next view soon."""
        vr = self.vr
        if peer == vr.leader:
            vr.leader, vr.heard = None, False
            vr.election_deadline = vr.now + vr.dice.between(*vr.config.leader_loss_delay_ms)
            vr.arm(vr.election_deadline)

    def listens_to(self, source: NodeId, present: Term) -> bool:
        vr = self.vr
        return present > vr.view or source == vr.primary_of(vr.view) or not vr.hears_primary

    def state_source(self) -> NodeId | None:
        return self.vr.leader

    def on_state(self) -> None:
        self.vr.ask_state(self.vr.log.last_index)

    # --- what the primary says ---

    def on_prepare(self, source: NodeId, message: Prepare) -> None:
        vr = self.vr
        first = message.entries[0].index
        if vr.installing:
            vr.promise(source, PrepareOk(vr.view, message.round, vr.commit_saved), vr.ballot_serial)
            return
        if first > vr.log.last_index + 1:
            vr.ask_state(vr.log.last_index)
            return
        if vr.merge(message.entries):
            self._commit(message.commit)
            self.acknowledge(source, message.round)

    def on_start_view(self, source: NodeId, message: StartView) -> None:
        """We are there already; it did not hear us say so."""
        vr = self.vr
        if not vr.installing and message.after <= vr.log.last_index:
            if not is_sound(message.entries, message.after, vr.view) or not vr.merge(message.entries):
                return
            self._commit(message.commit)
            self.acknowledge(source, message.round)

    def on_commit(self, source: NodeId, message: Commit) -> None:
        vr = self.vr
        if not vr.installing:
            self._commit(message.commit)
            if message.upto > vr.log.last_index:
                vr.ask_state(vr.log.last_index)
        if message.round > self._round_answered:
            match = vr.commit_saved if vr.installing else min(vr.saved, vr.log.last_index)
            if vr.ballot_saved:
                self._round_answered = message.round
            vr.promise(source, PrepareOk(vr.view, message.round, match), vr.ballot_serial)

    def _commit(self, commit: int) -> None:
        """A commit number may be ahead of our log: a Commit is not sent behind the Prepares by a network."""
        self.vr.learn_commit(commit, self.vr.log.last_index)

    def acknowledge(self, source: NodeId, round_number: int) -> None:
        vr = self.vr
        last = vr.log.last_index
        if vr.ballot_saved:
            if last <= vr.saved or round_number > self._round_answered:
                self._round_answered = max(self._round_answered, round_number)
                vr.send(source, PrepareOk(vr.view, round_number, min(last, vr.saved)))
            if last <= vr.saved:
                return
        vr.promises.hold_last(vr.serial, Send(source, PrepareOk(vr.view, round_number, last)))
