"""When a linearizable read may be answered: after a read index, confirmed by a quorum and applied here.

One confirmation serves every read that was asked for before it began (Raft thesis, 6.4).  So all reads of one
turn share a `Barrier`; when the consensus machine has named the index and the store has reached it, the gate
opens and the clients that stand behind it are answered.

A confirmation that fails (the leader changed, no quorum answered) is asked for again while the node believes
in a leader; otherwise the clients behind it are dropped with the others (`zookeeper.py`), clearly and fast.
"""

from __future__ import annotations

from agreed.consensus.machine import ReadReady
from agreed.replica.clients import Client, Gate
from agreed.types import Index


class Barrier(Gate):
    __slots__ = ("clients",)

    def __init__(self) -> None:
        super().__init__(False)
        self.clients: list[Client] = []


class Reads:
    def __init__(self) -> None:
        self._gathering: Barrier | None = None
        self._asked: dict[int, Barrier] = {}
        self._confirmed: list[tuple[Index, Barrier]] = []
        self._failed: list[Barrier] = []
        self._next_ticket = 1

    def gate(self, client: Client) -> Gate:
        """The barrier of this turn; `client` will be looked at again when it opens."""
        barrier = self._gathering
        if barrier is None:
            barrier = self._gathering = Barrier()
        barrier.clients.append(client)
        return barrier

    def ask(self) -> int | None:
        """At the end of a turn: the ticket of a read index to ask for, if anybody needs one."""
        barrier = self._gathering
        self._gathering = None
        if self._failed:
            if barrier is None:
                barrier = Barrier()
            for failed in self._failed:
                barrier.clients.extend(failed.clients)
                self._follow(failed, barrier)
            self._failed.clear()
        if barrier is None:
            return None
        ticket = self._next_ticket
        self._next_ticket += 1
        self._asked[ticket] = barrier
        return ticket

    def _follow(self, failed: Barrier, barrier: Barrier) -> None:
        """Requests in the queues keep the gate they were given: let it open with the new one."""
        for client in failed.clients:
            for position, (xid, request, gate) in enumerate(client.queue):
                if gate is failed:
                    client.queue[position] = (xid, request, barrier)

    def answered(self, ready: ReadReady) -> None:
        barrier = self._asked.pop(ready.ticket, None)
        if barrier is None:
            return
        if ready.index is None:
            self._failed.append(barrier)
        else:
            self._confirmed.append((ready.index, barrier))

    @property
    def retrying(self) -> bool:
        return bool(self._failed)

    def opened(self, applied: Index) -> list[Client]:
        """Opens every barrier that is confirmed and applied; returns whose queues have to be looked at."""
        if not self._confirmed:
            return []
        clients: list[Client] = []
        still: list[tuple[Index, Barrier]] = []
        for index, barrier in self._confirmed:
            if index <= applied:
                barrier.is_open = True
                clients.extend(barrier.clients)
            else:
                still.append((index, barrier))
        self._confirmed = still
        return clients
