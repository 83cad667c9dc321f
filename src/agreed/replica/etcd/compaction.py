"""Compaction unasked: the leader forgets old versions of keys, by age or by number, as etcd does.

    periodic    what was the newest revision one period ago is compacted to, a tenth of a period at a time the
                revision is noted; every period, or every hour where the period is longer than that
    revision    every five minutes, to what lies so many revisions back

A new leader has noted nothing yet, so its first compaction comes a period later.
"""
from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from agreed.store.commands import Compact
from agreed.types import Instant, Revision

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

REVISION_EVERY_MS = 300_000
PERIODIC_AT_LEAST_EVERY_MS = 3_600_000
SAMPLES_PER_PERIOD = 10


class AutoCompaction:
    """Looked at in the rounds of upkeep."""

    def __init__(self, front: EtcdClients) -> None:
        self._replica = front.replica
        self._retention = self._replica.settings.etcd_auto_compaction_retention
        self._noted: deque[tuple[Instant, Revision]] = deque()
        self._next: Instant = 0
        self._leads = False
        if self._retention > 0:
            periodic = self._replica.settings.etcd_auto_compaction_mode == "periodic"
            front.on_round.append(self._periodic if periodic else self._by_revision)

    def _begins(self, first_after_ms: int) -> bool:
        """Whether this node leads; `_next` is set where it has just begun to."""
        leads, before = self._replica.leads, self._leads
        self._leads = leads
        if leads and not before:
            self._noted.clear()
            self._next = self._replica.now + first_after_ms
        return leads

    def _periodic(self) -> None:
        period_ms = self._retention
        if not self._begins(period_ms):
            return
        now, noted = self._replica.now, self._noted
        sample_ms = max(1, min(period_ms, PERIODIC_AT_LEAST_EVERY_MS) // SAMPLES_PER_PERIOD)
        if not noted or now - noted[-1][0] >= sample_ms:
            noted.append((now, self._replica.store.revision))
        if now < self._next:
            return
        self._next = now + min(period_ms, PERIODIC_AT_LEAST_EVERY_MS)
        revision = 0
        while noted and noted[0][0] <= now - period_ms:
            revision = noted.popleft()[1]
        self._compact(revision)

    def _by_revision(self) -> None:
        if self._begins(REVISION_EVERY_MS) and self._replica.now >= self._next:
            self._next = self._replica.now + REVISION_EVERY_MS
            self._compact(self._replica.store.revision - self._retention)

    def _compact(self, revision: Revision) -> None:
        if revision > self._replica.store.flat.history.compacted:
            self._replica.log("info", f"compacts etcd's keys to revision {revision}")
            self._replica.submit(Compact(revision))
