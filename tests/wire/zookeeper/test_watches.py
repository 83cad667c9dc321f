"""Who is told of what: tables from the recorded answers of a real server, and a model of how it does it."""
from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kazoo.protocol.serialization import ReplyHeader, Watch, int_struct

from agreed.store.events import Event, EventKind, Space
from agreed.store.records import ALL, OPEN_ACL, Acl, Permission, Record
from agreed.wire.zookeeper.messages import EventType, SetWatchesRequest, WatcherType
from agreed.wire.zookeeper.watches import (
    CHILD,
    DATA,
    PERSISTENT,
    RECURSIVE,
    TooManyWatches,
    Watches,
)

CREATED, CHANGED, DELETED = EventKind.CREATED, EventKind.CHANGED, EventKind.DELETED
NODE_CREATED, NODE_DELETED = EventType.NODE_CREATED, EventType.NODE_DELETED
DATA_CHANGED, CHILDREN_CHANGED = EventType.NODE_DATA_CHANGED, EventType.NODE_CHILDREN_CHANGED
ME, OTHER = 1, 2
SECRET: Acl = (Permission(ALL, "digest", "u:hash"),)


def znode(path: bytes, modified: int = 1, children: int = 1, acl: Acl = OPEN_ACL) -> Record:
    return Record(path, b"", 1, modified, children, 0, 0, 0, 0, 0, 0, 0, acl, None)


def event(kind: EventKind, path: bytes, revision: int = 9, acl: Acl = OPEN_ACL) -> Event:
    modified = 1 if kind is DELETED else revision
    record = znode(path, modified, modified, acl)
    return Event(revision, kind, Space.TREE, record, None if kind is CREATED else record)


def open_tree(path: bytes) -> Record:
    return znode(path)


def told(frames: Iterable[tuple[int, bytes]], to: int = ME) -> list[tuple[EventType, bytes]]:
    """What a client reads (with kazoo's eyes) in the frames for one connection."""
    return [(kind, path) for kind, path, _ in map(read_frame, (f for c, f in frames if c == to))]


def read_frame(frame: bytes) -> tuple[EventType, bytes, int]:
    (length,) = int_struct.unpack_from(frame)
    header, offset = ReplyHeader.deserialize(frame, 4)
    watch, end = Watch.deserialize(frame, offset)
    assert length == len(frame) - 4
    assert end == len(frame)
    assert (header.xid, header.err, watch.state) == (-1, 0, 3)
    return EventType(watch.type), watch.path.encode(), header.zxid


def nobody(connection: int, acl: Acl) -> bool:
    return False


def table(may_read: Callable[[int, Acl], bool] = nobody, limit: int = 100) -> Watches:
    return Watches(may_read, limit)


# --- the table of what sees what ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "on", "created", "changed", "deleted"),
    [
        (DATA, b"/a/b", NODE_CREATED, DATA_CHANGED, NODE_DELETED),
        (CHILD, b"/a/b", None, None, NODE_DELETED),
        (PERSISTENT, b"/a/b", NODE_CREATED, DATA_CHANGED, NODE_DELETED),
        (RECURSIVE, b"/a/b", NODE_CREATED, DATA_CHANGED, NODE_DELETED),
        (DATA, b"/a", None, None, None),
        (CHILD, b"/a", CHILDREN_CHANGED, None, CHILDREN_CHANGED),
        (PERSISTENT, b"/a", CHILDREN_CHANGED, None, CHILDREN_CHANGED),
        (RECURSIVE, b"/a", NODE_CREATED, DATA_CHANGED, NODE_DELETED),
        (CHILD, b"/", None, None, None),
        (PERSISTENT, b"/", None, None, None),
        (RECURSIVE, b"/", NODE_CREATED, DATA_CHANGED, NODE_DELETED),
        (RECURSIVE, b"/a/b/c", None, None, None),
        (RECURSIVE, b"/a/", None, None, None),
    ],
)
def test_a_watch_sees_what_its_kind_sees(
    kind: int,
    on: bytes,
    created: EventType | None,
    changed: EventType | None,
    deleted: EventType | None,
) -> None:
    for happened, seen in ((CREATED, created), (CHANGED, changed), (DELETED, deleted)):
        watches = table()
        watches.add(ME, on, kind)
        path = on if seen is CHILDREN_CHANGED else b"/a/b"
        expected = [] if seen is None else [(seen, path)]
        assert told(watches.notify([event(happened, b"/a/b")], open_tree)) == expected
        again = told(watches.notify([event(happened, b"/a/b")], open_tree))
        assert again == ([] if kind in (DATA, CHILD) else expected), "one-shot watches go, others stay"


