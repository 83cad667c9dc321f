"""Who is told of what, and what is said again on the next connection."""
from __future__ import annotations

import asyncio

import pytest

from agreed.client.values import Change, WatchEvent, WatchKind
from agreed.client.watches import SET_WATCHES_BYTES_MAX, Watches
from agreed.client.watching import EVENTS_MAX, Watch
from agreed.wire.zookeeper.messages import (
    AddWatchMode,
    AddWatchRequest,
    EventType,
    ExistsRequest,
    GetChildren2Request,
    GetDataRequest,
    Op,
    Stat,
)
from agreed.wire.zookeeper.replies import (
    AddWatchReply,
    ErrorReply,
    ExistsReply,
    GetChildren2Reply,
    GetDataReply,
)
from agreed.wire.zookeeper.replies import (
    WatchEvent as Seen,
)
from agreed.wire.zookeeper.request_codec import encode_request

STAT = Stat(*range(11))
CREATED, DELETED = EventType.NODE_CREATED, EventType.NODE_DELETED
DATA, CHILDREN = EventType.NODE_DATA_CHANGED, EventType.NODE_CHILDREN_CHANGED


@pytest.fixture
def watches() -> Watches:
    """Everybody on /a, and two above it."""
    made = Watches()
    made.answered(GetDataRequest(b"/a", True), GetDataReply(b"", STAT), "data")
    made.answered(ExistsRequest(b"/a", True), ErrorReply(-101), "exist")
    made.answered(GetChildren2Request(b"/a", True), GetChildren2Reply((), STAT), "child")
    made.answered(AddWatchRequest(b"/a", AddWatchMode.PERSISTENT), AddWatchReply(), "persistent")
    made.answered(AddWatchRequest(b"/a", AddWatchMode.PERSISTENT_RECURSIVE), AddWatchReply(), "recursive")
    made.answered(AddWatchRequest(b"/", AddWatchMode.PERSISTENT_RECURSIVE), AddWatchReply(), "root")
    made.answered(AddWatchRequest(b"/", AddWatchMode.PERSISTENT), AddWatchReply(), "above")
    return made


@pytest.mark.parametrize(
    ("kind", "path", "told", "left"),
    [
        (CREATED, b"/a", {"data", "exist", "persistent", "recursive", "root"}, 5),
        (DATA, b"/a", {"data", "exist", "persistent", "recursive", "root"}, 5),
        (DELETED, b"/a", {"data", "exist", "child", "persistent", "recursive", "root"}, 4),
        (CHILDREN, b"/a", {"child", "persistent"}, 6),
        (CREATED, b"/a/b", {"recursive", "root"}, 7),
        (CREATED, b"/ab", {"root"}, 7),
        (CHILDREN, b"/", {"above"}, 7),
    ],
)
def test_who_is_told(watches: Watches, kind: EventType, path: bytes, told: set[str], left: int) -> None:
    assert set(watches.happened(Seen(kind, path))) == told
    assert len(watches) == left


def test_who_is_told_by_two_ways_is_told_once(watches: Watches) -> None:
    watches.answered(ExistsRequest(b"/a", True), ExistsReply(STAT), "child")
    assert watches.happened(Seen(DELETED, b"/a")).count("child") == 1


def test_what_was_refused_watches_nothing() -> None:
    watches = Watches()
    for request in (GetDataRequest(b"/a", True), GetChildren2Request(b"/a", True)):
        watches.answered(request, ErrorReply(-101), "w")
    watches.answered(ExistsRequest(b"/a", True), ErrorReply(-102), "w")
    watches.answered(ExistsRequest(b"/a", False), ExistsReply(STAT), "w")
    assert len(watches) == 0
    assert list(watches.again(1)) == []


def test_it_is_said_again_in_pieces_that_a_server_takes() -> None:
    watches = Watches()
    paths = [f"/{'x' * 200}/{number}".encode() for number in range(2000)]
    for number, path in enumerate(paths):
        if number % 2:
            watches.answered(ExistsRequest(path, True), ErrorReply(-101), "w")
        else:
            watches.answered(AddWatchRequest(path, AddWatchMode.PERSISTENT), AddWatchReply(), "w")
    pieces = list(watches.again(17))
    assert len(pieces) > 2
    assert all(len(encode_request(1, piece)) < SET_WATCHES_BYTES_MAX + 100 for piece in pieces)
    assert {piece.relative_zxid for piece in pieces} == {17}
    said = [path for piece in pieces for path in (*piece.exist, *piece.persistent)]
    assert sorted(said) == sorted(paths)
    assert all((piece.op is Op.SET_WATCHES2) == bool(piece.persistent) for piece in pieces)


def test_who_is_forgotten_is_told_nothing(watches: Watches) -> None:
    assert watches.forget("persistent", b"/a", WatchKind.PERSISTENT)
    assert not watches.forget("persistent", b"/a", WatchKind.PERSISTENT)
    assert "persistent" not in watches.happened(Seen(DATA, b"/a"))
    assert {watcher for watcher, _ in watches.end()} == {"child", "recursive", "root", "above"}
    assert len(watches) == 0


def test_a_reader_that_is_too_slow_is_told_to_look_at_everything() -> None:
    async def story() -> None:
        watch = Watch("/a", WatchKind.PERSISTENT, lambda watch: None)
        for number in range(EVENTS_MAX + 2):
            watch(WatchEvent(Change.CREATED, f"/a/{number}"))
        watch(WatchEvent(Change.GAP, "/a"))
        assert await watch.next() == WatchEvent(Change.GAP, "/a")
        assert [(await watch.next()).path for _ in range(2)] == [
            f"/a/{EVENTS_MAX}", f"/a/{EVENTS_MAX + 1}",
        ]  # fmt: skip
        with pytest.raises(TimeoutError):
            await watch.next(0.01)
        watch.close()
        watch(WatchEvent(Change.CREATED, "/a/late"))
        assert [event.change async for event in watch] == [Change.ENDED]
        assert (await watch.next()).change is Change.ENDED

    asyncio.run(story())
