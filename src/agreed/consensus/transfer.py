"""To hand leadership over without an outage (Raft thesis 3.10); Multi-Paxos does it in the same way.

The leader stops taking proposals, waits until the target has all that it proposed, and tells it to campaign
at once, which nobody refuses for hearing the old leader.  After an election timeout the leader gives up and
takes proposals again: the target may be dead.  Multi-Paxos needs none of it for safety: there anybody may
begin phase 1 at any time.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from agreed.consensus.config import CommonConfig
from agreed.consensus.progress import Progress
from agreed.consensus.quorum import Quorum
from agreed.types import Index, Instant, NodeId, Term


class Outgoing(Protocol):
    """What is needed of the machine whose leadership ends."""

    me: NodeId
    now: Instant
    quorum: Quorum
    term: Term

    @property
    def config(self) -> CommonConfig: ...

    @property
    def last_index(self) -> Index: ...

    def arm(self, instant: Instant) -> None: ...

    def send(self, target: NodeId, message: object) -> None: ...


class Transfer:
    def __init__(self, machine: Outgoing, timeout_now: Callable[[Term], object]) -> None:
        self._machine = machine
        self._timeout_now = timeout_now
        """The protocol's word that it is the target's turn."""
        self.target: NodeId | None = None
        self.deadline: Instant | None = None

    def begin(self, target: NodeId | None, progress: Mapping[NodeId, Progress]) -> bool:
        """False, and nothing happens, where the target cannot lead or there is nobody else."""
        machine = self._machine
        voters = [
            progress[name] for name in machine.quorum.voters if name != machine.me and name in progress
        ]
        if target is None and voters:
            target = max(voters, key=lambda follower: (follower.match, follower.heard_at)).name
        if target is None or target not in {follower.name for follower in voters}:
            return False
        if target == self.target:
            return True
        self.target = target
        self.deadline = machine.now + machine.config.election_timeout_ms[0]
        machine.arm(self.deadline)
        self.on_progress(progress[target])
        return True

    def on_progress(self, follower: Progress) -> None:
        if follower.match == self._machine.last_index:
            self._machine.send(follower.name, self._timeout_now(self._machine.term))

    def remind(self, progress: Mapping[NodeId, Progress]) -> None:
        """The word may have been lost."""
        follower = progress.get(self.target) if self.target is not None else None
        if follower is not None:
            self.on_progress(follower)

    def on_time(self, now: Instant) -> None:
        if self.deadline is not None and now >= self.deadline:
            self.target = self.deadline = None
