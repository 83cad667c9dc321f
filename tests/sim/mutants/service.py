"""The mutants that are replicas: what one node tells its clients is wrong, though the cluster agrees."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agreed.replica.clients import Client
from agreed.replica.replica import Replica
from agreed.replica.zookeeper import ZooKeeperClients
from agreed.sim.parts import Parts
from agreed.store.events import Event
from agreed.store.records import Record
from agreed.wire.zookeeper.messages import GetDataRequest
from tests.sim.mutants.mutant import Mutant


class StaleClients(ZooKeeperClients):
    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self._cached: dict[bytes, Record] = {}
        self._asked = 0

    def _answer_read(self, client: Client, xid: int, request: Any) -> None:
        records = self._replica.store.tree.records
        if not isinstance(request, GetDataRequest) or request.path not in records:
            super()._answer_read(client, xid, request)
            return
        newest = records[request.path]
        self._asked += 1
        if self._asked % 7 == 0:
            records[request.path] = self._cached.get(request.path, newest)
        else:
            self._cached[request.path] = newest
        super()._answer_read(client, xid, request)
        records[request.path] = newest


class ReadsWhatItRemembers(Replica):
    """C2: a read tells what is there, and not what was."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, StaleClients)


class SwappingClients(ZooKeeperClients):
    def flush(self) -> None:
        for client in self._dirty:
            out = client.out
            if len(out) == 2 and len(out[0]) == len(out[1]) and client.sent % 3 == 0:
                # Frame: length, xid, then what is told.
                out[0], out[1] = out[0][:8] + out[1][8:], out[1][:8] + out[0][8:]
        super().flush()


class SwapsReplies(Replica):
    """C4: each request gets its own answer."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, SwappingClients)


class SkippingClients(ZooKeeperClients):
    _seen = 0

    def notify(self, fresh: Sequence[Event]) -> None:
        self._seen += 1
        if self._seen % 5:
            super().notify(fresh)


class SkipsEvents(Replica):
    """C5: who watches is told of the first change."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, SkippingClients)


class CountsLivesByTheClock(Replica):
    """C8: what must never come again is not taken from a clock."""

    def __init__(self, *arguments: Any) -> None:
        name, identity, _, *rest = arguments
        super().__init__(name, identity, rest[-1] // 2_000, *rest)


def put_in(replica: Replica, clients: type[ZooKeeperClients]) -> None:
    """In the place of the replica's clients, before anybody has connected."""
    replica.zookeeper = clients(replica)
    replica._events = replica._event_handlers()


MUTANTS = [
    Mutant("C2", ReadsWhatItRemembers, Parts(replica=ReadsWhatItRemembers)),
    Mutant("C4", SwapsReplies, Parts(replica=SwapsReplies)),
    Mutant("C5", SkipsEvents, Parts(replica=SkipsEvents)),
    Mutant("C8", CountsLivesByTheClock, Parts(replica=CountsLivesByTheClock)),
]
