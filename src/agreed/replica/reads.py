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
    """`clients` are those that stand behind it, each once."""

    __slots__ = ("clients",)

    def __init__(self) -> None:
        super().__init__(False)
        self.clients: dict[Client, None] = {}


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
        # Who was dropped meanwhile waits for nothing; without a leader that is everybody, sooner or later.
        barriers = [barrier for barrier in barriers if any(not client.closed for client in barrier.clients)]
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
