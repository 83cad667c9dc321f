"""Whom to send entries at once, and whom a little later (the thrifty way of EPaxos, Moraru et al. 2013, §6).

An entry needs a quorum, not everybody.  So it goes at once to as few followers as make a quorum with the
leader: the *prompt* ones.  The others are *spare*: they are sent it with those that follow, after
`spare_delay_ms` at the latest, and save them together: one message, one sync and one reply for several
entries.  With three voters that takes a third of the work off the cluster, and off a disk that voters share.

What is given up is the choice of the faster disk for each single entry.  If a prompt follower stops, commits
wait `spare_delay_ms` longer, until those who answer instead are prompt, a few commits later.  Safety does
not know about any of this: it only decides when a message leaves.

A follower whose clients wait for an entry is sent it at once, and so is a large entry.
"""
from __future__ import annotations

from collections.abc import Iterable

from agreed.consensus.progress import Progress
from agreed.consensus.quorum import Quorum
from agreed.types import Instant, NodeId

BEATEN_MOST = 3
"""How many commits in a row others may have made before the prompt followers are no longer it."""

LARGE_BYTES = 16 * 1024
"""Of an entry that is sent to everybody at once: there is little to be saved by sending it with others."""


class Thrift:
    def __init__(self, me: NodeId, spare_delay_ms: int) -> None:
        self._me = me
        self._spare_delay_ms = spare_delay_ms
        self._prompt: frozenset[NodeId] = frozenset()
        self._beaten = 0

    def choose(self, followers: Iterable[Progress], quorum: Quorum) -> None:
        """The prompt are those that have most of the log now; of equals, those that were it before."""
        chosen = {self._me}
        ranked = sorted(followers, key=lambda follower: (-follower.match, follower.name not in self._prompt))
        for follower in ranked:
            if quorum.has(chosen):
                break
            chosen.add(follower.name)
        self._prompt = frozenset(chosen)
        self._beaten = 0

    def committed_by(self, name: NodeId) -> bool:
        """The reply of this follower has made a commit; whether that tells to choose anew."""
        self._beaten = 0 if self.is_prompt(name) else self._beaten + 1
        return self._beaten > BEATEN_MOST

    def is_prompt(self, name: NodeId) -> bool:
        return not self._spare_delay_ms or name in self._prompt

    def due_at(self, follower: Progress, now: Instant) -> Instant:
        """When a follower that is not prompt is to be sent what it lacks."""
        if follower.lacks_since is None:
            follower.lacks_since = now
        return follower.lacks_since + self._spare_delay_ms
