"""Leases kept alive: asked on any node, decided by the leader, many at a time.

A renewal goes through no log.  The leader moves the deadline of the lease on its own clock; all that a turn
brings is one batch, and a follower sends its batch to the leader (`RenewLeases`).  Two stories say when the
leader may answer:

* A leader is cut off, or its process sleeps; another one leads, lets the lease expire and its keys go.  Then
  the client's renewal reaches the old one, and it is told that all is well.  So a renewal counts only once
  leadership was confirmed after it came, by the same round as a linearizable read.
* The leader has decided that the lease expires; the command is on its way.  A renewal that is granted now
  would be worth nothing a moment later.  So it waits for what comes of the decision.

What is lost on the way is said again; who waits for too long is told that nobody leads.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agreed.types import Instant, LeaseId, NodeId, Term
from agreed.wire.peer.messages import LeasesRenewed, RenewLeases

if TYPE_CHECKING:
    from agreed.replica.reads import Barrier
    from agreed.replica.replica import Replica

SAY_AGAIN_AFTER_MS = 1_000

GIVE_UP_AFTER_MS = 7_000

Told = Callable[[int | None], None]
"""Called once with the time to live in ms (0: there is no such lease); None: nobody could be asked."""


class _Batch:
    """Of this node's clients: what one turn brought."""

    __slots__ = ("came_at", "leases", "said_at", "told")

    def __init__(self, now: Instant) -> None:
        self.leases: list[LeaseId] = []
        self.told: list[Told] = []
        self.came_at = self.said_at = now

    def tell(self, ttls_ms: list[int]) -> None:
        for told, ttl_ms in zip(self.told, ttls_ms, strict=True):
            told(ttl_ms)

    def give_up(self) -> None:
        for told in self.told:
            told(None)


class _Confirming:
    """Leases to be renewed here once leadership is confirmed; stands behind a barrier."""

    __slots__ = ("_then", "answer", "leases", "term")

    closed = False

    def __init__(
        self,
        leases: list[LeaseId],
        term: Term,
        then: Callable[[_Confirming], None],
        answer: Callable[[list[int] | None], None],
    ) -> None:
        self.leases = leases
        self.term = term
        self.answer = answer
        self._then = then

    def opened(self) -> None:
        self._then(self)


class Renewals:
    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._next_number = replica.requests.first_ticket
        self._gathering: _Batch | None = None
        self._barrier: Barrier | None = None
        """What `_gathering` stands behind, where this node leads."""
        self._asked: dict[int, _Batch] = {}
        """Of other turns: whom nobody has answered yet."""
        self._blocked: list[_Confirming] = []
        """Confirmed, but the end of one of their leases was decided already."""

    def renew(self, lease: LeaseId, told: Told) -> None:
        """The hot path."""
        batch, barrier = self._gathering, self._barrier
        if batch is None or (barrier is not None and not self._replica.reads.is_gathering(barrier)):
            batch = self._begin()
        batch.leases.append(lease)
        batch.told.append(told)

    def _begin(self) -> _Batch:
        replica = self._replica
        batch = self._gathering = _Batch(replica.now)
        self._barrier = None
        number = self._next_number
        self._next_number += 1
        self._asked[number] = batch
        if replica.leads:
            self._barrier = self._confirm(batch.leases, lambda ttls_ms: self._renewed(number, ttls_ms))
        return batch

    def flush(self) -> None:
        """At the end of a turn: what was gathered goes to the leader."""
        batch, self._gathering = self._gathering, None
        barrier, self._barrier = self._barrier, None
        if batch is not None and barrier is None and self._asked:
            self._ask(next(reversed(self._asked)), batch)

    def _ask(self, number: int, batch: _Batch) -> None:
        """Anew: of whoever leads."""
        replica = self._replica
        batch.said_at = replica.now
        if replica.leads:
            self._confirm(batch.leases, lambda ttls_ms: self._renewed(number, ttls_ms))
        elif replica.machine.leader is not None:
            replica.effects.send.append((replica.machine.leader, RenewLeases(number, batch.leases)))

    def _renewed(self, number: int, ttls_ms: list[int] | None) -> None:
        """Leadership may be lost meanwhile: then it is said again, in a while or when another leads."""
        if ttls_ms is None:
            return
        batch = self._asked.pop(number, None)
        if batch is not None:
            batch.tell(ttls_ms)

    def round(self) -> None:
        """Of upkeep."""
        if not self._asked:
            return
        now = self._replica.now
        for number, batch in list(self._asked.items()):
            if now - batch.came_at >= GIVE_UP_AFTER_MS:
                del self._asked[number]
                batch.give_up()
            elif now - batch.said_at >= SAY_AGAIN_AFTER_MS and batch is not self._gathering:
                self._ask(number, batch)

    def leader_changed(self) -> None:
        self._blocked.clear()
        for number, batch in list(self._asked.items()):
            if batch is not self._gathering:
                self._ask(number, batch)

    # --- peers ----------------------------------------------------------------------------------------------

    def asked(self, source: NodeId, message: RenewLeases) -> None:
        def answer(ttls_ms: list[int] | None) -> None:
            self._replica.effects.send.append((source, LeasesRenewed(message.number, ttls_ms)))

        if self._replica.leads:
            self._confirm(message.leases, answer)

    def answered(self, source: NodeId, message: LeasesRenewed) -> None:
        batch = self._asked.get(message.number)
        if batch is not None and message.ttls_ms is not None and len(message.ttls_ms) == len(batch.leases):
            self._renewed(message.number, message.ttls_ms)

    # --- of the leader --------------------------------------------------------------------------------------

    def _confirm(self, leases: list[LeaseId], answer: Callable[[list[int] | None], None]) -> Barrier:
        term = self._replica.machine.term
        return self._replica.reads.wait(_Confirming(leases, term, self._confirmed, answer))

    def _confirmed(self, waiting: _Confirming) -> None:
        replica = self._replica
        if not replica.leads or replica.machine.term != waiting.term:
            waiting.answer(None)
            return
        expiry = replica.expiry
        if any(expiry.named(lease) for lease in waiting.leases):
            self._blocked.append(waiting)
            return
        now = replica.now
        table = replica.store.leases.table
        ttls_ms = []
        for lease in waiting.leases:
            known = table.get(lease)
            if known is None or known.credentials is not None:
                ttls_ms.append(0)
            else:
                expiry.heard(lease, now)
                ttls_ms.append(known.ttl_ms)
        waiting.answer(ttls_ms)

    def expiry_decided(self) -> None:
        """What comes of a decision that a lease expires is known."""
        blocked, self._blocked = self._blocked, []
        for waiting in blocked:
            self._confirmed(waiting)
