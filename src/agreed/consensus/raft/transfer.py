"""To hand leadership over without an outage (thesis 3.10).

The leader stops taking proposals, waits until the target has its whole log, and tells it to campaign at once;
the target's request for votes says so, and nobody refuses it for hearing the old leader.  After an election
timeout the leader gives up and takes proposals again: the target may be dead.
"""
from __future__ import annotations

from collections.abc import Mapping

from agreed.consensus.raft.messages import TimeoutNow
from agreed.consensus.raft.progress import Progress
from agreed.consensus.raft.state import RaftState
from agreed.types import Instant, NodeId


class Transfer:
    def __init__(self, raft: RaftState) -> None:
        self._raft = raft
        self.target: NodeId | None = None
        self.deadline: Instant | None = None

    def begin(self, target: NodeId | None, progress: Mapping[NodeId, Progress]) -> bool:
        """False, and nothing happens, where the target cannot lead or there is nobody else."""
        raft = self._raft
        voters = [progress[name] for name in raft.quorum.voters if name != raft.me and name in progress]
        if target is None and voters:
            target = max(voters, key=lambda follower: (follower.match, follower.heard_at)).name
        if target is None or target not in {follower.name for follower in voters}:
            return False
        if target == self.target:
            return True
        self.target = target
        self.deadline = raft.now + raft.config.election_timeout_ms[0]
        raft.arm(self.deadline)
        self.on_progress(progress[target])
        return True

    def on_progress(self, follower: Progress) -> None:
        if follower.match == self._raft.log.last_index:
            self._raft.send(follower.name, TimeoutNow(self._raft.term))

    def remind(self, progress: Mapping[NodeId, Progress]) -> None:
        """The word may have been lost."""
        follower = progress.get(self.target) if self.target is not None else None
        if follower is not None:
            self.on_progress(follower)

    def on_time(self, now: Instant) -> None:
        if self.deadline is not None and now >= self.deadline:
            self.target = self.deadline = None
