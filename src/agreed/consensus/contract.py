"""What every consensus protocol here promises, whatever its name: checked from outside, effects alone.

    uniform agreement   no two nodes ever say that different entries are committed at one index, not even a
                        node that crashes right after
    integrity           a node commits each index once in a life, in order, without gaps
    validity            a committed payload was proposed by somebody
    durable promises    serials of saves grow by one, and the entries of a save are consecutive
    read freshness      a read index is at least what anybody had committed when the read was asked for
    one answer          each read ticket is answered once at most, and nobody answers what was not asked

`Contract` is fed by whoever drives the machines.  It raises `ContractBroken`, an AssertionError whose message
begins with the name of the property.
"""
from __future__ import annotations

from agreed.consensus.machine import Effects, Entry, EntryKind
from agreed.types import Index, NodeId


class ContractBroken(AssertionError):
    """A protocol broke its word."""


class Contract:
    def __init__(self) -> None:
        self.agreed: dict[Index, Entry] = {}
        """All that was ever committed by anybody."""
        self.highest: Index = 0
        self._proposed: set[bytes] = set()
        self._next: dict[NodeId, Index] = {}
        self._serial: dict[NodeId, int] = {}
        self._reads: dict[NodeId, dict[int, Index]] = {}

    def started(self, node: NodeId, applied: Index) -> None:
        """A life of this node begins with a store that holds everything up to `applied`."""
        self._next[node] = applied + 1
        self._serial[node] = 0
        self._reads[node] = {}

    def restored(self, node: NodeId, applied: Index) -> None:
        """The node's store was replaced by a snapshot."""
        self._next[node] = applied + 1

    def proposed(self, payload: bytes) -> None:
        self._proposed.add(payload)

    def read_requested(self, node: NodeId, ticket: int) -> None:
        self._reads[node][ticket] = self.highest

    def unanswered(self, node: NodeId) -> int:
        """How many reads of this life wait still."""
        return len(self._reads[node])

    def check(self, node: NodeId, effects: Effects) -> None:
        """These effects were taken from the node's machine."""
        self._check_save(node, effects)
        # Reads first: what is committed in the same turn was not yet known to anybody who asked.
        for ready in effects.reads:
            least = self._reads[node].pop(ready.ticket, None)
            if least is None:
                raise ContractBroken(f"one answer: {node} answered read {ready.ticket} again or unasked")
            if ready.index is not None and ready.index < least:
                raise ContractBroken(
                    f"read freshness: {node} answers at {ready.index} what was asked after {least} was agreed"
                )
        for entry in effects.commit:
            self._check_commit(node, entry)

    def _check_save(self, node: NodeId, effects: Effects) -> None:
        save = effects.save
        if save is None:
            return
        if save.serial != self._serial[node] + 1:
            raise ContractBroken(f"durable promises: {node} saves #{save.serial} after #{self._serial[node]}")
        self._serial[node] = save.serial
        indexes = [entry.index for entry in save.entries]
        if indexes and indexes != list(range(indexes[0], indexes[0] + len(indexes))):
            raise ContractBroken(f"durable promises: {node} saves {indexes}")

    def _check_commit(self, node: NodeId, entry: Entry) -> None:
        if entry.index != self._next[node]:
            raise ContractBroken(f"integrity: {node} commits {entry.index}, expected {self._next[node]}")
        self._next[node] += 1
        known = self.agreed.setdefault(entry.index, entry)
        if known != entry:
            raise ContractBroken(f"uniform agreement: {node} commits {entry}, somebody else {known}")
        if entry.kind == EntryKind.PAYLOAD and entry.payload not in self._proposed:
            raise ContractBroken(f"validity: nobody proposed {entry.payload!r}")
        self.highest = max(self.highest, entry.index)
