"""To hand leadership over: the leader appoints its successor in the election that its going brings about.

ZooKeeper has nothing of the kind.  Here the leader takes no more proposals, waits until the successor has its
whole history, and then looks for a leader with a vote for that one.  Its followers hear that their leader
looks for one, and look as well; among equally recent histories the appointed one wins, and nobody waits for
a better choice, for all are there.  After an election timeout the leader gives up and takes proposals again:
the successor may be dead.
"""
from __future__ import annotations

from collections.abc import Mapping

from agreed.consensus.zab.learner import Learner
from agreed.consensus.zab.state import ZabState
from agreed.types import Instant, NodeId


class Transfer:
    def __init__(self, zab: ZabState, learners: Mapping[NodeId, Learner]) -> None:
        self._zab = zab
        self._learners = learners
        self.target: NodeId | None = None
        self.deadline: Instant | None = None

    def begin(self, target: NodeId | None) -> None:
        """Nothing happens where the target cannot lead or there is nobody else."""
        zab = self._zab
        voters = [learner for name, learner in self._learners.items() if name in zab.quorum.voters]
        if target is None and voters:
            target = max(voters, key=lambda learner: (learner.match, learner.heard_at)).name
        if not zab.leads or target not in {learner.name for learner in voters} or target == self.target:
            return
        self.target = target
        self.deadline = zab.now + zab.config.election_timeout_ms[0]
        zab.arm(self.deadline)
        self.on_progress(target)

    def on_progress(self, source: NodeId | None) -> None:
        """Somebody has more of our history: if it is the target, and it has all, it is its turn."""
        if self.target is None or source != self.target:
            return
        learner = self._learners[self.target]
        if learner.ready and learner.match == self._zab.log.last_index:
            self._zab.look(self.target)

    def on_time(self, now: Instant) -> None:
        if self.deadline is not None and now >= self.deadline:
            self.target = self.deadline = None
