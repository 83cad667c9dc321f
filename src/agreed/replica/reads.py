"""When a linearizable read may be answered: after a read index, confirmed by a quorum and applied here.

One confirmation serves every read that was asked for before it began (Raft thesis, 6.4).  So all reads of one
turn share a `Barrier`; when the consensus machine has named the index and the store has reached it, the gate
opens and the clients that stand behind it are answered.

A confirmation that fails (the leader changed, no quorum answered) is asked for again while the node believes
in a leader; otherwise the clients behind it are dropped with the others (`zookeeper.py`), clearly and fast,
or give up in their own time (`etcd/front.py`).
"""

from __future__ import annotations

from typing import Protocol

from agreed.consensus.machine import ReadReady
from agreed.replica.clients import Client, Gate
from agreed.types import Index


class ReadTicket(Protocol):
    """Somebody who stands behind a barrier for one read, and is told when it opens."""

    @property
    def closed(self) -> bool:
        """Waits for nothing any more."""

    def opened(self) -> None: ...


class Barrier(Gate):
    """`clients` are those whose queues have to be looked at when it opens, each once; `tickets` single
    reads."""

    __slots__ = ("clients", "tickets")

    def __init__(self) -> None:
        super().__init__(False)
        self.clients: dict[Client, None] = {}
        self.tickets: list[ReadTicket] = []

    @property
    def wanted(self) -> bool:
        """Who was dropped meanwhile waits for nothing; without a leader that is everybody, sooner or
        later."""
        return any(not client.closed for client in self.clients) or any(
            not ticket.closed for ticket in self.tickets
        )


class Reads:
    def __init__(self) -> None:
        self._gathering: Barrier | None = None
        self._asked: dict[int, list[Barrier]] = {}
        """Those of one turn, and those that have to be asked for again."""
        self._confirmed: list[tuple[Index, Barrier]] = []
        self._failed: list[Barrier] = []
        self._next_ticket = 1

    def gate(self, client: Client) -> Gate:
        """The barrier of this turn; `client` will be looked at again when it opens."""
        barrier = self._gathering
        if barrier is None:
            barrier = self._gathering = Barrier()
        barrier.clients[client] = None
        return barrier

    def wait(self, ticket: ReadTicket) -> Barrier:
        """The same for a read that stands in no queue."""
        barrier = self._gathering
        if barrier is None:
            barrier = self._gathering = Barrier()
        barrier.tickets.append(ticket)
        return barrier

    def is_gathering(self, barrier: Barrier) -> bool:
        """Whether it has not been asked for yet: what joins it now is confirmed with it."""
        return barrier is self._gathering

    @property
    def wanted(self) -> bool:
        """Whether there is a barrier to ask for."""
        return self._gathering is not None or bool(self._failed)

    def ask(self) -> int | None:
        """At the end of a turn: the ticket of a read index to ask for, if anybody needs one."""
        barriers, self._failed = self._failed, []
        if self._gathering is not None:
            barriers.append(self._gathering)
            self._gathering = None
        barriers = [barrier for barrier in barriers if barrier.wanted]
        if not barriers:
            return None
        ticket = self._next_ticket
        self._next_ticket += 1
        self._asked[ticket] = barriers
        return ticket

    def answered(self, ready: ReadReady) -> None:
        barriers = self._asked.pop(ready.ticket, [])
        if ready.index is None:
            self._failed += barriers
        else:
            self._confirmed += [(ready.index, barrier) for barrier in barriers]

    def opened(self, applied: Index) -> list[Client]:
        """Opens every barrier that is confirmed and applied, and tells who waits for a single read; returns
        whose queues have to be looked at."""
        if not self._confirmed:
            return []
        clients: list[Client] = []
        tickets: list[ReadTicket] = []
        still: list[tuple[Index, Barrier]] = []
        for index, barrier in self._confirmed:
            if index <= applied:
                barrier.is_open = True
                clients.extend(barrier.clients)
                tickets += barrier.tickets
            else:
                still.append((index, barrier))
        self._confirmed = still
        for ticket in tickets:
            ticket.opened()
        return clients
