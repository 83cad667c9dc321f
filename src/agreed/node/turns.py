"""One loop around a replica: wait, step, take, do.  It has never heard of Raft.

Whatever happens is given to the replica at once (`happened`); the effects of all that happened in one turn of
the event loop are done together at its end (`_turn`).  Its clients, and the next moment at which it wants to
hear the time, are looked after here.

What effects reach the disk and other nodes, and what a mistake of ours ends, differs: a server is `shell.py`;
a node that is alone in a program's memory stands in another package.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection

from agreed.node.clock import Alarm, Clock
from agreed.node.listen import ClientProtocol
from agreed.replica import events
from agreed.replica.replica import Replica
from agreed.types import Instant


class Turns(ABC):
    def __init__(
        self,
        replica: Replica,
        clock: Clock,
        connection_limits: tuple[int, int],
        lease_reads: bool,
        log: Callable[[str, str], None],
    ) -> None:
        """`connection_limits`: in all, and from one address; 0 is no limit."""
        self.replica = replica
        self.log = log
        self._clock = clock
        self._limits = connection_limits
        self._lease_reads = lease_reads
        self._loop = asyncio.get_running_loop()
        self._clients: dict[int, ClientProtocol] = {}
        self._per_address: dict[str, int] = {}
        self._next_client = 1
        self._turn_due = self._ended = False
        self._alarm: Alarm | None = None
        self._alarm_at: Instant = 0
        self._began_at: Instant = 0
        """The turn that is under way, or the last one."""
        self._busy_ms = 0
        """How long the last turn took, where that was not told yet."""

    @abstractmethod
    def _do(self, effects: events.Effects) -> None: ...

    @abstractmethod
    def _crash(self) -> None:
        """Within the handler of a mistake of ours.  What the replica is now nobody knows, and it must not
        tell anybody anything."""

    # --- the loop -------------------------------------------------------------------------------------

    def start(self) -> None:
        self.happened(self._time())

    def _time(self) -> events.TimePassed:
        busy_ms, self._busy_ms = self._busy_ms, 0
        return events.TimePassed(self._clock.now(), self._clock.wall_ms(), busy_ms)

    def happened(self, event: object) -> None:
        """The only door to the replica.

        The time is told once a turn, but with leases before each event.  Else a leader that is stopped in the
        middle of a turn, until its lease is over and somebody else leads, would answer from it what it was
        asked only afterwards, and did not see what was acknowledged meanwhile."""
        if self._ended:
            return
        try:
            first, self._turn_due = not self._turn_due, True
            if first:
                self._loop.call_soon(self._turn)
            if first or self._lease_reads:
                time = self._time()
                if first:
                    self._began_at = time.now
                self.replica.step(time)
            self.replica.step(event)
        except Exception:
            self._crash()

    def happened_now(self, event: object) -> None:
        """For what seldom comes in crowds (a peer's message, the disk): its turn ends at once.

        Otherwise each of them would take the event loop another round, and somebody waits for each."""
        self.happened(event)
        self._turn()

    def _turn(self) -> None:
        if self._ended or not self._turn_due:
            return
        self._turn_due = False
        try:
            effects = self.replica.take()
            while effects.more:
                self._do(effects)
                effects = self.replica.take()
            self._do(effects)
            self._busy_ms = self._clock.now() - self._began_at
            self._set_alarm()
        except Exception:
            # Also where only an effect could not be done: a save that is lost is a promise that never comes
            # true.
            self._crash()

    def _set_alarm(self) -> None:
        """One that rings too early is left: it is set anew then, and not at every turn."""
        wake = self._next_wake()
        if wake is None or (self._alarm is not None and self._alarm_at <= wake):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = wake
        self._alarm = self._clock.call_at(wake, self._wake)

    def _next_wake(self) -> Instant | None:
        return self.replica.wake

    def _wake(self) -> None:
        self._alarm = None
        self.happened(self._time())

    def _end(self) -> None:
        """Nothing happens any more."""
        self._ended = True
        if self._alarm is not None:
            self._alarm.cancel()

    # --- clients --------------------------------------------------------------------------------------

    @property
    def clients(self) -> Collection[ClientProtocol]:
        return self._clients.values()

    def may_connect(self, address: str) -> bool:
        total, per_address = self._limits
        if total and len(self._clients) >= total:
            self.log("warning", f"a client from {address} is refused: {total} connections are the limit")
            return False
        if per_address and self._per_address.get(address, 0) >= per_address:
            self.log(
                "warning", f"a client from {address} is refused: {per_address} from one address are the limit"
            )
            return False
        return True

    def client_opened(self, client: ClientProtocol) -> int:
        identifier = self._next_client
        self._next_client += 1
        self._clients[identifier] = client
        self._per_address[client.address] = self._per_address.get(client.address, 0) + 1
        return identifier

    def client_closed(self, client: ClientProtocol) -> None:
        self._clients.pop(client.id, None)
        left = self._per_address.get(client.address, 1) - 1
        if left:
            self._per_address[client.address] = left
        else:
            self._per_address.pop(client.address, None)

    def _tell_clients(self, effects: events.Effects) -> None:
        clients = self._clients
        for identifier, data in effects.write:
            client = clients.get(identifier)
            if client is not None:
                client.write(data)
        if effects.close or effects.pause or effects.resume:
            self._connections(effects)

    def _connections(self, effects: events.Effects) -> None:
        for identifier in effects.close:
            if client := self._clients.get(identifier):
                client.close()
        for identifier in effects.pause:
            if client := self._clients.get(identifier):
                client.hold(True)
        for identifier in effects.resume:
            if client := self._clients.get(identifier):
                client.hold(False)