def test_keys_of_the_flat_space_are_not_told() -> None:
    watches = table()
    watches.add(ME, b"/a", PERSISTENT)
    assert watches.notify([Event(9, CREATED, Space.FLAT, znode(b"/a", 9), None)], open_tree) == []


# --- as recorded --------------------------------------------------------------------------------------------


def test_a_creation_is_told_before_the_change_of_its_parent() -> None:
    watches = table()
    watches.add(ME, b"/p", CHILD)
    watches.add(ME, b"/p/wn", DATA)
    assert told(watches.notify([event(CREATED, b"/p/wn")], open_tree)) == [
        (NODE_CREATED, b"/p/wn"),
        (CHILDREN_CHANGED, b"/p"),
    ]


def test_a_deletion_is_told_once_to_who_watches_data_and_children() -> None:
    watches = table()
    watches.add(ME, b"/a", DATA | CHILD)
    watches.add(ME, b"/a", PERSISTENT)
    watches.add(ME, b"/", RECURSIVE)
    assert told(watches.notify([event(DELETED, b"/a")], open_tree)) == [(NODE_DELETED, b"/a")]


def test_a_persistent_and_a_recursive_watch_of_one_node_tell_the_same_once() -> None:
    watches = table()
    watches.add(ME, b"/p", PERSISTENT)
    watches.add(ME, b"/p", RECURSIVE)
    happened = [(CREATED, b"/p/pw"), (CHANGED, b"/p/pw"), (DELETED, b"/p/pw"), (CHANGED, b"/p")]
    frames = watches.notify([event(kind, path, 77) for kind, path in happened], open_tree)
    assert told(frames) == [
        (NODE_CREATED, b"/p/pw"),
        (CHILDREN_CHANGED, b"/p"),
        (DATA_CHANGED, b"/p/pw"),
        (NODE_DELETED, b"/p/pw"),
        (CHILDREN_CHANGED, b"/p"),
        (DATA_CHANGED, b"/p"),
    ]
    assert {read_frame(frame)[2] for _, frame in frames} == {77}, "an event carries the zxid of its change"


def test_a_notification_has_the_bytes_of_a_real_server() -> None:
    watches = table()
    watches.add(ME, b"/a", DATA)
    [(connection, frame)] = watches.notify([event(CHANGED, b"/a", 74)], open_tree)
    assert connection == ME
    assert frame.hex() == (
        "0000001e" "ffffffff" "000000000000004a" "00000000" "00000003" "00000003" "00000002" "2f61"
    )


def test_check_and_remove_watches_answer_as_recorded() -> None:
    watches = table()
    watches.add(ME, b"/p", PERSISTENT)
    watches.add(ME, b"/p", RECURSIVE)
    assert watches.holds(ME, b"/p", WatcherType.ANY)
    assert not watches.holds(ME, b"/zz", WatcherType.ANY)
    assert not watches.holds(OTHER, b"/p", WatcherType.ANY)
    assert watches.remove(ME, b"/p", WatcherType.PERSISTENT_RECURSIVE)
    assert watches.remove(ME, b"/p", WatcherType.ANY)
    assert not watches.remove(ME, b"/p", WatcherType.ANY)


