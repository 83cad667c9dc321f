"""The feed: what it keeps, and what it says when it does not."""
from __future__ import annotations

from agreed.store.events import Event, EventKind, Feed, Space
from agreed.store.mvcc import tombstone
from agreed.store.results import Refusal


def event(revision: int) -> Event:
    return Event(revision, EventKind.CREATED, Space.TREE, tombstone(b"/a", revision, 0), None)


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
    feed = Feed(floor=10)
    feed.events.append(event(11))
    assert read(feed, 9) is Refusal.COMPACTED
    assert read(feed, 10) == [11]


def test_a_revision_is_kept_whole_or_not_at_all() -> None:
    feed = Feed(retention=2)
    feed.events += [event(1), event(2), event(2), event(2), event(3)]
    feed.trim()
    assert feed.floor == 2
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
