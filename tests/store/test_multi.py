"""All or none, and later operations see the earlier ones."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.store.commands import Check, Create, Delete, Multi, SetData
from agreed.store.invariants import check
from agreed.store.machine import Store
from agreed.store.records import ALL
from agreed.store.results import Changed, Created, Done, MultiDone, MultiRefused, Refusal
from tests.store import drawn
from tests.store.talk import Client, only, record


@pytest.fixture
def client() -> Client:
    return Client(Store())


def create(path: str, mode: int = 0) -> Create:
    return Create(0, path.encode(), b"", None, mode)


def test_each_operation_sees_what_the_ones_before_it_did(client: Client) -> None:
    result = client.multi(
        create("/m"), SetData(0, b"/m", b"z", 0), Check(0, b"/m", 1), Delete(0, b"/m", -1), create("/m")
    )
    assert isinstance(result, MultiDone)
    assert [type(one) for one in result.results] == [Created, Changed, Done, Done, Created]
    found = record(client.store, "/m")
    assert (found.version, found.create_revision, client.store.revision) == (0, 2, 2)
    assert {event.revision for event in client.store.fresh} == {2}


def test_sequence_numbers_advance_inside(client: Client) -> None:
    client.create("/p")
    result = client.multi(create("/p/s-", 2), create("/p/x"), Delete(0, b"/p/x", -1), create("/p/s-", 3))
    assert isinstance(result, MultiDone)
    made = [one.record.key for one in result.results if isinstance(one, Created)]
    assert made == [b"/p/s-0000000000", b"/p/x", b"/p/s-0000000002"]


def test_an_ephemeral_key_belongs_to_the_session_of_the_multi(client: Client) -> None:
    client.multi(create("/e", 1))
    assert record(client.store, "/e").lease == client.lease
    client.close()
    assert client.store.tree.get(b"/e") is None


def test_the_first_that_fails_is_named_and_nothing_is_left_of_those_before_it(client: Client) -> None:
    client.create("/keep", b"old")
    before = snapshot(client.store)
    client.store.fresh.clear()
    set_it, delete_it = SetData(0, b"/keep", b"", -1), Delete(0, b"/keep", -1)
    result = client.multi(create("/new"), set_it, delete_it, Check(0, b"/keep", -1), create("bad"))
    assert result == MultiRefused(3, Refusal.NO_KEY)
    assert snapshot(client.store) == before
    assert client.store.fresh == []
    assert client.store.revision == 3
    assert client.made("/next-", mode=2) == "/next-0000000001", "the undone creation used up no number"


def test_an_empty_one_is_fine(client: Client) -> None:
    assert client.multi() == MultiDone(())
    assert client.store.revision == 2


def test_a_key_that_was_taken_out_and_put_back_stands_where_it_stood(client: Client) -> None:
    for path in ("/a", "/a/x", "/b"):
        client.create(path)
    order = list(client.store.tree.records)
    deletions = (Delete(0, b"/a/x", -1), Delete(0, b"/a", -1))
    client.multi(*deletions, create("/a"), create("/a/y"), Check(0, b"/no", -1))
    assert list(client.store.tree.records) == order
    assert client.store.tree.children(b"/a") == [b"x"]


def test_a_path_that_is_none_takes_nobody_elses_child(client: Client) -> None:
    """`a` and `//a` are not below the root, though cut at their last slash they look like it."""
    client.create("/a")
    for path in ("a", "//a"):
        assert client.multi(create(path)) == MultiRefused(0, Refusal.BAD_ARGUMENTS)
        assert client.store.tree.children(b"/") == [b"zookeeper", b"a"]


def test_quotas_are_put_back_too(client: Client) -> None:
    client.create("/a")
    client.create("/zookeeper/quota/a")
    client.create("/zookeeper/quota/a/zookeeper_stats")
    before = snapshot(client.store)
    client.multi(
        Create(0, b"/zookeeper/quota/a/zookeeper_limits", b"countHardLimit=3", None, 0),
        create("/a/b"),
        create("/a/c"),
        create("/a/d"),
    )
    assert snapshot(client.store) == before
    assert client.store.tree.quotas.table == {}


def test_what_hangs_on_the_session_is_put_back_too(client: Client) -> None:
    client.create("/old", mode=1)
    client.multi(Delete(0, b"/old", -1), create("/new", 1), Check(0, b"/absent", -1))
    assert client.store.leases.ephemerals(client.lease) == [b"/old"]
    client.close()
    assert client.store.tree.get(b"/old") is None


def test_access_is_asked_as_it_is_at_that_moment(client: Client) -> None:
    locked = Create(0, b"/locked", b"", only(ALL, "digest", "a:b"), 0)
    assert client.multi(locked, create("/locked/x")) == MultiRefused(1, Refusal.NOT_ALLOWED)
    assert client.store.tree.get(b"/locked") is None


def snapshot(store: Store) -> list[object]:
    """Everything but the revision."""
    header, *rest = [msgspec.msgpack.decode(piece) for piece in store.capture().pieces()]
    header[2] = "the revision"
    return [header, *rest]


@settings(max_examples=150)
@given(drawn.tree_steps, st.lists(drawn.operations, max_size=6))
def test_a_failed_multi_changes_nothing_but_the_revision(
    steps: list[drawn.Step], operations: list[Create | SetData | Delete | Check]
) -> None:
    store = Store()
    for step in drawn.GREETING + steps:
        drawn.apply(store, step)
    store.execute(drawn.GREETING[0][2], "n1")
    fresh, fed, revision = len(store.fresh), len(store.feed.events), store.revision
    before = snapshot(store)
    idle = store.tree.idle(store.stamp_ms + 1_000)
    result = store.execute(Multi(1, (*operations, Check(1, b"/absent", -1))), "n1")
    if isinstance(result, Refusal):
        assert result is Refusal.LEASE_MOVED
    else:
        assert isinstance(result, MultiRefused)
    assert store.revision == revision + 1
    assert snapshot(store) == before
    assert (len(store.fresh), len(store.feed.events)) == (fresh, fed)
    assert sorted(store.tree.idle(store.stamp_ms + 1_000), key=str) == sorted(idle, key=str)
    check(store)