@pytest.mark.parametrize(
    ("kind", "removes"),
    [
        (WatcherType.CHILDREN, CHILD),
        (WatcherType.DATA, DATA),
        (WatcherType.PERSISTENT, PERSISTENT),
        (WatcherType.PERSISTENT_RECURSIVE, RECURSIVE),
        (WatcherType.ANY, CHILD | DATA | PERSISTENT | RECURSIVE),
    ],
)
def test_removing_one_kind_leaves_the_others(kind: WatcherType, removes: int) -> None:
    watches = table()
    watches.add(ME, b"/p", CHILD | DATA | PERSISTENT | RECURSIVE)
    assert watches.remove(ME, b"/p", kind)
    assert not watches.holds(ME, b"/p", kind)
    others = 4 - removes.bit_count()
    assert watches.totals().watches == others


def test_set_watches_tells_what_was_missed_in_the_recorded_order() -> None:
    tree = {b"/p": znode(b"/p", modified=20, children=21), b"/p/sw": znode(b"/p/sw", modified=21)}
    watches = table()
    request = SetWatchesRequest(19, (b"/p", b"/gone"), (b"/p/sw", b"/none"), (b"/p", b"/gone2"))
    frames = watches.rearm(ME, request, tree.get)
    assert [read_frame(frame) for frame in frames] == [
        (DATA_CHANGED, b"/p", -1),
        (NODE_DELETED, b"/gone", -1),
        (NODE_CREATED, b"/p/sw", -1),
        (CHILDREN_CHANGED, b"/p", -1),
        (NODE_DELETED, b"/gone2", -1),
    ]
    assert watches.totals() == (1, 1, 1), "only the watch for the node that still is not there was set again"
    assert watches.holds(ME, b"/none", WatcherType.DATA)


def test_set_watches_sets_again_what_missed_nothing() -> None:
    tree = {b"/p": znode(b"/p", modified=21, children=21)}
    watches = table()
    request = SetWatchesRequest(21, (b"/p",), (), (b"/p",), (b"/q",), (b"/r",))
    assert watches.rearm(ME, request, tree.get) == []
    assert watches.holds(ME, b"/p", WatcherType.DATA)
    assert watches.holds(ME, b"/p", WatcherType.CHILDREN)
    assert watches.holds(ME, b"/q", WatcherType.PERSISTENT)
    assert watches.holds(ME, b"/r", WatcherType.PERSISTENT_RECURSIVE)


def test_new_data_is_nothing_to_who_watches_children_and_a_new_child_nothing_to_who_watches_data() -> None:
    tree = {b"/data": znode(b"/data", 9, 1), b"/children": znode(b"/children", 1, 9)}
    request = SetWatchesRequest(5, (b"/children",), (), (b"/data",))
    assert table().rearm(ME, request, tree.get) == []


def test_what_is_used_up_takes_nothing_else_with_it() -> None:
    watches = table()
    watches.add(ME, b"/a", DATA | CHILD | PERSISTENT)
    watches.notify([event(CHANGED, b"/a")], open_tree)
    assert not watches.holds(ME, b"/a", WatcherType.DATA)
    assert watches.holds(ME, b"/a", WatcherType.CHILDREN)
    assert watches.holds(ME, b"/a", WatcherType.PERSISTENT)


# --- who may not read is not told ---------------------------------------------------------------------------


def only_other_reads(connection: int, acl: Acl) -> bool:
    assert acl is SECRET, "an open list needs no question"
    return connection == OTHER


@pytest.mark.parametrize("kind", EventKind)
def test_who_may_not_read_a_node_hears_nothing_of_it(kind: EventKind) -> None:
    watches = table(only_other_reads)
    for connection in (ME, OTHER):
        watches.add(connection, b"/a/s", DATA)
        watches.add(connection, b"/", RECURSIVE)
    frames = watches.notify([event(kind, b"/a/s", acl=SECRET)], open_tree)
    assert told(frames, ME) == []
    assert len(told(frames, OTHER)) == 1
    assert not watches.holds(ME, b"/a/s", WatcherType.DATA), "used up nevertheless"


