"""Znodes watched by etcd clients, where the view is on: each change at its revision, in order, once."""

from __future__ import annotations

import pytest

from agreed.replica.settings import Settings
from agreed.store.records import OPEN_ACL, Permission
from agreed.wire.etcd.messages import FilterType
from agreed.wire.zookeeper.messages import (
    CreateMode,
    CreateRequest,
    DeleteRequest,
    MultiRequest,
    SetDataRequest,
)
from tests.replica.alone import Alone
from tests.replica.alone import Client as ZooKeeperClient
from tests.replica.etcd.watch_client import UNREAD, Client, bare, told

ALL = b"/.znodes/", b"/.znodes0"


@pytest.fixture
def node() -> Alone:
    return Alone(Settings(znode_view=True))


@pytest.fixture
def zookeeper(node: Alone) -> ZooKeeperClient:
    return node.client()


@pytest.fixture
def client(node: Alone) -> Client:
    return Client(node)


def create(path: bytes, data: bytes = b"", acl: tuple[Permission, ...] = OPEN_ACL) -> CreateRequest:
    return CreateRequest(path, data, acl, CreateMode.PERSISTENT)


def changes(stream: object) -> list[tuple[str, bytes, bytes]]:
    return [line[1:] for line in told(stream)]  # type: ignore[arg-type]


def test_changes_of_znodes_are_told_below_the_prefix(client: Client, zookeeper: ZooKeeperClient) -> None:
    everything, one = client.watch(*ALL, prev_kv=True), client.watch(b"/.znodes/a")
    zookeeper.ask(create(b"/a", b"1"), SetDataRequest(b"/a", b"2", -1))
    zookeeper.ask(create(b"/b"), DeleteRequest(b"/a", -1))
    assert changes(everything) == [
        ("PUT", b"/.znodes/a", b"1"),
        ("PUT", b"/.znodes/a", b"2"),
        ("PUT", b"/.znodes/b", b""),
        ("DELETE", b"/.znodes/a", b""),
    ]
    assert [line[1] for line in changes(one)] == [b"/.znodes/a"] * 3
    assert everything.messages[2].events[0].prev_kv.value == b"1"


def test_the_spaces_stay_apart(client: Client, zookeeper: ZooKeeperClient) -> None:
    znodes, keys = client.watch(*ALL), client.watch(b"", b"\0")
    zookeeper.ask(create(b"/a"))
    client.put(b"k")
    assert [line[1] for line in changes(znodes)] == [b"/.znodes/a"]
    assert [line[1] for line in changes(keys)] == [b"k"]


def test_what_happened_at_once_is_told_at_once(client: Client, zookeeper: ZooKeeperClient) -> None:
    stream = client.watch(*ALL)
    zookeeper.ask(MultiRequest((create(b"/a"), create(b"/a/b"), SetDataRequest(b"/a", b"x", -1))))
    assert [len(each.events) for each in stream.messages] == [0, 3]


def test_the_past_is_told_as_far_as_it_is_known(client: Client, zookeeper: ZooKeeperClient) -> None:
    zookeeper.ask(create(b"/a", b"1"), create(b"/other"))
    first = client.node.replica.store.tree.records[b"/a"].modify_revision
    past = client.watch(b"/.znodes/a", start_revision=first)
    zookeeper.ask(SetDataRequest(b"/a", b"2", -1))
    assert changes(past) == [("PUT", b"/.znodes/a", b"1"), ("PUT", b"/.znodes/a", b"2")]
    client.node.replica.store.feed.compacted = client.node.replica.store.revision
    _, cancelled = client.watch(b"/.znodes/a", start_revision=first).messages
    assert cancelled.canceled
    assert cancelled.compact_revision == client.node.replica.store.revision + 1


def test_a_slow_reader_is_told_later_what_it_missed(client: Client, zookeeper: ZooKeeperClient) -> None:
    stream = client.watch(*ALL)
    client.unread[stream.call.stream] = UNREAD
    zookeeper.ask(create(b"/a"), create(b"/b"), create(b"/c"))
    assert len(changes(stream)) == 1
    client.drained(stream)
    assert [line[1] for line in changes(stream)] == [b"/.znodes/a", b"/.znodes/b", b"/.znodes/c"]


def test_what_is_filtered_is_not_told_now_or_of_the_past(client: Client, zookeeper: ZooKeeperClient) -> None:
    zookeeper.ask(create(b"/a"))
    first = client.node.replica.store.revision
    zookeeper.ask(DeleteRequest(b"/a", -1))
    streams = [
        client.watch(*ALL, start_revision=first, filters=(left_out,))
        for left_out in (FilterType.NOPUT, FilterType.NODELETE)
    ]
    zookeeper.ask(create(b"/b"), DeleteRequest(b"/b", -1))
    assert [[line[0] for line in changes(stream)] for stream in streams] == [["DELETE"] * 2, ["PUT"] * 2]


@pytest.mark.parametrize("feed_reaches_back", [True, False])
def test_after_a_snapshot_it_goes_on_or_says_that_it_cannot(
    client: Client, zookeeper: ZooKeeperClient, feed_reaches_back: bool
) -> None:
    """A gap that nobody is told of would be the worst."""
    stream = client.watch(*ALL)
    zookeeper.ask(create(b"/a"))
    front = client.node.replica.etcd
    notify, front.on_change = front.on_change, []
    zookeeper.ask(create(b"/b"))
    front.on_change = notify
    if not feed_reaches_back:
        client.node.replica.store.feed.compacted = client.node.replica.store.revision
        client.node.replica.store.feed.events.clear()
    for restored in front.on_restored:
        restored()
    client.node.turn()
    zookeeper.ask(create(b"/c"))
    seen = [line[1] for line in changes(stream)]
    if feed_reaches_back:
        assert seen == [b"/.znodes/a", b"/.znodes/b", b"/.znodes/c"]
    else:
        assert (seen, stream.messages[-1].canceled) == ([b"/.znodes/a"], True)


def test_of_what_not_everybody_may_read_nothing_is_told(client: Client, zookeeper: ZooKeeperClient) -> None:
    stream = client.watch(*ALL)
    zookeeper.ask(create(b"/secret", b"x", (Permission(31, "digest", "u:h"),)), create(b"/open"))
    assert [line[1] for line in changes(stream)] == [b"/.znodes/open"]


def test_where_the_view_is_off_there_is_nothing_to_see() -> None:
    node = Alone()
    zookeeper, client = node.client(), Client(node)
    stream = client.watch(*ALL)
    zookeeper.ask(create(b"/a"))
    assert [bare(each).created for each in stream.messages] == [True]
