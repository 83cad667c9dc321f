"""What watchers are told: the answers of a real etcd 3.5.1 (recorded), and what it promises of them."""

from __future__ import annotations

from typing import Any

import pytest

from agreed.replica.etcd import watch_streams
from agreed.replica.settings import Settings
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    DeleteRangeRequest,
    Event,
    EventType,
    FilterType,
    KeyValue,
    PutRequest,
    RequestOp,
    TxnRequest,
    WatchRequest,
    WatchResponse,
)
from tests.replica.alone import Alone
from tests.replica.etcd.watch_client import (
    CANCEL,
    PROGRESS,
    Client,
    bare,
    creation,
    revision,
    service_of,
    told,
)


@pytest.fixture
def client() -> Client:
    return Client(Alone())


# --- as recorded of a real server -----------------------------------------------------------------------


def test_a_watch_of_what_is_compacted_is_created_and_then_cancelled(client: Client) -> None:
    client.put(b"a")
    newest = client.put(b"a")
    client.compact(newest)
    created, cancelled = client.watch(b"a", start_revision=1).messages
    assert bare(created) == WatchResponse(created=True)
    assert bare(cancelled) == WatchResponse(canceled=True, compact_revision=newest)
    assert revision(cancelled) == 0


def test_the_compacted_revision_itself_can_be_watched_also_where_it_is_a_deletion(client: Client) -> None:
    client.put(b"a")
    gone = client.delete(b"a")
    client.compact(gone)
    assert told(client.watch(b"a", start_revision=gone)) == [(gone, "DELETE", b"a", b"")]
    assert told(client.watch(b"a", b"b", start_revision=gone)) == [(gone, "DELETE", b"a", b"")]


def test_a_negative_start_is_now_or_compacted_where_anything_is(client: Client) -> None:
    client.put(b"a")
    stream = client.watch(b"a", start_revision=-1)
    assert [bare(each) for each in stream.messages] == [WatchResponse(created=True)]
    newest = client.put(b"a", b"2")
    assert told(stream) == [(newest, "PUT", b"a", b"2")]
    client.compact(newest)
    assert client.watch(b"a", start_revision=-1).messages[1].compact_revision == newest


@pytest.mark.parametrize("end", [b"a", b"z"])
def test_an_empty_range_is_refused(client: Client, end: bytes) -> None:
    (refused,) = client.watch(b"z", end).messages
    reason = "mvcc: watcher range is empty"
    assert bare(refused) == WatchResponse(None, -1, created=True, canceled=True, cancel_reason=reason)


def test_an_id_that_is_taken_is_refused(client: Client) -> None:
    stream = client.watch(b"a", watch_id=5)
    client.say(stream, creation(b"b", watch_id=5))
    reason = "mvcc: duplicate watch ID provided on the WatchStream"
    assert [bare(each) for each in stream.messages] == [
        WatchResponse(None, 5, created=True),
        WatchResponse(None, -1, created=True, canceled=True, cancel_reason=reason),
    ]


def test_ids_are_given_out_once_and_around_those_that_were_asked_for(client: Client) -> None:
    stream = client.watch(b"a")
    client.say(stream, WatchRequest(cancel_request=CANCEL(0)))
    client.say(stream, WatchRequest(cancel_request=CANCEL(0)))
    for asked in (0, 7, -5, 2, 0, 0):
        client.say(stream, creation(b"a", watch_id=asked))
    assert [each.watch_id for each in stream.messages] == [0, 0, 1, 7, -5, 2, 3, 4]
    assert [each.canceled for each in stream.messages].count(True) == 1


def test_an_empty_key_is_the_first_key(client: Client) -> None:
    everything, first = client.watch(b"", b"\0"), client.watch(b"")
    newest = client.put(b"anything")
    assert told(everything) == [(newest, "PUT", b"anything", b"")]
    assert told(first) == []