def test_children_changed_asks_for_the_parents_acl() -> None:
    watches = table(only_other_reads)
    for connection in (ME, OTHER):
        watches.add(connection, b"/a", CHILD)
    frames = watches.notify([event(CREATED, b"/a/s")], lambda path: znode(path, acl=SECRET))
    assert (told(frames, ME), told(frames, OTHER)) == ([], [(CHILDREN_CHANGED, b"/a")])


def test_the_acl_of_a_parent_that_is_gone_too_comes_from_its_deletion() -> None:
    watches = table(only_other_reads)
    for connection in (ME, OTHER):
        watches.add(connection, b"/a", PERSISTENT)
    both = [event(DELETED, b"/a/s"), event(DELETED, b"/a", acl=SECRET)]
    frames = watches.notify(both, lambda _: None)
    assert told(frames, ME) == []
    assert told(frames, OTHER) == [(CHILDREN_CHANGED, b"/a"), (NODE_DELETED, b"/a")]


def test_a_watch_is_not_used_up_for_nothing_when_the_parent_goes_in_a_later_batch() -> None:
    watches = table()
    watches.add(ME, b"/a", CHILD)
    assert watches.notify([event(DELETED, b"/a/s")], lambda _: None) == []
    assert told(watches.notify([event(DELETED, b"/a")], open_tree)) == [(NODE_DELETED, b"/a")]


def test_set_watches_cannot_be_used_to_spy_on_an_unreadable_node() -> None:
    watches = table(only_other_reads)
    request = SetWatchesRequest(5, (b"/s",), (b"/s",), (b"/s",))

    def tree(path: bytes) -> Record:
        return znode(path, modified=20, children=21, acl=SECRET)

    assert watches.rearm(ME, request, tree) == []
    assert watches.holds(ME, b"/s", WatcherType.DATA)
    assert watches.holds(ME, b"/s", WatcherType.CHILDREN)
    assert len(watches.rearm(OTHER, request, tree)) == 3


# --- bounds, totals, endings --------------------------------------------------------------------------------


def test_a_connection_can_fill_its_own_share_only() -> None:
    watches = table(limit=2)
    watches.add(ME, b"/a", DATA)
    watches.add(ME, b"/b", DATA)
    watches.add(ME, b"/a", CHILD)
    with pytest.raises(TooManyWatches):
        watches.add(ME, b"/c", DATA)
    assert not watches.holds(ME, b"/c", WatcherType.ANY)
    watches.add(OTHER, b"/c", DATA)
    watches.notify([event(DELETED, b"/a")], open_tree)
    watches.add(ME, b"/c", DATA)


def test_a_connection_without_room_leaves_no_trace() -> None:
    watches = table(limit=0)
    with pytest.raises(TooManyWatches):
        watches.add(ME, b"/a", DATA)
    assert watches.totals() == (0, 0, 0)
    watches.drop(ME)


def test_operators_see_who_watches_what() -> None:
    watches = table()
    watches.add(ME, b"/a", DATA | CHILD)
    watches.add(ME, b"/b", RECURSIVE)
    watches.add(OTHER, b"/a", PERSISTENT)
    assert watches.totals() == (2, 2, 4)
    assert {connection: list(paths) for connection, paths in watches.by_connection()} == {
        ME: [b"/a", b"/b"],
        OTHER: [b"/a"],
    }
    assert {path: list(connections) for path, connections in watches.by_path()} == {
        b"/a": [ME, OTHER],
        b"/b": [ME],
    }
    watches.drop(ME)
    watches.drop(ME)
    assert watches.totals() == (1, 1, 1)


# --- the model ----------------------------------------------------------------------------------------------


