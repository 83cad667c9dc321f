"""The tree as clients of etcd see it, compared with a look at every znode."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.store.commands import (
    Command,
    Compact,
    Create,
    DeleteRange,
    Guard,
    OnBehalf,
    Put,
    Range,
    Transaction,
)
from agreed.store.events import EventKind, Space
from agreed.store.machine import Store
from agreed.store.records import READ, WRITE
from agreed.store.results import RangeResult, Refusal
from agreed.store.znode_view import PREFIX, is_in_view, is_refused, read, since
from tests.store import drawn
from tests.store.talk import Client, only


@pytest.fixture
def store() -> Store:
    """Revision 1: the session.  2: /a.  3: /a/e, ephemeral.  4: /b, closed.  5: /a anew.  6: /a-b.  7: k."""
    store = Store()
    client = Client(store, 9)
    client.create("/a", b"1")
    client.create("/a/e", None, mode=1)
    client.create("/b", b"secret", only(READ | WRITE, "digest", "alice:hash"))
    client.set("/a", b"2")
    client.create("/a-b", b"")
    store.execute(Put(b"/.znodes/a", b"of the flat space, from before"))
    return store


def shown(result: object) -> list[tuple[bytes, bytes | None, int, int, int, int]]:
    assert isinstance(result, RangeResult)
    return [
        (r.key, r.value, r.create_revision, r.modify_revision, r.version, r.lease) for r in result.records
    ]


A = (b"/.znodes/a", b"2", 2, 5, 2, 0)
A_B = (b"/.znodes/a-b", b"", 6, 6, 1, 0)
E = (b"/.znodes/a/e", b"", 3, 3, 1, 9)

READS = [
    (Range(b"/.znodes/a", None), [A]),
    (Range(b"/.znodes/none", None), []),
    (Range(b"/.znodes", None), []),
    (Range(b"/.znodes/b", None), []),
    (Range(b"/.znodes/a/", b"/.znodes/a0"), [E]),
    (Range(b"/.znodes/a", b"/.znodes/b"), [A, A_B, E]),
    (Range(b"/.znodes/a", b"/.znodes/a/"), [A, A_B]),
    (Range(b"/.znodes/b", b"/.znodes/a"), []),
    (Range(b"/.znodes/a", b"/.znodes/c", 7), [A, A_B, E]),
]


@pytest.mark.parametrize(("asked", "expected"), READS)
def test_what_is_read(store: Store, asked: Range, expected: object) -> None:
    assert is_in_view(asked.key, asked.range_end)
    assert shown(read(store, asked)) == expected


def test_a_read_is_one_of_now_and_may_be_short(store: Store) -> None:
    everything = read(store, Range(b"/.znodes", b"/.znodet", limit=2))
    assert isinstance(everything, RangeResult)
    assert ([r.key for r in everything.records], everything.count, everything.more) == (
        [b"/.znodes/", b"/.znodes/a"],
        7,
        True,
    )
    assert read(store, Range(b"/.znodes/a", None, 6)) is Refusal.COMPACTED
    assert read(store, Range(b"/.znodes/a", None, 8)) is Refusal.FUTURE_REVISION


def test_what_is_watched(store: Store) -> None:
    client = Client(store, 8)
    client.delete("/a-b")
    store.execute(Compact(store.revision))
    events = since(store, 1)
    assert not isinstance(events, Refusal)
    told = [(e.revision, e.kind, e.space, e.record.key, e.previous and e.previous.value) for e in events]
    assert told == [
        (2, EventKind.CREATED, Space.FLAT, b"/.znodes/a", None),
        (3, EventKind.CREATED, Space.FLAT, b"/.znodes/a/e", None),
        (5, EventKind.CHANGED, Space.FLAT, b"/.znodes/a", b"1"),
        (6, EventKind.CREATED, Space.FLAT, b"/.znodes/a-b", None),
        (9, EventKind.DELETED, Space.FLAT, b"/.znodes/a-b", b""),
    ]
    store.feed.compacted = 4
    assert since(store, 3) is Refusal.COMPACTED


@settings(max_examples=60)
@given(drawn.tree_steps, st.sampled_from(drawn.PATHS), st.sampled_from(drawn.PATHS), st.booleans())
def test_a_range_is_all_that_lies_in_it(
    steps: list[drawn.Step], begin: bytes, end: bytes, from_prefix: bool
) -> None:
    store = Store()
    for step in drawn.GREETING + steps:
        drawn.apply(store, step)
    key, range_end = PREFIX + (b"" if from_prefix else begin), PREFIX + end
    result = read(store, Range(key, range_end))
    assert isinstance(result, RangeResult)
    expected = [
        PREFIX + path
        for path, record in store.tree.records.items()
        if key <= PREFIX + path < range_end
        and any(line.permissions & READ and line.scheme == "world" for line in record.acl)
    ]
    assert [record.key for record in result.records] == sorted(expected)


IN_VIEW = [
    (b"/.znodes", None, True),
    (b"/.znodes", b"/.znodet", True),
    (b"/.znodes/", b"/.znodes0", True),
    (b"/.znodes/", b"\0", False),
    (b"/.znodes/", b"/.znodet\0", False),
    (b"/.znode", b"/.znodet", False),
    (b"\0", b"\0", False),
    (b"a", None, False),
]


@pytest.mark.parametrize(("key", "range_end", "expected"), IN_VIEW)
def test_which_requests_are_for_the_view(key: bytes, range_end: bytes | None, expected: bool) -> None:
    assert is_in_view(key, range_end) is expected


INSIDE = Put(b"/.znodes/a", b"")

COMMANDS: list[tuple[Command, bool]] = [
    (INSIDE, True),
    (OnBehalf("u", 1, INSIDE), True),
    (Put(b"/.znode", b""), False),
    (DeleteRange(b"/.znodes/a", None), True),
    (DeleteRange(b"\0", b"\0"), False),
    (Transaction((), (), (INSIDE,)), True),
    (Transaction((), (Transaction((), (INSIDE,), ()),), ()), True),
    (Transaction((Guard(b"/.znodes/a", None, "version", "=", 0),), (), ()), True),
    (Transaction((), (Range(b"/.znodes/a", None),), ()), True),
    (Transaction((), (Put(b"k", b""),), ()), False),
    (Create(1, b"/.znodes/a", b"", None, 0), False),
]


@pytest.mark.parametrize(("command", "expected"), COMMANDS)
def test_what_is_refused(command: Command, expected: bool) -> None:
    assert is_refused(command) is expected
