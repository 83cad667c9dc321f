"""To hand leadership over without an outage.

The leader stops taking proposals, waits until the target has durably accepted all it proposed, and tells it
to begin phase 1 at once, without a canvass.  After an election timeout the leader gives up and takes
proposals again: the target may be dead.  Paxos needs no such thing for safety: anybody may begin phase 1 at
any time.
"""
from __future__ import annotations

from collections.abc import Mapping

from agreed.consensus.multipaxos.messages import TimeoutNow
from agreed.consensus.multipaxos.progress import Progress
from agreed.consensus.multipaxos.state import PaxosState
from agreed.types import Instant, NodeId


class Transfer:
    def __init__(self, paxos: PaxosState) -> None:
        self._paxos = paxos
        self.target: NodeId | None = None
        self.deadline: Instant | None = None

    def begin(self, target: NodeId | None, progress: Mapping[NodeId, Progress]) -> None:
        """Nothing happens where the target cannot lead or there is nobody else."""
        paxos = self._paxos
        voters = [progress[name] for name in paxos.quorum.voters if name != paxos.me and name in progress]
        if target is None and voters:
            target = max(voters, key=lambda follower: (follower.match, follower.heard_at)).name
        if target is None or target not in {follower.name for follower in voters}:
            return
        if target == self.target:
            return
        self.target = target
        self.deadline = paxos.now + paxos.config.election_timeout_ms[0]
        paxos.arm(self.deadline)
        self.on_progress(progress[target])

    def on_progress(self, follower: Progress) -> None:
        if follower.match == self._paxos.slots.last_index:
            self._paxos.send(follower.name, TimeoutNow(self._paxos.term))

    def remind(self, progress: Mapping[NodeId, Progress]) -> None:
        """The word may have been lost."""
        follower = progress.get(self.target) if self.target is not None else None
        if follower is not None:
            self.on_progress(follower)

    def on_time(self, now: Instant) -> None:
        if self.deadline is not None and now >= self.deadline:
            self.target = self.deadline = None