def test_cancelling_is_answered_once_and_for_those_that_are_there(client: Client) -> None:
    stream = client.watch(b"a")
    for number in (99, 0, 0):
        client.say(stream, WatchRequest(cancel_request=CANCEL(number)))
    assert [bare(each) for each in stream.messages] == [
        WatchResponse(created=True),
        WatchResponse(canceled=True),
    ]
    client.put(b"a")
    assert told(stream) == []


def test_history_comes_in_one_message_with_what_was_there_before(client: Client) -> None:
    ops = tuple(RequestOp(request_put=PutRequest(key, key)) for key in (b"w2", b"w1"))
    first = client.ask("KV/Txn", TxnRequest(success=ops)).reply.header.revision
    client.put(b"w1", b"11")
    last = client.delete(b"w1")
    created, history = client.watch(b"w", b"x", start_revision=first, prev_kv=True).messages
    assert (revision(created), revision(history)) == (last, last)
    two, one = KeyValue(b"w2", first, first, 1, b"w2"), KeyValue(b"w1", first, first, 1, b"w1")
    changed = KeyValue(b"w1", first, first + 1, 2, b"11")
    assert history.events == (
        Event(EventType.PUT, two),
        Event(EventType.PUT, one),
        Event(EventType.PUT, changed, one),
        Event(EventType.DELETE, KeyValue(b"w1", mod_revision=last), changed),
    )


def test_what_was_there_before_is_told_to_those_only_who_asked_for_it(client: Client) -> None:
    """Those who are told the same share what is made for them; these are not told the same."""
    client.put(b"a", b"0")
    streams = [client.watch(b"a", prev_kv=asked) for asked in (True, False, True)]
    client.put(b"a", b"1")
    told_before = [stream.messages[-1].events[0].prev_kv for stream in streams]
    assert [each and each.value for each in told_before] == [b"0", None, b"0"]


def test_what_is_filtered_is_not_told_live_or_past(client: Client) -> None:
    first = client.put(b"w")
    gone = client.delete(b"w")
    past = client.watch(b"w", start_revision=first, filters=(FilterType.NOPUT,))
    live = client.watch(b"w", filters=(FilterType.NODELETE, 9))
    nothing = client.watch(b"w", filters=(FilterType.NODELETE, FilterType.NOPUT))
    again = client.put(b"w")
    assert client.delete(b"w") == again + 1
    assert [line[:2] for line in told(past)] == [(gone, "DELETE"), (again + 1, "DELETE")]
    assert [line[:2] for line in told(live)] == [(again, "PUT")]
    assert len(nothing.messages) == 1


def test_progress_is_told_on_request_to_who_knows_all(client: Client) -> None:
    newest = client.put(b"a")
    stream = client.watch(b"a")
    client.say(stream, PROGRESS)
    assert bare(stream.messages[-1]) == WatchResponse(None, -1)
    assert revision(stream.messages[-1]) == newest


def test_progress_is_not_told_to_who_begins_in_the_future(client: Client) -> None:
    """It would say that everything up to now was told; who comes back with that is told what he never
    asked for (etcd issue 20221)."""
    newest = client.put(b"z")
    stream = client.watch(b"z", start_revision=newest + 2)
    client.say(stream, PROGRESS)
    assert len(stream.messages) == 1
    client.put(b"z", b"no")
    client.say(stream, PROGRESS)
    assert len(stream.messages) == 2
    client.put(b"z", b"yes")
    assert told(stream) == [(newest + 2, "PUT", b"z", b"yes")]


def test_a_message_that_asks_for_nothing_is_nothing(client: Client) -> None:
    stream = client.ask("Watch/Watch", WatchRequest())
    assert stream.messages == []
    client.say(stream, creation(b"a"))
    assert len(stream.messages) == 1


def test_who_may_not_read_is_told_so(client: Client) -> None:
    front = client.node.replica.etcd
    front.may_read = lambda call, key, range_end: errors.PERMISSION_DENIED if key == b"z" else None
    stream = client.watch(b"z")
    client.say(stream, creation(b"a"))
    denied, created = stream.messages
    reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
    assert bare(denied) == WatchResponse(None, -1, created=True, canceled=True, cancel_reason=reason)
    assert bare(created) == WatchResponse(created=True)


