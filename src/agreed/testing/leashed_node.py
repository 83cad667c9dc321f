"""A node whose clients are on a leash: between what they say and what it hears stands a test.

Everything here is to be called on the event loop of the node, as with a `LoneNode`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agreed.embedded.clock import VirtualClock
from agreed.embedded.lone_node import LoneNode, usual_settings
from agreed.node.clock import Clock, SystemClock
from agreed.replica.replica import Replica
from agreed.replica.settings import Settings
from agreed.store.alarms import AlarmKind
from agreed.store.commands import SetAlarm
from agreed.store.events import Event, EventKind
from agreed.store.results import Refusal
from agreed.testing.etcd_leash import EtcdLeash, LeashedEtcdClient
from agreed.testing.faults import Fault, Pending
from agreed.testing.history import ABSENT, Recorder
from agreed.testing.zookeeper_leash import LeashedZooKeeperClient
from agreed.types import Revision

NOBODY: Final = 0
"""In particular: the member of whom an alarm is told."""


class LeashedNode(LoneNode):
    def __init__(
        self, words: frozenset[str], *, clock: Clock | None = None, settings: Settings | None = None
    ) -> None:
        self.pending = Pending(words)
        self.recorder = Recorder()
        self.on_change: list[Callable[[Event], None]] = []
        self.speaking: LeashedEtcdClient | None = None
        """Who says what is being heard at this moment."""
        self.paused = False
        self.unreachable = False
        self.on_resumed: dict[Callable[[], None], None] = {}
        self.clock = clock or SystemClock()
        self._told: Revision = 0
        self.on_change.append(self._record)
        super().__init__(settings or usual_settings(), clock=self.clock)

    @property
    def virtual(self) -> VirtualClock | None:
        return self.clock if isinstance(self.clock, VirtualClock) else None

    def _new_replica(self, clock: Clock) -> Replica:
        replica = super()._new_replica(clock)
        EtcdLeash(self, replica)
        self._told = 0
        return replica

    def _turn(self) -> None:
        super()._turn()
        store = self.replica.store
        if store.revision != self._told:
            fresh = store.feed.since(self._told)
            # More in one turn than the feed keeps: nobody was asked about so many.
            self._told = store.revision
            for event in () if isinstance(fresh, Refusal) else fresh:
                for tell in self.on_change:
                    tell(event)
        self.recorder.turned()

    def _record(self, event: Event) -> None:
        record = event.record
        value = "(null)" if record.value is None else repr(record.value)[1:]
        absent = event.kind is EventKind.DELETED
        self.recorder.changed(record.key.decode(errors="replace"), ABSENT if absent else value)

    def zookeeper_client(self) -> LeashedZooKeeperClient:
        return LeashedZooKeeperClient(self)

    def etcd_client(self) -> LeashedEtcdClient:
        return LeashedEtcdClient(self)

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """By the clock of the node."""
        self.clock.call_at(self.clock.now() + round(seconds * 1000), callback)

    def let_go_later(self, fault: Fault, callback: Callable[[], None]) -> None:
        """A request that `fault` delays goes on with `callback`, once."""
        fault.waiting.append(callback)
        if fault.seconds is not None:
            self.after(fault.seconds, lambda: self._let_go(fault, callback))

    def _let_go(self, fault: Fault, callback: Callable[[], None]) -> None:
        if callback in fault.waiting:
            fault.waiting.remove(callback)
            callback()

    def release(self, fault: Fault) -> None:
        self.pending.remove(fault)
        for callback in list(fault.waiting):
            self._let_go(fault, callback)

    # --- what befalls the node as a whole -----------------------------------------------------------------

    def may_connect(self, address: str) -> bool:
        return not self.unreachable and super().may_connect(address)

    def pause(self) -> None:
        """As SIGSTOP: connections stay, and nothing is heard or said."""
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        waiting, self.on_resumed = self.on_resumed, {}
        for go_on in waiting:
            go_on()

    def go_away(self) -> None:
        """As a server that has ended: connections break, and new ones find nobody."""
        self.unreachable = True
        self.drop_clients()

    def come_back(self) -> None:
        self.unreachable = False

    def fill_quota(self, full: bool) -> None:
        """Of etcd's keys: the alarm stands, or is taken back."""
        self.replica.submit(SetAlarm(NOBODY, AlarmKind.NO_SPACE, full), lambda result: None)
        self.start()
        self._turn()

    def reset(self) -> None:
        self.pending.clear()
        self.paused = self.unreachable = False
        self.on_resumed.clear()
        super().reset()
        self.recorder.clear()
