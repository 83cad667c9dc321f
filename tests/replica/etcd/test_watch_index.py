"""The index of watchers says what looking at every single one would say."""

from __future__ import annotations

import random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.replica.etcd.watch_index import WatchIndex, _Node
from agreed.store.ranges import FROM_KEY_ON, contains


class Watcher(NamedTuple):
    key: bytes
    range_end: bytes | None
    number: int = 0


KEYS = st.binary(max_size=3).filter(bool)
RANGES = st.one_of(
    st.builds(Watcher, KEYS, st.none(), st.integers(0, 3)),
    st.builds(Watcher, KEYS, st.just(FROM_KEY_ON), st.integers(0, 3)),
    st.builds(Watcher, KEYS, KEYS, st.integers(0, 3)).filter(
        lambda watcher: watcher.range_end is not None and watcher.key < watcher.range_end
    ),
)


def index() -> WatchIndex[Watcher]:
    return WatchIndex(random.Random(1).randbytes)


@settings(max_examples=150)
@given(st.lists(RANGES, max_size=40, unique=True), st.lists(KEYS, max_size=10), st.randoms())
def test_everybody_who_watches_a_key_is_found_once(
    watchers: list[Watcher], keys: list[bytes], dice: random.Random
) -> None:
    tried = index()
    there: set[Watcher] = set()
    for watcher in watchers:
        tried.add(watcher)
        there.add(watcher)
        if dice.random() < 0.4:
            gone = dice.choice(sorted(there, key=repr))
            there.remove(gone)
            tried.remove(gone)
        for key in (*keys, watcher.key):
            found = tried.at(key)
            assert len(found) == len(set(found))
            assert set(found) == {each for each in there if contains(each.key, each.range_end, key)}
    assert len(tried) == len(there)
    assert set(tried.clear()) == there
    assert len(tried) == 0
    assert all(not tried.at(key) for key in keys)


def depth(node: _Node[Watcher] | None) -> int:
    return 0 if node is None else 1 + max(depth(node.left), depth(node.right))


def looked_at(tried: WatchIndex[Watcher], key: bytes) -> int:
    """How many nodes a look at this key visits."""
    count = 0
    waiting = [tried._root]
    while waiting:
        node = waiting.pop()
        if node is None or node.reach <= key:
            continue
        count += 1
        waiting += [node.left, node.right] if node.start <= key else [node.left]
    return count


def test_ten_thousand_prefixes_in_order_make_no_list_of_the_tree() -> None:
    tried = index()
    watchers = [Watcher(b"/%05d/" % number, b"/%05d0" % number) for number in range(10_000)]
    for watcher in watchers:
        tried.add(watcher)
    assert depth(tried._root) < 60
    assert tried.at(b"/07777/x") == [watchers[7_777]]
    assert looked_at(tried, b"/07777/x") < 60
    for watcher in watchers[1:]:
        tried.remove(watcher)
    assert depth(tried._root) == 1


def test_ranges_that_are_alike_are_one() -> None:
    tried = index()
    for number in range(1_000):
        tried.add(Watcher(b"a", b"b", number))
    assert depth(tried._root) == 1
    assert len(tried.at(b"ab")) == 1_000
