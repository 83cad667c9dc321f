"""What a node does unasked: let silent sessions expire, sweep what is idle, take checkpoints.

Expiry is decided by the leader alone and becomes a command, so it happens at one place in the order and is
the same everywhere.  A session is heard of when its client says anything to any node; followers report whom
they heard (`Heard`).  A new leader knows nothing of the past and gives every session its full time again: a
session may live longer than it asked for, never shorter.

All instants are of this node's own monotonic clock; nothing is compared between nodes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING

from agreed.store.commands import Checkpoint, Sweep
from agreed.types import Instant, LeaseId
from agreed.wire.peer.messages import Heard

if TYPE_CHECKING:
    from agreed.replica.replica import Replica

UPKEEP_EVERY_MS = 100

REPORT_EVERY_MS = 200
"""How often a node tells the leader whom it heard.  Whoever waits for the lock of a holder that died waits
for this three times, on top of the holder's time: once for the report, and twice for the grace."""

NOTED_WITHIN_MS = 3_000
"""A follower whose reports the leader has not answered for so long lets its clients go: before their sessions
end at the leader, if these live for the usual four seconds at least."""

EXPIRY_GRACE_MS = 2 * REPORT_EVERY_MS
"""How much longer than its time a session lives.  What a client says just before its time is over is known
to the leader one report later; without the grace, a session that was silent for a little less than its time
would have expired by then."""

PLAIN_A_ROUND = 100
"""How many plain leases expire in one round: a thousand a second, as in etcd."""

ON_THE_WAY_MS = 1_000
"""What a new leader gives plain leases on top of their full time.  The last leader may just have renewed
one, and its answer be still on the way: whoever counts from when it hears that must not be wrong."""

STOOD_STILL_MS = 1_000
"""A leader to which time jumps this far was asleep (a stopped process, a paused machine), and what its
clients said meanwhile it has not read yet: nobody is to be blamed for that silence."""

STOP_WITHIN_MS = 3_000
"""How long a node that is told to stop waits for its last requests and for a new leader."""


class Upkeep:
    """The rounds of one node, every `UPKEEP_EVERY_MS`."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.due_at: Instant = replica.now
        self._next_sweep = replica.now
        self._next_report = replica.now
        self._stopping_since: Instant | None = None

    def report_soon(self) -> None:
        """A new leader has heard of nobody yet."""
        self._next_report = self._replica.now

    def stop_when_ready(self) -> None:
        """From now on each round asks whether the process may end."""
        self._stopping_since = self._replica.now

    def work(self) -> None:
        replica = self._replica
        now = replica.now
        self.due_at = now + UPKEEP_EVERY_MS
        if self._stopping_since is not None:
            self._stop(now - self._stopping_since)
        if replica.problem is not None:
            return
        if replica.requests.overdue(now):
            replica.repeat_requests()
        if not replica.serving:
            replica.zookeeper.suspend()
        if now >= self._next_report:
            self._next_report = now + REPORT_EVERY_MS
            self._report_heard()
            replica.zookeeper.drop_unfinished()
        elif (deadline := replica.expiry.next_deadline) is not None and deadline <= now:
            # Somebody may have spoken to this very node since the last report.
            self._report_heard()
        replica.operators.give_up(now)
        replica.etcd.round()
        if replica.machine.leads:
            self._lead()

    def _lead(self) -> None:
        replica = self._replica
        for lease in replica.expiry.due(replica.now):
            replica.expire(lease)
        if replica.now >= self._next_sweep:
            self._next_sweep = replica.now + replica.settings.sweep_every_ms
            for command in replica.store.tree.idle(max(replica.wall_ms, replica.store.stamp_ms)):
                replica.submit(command)
        if replica.store.flat.history.sweeping and not len(replica.requests):
            # Nobody writes: nothing else would give back what a compaction has left.
            replica.submit(Sweep())
        if replica.checkpoint.due():
            replica.submit(Checkpoint())

    def _stop(self, waited_ms: int) -> None:
        """Leadership is somebody else's and every request is answered, or it has taken too long."""
        replica = self._replica
        alone = len(replica.machine.members.voters) <= 1
        drained = replica.problem is not None or not len(replica.requests)
        if (drained and (alone or not replica.machine.leads)) or waited_ms > STOP_WITHIN_MS:
            replica.etcd.drop_all()
            replica.effects.stopped = True

    def _report_heard(self) -> None:
        replica = self._replica
        heard = replica.zookeeper.sessions.heard_since_last_report()
        if replica.machine.leads:
            for lease in heard:
                replica.expiry.heard(lease, replica.now)
        elif replica.machine.leader is not None:
            replica.effects.send.append((replica.machine.leader, Heard(heard)))


