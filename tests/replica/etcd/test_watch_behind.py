"""Watchers that are behind: with a past to read, slow clients, and a store that jumped ahead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agreed.replica.etcd import watch, watch_history
from agreed.wire.etcd.messages import (
    PutRequest,
    WatchRequest,
    WatchResponse,
)
from agreed.wire.grpc.status import Code
from tests.replica.alone import Alone
from tests.replica.etcd.watch_client import (
    CANCEL,
    PROGRESS,
    UNREAD,
    Client,
    bare,
    creation,
    service_of,
    told,
)


@pytest.fixture
def client() -> Client:
    return Client(Alone())


# --- catching up ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"", b"b", b"\0"])
def test_a_message_holds_a_thousand_revisions_at_most(client: Client, end: bytes) -> None:
    first = put_many(client, 2_300)
    stream = client.watch(b"a", end, start_revision=first)
    client.node.pass_ms(100)
    sizes = [len({event.kv.mod_revision for event in each.events}) for each in stream.messages[1:]]
    assert sizes == [1_000, 1_000, 300]
    assert [line[0] for line in told(stream)] == list(range(first, first + 2_300))


def test_a_message_of_several_revisions_holds_about_a_megabyte(client: Client) -> None:
    first = put_many(client, 6, value=bytes(400_000))
    for end in (b"", b"b", b"\0"):
        stream = client.watch(b"a", end, start_revision=first)
        client.node.pass_ms(100)
        assert [len(each.events) for each in stream.messages] == [0, 3, 3]


def put_many(client: Client, count: int, key: bytes = b"a", value: bytes = b"") -> int:
    """The revision of the first."""
    asked = [client.begin("KV/Put", PutRequest(key, value)) for _ in range(count)]
    while asked[-1].status is None:
        client.node.turn()
    return int(asked[0].reply.header.revision)


def test_a_long_history_is_read_in_slices_and_the_node_wants_to_be_woken(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SLICE", 50)
    first = put_many(client, 400, b"other")
    mine = client.put(b"w")
    stream = client.watch(b"w", b"x", start_revision=first)
    node = client.node
    turns = 0
    while not told(stream):
        assert node.replica.wake == node.now + 1
        node.now += 1
        node.turn()
        turns += 1
    assert 6 <= turns <= 12
    assert told(stream) == [(mine, "PUT", b"w", b"")]
    assert node.replica.wake is None or node.replica.wake > node.now + 1


def test_what_happens_while_a_watcher_catches_up_is_told_in_its_place(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SLICE", 10)
    first = put_many(client, 40)
    stream = client.watch(b"a", b"b", start_revision=first)
    for _ in range(10):
        client.put(b"a")
    client.node.pass_ms(200)
    assert [line[0] for line in told(stream)] == list(range(first, first + 50))


def test_of_a_thousand_who_come_back_with_one_bookmark_the_history_is_read_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = put_many(client, 20)
    read = counted(monkeypatch)
    stream = client.begin("Watch/Watch", creation(b"a", b"b", start_revision=first))
    assert stream.call.on_message is not None
    for _ in range(99):
        stream.call.on_message(creation(b"a", b"b", start_revision=first))
    client.node.turn()
    assert read() == 1
    assert len(told(stream)) == 2_000


def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    calls: list[int] = []
    original = watch_history.missed

    def missed(*arguments: Any) -> Any:
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(watch, "missed", missed)
    return lambda: len(calls)


# --- clients that read slowly ---------------------------------------------------------------------------


def test_what_a_slow_client_does_not_take_is_not_kept_but_read_again_later(client: Client) -> None:
    stream, other = client.watch(b"a"), client.watch(b"a", b"b")
    client.unread[stream.call.stream] = UNREAD
    first = client.put(b"a", b"0")
    for number in range(1, 50):
        client.put(b"a", b"%d" % number)
    assert [line[0] for line in told(stream)] == [first]
    assert service_of(client).slow == 1
    client.drained(stream)
    assert [line[0] for line in told(stream)] == list(range(first, first + 50))
    assert told(other) == told(stream)
    client.put(b"a")
    assert len(told(stream)) == 51


def test_who_is_overtaken_by_a_compaction_is_told_so(client: Client) -> None:
    stream = client.watch(b"a")
    client.unread[stream.call.stream] = UNREAD
    client.put(b"a")
    client.put(b"a")
    newest = client.put(b"a")
    client.compact(newest)
    client.drained(stream)
    assert bare(stream.messages[-1]) == WatchResponse(canceled=True, compact_revision=newest)
    assert len(told(stream)) == 1
    assert service_of(client).watchers == 0


def test_of_many_watchers_on_one_slow_stream_the_first_is_told_and_the_others_wait(client: Client) -> None:
    first = client.put(b"a")
    stream = client.begin("Watch/Watch", WatchRequest())
    assert stream.call.on_message is not None
    for _ in range(10):
        stream.call.on_message(creation(b"a", start_revision=first))
    client.unread[stream.call.stream] = UNREAD
    client.node.turn()
    assert len(told(stream)) == 1
    client.drained(stream)
    assert len(told(stream)) == 10


def test_who_waits_on_a_slow_stream_and_is_cancelled_is_slow_no_more(client: Client) -> None:
    stream = client.watch(b"a")
    client.unread[stream.call.stream] = UNREAD
    client.put(b"a")
    client.put(b"a")
    assert service_of(client).slow == 1
    client.say(stream, WatchRequest(cancel_request=CANCEL(0)))
    assert (service_of(client).slow, service_of(client).watchers) == (0, 0)


def test_a_watcher_made_on_a_slow_stream_waits_like_the_others(client: Client) -> None:
    first = client.put(b"a")
    stream = client.watch(b"a")
    client.unread[stream.call.stream] = UNREAD
    client.put(b"a")
    client.say(stream, creation(b"a", start_revision=first))
    client.say(stream, PROGRESS)
    assert len(told(stream)) == 1
    client.drained(stream)
    assert [line[0] for line in told(stream)] == [first + 1, first, first + 1]


def test_who_asks_on_and_on_without_reading_is_let_go(client: Client) -> None:
    stream = client.watch(b"a")
    client.unread[stream.call.stream] = 16 * UNREAD
    client.say(stream, creation(b"a"))
    assert stream.status is not None
    assert stream.status.code is Code.CANCELLED
    assert service_of(client).watchers == 0


# --- a snapshot of the leader ---------------------------------------------------------------------------


def test_after_a_snapshot_everybody_reads_on_where_he_stopped(client: Client) -> None:
    first = client.put(b"a", b"0")
    old, future = client.watch(b"a", start_revision=first), client.watch(b"a", start_revision=first + 4)
    new, slow = client.watch(b"a", b"b"), client.watch(b"a")
    client.unread[slow.call.stream] = UNREAD
    client.put(b"a", b"1")
    replaced_by_a_newer_store(client, 4)
    client.node.turn()
    everything = list(range(first, first + 6))
    assert [line[0] for line in told(old)] == everything
    assert [line[0] for line in told(new)] == everything[1:]
    assert [line[0] for line in told(future)] == everything[4:]
    assert [line[0] for line in told(slow)] == everything[1:2]
    client.drained(slow)
    assert [line[0] for line in told(slow)] == everything[1:]
    client.put(b"a")
    assert [len(told(each)) for each in (old, new, future, slow)] == [7, 6, 3, 6]


def test_who_begins_in_the_future_still_does_after_a_snapshot(client: Client) -> None:
    """Found by the simulator: it went on with what came after the snapshot, which was told to it before."""
    newest = client.put(b"a")
    stream = client.watch(b"a", start_revision=newest + 5)
    replaced_by_a_newer_store(client, 1)
    client.node.turn()
    for _ in range(5):
        client.put(b"a")
    assert [line[0] for line in told(stream)] == [newest + 5, newest + 6]


def replaced_by_a_newer_store(client: Client, puts: int, compacted: bool = False) -> None:
    """The store jumps ahead, and nobody tells of what happened in between."""
    front = client.node.replica.etcd
    notify, front.on_change = front.on_change, []
    for _ in range(puts):
        newest = client.put(b"a")
    if compacted:
        client.compact(newest)
    front.on_change = notify
    for restored in front.on_restored:
        restored()


def test_what_a_snapshot_does_not_tell_any_more_is_told(client: Client) -> None:
    client.put(b"a")
    stream = client.watch(b"a")
    replaced_by_a_newer_store(client, 3, compacted=True)
    client.node.turn()
    assert stream.messages[-1].canceled
    assert stream.messages[-1].compact_revision > 0
    assert told(stream) == []
