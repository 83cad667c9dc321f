"""Quotas on subtrees, as ZooKeeper keeps them: under /zookeeper/quota, in plain keys that clients write.

    /zookeeper/quota<path>/zookeeper_limits    count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=3
    /zookeeper/quota<path>/zookeeper_stats     count=2,bytes=17        (kept by the store, the path itself
    included)

A quota is in force while its limits key exists.  What is used is counted here in numbers, and written into
the stats key (without a new version, revision or event) whenever it changes.

The rules are part of the state machine, hence the same on every node, and there is no switch: the hard limits
always bind, the soft ones (`count`, `bytes`) never do, since all a ZooKeeper server does about them is to
log.  As there, a quota without a stats key does not bind, and of nested quotas the nearest one decides.
Other than there, enclosing quotas go on counting what is below a nested one (so that what is counted is
always what a recount would find), operations of one transaction see each other's use, and /zookeeper and what
is below it cannot have a quota.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from agreed.store.records import Record

if TYPE_CHECKING:
    from agreed.store.tree import Tree

QUOTA_PREFIX: Final = b"/zookeeper/quota/"
LIMITS_NAME: Final = b"zookeeper_limits"
STATS_NAME: Final = b"zookeeper_stats"

_QUOTA_ROOT: Final = QUOTA_PREFIX[:-1]
_SEPARATORS = re.compile(rb"[,;]+")


class Quota(msgspec.Struct, frozen=True, gc=False):
    """What is used below a path, and what may be at most (-1: no limit)."""

    count: int
    bytes: int
    count_limit: int
    bytes_limit: int


class Quotas:
    """The quotas in force, by the path they bind."""

    __slots__ = ("table", "tree")

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.table: dict[bytes, Quota] = {}

    def enclosing(self, path: bytes) -> Iterator[bytes]:
        """The paths with a quota that bind `path`, the nearest first."""
        while len(path) > 1:
            if path in self.table:
                yield path
            path = path[: path.rfind(b"/")]

    def exceeded(self, path: bytes, count: int, size: int) -> bool:
        """Whether `count` more keys and `size` more bytes at `path` would break the hard limit that binds
        it."""
        nearest = next(self.enclosing(path), None)
        if nearest is None or self.tree.records.get(stats_path(nearest)) is None:
            return False
        quota = self.table[nearest]
        return (count != 0 and -1 < quota.count_limit < quota.count + count) or (
            size != 0 and -1 < quota.bytes_limit < quota.bytes + size
        )

    def created(self, record: Record) -> None:
        """Takes note of a key that was just put into the tree."""
        self._count(record.key, 1, _size(record))
        bound = _bound_by(record.key, LIMITS_NAME)
        if bound is not None:
            self.set_limits(bound, record.value)
        bound = _bound_by(record.key, STATS_NAME)
        if bound is not None:
            quota = self.table.get(bound)
            used = (quota.count, quota.bytes) if quota is not None else self.tree.weigh(bound)
            self._show(bound, *used)

    def changed(self, record: Record, previous: Record) -> None:
        """Takes note of new data."""
        growth = _size(record) - _size(previous)
        if growth:
            self._count(record.key, 0, growth)
        bound = _bound_by(record.key, LIMITS_NAME)
        if bound is not None:
            self.set_limits(bound, record.value)

    def deleted(self, record: Record) -> None:
        """Takes note of a key that was just taken out of the tree."""
        self._count(record.key, -1, -_size(record))
        bound = _bound_by(record.key, LIMITS_NAME)
        if bound is not None:
            self.table.pop(bound, None)

    def set_limits(self, bound: bytes, text: bytes | None) -> None:
        """A quota comes into force, or has new limits."""
        limits = read_limits(text)
        quota = self.table.get(bound)
        count, size = self.tree.weigh(bound) if quota is None else (quota.count, quota.bytes)
        self.table[bound] = Quota(
            count, size, limits.get(b"countHardLimit", -1), limits.get(b"byteHardLimit", -1)
        )

    def _count(self, path: bytes, count: int, size: int) -> None:
        for bound in self.enclosing(path):
            quota = self.table[bound]
            used = (quota.count + count, quota.bytes + size)
            self.table[bound] = Quota(*used, quota.count_limit, quota.bytes_limit)
            self._show(bound, *used)

    def _show(self, bound: bytes, count: int, size: int) -> None:
        path = stats_path(bound)
        record = self.tree.records.get(path)
        if record is not None:
            self.tree.records[path] = msgspec.structs.replace(record, value=b"count=%d,bytes=%d" % (count,
            size))


def stats_path(bound: bytes) -> bytes:
    """Where the use of a path that has a quota is shown."""
    return _QUOTA_ROOT + bound + b"/" + STATS_NAME


def limits_bound(path: bytes) -> bytes | None:
    """The path that is bound by the limits key at `path`, None if it is not one."""
    return _bound_by(path, LIMITS_NAME)


def read_limits(text: bytes | None) -> dict[bytes, int]:
    """`count=5,bytes=-1=;countHardLimit=3` as numbers.  What cannot be read is left out: no limit."""
    limits = {}
    for pair in _SEPARATORS.split(text or b""):
        name, _, number = pair.partition(b"=")
        number = number.partition(b"=")[0].strip()
        # Java's longs have 19 digits at most.  And `int` raises for thousands of digits: a client may write
        # them, and no node may die of it.
        if number.removeprefix(b"-").isdigit() and len(number) <= 19:
            limits[name.strip()] = int(number)
    return limits


def _bound_by(path: bytes, name: bytes) -> bytes | None:
    if not path.startswith(QUOTA_PREFIX) or not path.endswith(b"/" + name):
        return None
    bound = path[len(_QUOTA_ROOT) : -len(name) - 1]
    if not bound or bound == b"/zookeeper" or bound.startswith(b"/zookeeper/"):
        return None
    return bound


def _size(record: Record) -> int:
    return len(record.value) if record.value is not None else 0
