"""Whom to send a Prepare at once, and whom a little later (the thrifty way of EPaxos, Moraru et al. 2013,
§6).

An operation needs a quorum, not everybody.  So it goes at once to as few backups as make a quorum with the
primary: the *prompt* ones.  The others are *spare*: they are sent it with those that follow, after
`spare_delay_ms` at the latest, and save them together: one message, one sync and one answer for several
operations.

If a prompt backup stops, commits wait `spare_delay_ms` longer, until those who answer instead are prompt, a
few commits later.  Safety does not know about any of this: it only decides when a message leaves.  A backup
whose clients wait is sent it at once, and so is a large entry.  Raft does the same (`raft/thrift.py`).
"""
from __future__ import annotations

from collections.abc import Iterable

from agreed.consensus.quorum import Quorum
from agreed.consensus.vr.progress import Progress
from agreed.types import Instant, NodeId

BEATEN_MOST = 3
"""How many commits in a row others may have made before the prompt backups are no longer it."""

LARGE_BYTES = 16 * 1024
"""Of an entry that is sent to everybody at once."""


class Thrift:
    def __init__(self, me: NodeId, spare_delay_ms: int) -> None:
        self._me = me
        self._spare_delay_ms = spare_delay_ms
        self._prompt: frozenset[NodeId] = frozenset()
        self._beaten = 0

    def choose(self, backups: Iterable[Progress], quorum: Quorum) -> None:
        """The prompt are those that vouch for most by now; of equals, those that were it before."""
        chosen = {self._me}
        ranked = sorted(backups, key=lambda backup: (-backup.match, backup.name not in self._prompt))
        for backup in ranked:
            if quorum.has(chosen):
                break
            chosen.add(backup.name)
        self._prompt = frozenset(chosen)
        self._beaten = 0

    def committed_by(self, name: NodeId) -> bool:
        """The answer of this backup has made a commit; whether that tells to choose anew."""
        self._beaten = 0 if self.is_prompt(name) else self._beaten + 1
        return self._beaten > BEATEN_MOST

    def is_prompt(self, name: NodeId) -> bool:
        return not self._spare_delay_ms or name in self._prompt

    def due_at(self, backup: Progress, now: Instant) -> Instant:
        """When a backup that is not prompt is to be sent what it lacks."""
        if backup.lacks_since is None:
            backup.lacks_since = now
        return backup.lacks_since + self._spare_delay_ms
