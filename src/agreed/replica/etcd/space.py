"""The quota of etcd's keys: where it is reached, an alarm stands instead of a crash.

As in etcd each node looks before it puts a command into the log; where it would not fit, it raises NO_SPACE
in its own name, and from then on everybody refuses whatever takes more space.  Deletions, compactions and
reads go on.

In etcd somebody has to compact, defragment and take the alarm back by hand.  Here a compaction gives the
space back by itself, so the node that raised the alarm also takes it back, once `SPARE` of the quota is left:
nobody is helped by a cluster that has space and takes nothing.  That it is so much, and not a byte, keeps the
alarm from coming and going with every key.  An alarm that somebody else has raised (an operator, or this node
in an earlier life) stands until it is taken back by hand, as ever.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agreed.store.alarms import Alarm, AlarmKind
from agreed.store.commands import Command, SetAlarm
from agreed.store.space import fits
from agreed.types import Instant

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

SPARE = 0.1
SAY_AGAIN_AFTER_MS = 2_000


class Space:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._quota_bytes = front.replica.settings.etcd_quota_bytes
        self._raised: int | None = None
        """The member in whose name this process has raised the alarm."""
        self._said_at: Instant = -SAY_AGAIN_AFTER_MS
        front.on_round.append(self._round)

    def has_none(self, command: Command, refuse: Callable[[], None]) -> bool:
        """For a command that is to be proposed.  `refuse` is called once the alarm stands: who was refused
        finds it, on every node.  From then on the store itself refuses."""
        replica = self._front.replica
        if fits(replica.store, command, self._quota_bytes):
            return False
        if replica.now - self._said_at < SAY_AGAIN_AFTER_MS:
            refuse()
        else:
            self._said_at = replica.now
            self._raised = self._front.member_id
            replica.log("warning", f"etcd's keys have reached their quota of {self._quota_bytes} bytes")
            replica.submit(SetAlarm(self._raised, AlarmKind.NO_SPACE, True), lambda result: refuse())
        return True

    def _round(self) -> None:
        replica = self._front.replica
        if self._raised is None or replica.now - self._said_at < SAY_AGAIN_AFTER_MS:
            return
        if Alarm(self._raised, AlarmKind.NO_SPACE) not in replica.store.alarms.table:
            self._raised = None  # somebody has taken it back
        elif replica.store.flat.history.size_bytes <= self._quota_bytes * (1 - SPARE):
            self._said_at = replica.now
            replica.log("info", "etcd's keys have space again: the alarm is taken back")
            replica.submit(SetAlarm(self._raised, AlarmKind.NO_SPACE, False))