# --- what is told, and when -----------------------------------------------------------------------------


def test_a_change_is_told_before_whoever_made_it_is_answered(client: Client) -> None:
    stream = client.watch(b"a", b"b")
    asked = client.begin("KV/Put", PutRequest(b"a"))
    seen: list[int] = []
    reply = client.reply

    def note(call: Any, message: Any) -> None:
        seen.append(len(stream.messages))
        reply(call, message)

    client.reply = note  # type: ignore[method-assign]
    client.node.turn()
    assert asked.reply
    assert seen == [2]


def test_what_happened_at_once_is_told_at_once_in_the_order_in_which_it_was_asked_for(client: Client) -> None:
    client.put(b"q3", b"old")
    stream = client.watch(b"q", b"r", prev_kv=True)
    other = client.watch(b"q1")
    ops = (
        RequestOp(request_put=PutRequest(b"q2")),
        RequestOp(request_delete_range=DeleteRangeRequest(b"q3", b"q9")),
        RequestOp(request_put=PutRequest(b"q1")),
    )
    newest = client.ask("KV/Txn", TxnRequest(success=ops)).reply.header.revision
    _, message = stream.messages
    assert [(event.kv.key, event.type) for event in message.events] == [(b"q2", 0), (b"q3", 1), (b"q1", 0)]
    assert message.events[1].prev_kv.value == b"old"
    assert revision(message) == newest
    assert told(other) == [(newest, "PUT", b"q1", b"")]


def test_two_watchers_of_one_stream_are_told_each_under_its_number(client: Client) -> None:
    stream = client.watch(b"a")
    client.say(stream, creation(b"", b"\0", watch_id=9))
    client.put(b"a")
    assert [each.watch_id for each in stream.messages] == [0, 9, 0, 9]


def test_a_stream_that_ended_is_told_nothing_and_leaves_nothing(client: Client) -> None:
    stream = client.watch(b"a")
    client.say(stream, creation(b"a", b"b", start_revision=1))
    stream.call.abandoned()
    client.put(b"a")
    assert told(stream) == []
    service = service_of(client)
    assert (service.streams, service.watchers, service.slow) == (0, 0, 0)


def test_who_has_nothing_more_to_ask_is_still_told(client: Client) -> None:
    stream = client.watch(b"a")
    if stream.call.on_ended is not None:
        stream.call.on_ended()
    client.put(b"a")
    assert len(told(stream)) == 1


# --- messages that are too large ------------------------------------------------------------------------


def test_a_large_revision_comes_in_pieces_to_who_has_asked_for_that(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_streams, "FRAGMENT_BYTES", 300)
    whole, pieces = client.watch(b"a", b"b"), client.watch(b"a", b"b", fragment=True)
    ops = tuple(RequestOp(request_put=PutRequest(b"a%d" % number, b"v" * 100)) for number in range(5))
    client.ask("KV/Txn", TxnRequest(success=ops))
    assert [len(each.events) for each in whole.messages] == [0, 5]
    assert [len(each.events) for each in pieces.messages[1:]] == [2, 2, 1]
    assert [each.fragment for each in pieces.messages[1:]] == [True, True, False]
    assert told(pieces) == told(whole)


# --- progress -------------------------------------------------------------------------------------------


def test_who_hears_nothing_for_a_while_is_told_that_there_was_nothing() -> None:
    client = Client(Alone(Settings(watch_progress_ms=1_000)))
    newest = client.put(b"a")
    stream = client.watch(b"a", progress_notify=True)
    client.say(stream, creation(b"b"))
    client.say(stream, creation(b"c", progress_notify=True, start_revision=newest + 5))
    client.node.pass_ms(1_300)
    assert [(each.watch_id, revision(each)) for each in stream.messages[3:]] == [(0, newest)]
    client.put(b"a")
    client.node.pass_ms(1_150)
    assert [bool(each.events) for each in stream.messages[4:]] == [True]
    client.node.pass_ms(1_200)
    assert [bool(each.events) for each in stream.messages[4:]] == [True, False]