class Model:
    """How a ZooKeeper server does it, in the plainest words: two managers, one for data (with exist) and one
    for children; a persistent watch is in both, a recursive one in the first; each change triggers first the
    one and then the other, and the second leaves out whom the first has told of a deletion."""

    def __init__(self) -> None:
        self.registered: set[tuple[str, int, bytes, int]] = set()

    def add(self, connection: int, path: bytes, kind: int) -> None:
        managers = {DATA: ["data"], CHILD: ["child"], PERSISTENT: ["data", "child"], RECURSIVE: ["data"]}
        self.registered |= {(manager, connection, path, kind) for manager in managers[kind]}

    def drop(self, connection: int) -> None:
        self.registered = {one for one in self.registered if one[1] != connection}

    def trigger(self, manager: str, path: bytes, spared: set[int] = frozenset()) -> set[int]:  # type: ignore[assignment]
        reached: set[int] = set()
        for one in sorted(self.registered):
            where, connection, on, kind = one
            if where == manager and on == path:
                reached.add(connection)
                if kind in (DATA, CHILD):
                    self.registered.discard(one)
            elif where == manager and kind == RECURSIVE and (on == b"/" or path.startswith(on + b"/")):
                reached.add(connection)
        return reached - spared

    def notify(self, kind: EventKind, path: bytes) -> list[set[tuple[int, EventType, bytes]]]:
        """The groups in order; within a group no connection stands twice."""
        parent = path.rpartition(b"/")[0] or b"/"
        groups: list[set[tuple[int, EventType, bytes]]] = []

        def tell(connections: set[int], what: EventType, where: bytes) -> None:
            groups.append({(connection, what, where) for connection in connections})

        if kind is CHANGED:
            tell(self.trigger("data", path), DATA_CHANGED, path)
        elif kind is CREATED:
            tell(self.trigger("data", path), NODE_CREATED, path)
            tell(self.trigger("child", parent), CHILDREN_CHANGED, parent)
        else:
            first = self.trigger("data", path)
            tell(first | self.trigger("child", path, first), NODE_DELETED, path)
            tell(self.trigger("child", parent), CHILDREN_CHANGED, parent)
        return [group for group in groups if group]


PATHS = [b"/a", b"/a/b", b"/a/b/c", b"/ab", b"/a/bc", b"/b"]
ADD = st.tuples(
    st.just("add"),
    st.integers(1, 3),
    st.sampled_from([*PATHS, b"/"]),
    st.sampled_from([DATA, CHILD, PERSISTENT, RECURSIVE]),
)
DROP = st.tuples(st.just("drop"), st.integers(1, 3))
HAPPEN = st.tuples(st.just("happen"), st.sampled_from(EventKind), st.sampled_from(PATHS))


@given(st.lists(st.one_of(ADD, ADD, ADD, HAPPEN, HAPPEN, HAPPEN, DROP), min_size=10, max_size=40))
def test_every_story_is_told_as_the_model_tells_it(story: list[tuple[object, ...]]) -> None:
    watches, model = table(), Model()
    for step in story:
        match step:
            case ("add", int(connection), bytes(path), int(kind)):
                watches.add(connection, path, kind)
                model.add(connection, path, kind)
            case ("drop", int(connection)):
                watches.drop(connection)
                model.drop(connection)
            case ("happen", EventKind() as kind, bytes(path)):
                heard = [
                    (connection, *read_frame(frame)[:2])
                    for connection, frame in watches.notify([event(kind, path)], open_tree)
                ]
                for group in model.notify(kind, path):
                    part, heard = heard[: len(group)], heard[len(group) :]
                    assert set(part) == group
                assert heard == []
    held = {(connection, path, kind) for _, connection, path, kind in model.registered}
    assert watches.totals() == (len({c for c, _, _ in held}), len({p for _, p, _ in held}), len(held))
    for connection in (1, 2, 3):
        watches.drop(connection)
    assert watches.totals() == (0, 0, 0)
    assert watches._recursive == 0, "else every later event would look at its ancestors for nothing"
