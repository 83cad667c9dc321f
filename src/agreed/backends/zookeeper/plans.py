"""A commit as one multi of ZooKeeper, and what has become of one that nobody answered.  Pure.

A multi has no "if it is not there", no "make it or change it", and checks nothing but the number of changes.
So somebody looks first (`Look`), and `plan` says with what is then known what to ask for.  Whatever it takes
from the look is checked by the server again, as a part of the multi; where that fails, one looks again.

    guard or change         where the look finds            operations
    Absent                  nothing                         Create, Delete (uppermost not there)
    Absent                  a bare node                     Check 0
    At, Stands              what it names                   Check (or the version in the change of that key)
    Put                     nothing                         Create (empty), SetData
    Put                     a bare node, no children        Delete 0, Create (empty), SetData
    Put                     a bare node with children       SetData 0, Create of `KEPT` below it
    Put                     a key                           SetData
    Delete                  nothing, or a bare node         as Absent
    Delete                  a key                           Delete (of `KEPT` before it, if that is there)

A key of ours has version 1 at least and a bare node has 0 (`tree.py`), so "Check 0" is what it seems.  What
it is not certain of: a key that is deleted, made anew and changed as many times as before, all of it between
look and multi, passes for the same one.  ZooKeeper has no check that would notice.  It cannot happen to a key
which is never made twice, as those of a line are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from agreed.backends.contract import Absent, At, Change, Delete, Guard, Put, Stands
from agreed.backends.errors import Unsupported
from agreed.backends.zookeeper.tree import Tree, above, is_bare, kept_below
from agreed.client.errors import NoChildrenForEphemerals, NotEmpty
from agreed.store.records import Acl
from agreed.wire.zookeeper.messages import (
    CheckRequest,
    CreateMode,
    CreateRequest,
    DeleteRequest,
    MultiOperation,
    Op,
    SetDataRequest,
    Stat,
)

ANY_VERSION: Final = -1


class Look(msgspec.Struct, frozen=True):
    """What was found, at which paths.  `thorough`: it saw all that was acknowledged before, and looked above
    the keys (`above`) and at `KEPT` below them.  Else parents are thought to be there."""

    found: Mapping[bytes, Stat | None]
    thorough: bool

    def key(self, path: bytes) -> Stat | None:
        """None where there is no key; a bare node is none."""
        stat = self.found[path]
        return None if stat is None or is_bare(stat) else stat

    def missing_above(self, path: bytes) -> list[bytes]:
        """The uppermost first."""
        return [each for each in reversed(list(above(path))) if self.found.get(each, True) is None]


def paths_to_look_at(
    tree: Tree, guards: Sequence[Guard], changes: Sequence[Change], thorough: bool
) -> list[bytes]:
    keys = dict.fromkeys(tree.path(each.key) for each in (*guards, *changes))
    if not thorough:
        return list(keys)
    kept = (kept_below(tree.path(each.key)) for each in changes)
    return list(dict.fromkeys([*keys, *(up for key in keys for up in above(key)), b"/", *kept]))


def holds(guard: Guard, stat: Stat | None) -> bool:
    """`stat`: of the key, None where there is none."""
    match guard:
        case Absent():
            return stat is None
        case At(_, version):
            return stat is not None and stat.modified_zxid == version
        case Stands(_, created):
            return stat is not None and stat.created_zxid == created


class Plan:
    """`operations` after `make`: in an order in which none is in the way of another."""

    def __init__(self, tree: Tree, look: Look, acl: Acl) -> None:
        self._tree = tree
        self._look = look
        self._acl = acl
        self._proofs: dict[bytes, list[MultiOperation]] = {}
        self._deletes: dict[bytes, list[MultiOperation]] = {}
        self._parents: dict[bytes, MultiOperation] = {}
        self._puts: dict[bytes, list[MultiOperation]] = {}

    @property
    def operations(self) -> tuple[MultiOperation, ...]:
        """Proofs of what must be so; then deletions from below, then creations from above."""
        groups = list(self._proofs.values())
        groups += [self._deletes[path] for path in sorted(self._deletes, key=_depth, reverse=True)]
        made = {path: [operation] for path, operation in self._parents.items()} | self._puts
        groups += [made[path] for path in sorted(made, key=_depth)]
        return tuple(operation for group in groups for operation in group)

    def make(self, guards: Sequence[Guard], changes: Sequence[Change]) -> bool:
        """False: a guard does not hold.  Raises NotEmpty, NoChildrenForEphemerals, Unsupported."""
        versions: dict[bytes, int] = {}
        for guard in guards:
            path = self._tree.path(guard.key)
            stat = self._look.key(path)
            if not holds(guard, stat):
                return False
            versions[path] = ANY_VERSION if stat is None else stat.version
        changed = {self._tree.path(each.key): each for each in changes}
        for path in versions:
            if path not in changed:
                self._prove(path)
        for path, change in changed.items():
            if isinstance(change, Delete):
                self._delete(path, versions.get(path, ANY_VERSION), changed)
            else:
                self._put(path, change, versions.get(path, ANY_VERSION))
        return True

    def _prove(self, path: bytes) -> None:
        """That there is, or is not, what was found."""
        stat = self._look.found[path]
        if stat is not None:
            self._proofs[path] = [CheckRequest(path, stat.version)]
            return
        uppermost = [*self._look.missing_above(path), path][0]
        self._proofs[uppermost] = [self._create(uppermost), DeleteRequest(uppermost, ANY_VERSION)]

    def _create(self, path: bytes, mode: CreateMode = CreateMode.PERSISTENT) -> CreateRequest:
        container = mode is CreateMode.CONTAINER
        return CreateRequest(path, b"", self._acl, mode, 0, Op.CREATE_CONTAINER if container else Op.CREATE)

    def _delete(self, path: bytes, version: int, changed: Mapping[bytes, Change]) -> None:
        stat = self._look.key(path)
        if stat is None:
            self._prove(path)
            return
        kept = kept_below(path)
        operations: list[MultiOperation] = [DeleteRequest(path, version)]
        if self._look.found.get(kept) is not None:
            operations.insert(0, DeleteRequest(kept, ANY_VERSION))
        if self._look.thorough and stat.children >= len(operations) + self._deleted_below(path, changed):
            raise NotEmpty(path.decode())
        self._deletes[path] = operations

    def _deleted_below(self, path: bytes, changed: Mapping[bytes, Change]) -> int:
        return sum(
            isinstance(change, Delete)
            and each.rpartition(b"/")[0] == path
            and self._look.key(each) is not None
            for each, change in changed.items()
        )

    def _put(self, path: bytes, put: Put, version: int) -> None:
        stat = self._look.found[path]
        if stat is not None and not is_bare(stat):
            self._puts[path] = [SetDataRequest(path, put.value, version)]
            return
        if stat is not None and stat.children:
            if put.session is not None:
                raise NoChildrenForEphemerals(path.decode())
            keep = self._create(kept_below(path))
            self._puts[path] = [SetDataRequest(path, put.value, 0), keep]
            return
        if stat is not None:
            self._deletes[path] = [DeleteRequest(path, 0)]
        for each in self._look.missing_above(path):
            self._parents[each] = self._create(each, CreateMode.CONTAINER)
        made = self._create(path, CreateMode.PERSISTENT if put.session is None else CreateMode.EPHEMERAL)
        self._puts[path] = [made, SetDataRequest(path, put.value, 0)]


def _depth(path: bytes) -> int:
    return path.count(b"/")


def session_of(changes: Sequence[Change]) -> object | None:
    """In which session what is put is made.  Raises Unsupported for more than one."""
    sessions = {id(each.session): each.session for each in changes if isinstance(each, Put) and each.session}
    if len(sessions) > 1:
        raise Unsupported("one commit cannot make keys of two sessions on ZooKeeper")
    return next(iter(sessions.values()), None)


def fate(
    tree: Tree, changes: Sequence[Change], before: Look, after: Look, seen_zxid: int, session_id: int
) -> int | bool | None:
    """What has become of a multi that was asked for and not answered.

    `after` was found when it could not be under way any more; `seen_zxid` is the newest change that was known
    when it was asked for; `session_id` is that in which alone we would have made what is put with a session,
    0 if others of us might have done so as well.  The zxid of the multi; False: it was not done; None: who
    knows."""
    if not changes:
        return False
    for change in changes:
        path = tree.path(change.key)
        old, new = before.found[path], after.found[path]
        if isinstance(change, Put):
            if _is_untouched(path, after, seen_zxid):
                return False
        elif old is not None and new is not None and old.created_zxid == new.created_zxid:
            return False
    for change in changes:
        found = after.found[tree.path(change.key)]
        ours = isinstance(change, Put) and change.session is not None and session_id != 0
        if (
            ours
            and found is not None
            and found.ephemeral_owner == session_id
            and found.created_zxid > seen_zxid
        ):
            return found.created_zxid
    return None


def _is_untouched(path: bytes, after: Look, seen_zxid: int) -> bool:
    """It was not put since: it is there as it was, or it is not there and nothing was made below its
    parent."""
    stat = after.found[path]
    if stat is not None:
        return stat.modified_zxid <= seen_zxid
    for up in (*above(path), b"/"):
        parent = after.found[up]
        if parent is not None:
            return parent.children_zxid <= seen_zxid
    return False
