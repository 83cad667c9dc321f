"""`Multi`: several operations on the tree at one revision, all or none.

Operations are done one after the other on the tree itself, each with its own guards, so that later ones see
the earlier ones.  When one is refused, everything is put back *exactly*: the state of the store, to the byte
of a snapshot, is as if nothing but the revision had been consumed.

Two things make that cheap.  Before an operation its paths are looked up, and the first record seen of each
path is
remembered: records are immutable, so putting the old one back undoes whatever was done to it.  And the place
of a deleted record in the dict is kept until the end (`Tree.deferred`), because the order of that dict is the
order of
snapshots: a key which is taken out and put back must stand where it stood.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agreed.store.commands import Check, Create, Delete, Multi, SetData
from agreed.store.paths import ROOT, name_of, parent_of
from agreed.store.quota import Quota, stats_path
from agreed.store.records import Record
from agreed.store.results import Changed, Created, Done, MultiDone, MultiRefused, Refusal
from agreed.store.state import State
from agreed.store.tree_commands import check_key, create_key, delete_key, session_refusal, set_key
from agreed.types import NodeId

_STEPS: Final[dict[type, Callable[..., Any]]] = {
    Create: create_key,
    SetData: set_key,
    Delete: delete_key,
    Check: check_key,
}


def multi(state: State, command: Multi, origin: NodeId) -> MultiDone | MultiRefused | Refusal:
    """All operations are those of the session `command.lease`; the leases within them are not looked at."""
    revision = state.revision = state.revision + 1
    lease = state.leases.table.get(command.lease)
    if lease is None or lease.owner != origin:
        return session_refusal(lease)
    undo = _Undo(state)
    results: list[Created | Changed | Done] = []
    for position, operation in enumerate(command.operations):
        undo.remember(operation.path)
        result = _STEPS[type(operation)](state, lease, operation, revision)
        if type(result) is Refusal:
            undo.undo()
            return MultiRefused(position, result)
        if type(result) is Created:
            undo.note_created(result.record.key)
        results.append(result)
    undo.keep()
    return MultiDone(tuple(results))


class _Undo:
    """What the touched paths held before, and how to get back there."""

    __slots__ = ("before", "data_bytes", "fed", "fresh", "quotas", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.before: dict[bytes, Record | None] = {}
        self.quotas: dict[bytes, Quota] = state.tree.quotas.table.copy()
        self.data_bytes = state.tree.data_bytes
        self.fresh = len(state.fresh)
        self.fed = len(state.feed.events)
        state.tree.deferred = []

    def remember(self, path: bytes) -> None:
        """The operation about to be done touches `path`, its parent, and what is counted for its quotas."""
        self._remember(path)
        quotas = self.state.tree.quotas
        if self._remember(path[: path.rfind(b"/")] or ROOT) and quotas.table:
            for bound in quotas.enclosing(path):
                self._remember(stats_path(bound))

    def _remember(self, path: bytes) -> bool:
        """Whether it is there; else there is nothing to remember, and `path` may not even be a path."""
        record = self.state.tree.records.get(path)
        if record is not None:
            self.before.setdefault(path, record)
        return record is not None

    def note_created(self, path: bytes) -> None:
        """The key was absent, unless it is remembered already."""
        self.before.setdefault(path, None)

    def keep(self) -> None:
        """It is done: the places of the deleted records are given up."""
        tree = self.state.tree
        for path in tree.deferred or ():
            if path in tree.records and tree.records.get(path) is None:
                del tree.records[path]
        tree.deferred = None

    def undo(self) -> None:
        state = self.state
        tree = state.tree
        self._detach()
        for path, record in self.before.items():
            if record is not None:
                tree.records[path] = record
            else:
                tree.records.pop(path, None)
        self._attach()
        tree.deferred = None
        tree.quotas.table = self.quotas
        tree.data_bytes = self.data_bytes
        del state.fresh[self.fresh :]
        del state.feed.events[self.fed :]

    def _detach(self) -> None:
        """Takes what stands at the touched paths now out of leases and out of the lists of idle keys."""
        tree = self.state.tree
        for path in self.before:
            record = tree.records.get(path)
            if record is not None:
                if record.lease:
                    self.state.leases.table[record.lease].tree_keys.pop(path, None)
                if record.flags:
                    tree.forget_idle(record)

    def _attach(self) -> None:
        """The reverse, for what stands there again; and the sets of children, which versions of a record
        share."""
        tree = self.state.tree
        for path, record in self.before.items():
            parent = tree.records.get(parent_of(path)) if path != ROOT else None
            if parent is not None and parent.children is not None:
                if record is not None:
                    parent.children[name_of(path)] = None
                else:
                    parent.children.pop(name_of(path), None)
        for record in self.before.values():
            if record is not None:
                if record.lease:
                    self.state.leases.table[record.lease].tree_keys[record.key] = None
                if record.flags:
                    tree.note_idle(record)
