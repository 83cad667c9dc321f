"""The mutants that break a promise to etcd's clients: of watches, leases, locks and reads."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.kv import KvService
from agreed.replica.etcd.lock import LockService
from agreed.replica.etcd.renewals import Renewals
from agreed.replica.etcd.rows import Place, Rows
from agreed.replica.etcd.watch import WatchService
from agreed.replica.etcd.watch_streams import Watcher, WatchStream
from agreed.replica.replica import Replica
from agreed.replica.upkeep import Expiry
from agreed.sim.parts import Parts
from agreed.store.commands import ExpireLease
from agreed.store.events import Event
from agreed.store.machine import Restorer, Store
from agreed.types import Instant, LeaseId, Revision
from agreed.wire.etcd.messages import RangeRequest
from tests.sim.mutants.mutant import Mutant


def put_in(replica: Replica, kind: type[Any], broken: type[Any]) -> None:
    """A service of the replica becomes a broken one, before anybody has connected."""
    front = replica.etcd
    (service,) = (service for service in front.services if type(service) is kind)
    service.__class__ = broken
    hooks: tuple[list[Any], ...] = (front.on_change, front.on_restored, front.on_round, front.on_turn)
    for hook in hooks:
        hook[:] = [
            getattr(service, each.__name__) if getattr(each, "__self__", None) is service else each
            for each in hook
        ]
    front._handlers.update(service.handlers())


# --- watches ----------------------------------------------------------------------------------------------


class ForgetfulWatches(WatchService):
    def _fall_behind(self, watcher: Watcher, following: Revision) -> None:
        pass


class ForgetsWhatASlowReaderMisses(Replica):
    """E1: what a slow reader cannot be told now it is told later."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, WatchService, ForgetfulWatches)


class RepeatingWatches(WatchService):
    def restored(self) -> None:
        self._told_to -= 1
        super().restored()
        self._told_to += 1


class RepeatsAfterASnapshot(Replica):
    """E2: after a snapshot watchers go on behind the last revision of which they were told."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, WatchService, RepeatingWatches)


class DeafWatches(WatchService):
    def restored(self) -> None:
        self._told_to = self._replica.store.revision
        super().restored()


class SkipsWhatASnapshotBrings(Replica):
    """E3: what a snapshot brings is told like everything else."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, WatchService, DeafWatches)


class SplittingWatches(WatchService):
    def changed(self, fresh: Sequence[Event]) -> None:
        for event in fresh:
            super().changed([event])


class SplitsRevisions(Replica):
    """E4: what happened at one revision is told in one message."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, WatchService, SplittingWatches)


class LateWatches(WatchService):
    def _first(self, start_revision: int) -> Revision:
        return super()._first(start_revision) + (start_revision > 0)


class BeginsOneTooLate(Replica):
    """E5: who comes back with a revision is told of that revision."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, WatchService, LateWatches)


class BoastfulWatches(WatchService):
    def _all_told(self, stream: WatchStream) -> bool:
        return True


class BoastsOfProgress(Replica):
    """E6: progress is told to who has been told all, and begins no later."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, WatchService, BoastfulWatches)


class CarelessWatches(WatchService):
    def _catch_up(self, watcher: Watcher, *rest: Any) -> int:
        watcher.following = max(watcher.following, self._replica.store.flat.history.compacted)
        return super()._catch_up(watcher, *rest)


class PassesOverWhatIsCompacted(Replica):
    """E7: a watch that needs what is compacted is cancelled, and does not go on with a gap."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, WatchService, CarelessWatches)


def _confused(event: Event) -> Event:
    if event.previous is None:
        return event
    return msgspec.structs.replace(
        event, previous=msgspec.structs.replace(event.previous, value=(event.record.value or b"") + b"?")
    )


class ConfusedWatches(WatchService):
    def changed(self, fresh: Sequence[Event]) -> None:
        super().changed([_confused(event) for event in fresh])


class TellsTheWrongPast(Replica):
    """E8: what was there before is what was there before."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, WatchService, ConfusedWatches)


class HastyWatches(WatchService):
    """As it was once: found by the simulator (seed 29 of etcd-network)."""

    def _catch_up(self, watcher: Watcher, *rest: Any) -> int:
        newest = self._replica.store.revision
        if watcher.following > newest:
            watcher.following = newest + 1
        return super()._catch_up(watcher, *rest)


class BeginsBeforeItsTime(Replica):
    """E9: who begins in the future is told of nothing before it, whatever happens to its node meanwhile."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, WatchService, HastyWatches)


# --- leases -----------------------------------------------------------------------------------------------


