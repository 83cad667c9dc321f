"""Quotas: counted always, binding where they are hard."""
from __future__ import annotations

import pytest

from agreed.store.machine import Store
from agreed.store.quota import Quota, read_limits
from agreed.store.results import Changed, Created, Done, Refusal
from tests.store.talk import Client, record


@pytest.fixture
def client() -> Client:
    client = Client(Store())
    client.create("/q", b"1234")
    return client


def limit(client: Client, path: str, text: bytes) -> None:
    """As ZooKeeper's command line client sets a quota."""
    made = ""
    for name in path[1:].split("/"):
        made += "/" + name
        client.create("/zookeeper/quota" + made)
    client.create(f"/zookeeper/quota{path}/zookeeper_limits", text)
    client.create(f"/zookeeper/quota{path}/zookeeper_stats", b"count=0,bytes=0")


def stats(client: Client, path: str) -> bytes | None:
    return record(client.store, f"/zookeeper/quota{path}/zookeeper_stats").value


def test_stats_are_kept_the_path_itself_included(client: Client) -> None:
    client.create("/q/before", b"12")
    limit(client, "/q", b"count=5,bytes=-1")
    assert stats(client, "/q") == b"count=2,bytes=6"
    client.create("/q/a", b"123")
    assert stats(client, "/q") == b"count=3,bytes=9"
    client.set("/q/a", None)
    assert stats(client, "/q") == b"count=3,bytes=6"
    client.delete("/q/before")
    assert stats(client, "/q") == b"count=2,bytes=4"
    client.create("/quiet", b"not below it")
    assert stats(client, "/q") == b"count=2,bytes=4"


def test_stats_change_without_version_revision_or_event(client: Client) -> None:
    limit(client, "/q", b"count=5,bytes=-1")
    before = record(client.store, "/zookeeper/quota/q/zookeeper_stats")
    client.store.fresh.clear()
    client.create("/q/a")
    after = record(client.store, "/zookeeper/quota/q/zookeeper_stats")
    assert (after.version, after.modify_revision) == (before.version, before.modify_revision)
    assert [event.record.key for event in client.store.fresh] == [b"/q/a"]


def test_a_hard_limit_binds_creations_by_count_and_data_by_size(client: Client) -> None:
    limit(client, "/q", b"count=-1,bytes=-1=;byteHardLimit=6;countHardLimit=2")
    assert client.create("/q/big", b"123") is Refusal.QUOTA_EXCEEDED
    assert isinstance(client.create("/q/a", b"12"), Created)
    assert client.create("/q/b") is Refusal.QUOTA_EXCEEDED
    assert client.set("/q/a", b"123") is Refusal.QUOTA_EXCEEDED
    assert isinstance(client.set("/q/a", b"xy"), Changed), "no larger than before"
    assert client.delete("/q/a") is Done.DONE
    assert isinstance(client.create("/q/b"), Created)


def test_a_soft_limit_binds_nothing(client: Client) -> None:
    limit(client, "/q", b"count=1,bytes=1")
    assert isinstance(client.create("/q/a", b"123456"), Created)


def test_new_limits_bind_from_then_on_and_none_after_they_are_gone(client: Client) -> None:
    limit(client, "/q", b"count=1,bytes=1")
    client.set("/zookeeper/quota/q/zookeeper_limits", b"countHardLimit=1")
    assert client.create("/q/a") is Refusal.QUOTA_EXCEEDED
    client.delete("/zookeeper/quota/q/zookeeper_stats")
    assert isinstance(client.create("/q/a"), Created), "without a stats key a quota does not bind"
    client.create("/zookeeper/quota/q/zookeeper_stats")
    assert client.create("/q/b") is Refusal.QUOTA_EXCEEDED
    client.delete("/zookeeper/quota/q/zookeeper_limits")
    assert isinstance(client.create("/q/b"), Created)
    assert client.store.tree.quotas.table == {}


def test_the_nearest_quota_decides_and_all_of_them_count(client: Client) -> None:
    client.create("/q/in")
    limit(client, "/q", b"countHardLimit=2")
    limit(client, "/q/in", b"countHardLimit=9")
    assert isinstance(client.create("/q/in/a"), Created)
    assert (stats(client, "/q"), stats(client, "/q/in")) == (b"count=3,bytes=4", b"count=2,bytes=0")
    assert client.create("/q/out") is Refusal.QUOTA_EXCEEDED


def test_there_is_no_quota_on_the_root_nor_on_zookeepers_own_keys(client: Client) -> None:
    client.create("/zookeeper/quota/zookeeper_limits", b"countHardLimit=0")
    limit(client, "/zookeeper", b"countHardLimit=0")
    limit(client, "/zookeeper/quota", b"countHardLimit=0")
    assert client.store.tree.quotas.table == {}
    assert isinstance(client.create("/zookeeper/x"), Created)


def test_what_a_client_writes_into_stats_lasts_until_something_is_counted(client: Client) -> None:
    limit(client, "/q", b"")
    client.set("/zookeeper/quota/q/zookeeper_stats", b"nonsense")
    assert stats(client, "/q") == b"nonsense"
    client.create("/q/a")
    assert stats(client, "/q") == b"count=2,bytes=4"
    assert client.store.tree.quotas.table == {b"/q": Quota(2, 4, -1, -1)}


LIMITS = [
    (None, {}),
    (b"", {}),
    (b"count=5,bytes=-1=;countHardLimit=3", {b"count": 5, b"bytes": -1, b"countHardLimit": 3}),
    (b"count=,bytes=x;=;;byteHardLimit", {}),
    (b"countHardLimit=3,,byteHardLimit=4", {b"countHardLimit": 3, b"byteHardLimit": 4}),
    (b"\xff\x00=1", {b"\xff\x00": 1}),
    (b"count=" + b"9" * 5_000, {}),
]


@pytest.mark.parametrize(("text", "limits"), LIMITS)
def test_limits_are_read_as_far_as_they_can_be(text: bytes | None, limits: dict[bytes, int]) -> None:
    assert read_limits(text) == limits
