"""The feed: what it keeps, and what it says when it does not."""
from __future__ import annotations

from msgspec.structs import replace

from agreed.store.events import Event, EventKind, Feed, Space
from agreed.store.mvcc import tombstone
from agreed.store.results import Refusal


def event(revision: int, data: bytes | None = None) -> Event:
    record = replace(tombstone(b"/a", revision, 0), value=data)
    return Event(revision, EventKind.CREATED, Space.TREE, record, None)


def read(feed: Feed, revision: int) -> list[int] | Refusal:
    found = feed.since(revision)
    return found if isinstance(found, Refusal) else [one.revision for one in found]


def test_a_reader_continues_after_the_revision_he_knows() -> None:
    feed = Feed()
    feed.events += [event(1), event(3), event(3), event(5)]
    assert read(feed, 0) == [1, 3, 3, 5]
    assert read(feed, 1) == [3, 3, 5]
    assert read(feed, 2) == [3, 3, 5]
    assert read(feed, 3) == [5]
    assert read(feed, 9) == []


def test_what_was_before_a_snapshot_is_not_known() -> None:
    feed = Feed(compacted=10)
    feed.events.append(event(11))
    assert read(feed, 9) is Refusal.COMPACTED
    assert read(feed, 10) == [11]


def test_a_revision_is_kept_whole_or_not_at_all() -> None:
    feed = Feed(retention=2)
    feed.events += [event(1), event(2), event(2), event(2), event(3)]
    feed.trim()
    assert feed.compacted == 2
    assert read(feed, 2) == [3]
    assert read(feed, 1) is Refusal.COMPACTED


def test_nothing_is_let_go_up_to_twice_the_retention() -> None:
    feed = Feed(retention=2)
    feed.events += [event(1), event(2), event(3), event(4)]
    feed.trim()
    assert read(feed, 0) == [1, 2, 3, 4]
    feed.events.append(event(5))
    feed.trim()
    assert read(feed, 3) == [4, 5]
    assert read(feed, 2) is Refusal.COMPACTED


def test_large_data_is_kept_for_a_shorter_time() -> None:
    """2048 events are little memory where they are small, and all of it where they are a megabyte each."""
    feed = Feed(bytes_most=100)
    for revision in range(1, 5):
        feed.events.append(event(revision, bytes(25)))
        feed.trim()
    assert read(feed, 0) == [1, 2, 3, 4]
    feed.events += [event(5, b"x"), event(6), event(6, bytes(10))]
    feed.trim()
    assert read(feed, 3) == [4, 5, 6, 6], "from above the bound to half of it"
    feed.events += [event(7, bytes(55)), event(8, bytes(20))]
    feed.trim()
    assert read(feed, 7) == [8]
    assert read(feed, 6) is Refusal.COMPACTED


def test_one_event_that_is_larger_than_all_that_is_kept_is_let_go() -> None:
    feed = Feed(bytes_most=100)
    feed.events += [event(1, bytes(1_000))]
    feed.trim()
    assert feed.events == []
    assert read(feed, 1) == []
    feed.events += [event(2, bytes(60))]
    feed.trim()
    assert read(feed, 1) == [2]
