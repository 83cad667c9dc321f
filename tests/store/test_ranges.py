"""Ranges of keys."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sortedcontainers import SortedList

from agreed.store.ranges import FROM_KEY_ON, contains, keys_in, prefix_end

keys = st.binary(min_size=1, max_size=3)
ends = st.one_of(st.none(), st.just(FROM_KEY_ON), keys)


@given(st.lists(keys, max_size=8), keys, ends)
def test_the_keys_of_a_range_are_those_it_contains(some: list[bytes], key: bytes, end: bytes | None) -> None:
    everything = SortedList(set(some))
    assert list(keys_in(everything, key, end)) == [one for one in everything if contains(key, end, one)]


def test_what_lies_where() -> None:
    assert contains(b"k", None, b"k")
    assert not contains(b"k", None, b"k1")
    assert contains(b"k", b"l", b"k")
    assert contains(b"k", b"l", b"k\xff")
    assert not contains(b"k", b"l", b"l")
    assert contains(b"k", FROM_KEY_ON, b"\xff")
    assert not contains(b"k", FROM_KEY_ON, b"j")
    assert not contains(b"k", b"a", b"k")


@given(keys, keys)
def test_a_prefix_is_a_range(prefix: bytes, key: bytes) -> None:
    assert contains(prefix, prefix_end(prefix), key) == key.startswith(prefix)


def test_the_end_of_a_prefix_drops_what_cannot_grow() -> None:
    assert prefix_end(b"a") == b"b"
    assert prefix_end(b"a\xff") == b"b"
    assert prefix_end(b"\xff\xff") == FROM_KEY_ON
