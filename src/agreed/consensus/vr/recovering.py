"""To come back without a memory: ask the others, and take part in nothing until it is known (section 4.3).

f+1 others must answer, each from normal status, and among them the primary of the newest view that any of
them names; then our log is brought to where that primary's was when it answered.  An answer counts only with
the nonce of this attempt, which is drawn anew each time: an old answer speaks of what was before we forgot.

The paper leaves a hole: we may have sent a DoViewChange before the crash, and it may still be under way when
we come back in the view before, acknowledge more there, and are then counted for the new view with our old
log (Michael et al. 2017).  So there are two rounds: in the first we learn how often we have crashed before,
in the second all who answer note that it is once more.  A DoViewChange is counted only if none of those it is
counted with knows of a later crash of its sender.  """
from __future__ import annotations

from agreed.consensus.vr.joining import Joining
from agreed.consensus.vr.messages import Recovery, RecoveryResponse, StartView
from agreed.consensus.vr.state import VrState
from agreed.types import Index, Instant, NodeId, Term


class Recovering(Joining):
    name = "recovering"

    def __init__(self, vr: VrState) -> None:
        super().__init__(vr)
        self.answers: dict[NodeId, RecoveryResponse] = {}
        self.counter = 0
        self.nonce = 0
        self.source: NodeId | None = None
        """The primary whose log we are fetching, once all have answered."""
        self._say_at: Instant = vr.now

    def start(self) -> None:
        """Ask, or ask anew because the view has changed meanwhile."""
        self.nonce = self.draw_nonce()
        self.counter = 0
        self.source = self.goal = None
        self.matched = self.vr.commit
        self.answers.clear()
        self.vr.leader = None
        self.vr.reset_election()
        self._say()

    def draw_nonce(self) -> int:
        return self.vr.dice.between(1, 1 << 61)

    def _say(self) -> None:
        vr = self.vr
        self._say_at = vr.now + vr.config.heartbeat_ms
        vr.arm(self._say_at)
        if self.source is not None:
            vr.ask_state(self._known())
            return
        for name in vr.others:
            if name not in self.answers or not self._current(name):
                vr.send(name, Recovery(self.nonce, self.counter))
        if len(self.answers) == len(vr.others):
            # All have answered, and not the primary: it is just being chosen.  What they said ages.
            self.answers.clear()

    def _current(self, name: NodeId) -> bool:
        """Whether its answer may still be that of the newest view."""
        newest = max(answer.view for answer in self.answers.values())
        return self.answers[name].view == newest and self.vr.primary_of(newest) in self.answers

    # --- time ---

    def on_time(self, now: Instant) -> None:
        if now >= self.vr.election_deadline:
            self.start()
        elif now >= self._say_at:
            self._say()

    def next_wake(self) -> Instant:
        return min(self._say_at, self.vr.election_deadline)

    def listens_to(self, source: NodeId, present: Term) -> bool:
        return False

    def on_peer_lost(self, peer: NodeId) -> None:
        if peer == self.source:
            self.start()

    def state_source(self) -> NodeId | None:
        return self.source

    # --- answers ---

    def on_recovery_response(self, source: NodeId, message: RecoveryResponse) -> None:
        vr = self.vr
        if self.source is not None or (message.nonce, message.counter) != (self.nonce, self.counter):
            return
        if len(message.crashes) != len(vr.names) or message.view < 0 or message.last_index < 0:
            return
        self.answers[source] = message
        answers = self._remembered()
        if len(answers) < self.enough():
            return
        if self.counter == 0:
            self._count_crash(answers)
        else:
            self._choose(answers)

    def enough(self) -> int:
        """f+1 of the others: they share a replica with every quorum, even one that we were part of."""
        vr = self.vr
        return len(vr.names) - (len(vr.names) // 2 + 1) + 1

    def _remembered(self) -> dict[NodeId, RecoveryResponse]:
        """Without the answers of those that have crashed since themselves."""
        names, answers = self.vr.names, self.answers
        known = [max(counts) for counts in zip(*(m.crashes for m in answers.values()), strict=True)]
        return {
            name: message
            for name, message in answers.items()
            if message.crashes[names.index(name)] >= known[names.index(name)]
        }

    def _count_crash(self, answers: dict[NodeId, RecoveryResponse]) -> None:
        """How often we had crashed is known to f+1 others, if we were ever back from it."""
        vr = self.vr
        for message in answers.values():
            vr.crashes = [max(pair) for pair in zip(vr.crashes, message.crashes, strict=True)]
        self.counter = vr.crashes[vr.names.index(vr.me)] + 1
        vr.crashes[vr.names.index(vr.me)] = self.counter
        self.answers.clear()
        self._say()

    def _choose(self, answers: dict[NodeId, RecoveryResponse]) -> None:
        """Only the newest view's primary knows how long the log is that we may have acknowledged."""
        vr = self.vr
        view = max(message.view for message in answers.values())
        primary = vr.primary_of(view)
        if view < vr.view or primary not in answers or answers[primary].view != view:
            return
        if answers[primary].last_index == 0:
            return  # it does not lead
        if view > vr.view:
            vr.enter_view(view)
        for message in answers.values():
            vr.crashes = [max(pair) for pair in zip(vr.crashes, message.crashes, strict=True)]
        self.source, self.goal = primary, answers[primary].last_index
        vr.reset_election()
        vr.ask_state(self._known())

    # --- the log ---

    def _learn_goal(self, began_at: Index) -> None:
        """What the view began with is not all that we may have acknowledged in it."""

    def on_start_view(self, source: NodeId, message: StartView) -> None:
        if source == self.source:
            super().on_start_view(source, message)

    def _tell(self, source: NodeId, round_number: int) -> None:
        """Round 0: we do not know whether we have not left this view in an earlier life."""
        super()._tell(source, 0)
