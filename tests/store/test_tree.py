"""What can be read of the tree."""
from __future__ import annotations

import pytest

from agreed.store.commands import Check, Create, Delete, GrantLease, Multi, SetData
from agreed.store.machine import Store
from agreed.store.records import OPEN_ACL, READ, Permission
from agreed.store.results import MultiRefused
from agreed.store.tree import Tree, children_version, signed_32_bits
from tests.store.talk import Client, record


@pytest.fixture
def client() -> Client:
    return Client(Store())


def test_descendants_at_any_depth(client: Client) -> None:
    tree = client.store.tree
    for path in ("/a", "/a/b", "/a/b/c", "/ab"):
        client.create(path)
    assert tree.descendants(b"/a") == 2
    assert tree.descendants(b"/ab") == 0
    assert tree.descendants(b"/absent") == 0
    assert tree.descendants(b"/") == len(tree) - 1 == 7


def test_children_stand_in_the_order_in_which_they_were_made(client: Client) -> None:
    for path in ("/p", "/p/z", "/p/a", "/p/m"):
        client.create(path)
    client.delete("/p/a")
    client.create("/p/a")
    assert client.store.tree.children(b"/p") == [b"z", b"m", b"a"]
    assert client.store.tree.children(b"/p/z") == []
    assert client.store.tree.children(b"/absent") == []


def test_what_weighs_is_data(client: Client) -> None:
    client.create("/a", b"four")
    client.create("/a/b", None)
    assert client.store.tree.weigh(b"/a") == (2, 4)
    assert client.store.tree.weigh(b"/absent") == (0, 0)


def test_the_shown_version_of_children_wraps_like_an_int(client: Client) -> None:
    client.create("/a")
    client.create("/a/b")
    assert children_version(record(client.store, "/a"), 1) == 1
    assert (signed_32_bits(0x7FFF_FFFF), signed_32_bits(0x8000_0000)) == (0x7FFF_FFFF, -0x8000_0000)
    assert signed_32_bits(-1) == -1


def test_idle_keys_are_found_without_looking_at_all_the_others(client: Client) -> None:
    tree = client.store.tree
    for number in range(4):
        client.create(f"/t{number}", mode=5, ttl_ms=100 - number)
    assert [removal.path for removal in tree.idle(100)] == [b"/t3", b"/t2", b"/t1"]
    assert [removal.path for removal in tree.idle(100, limit=2)] == [b"/t3", b"/t2"]
    for name in ("/c", "/d"):
        client.create(name, mode=4)
        client.create(name + "/x")
        client.delete(name + "/x")
    assert [removal.path for removal in tree.idle(0)] == [b"/c", b"/d"]
    assert len(tree.idle(100, limit=4)) == 4


def test_access_lists_are_forgotten_when_there_were_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agreed.store.tree._INTERNED_MOST", 3)
    tree = Tree()
    lists = [(Permission(READ, "digest", f"user{number}:hash"),) for number in range(5)]
    assert [tree.intern(acl) for acl in lists] == lists
    assert len(tree.interned) <= 3
    assert tree.intern((Permission(*OPEN_ACL[0]),)) is OPEN_ACL


def test_the_size_of_the_data_is_known_without_a_walk() -> None:
    """What `mntr` tells follows every change, and an undone `Multi` leaves no trace of its own."""
    store = Store()
    store.begin(1)
    store.execute(GrantLease(7, 10_000, b"secret", ()), "n1")
    store.execute(Create(7, b"/a", b"12345", None, 0), "n1")
    store.execute(Create(7, b"/a/b", None, None, 0), "n1")
    assert store.tree.data_bytes == len(b"/a") + 5 + len(b"/a/b")
    store.execute(SetData(7, b"/a", b"1", -1), "n1")
    undone = store.execute(Multi(7, (Create(7, b"/c", b"x" * 99, None, 0), Check(7, b"/a", 77))), "n1")
    assert isinstance(undone, MultiRefused)
    assert store.tree.data_bytes == len(b"/a") + 1 + len(b"/a/b")
    store.execute(Delete(7, b"/a/b", -1), "n1")
    assert store.tree.data_bytes == len(b"/a") + 1