class HastyRenewals(Renewals):
    def _confirm(self, leases: list[LeaseId], answer: Callable[[list[int] | None], None]) -> Any:
        barrier = super()._confirm([], lambda ttls_ms: None)
        table = self._replica.store.leases.table
        for lease in leases:
            self._replica.expiry.heard(lease, self._replica.now)
        answer([table[lease].ttl_ms if lease in table else 0 for lease in leases])
        return barrier


class RenewsWithoutLeading(Replica):
    """E10: a renewal counts once it is sure that who grants it still leads."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.etcd.renewals.__class__ = HastyRenewals
        self._peer_messages = self._peer_message_handlers()


class ImpatientExpiry(Expiry):
    def start(
        self, leases: Iterable[tuple[LeaseId, int]], now: Instant, plain: Iterable[tuple[LeaseId, int]] = ()
    ) -> None:
        super().start(leases, now, [(lease, ttl_ms // 4) for lease, ttl_ms in plain])


class TakesTimeFromLeases(Replica):
    """E11: a new leader gives each lease its full time, for it knows nothing of the past."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.expiry = ImpatientExpiry()


class DeafExpiry(Expiry):
    def heard(self, lease: LeaseId, now: Instant) -> None:
        if lease % 2:
            super().heard(lease, now)


class ForgetsRenewals(Replica):
    """E12: a lease that was renewed lives for its whole time from then on."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.expiry = DeafExpiry()


class KeepsWhatHungOnALease(Store):
    """E13: with a lease that expires go its keys."""

    __slots__ = ()

    def execute(self, command: Any, origin: str = "") -> Any:
        table = self.leases.table
        lease = getattr(command, "lease", None)
        if isinstance(command, ExpireLease) and lease in table:
            table[lease].flat_keys.clear()
        return super().execute(command, origin)


class KeepingRestorer(Restorer):
    def finish(self) -> Store:
        store = super().finish()
        store.__class__ = KeepsWhatHungOnALease
        return store


# --- locks and reads --------------------------------------------------------------------------------------


class HastyRows(Rows):
    def _first(self, place: Place) -> bool:
        return place.revision % 3 == 0 or super()._first(place)


class GivesALockTwice(Replica):
    """E14: a lock is had once nobody in the row is older."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        (service,) = (each for each in self.etcd.services if isinstance(each, LockService))
        service._rows.__class__ = HastyRows


class LocalKv(KvService):
    def range(self, call: Call, request: RangeRequest) -> None:
        super().range(call, msgspec.structs.replace(request, serializable=True))


class ReadsWithoutAsking(Replica):
    """E15: a read sees what was acknowledged before it, on every node."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        put_in(self, KvService, LocalKv)


MUTANTS = [
    Mutant("E1", ForgetsWhatASlowReaderMisses, Parts(replica=ForgetsWhatASlowReaderMisses), ("etcd-swarm",)),
    Mutant("E2", RepeatsAfterASnapshot, Parts(replica=RepeatsAfterASnapshot), ("left behind",)),
    Mutant("E3", SkipsWhatASnapshotBrings, Parts(replica=SkipsWhatASnapshotBrings), ("left behind",)),
    Mutant("E4", SplitsRevisions, Parts(replica=SplitsRevisions), ("etcd-swarm",)),
    Mutant("E5", BeginsOneTooLate, Parts(replica=BeginsOneTooLate), ("etcd-swarm",)),
    Mutant("E6", BoastsOfProgress, Parts(replica=BoastsOfProgress), ("etcd-swarm",)),
    Mutant("E7", PassesOverWhatIsCompacted, Parts(replica=PassesOverWhatIsCompacted), ("etcd-swarm",)),
    Mutant("E8", TellsTheWrongPast, Parts(replica=TellsTheWrongPast), ("etcd-swarm",)),
    Mutant("E9", BeginsBeforeItsTime, Parts(replica=BeginsBeforeItsTime), ("left behind",)),
    Mutant("E10", RenewsWithoutLeading, Parts(replica=RenewsWithoutLeading), ("etcd-network",)),
    Mutant("E11", TakesTimeFromLeases, Parts(replica=TakesTimeFromLeases), ("etcd-network",)),
    Mutant("E12", ForgetsRenewals, Parts(replica=ForgetsRenewals), ("etcd-swarm",)),
    Mutant(
        "E13",
        KeepsWhatHungOnALease,
        Parts(store=KeepsWhatHungOnALease, restorer=KeepingRestorer),
        ("etcd-swarm",),
    ),
    Mutant("E14", GivesALockTwice, Parts(replica=GivesALockTwice), ("etcd-swarm",)),
    Mutant("E15", ReadsWithoutAsking, Parts(replica=ReadsWithoutAsking), ("etcd-network",)),
]