class Expiry:
    """Deadlines of all leases, as the leader sees them.  Being heard costs one dict write.

    A session has its time and a grace; a plain lease has its time, which its holder renews himself.  Of plain
    leases that are due together only so many are named at a time: the keys of ten thousand leases that were
    granted by a job which died would else be deleted at one blow.

    Each lease stands in the heap once with the instant in `_looked_at`, at which it is looked at again; its
    deadline may have moved back by then.  Other entries of it are void."""

    def __init__(self) -> None:
        self._heard: dict[LeaseId, Instant] = {}
        self._time_ms: dict[LeaseId, int] = {}
        """How long after it was heard a lease ends."""
        self._plain: set[LeaseId] = set()
        self._looked_at: dict[LeaseId, Instant] = {}
        self._deadlines: list[tuple[Instant, LeaseId]] = []
        self._named: set[LeaseId] = set()
        """Their expiry is decided, and its outcome not known yet."""

    def __len__(self) -> int:
        return len(self._time_ms)

    def start(
        self, sessions: Iterable[tuple[LeaseId, int]], now: Instant, plain: Iterable[tuple[LeaseId, int]] = ()
    ) -> None:
        """Leadership begins: everybody gets the full time from now on."""
        leases = dict(plain)
        self._plain = set(leases)
        self._heard = dict.fromkeys(leases, now + ON_THE_WAY_MS)
        for lease, ttl_ms in sessions:
            leases[lease] = ttl_ms + EXPIRY_GRACE_MS
            self._heard[lease] = now
        self._time_ms = leases
        self._looked_at = {lease: self._heard[lease] + time_ms for lease, time_ms in leases.items()}
        self._deadlines = [(instant, lease) for lease, instant in self._looked_at.items()]
        heapq.heapify(self._deadlines)
        self._named = set()

    def stop(self) -> None:
        self.start((), 0)

    def add(self, lease: LeaseId, ttl_ms: int, now: Instant, *, plain: bool = False) -> None:
        """A lease was granted, or attached again with perhaps another time to live."""
        time_ms = ttl_ms if plain else ttl_ms + EXPIRY_GRACE_MS
        if plain:
            self._plain.add(lease)
        self._time_ms[lease] = time_ms
        self._heard[lease] = now
        deadline = now + time_ms
        if deadline < self._looked_at.get(lease, deadline + 1):
            self._look_at(lease, deadline)

    def _look_at(self, lease: LeaseId, instant: Instant) -> None:
        self._looked_at[lease] = instant
        heapq.heappush(self._deadlines, (instant, lease))

    def remove(self, lease: LeaseId) -> None:
        self._time_ms.pop(lease, None)
        self._heard.pop(lease, None)
        self._looked_at.pop(lease, None)
        self._plain.discard(lease)
        self._named.discard(lease)

    def heard(self, lease: LeaseId, now: Instant) -> None:
        if lease in self._time_ms:
            self._heard[lease] = now

    def named(self, lease: LeaseId) -> bool:
        """Whether its end is decided, as far as this leader goes: it may be too late to renew it."""
        return lease in self._named

    def not_carried_out(self, lease: LeaseId) -> None:
        """The decision had no force: it may be renewed again."""
        self._named.discard(lease)

    def remaining_ms(self, lease: LeaseId, now: Instant) -> int | None:
        """How much time it has left (below 0: it is overdue); None where it is not known."""
        time_ms = self._time_ms.get(lease)
        return None if time_ms is None else min(self._heard[lease] + time_ms - now, time_ms)

    def due(self, now: Instant) -> list[LeaseId]:
        """Leases whose time is over.  Each is named once; `again` if its expiry was not carried out."""
        due: list[LeaseId] = []
        plain = 0
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            instant, lease = heapq.heappop(deadlines)
            if self._looked_at.get(lease) != instant:
                continue
            time_ms = self._time_ms[lease]
            deadline = self._heard[lease] + time_ms
            if deadline <= now:
                if lease in self._plain:
                    plain += 1
                    if plain > PLAIN_A_ROUND:
                        self._look_at(lease, now + plain // PLAIN_A_ROUND * UPKEEP_EVERY_MS)
                        continue
                due.append(lease)
                self._named.add(lease)
                # Should the command be lost or refused, the lease must come up again.
                deadline = now + max(time_ms - EXPIRY_GRACE_MS, UPKEEP_EVERY_MS)
            self._look_at(lease, deadline)
        return due

    @property
    def next_deadline(self) -> Instant | None:
        """Before it `due` names nobody."""
        return self._deadlines[0][0] if self._deadlines else None


class CheckpointTrigger:
    """When the log since the last checkpoint has grown enough to be worth a snapshot.

    By entries and by bytes, whichever comes first, so that neither the time to restart nor the memory that
    the log takes grows without bound."""

    def __init__(self, commands: int, size_bytes: int) -> None:
        self._limit_commands = commands
        self._limit_bytes = size_bytes
        self._commands = 0
        self._bytes = 0
        self._asked = False
        self._wanted = False

    def wanted(self) -> None:
        """However little the log has grown."""
        self._wanted = True

    def applied(self, commands: int, size_bytes: int) -> None:
        self._commands += commands
        self._bytes += size_bytes

    def due(self) -> bool:
        """True once, until a checkpoint is taken or leadership changes."""
        grown = self._commands >= self._limit_commands or self._bytes >= self._limit_bytes
        if self._asked or not (grown or self._wanted):
            return False
        self._asked = True
        return True

    def taken(self) -> None:
        self._commands = self._bytes = 0
        self._asked = self._wanted = False

    def ask_again(self) -> None:
        """A new leader: whether the old one's checkpoint is in the log is not known."""
        self._asked = False
