"""The mutants that are stores: all nodes have the same one, so that they agree with each other in being
wrong."""
from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agreed.replica.replica import Replica
from agreed.replica.snapshots import SnapshotIn
from agreed.sim.parts import Parts
from agreed.store.commands import AttachLease, Batch, Command, ExpireLease, SetData
from agreed.store.machine import Restorer, Store
from agreed.store.paths import parent_of
from agreed.store.results import Changed, Result
from agreed.store.snapshot import Reader
from agreed.store.tree_commands import remove_key
from agreed.types import NodeId
from tests.sim.mutants.mutant import Mutant


class LosesItsPromises(Restorer):
    """R32: which commands were done is part of the state, and of every snapshot."""

    def finish(self) -> Store:
        store = super().finish()
        store.once.table.clear()
        return store


class KnowsClientsAndNoRequests(Store):
    """R33: what was done before is told by the number of the request, not by who asks."""

    __slots__ = ()

    def admit(self, batch: Batch) -> int:
        known = self.once.table.get(batch.origin)
        skip = super().admit(batch)
        if known is not None and known.life == batch.life and batch.first <= known.next:
            for command in batch.commands[:skip]:
                self.execute(command, batch.origin)
        return skip


class DropsAWrite(Store):
    """C1: what is acknowledged was done."""

    __slots__ = ()

    def execute(self, command: Command, origin: NodeId = "") -> Result:
        if not isinstance(command, SetData) or self.revision % 23:
            return super().execute(command, origin)
        before = self.tree.records.get(command.path)
        lease = self.leases.table.get(command.lease)
        if before is None or lease is None or lease.owner != origin:
            return super().execute(command, origin)
        if command.version not in (-1, before.version):
            return super().execute(command, origin)
        self.revision += 1
        version = before.version + 1
        return Changed(replace(before, value=command.data, version=version, modify_revision=self.revision), 0)


class DoesItTwice(Store):
    """C3: each command has its effect once."""

    __slots__ = ()

    def execute(self, command: Command, origin: NodeId = "") -> Result:
        result = super().execute(command, origin)
        if isinstance(command, SetData) and isinstance(result, Changed) and self.revision % 29 == 0:
            super().execute(replace(command, version=-1), origin)
        return result


class TakesTheLockFromWhoMoves(Store):
    """C6: a lock is its holder's until its session ends, on whichever node its client turns up."""

    __slots__ = ()

    def execute(self, command: Command, origin: NodeId = "") -> Result:
        result = super().execute(command, origin)
        if isinstance(command, AttachLease):
            lease = self.leases.table.get(command.lease)
            paths = sorted(lease.tree_keys) if lease is not None else []
            for path in [path for path in paths if path.startswith(b"/lock/")]:
                records = self.tree.records
                remove_key(self, records[path], records[parent_of(path)], self.revision)
                assert lease is not None
                lease.tree_keys.pop(path, None)
        return result


class KeepsWhatHungOnASession(Store):
    """C7: with a session that expires go its ephemeral nodes."""

    __slots__ = ()

    def execute(self, command: Command, origin: NodeId = "") -> Result:
        if not isinstance(command, ExpireLease):
            return super().execute(command, origin)
        lease = self.leases.table.get(command.lease)
        kept = list(lease.tree_keys) if lease is not None else []
        for path in kept:
            record = self.tree.records[path]
            self.tree.records[path] = replace(record, lease=0)
            assert lease is not None
            del lease.tree_keys[path]
        result = super().execute(command, origin)
        known = self.leases.table.get(command.lease)
        for path in kept if known is not None else []:
            self.tree.records[path] = replace(self.tree.records[path], lease=command.lease)
            known.tree_keys[path] = None  # type: ignore[union-attr]
        return result


def everywhere(store: type[Store], restorer: type[Restorer] | None = None) -> Parts:
    """This store in every place in which a node makes one."""
    base = restorer or Restorer

    class Restoring(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self._store = store()
            self._reader = Reader(self._store)

    class TakingOver(SnapshotIn):
        def feed(self, piece: bytes) -> None:
            if self._restorer is None:
                self._restorer = Restoring()
            super().feed(piece)

    class Changed(Replica):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.snapshots._in = TakingOver()

    return Parts(store=store, restorer=Restoring, replica=Changed)


MUTANTS = [
    Mutant("R32", LosesItsPromises, everywhere(Store, LosesItsPromises), ("swarm", "network")),
    Mutant("R33", KnowsClientsAndNoRequests, everywhere(KnowsClientsAndNoRequests), ("network", "swarm")),
    Mutant("C1", DropsAWrite, everywhere(DropsAWrite)),
    Mutant("C3", DoesItTwice, everywhere(DoesItTwice)),
    Mutant("C6", TakesTheLockFromWhoMoves, everywhere(TakesTheLockFromWhoMoves), ("network", "swarm")),
    Mutant("C7", KeepsWhatHungOnASession, everywhere(KeepsWhatHungOnASession)),
]
