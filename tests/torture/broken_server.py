"""`agreed serve` with a promise to its clients broken: what torture has to convict.

    agreed torture --server "python -m tests.torture.broken_server C2"

The promises are those of the list from which the simulator takes its mutants (`tests/sim/mutants`), C1 to C8,
and the wrong parts are the same wherever that is possible: here they are put into a server of real processes.
Two are others.  C4 swaps replies of a client that asks many things at once; the clients of torture ask one
thing at a time, so replies of two clients are swapped.  C6 takes the locks of torture, which lie elsewhere.
"""
from __future__ import annotations

import sys
from typing import Any

from agreed.cli.main import main
from agreed.node import start
from agreed.replica.clients import Client
from agreed.replica.replica import Replica
from agreed.replica.zookeeper import ZooKeeperClients
from agreed.sim.parts import Parts
from agreed.store.commands import AttachLease, Command
from agreed.store.machine import Store
from agreed.store.paths import parent_of
from agreed.store.results import Result
from agreed.store.tree_commands import remove_key
from agreed.types import NodeId
from tests.sim.mutants import ALL
from tests.sim.mutants.service import put_in
from tests.sim.mutants.store import everywhere

LOCKS = b"/torture/lock/"

HEADER_BYTES = 8
"""Of a reply that say whose it is: its length, and the number of the request."""

SHORT_BYTES = 92
"""Nothing but a stat has more to say."""


class TakesTheLockFromWhoMoves(Store):
    """C6: a lock is its holder's until its session ends, on whichever node its client turns up."""

    __slots__ = ()

    def execute(self, command: Command, origin: NodeId = "") -> Result:
        result = super().execute(command, origin)
        lease = self.leases.table.get(command.lease) if isinstance(command, AttachLease) else None
        for path in sorted(lease.tree_keys) if lease is not None else ():
            if path.startswith(LOCKS):
                records = self.tree.records
                remove_key(self, records[path], records[parent_of(path)], self.revision)
        return result


class SwappingClients(ZooKeeperClients):
    """A reply is held back now and then, until it can change places with another client's of its length."""

    _replies = 0
    _held: tuple[Client, bytes] | None = None

    def flush(self) -> None:
        for client in self._dirty:
            if not client.out or len(client.out[-1]) <= SHORT_BYTES:
                continue
            frame = client.out[-1]
            self._replies += 1
            if self._held is None:
                if self._replies % 20 == 0:
                    self._held = client, client.out.pop()
                continue
            other, held = self._held
            if other.closed:
                self._held = None
            elif other is not client and len(held) == len(frame):
                self._held = None
                client.out[-1] = frame[:HEADER_BYTES] + held[HEADER_BYTES:]
                self._replica.effects.write.append((other.id, held[:HEADER_BYTES] + frame[HEADER_BYTES:]))
        super().flush()


class SwapsRepliesOfClients(Replica):
    """C4: each request gets its own answer."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, SwappingClients)


VARIANTS: dict[str, Parts] = {
    **{number: mutant.parts for number, mutant in ALL.items() if number.startswith("C")},
    "C4": Parts(replica=SwapsRepliesOfClients),
    "C6": everywhere(TakesTheLockFromWhoMoves),
}


def serve(number: str) -> None:
    """This process becomes that server; the other arguments are those of `agreed serve`."""
    parts = VARIANTS[number]
    start.Store, start.Restorer, start.Replica = parts.store, parts.restorer, parts.replica  # type: ignore[misc]
    sys.argv = ["agreed", "serve", *sys.argv[2:]]
    main()


if __name__ == "__main__":
    serve(sys.argv[1])
