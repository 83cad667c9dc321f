"""One number tells whether two members hold the same."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.store import machine, mvcc
from agreed.store.commands import Compact, DeleteRange, Put
from agreed.store.kv_hash import KvHash, kv_hash
from agreed.store.machine import Store
from agreed.store.results import Refusal


def value(store: Store, asked: int = 0, most: int = 3) -> int | Refusal:
    found = kv_hash(store.flat.history, asked, store.revision)
    if isinstance(found, Refusal):
        return found
    while not found.step(most):
        pass
    return found.value


puts = st.builds(Put, st.sampled_from((b"a", b"b", b"c")), st.sampled_from((b"", b"x")))
deletes = st.builds(DeleteRange, st.sampled_from((b"a", b"b", b"c")), st.none())
commands = st.lists(st.one_of(puts, puts, deletes), min_size=1, max_size=20)


@settings(max_examples=100)
@given(commands, commands, st.data())
def test_it_does_not_depend_on_how_much_was_swept_and_how_it_is_stepped(
    before: list[Put | DeleteRange], after: list[Put | DeleteRange], data: st.DataObject
) -> None:
    stores: list[Store] = []
    for swept in (1, 1_000):
        with (
            mock.patch.object(mvcc, "SWEPT_BY_COMPACTION", swept),
            mock.patch.object(machine, "SWEPT_PER_PAYLOAD", swept),
        ):
            store = Store()
            store.execute(Put(b"a", b""))
            for command in before:
                store.execute(command)
            if not stores:
                compacted = data.draw(st.integers(0, store.revision))
                asked = data.draw(st.integers(max(compacted, 1), store.revision))
            store.execute(Compact(compacted))
            at_once = value(store, asked)
            for command in after:
                store.begin(0)
                store.execute(command)
            assert value(store, asked, 1) == at_once, "what came later makes no difference"
            stores.append(store)
    assert value(stores[0]) == value(stores[1])
    assert value(stores[0], asked) == value(stores[1], asked)


@pytest.mark.parametrize("other", [Put(b"a", b"y"), Put(b"b", b"x"), DeleteRange(b"a", None)])
def test_whatever_differs_is_noticed(other: Put | DeleteRange) -> None:
    found = set()
    for last in (Put(b"a", b"x"), other):
        store = Store()
        for command in (Put(b"a", b"x"), last):
            store.execute(command)
        found.add(value(store))
    assert len(found) == 2


def test_what_is_asked_for_must_be_there() -> None:
    store = Store()
    for _ in range(5):
        store.execute(Put(b"k", b""))
    store.execute(Compact(3))
    assert value(store, 6) is Refusal.FUTURE_REVISION
    assert value(store, 3) is Refusal.COMPACTED
    assert value(store, 4) != value(store, 5)
    assert value(store, 5) == value(store, 0)
    hashed = kv_hash(store.flat.history, 4, store.revision)
    assert isinstance(hashed, KvHash)
    assert (hashed.compacted, hashed.revision) == (3, 4)
