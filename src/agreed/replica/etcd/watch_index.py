"""Who watches this key?  Every change asks, so the answer must not cost more where there are more watchers.

    one key             a dict: as many watchers as one likes cost one look
    key to range_end    a treap over the different ranges, each node knowing how far any range below it
                        reaches: some twenty steps for ten thousand ranges, and one more for each that is hit
    key and all after   sorted by key: all up to the key that changed are hit, and no others are looked at

Watchers of the same range share one node.  The treap's priorities are dice of the node, not a hash of the
keys: whoever could choose them would make a list of the tree, and every change would walk all of it.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from sortedcontainers import SortedDict

from agreed.store.ranges import FROM_KEY_ON


class Ranged(Protocol):
    """A watcher: `range_end` None is one key, a zero byte everything from `key` on."""

    @property
    def key(self) -> bytes: ...

    @property
    def range_end(self) -> bytes | None: ...


W = TypeVar("W", bound=Ranged)


class _Node(Generic[W]):
    """All watchers of [start, end); `reach` is the largest end in this subtree."""

    __slots__ = ("end", "left", "priority", "reach", "right", "start", "watchers")

    def __init__(self, start: bytes, end: bytes, priority: bytes) -> None:
        self.start = start
        self.end = self.reach = end
        self.priority = priority
        self.watchers: dict[W, None] = {}
        self.left: _Node[W] | None = None
        self.right: _Node[W] | None = None


class WatchIndex(Generic[W]):
    """`dice(size)` gives random bytes."""

    def __init__(self, dice: Callable[[int], bytes]) -> None:
        self._dice = dice
        self._single: dict[bytes, dict[W, None]] = {}
        self._ranges: dict[tuple[bytes, bytes], _Node[W]] = {}
        self._root: _Node[W] | None = None
        self._onward: SortedDict[bytes, dict[W, None]] = SortedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, watcher: W) -> None:
        """A watcher that is not there; an empty range is nobody's."""
        key, end = watcher.key, watcher.range_end
        self._count += 1
        if end is None:
            self._single.setdefault(key, {})[watcher] = None
        elif end == FROM_KEY_ON:
            self._onward.setdefault(key, {})[watcher] = None
        else:
            assert key < end, "an empty range"
            node = self._ranges.get((key, end))
            if node is None:
                node = self._ranges[key, end] = _Node(key, end, self._dice(8))
                self._root = _insert(self._root, node)
            node.watchers[watcher] = None

    def remove(self, watcher: W) -> None:
        """A watcher that is there."""
        key, end = watcher.key, watcher.range_end
        self._count -= 1
        if end is None:
            _take(self._single, key, watcher)
        elif end == FROM_KEY_ON:
            _take(self._onward, key, watcher)
        else:
            node = self._ranges[key, end]
            del node.watchers[watcher]
            if not node.watchers:
                del self._ranges[key, end]
                self._root = _remove(self._root, node)

    def clear(self) -> list[W]:
        """Takes all out."""
        watchers = [watcher for found in self._single.values() for watcher in found]
        watchers += [watcher for node in self._ranges.values() for watcher in node.watchers]
        watchers += [watcher for found in self._onward.values() for watcher in found]
        self._single, self._ranges, self._root, self._count = {}, {}, None, 0
        self._onward.clear()
        return watchers

    def at(self, key: bytes) -> list[W]:
        """Everybody who watches this key, in a new list."""
        found = self._single.get(key)
        hit = [] if found is None else list(found)
        if self._root is not None:
            _stab(self._root, key, hit)
        if self._onward:
            for start in self._onward.irange(maximum=key):
                hit += self._onward[start]
        return hit


def _take(table: dict[bytes, dict[W, None]], key: bytes, watcher: W) -> None:
    watchers = table[key]
    del watchers[watcher]
    if not watchers:
        del table[key]


# --- the treap: by (start, end) a search tree, by priority a heap ------------------------------------------


def _stab(root: _Node[W], key: bytes, hit: list[W]) -> None:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.left is not None and node.left.reach > key:
            waiting.append(node.left)
        if node.start <= key:
            if key < node.end:
                hit += node.watchers
            if node.right is not None and node.right.reach > key:
                waiting.append(node.right)


def _reached(node: _Node[W]) -> _Node[W]:
    reach = node.end
    if node.left is not None and node.left.reach > reach:
        reach = node.left.reach
    if node.right is not None and node.right.reach > reach:
        reach = node.right.reach
    node.reach = reach
    return node


def _insert(node: _Node[W] | None, new: _Node[W]) -> _Node[W]:
    if node is None:
        return new
    if new.priority > node.priority:
        new.left, new.right = _split(node, new)
        return _reached(new)
    if (new.start, new.end) < (node.start, node.end):
        node.left = _insert(node.left, new)
    else:
        node.right = _insert(node.right, new)
    return _reached(node)


def _split(node: _Node[W] | None, at: _Node[W]) -> tuple[_Node[W] | None, _Node[W] | None]:
    """What stands before `at`, and what after it."""
    if node is None:
        return None, None
    if (node.start, node.end) < (at.start, at.end):
        node.right, after = _split(node.right, at)
        return _reached(node), after
    before, node.left = _split(node.left, at)
    return before, _reached(node)


def _remove(node: _Node[W] | None, gone: _Node[W]) -> _Node[W] | None:
    assert node is not None, "only what is there is removed"
    if node is gone:
        return _joined(node.left, node.right)
    if (gone.start, gone.end) < (node.start, node.end):
        node.left = _remove(node.left, gone)
    else:
        node.right = _remove(node.right, gone)
    return _reached(node)


def _joined(before: _Node[W] | None, after: _Node[W] | None) -> _Node[W] | None:
    if before is None:
        return after
    if after is None:
        return before
    if before.priority > after.priority:
        before.right = _joined(before.right, after)
        return _reached(before)
    after.left = _joined(before, after.left)
    return _reached(after)
