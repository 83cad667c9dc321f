"""Reads: what they answer (with kazoo's eyes), who may have it, and which watch it leaves behind."""
from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from kazoo.protocol import serialization as kazoo

from agreed.store.commands import Create, GrantLease
from agreed.store.machine import Store
from agreed.store.records import ADMIN, ALL, READ, Acl, Credential, Permission
from agreed.wire.zookeeper import messages
from agreed.wire.zookeeper.messages import AddWatchMode, WatcherType
from agreed.wire.zookeeper.reads import answer
from agreed.wire.zookeeper.watches import TooManyWatches, Watches

OWNER = 7
NOBODY = (Credential("ip", "127.0.0.1"),)
ADMINISTRATOR = (Credential("super", ""),)


class Asker(NamedTuple):
    id: int = 1
    lease: int = OWNER
    credentials: tuple[Credential, ...] = NOBODY


ME = Asker()


@pytest.fixture
def store() -> Store:
    store = Store()
    store.begin(1_000)
    store.execute(GrantLease(OWNER, 10_000, b"", NOBODY))
    for path, mode, acl in (
        (b"/p", 0, None),
        (b"/p/x", 0, None),
        (b"/p/x/deep", 0, None),
        (b"/p/e", 1, None),
        (b"/read", 0, (Permission(READ, "world", "anyone"),)),
        (b"/admin", 0, (Permission(ADMIN, "world", "anyone"), Permission(ALL, "digest", "u:secret"))),
        (b"/mixed", 0, (Permission(READ, "world", "anyone"), Permission(ALL, "digest", "u:secret"))),
        (b"/closed", 0, (Permission(0, "world", "anyone"),)),
    ):
        store.execute(Create(OWNER, path, b"d" + path, acl, mode))
    return store


@pytest.fixture
def watches() -> Watches:
    return Watches(lambda _connection, _acl: True, limit=2)


def ask(store: Store, watches: Watches, request: Any, asker: Asker = ME) -> tuple[int, bytes]:
    """(error, body) of the one frame that is the answer."""
    frame = answer(store, watches, asker, 5, request)
    (length,) = kazoo.int_struct.unpack_from(frame)
    header, offset = kazoo.ReplyHeader.deserialize(frame, 4)
    assert length == len(frame) - 4
    assert (header.xid, header.zxid) == (5, store.revision)
    return header.err, frame[offset:]


# --- what is answered -------------------------------------------------------------------------------------


def test_kazoo_understands_what_it_reads(store: Store, watches: Watches) -> None:
    error, body = ask(store, watches, messages.GetDataRequest(b"/p", False))
    data, stat = kazoo.GetData.deserialize(body, 0)
    assert (error, data, stat.numChildren, stat.cversion, stat.data_length) == (0, b"d/p", 2, 2, 3)

    error, body = ask(store, watches, messages.ExistsRequest(b"/p", False))
    assert kazoo.Exists.deserialize(body, 0) == stat

    error, body = ask(store, watches, messages.GetChildrenRequest(b"/p", False))
    assert kazoo.GetChildren.deserialize(body, 0) == ["x", "e"]

    error, body = ask(store, watches, messages.GetChildren2Request(b"/p", False))
    assert kazoo.GetChildren2.deserialize(body, 0) == (["x", "e"], stat)

    error, body = ask(store, watches, messages.GetAclRequest(b"/p"))
    [line], shown = kazoo.GetACL.deserialize(body, 0)
    assert (line.perms, line.id.scheme, line.id.id, shown) == (31, "world", "anyone", stat)

    error, body = ask(store, watches, messages.SyncRequest(b"/not/there"))
    assert kazoo.Sync.deserialize(body, 0) == "/not/there"


@pytest.mark.parametrize(("path", "number"), [(b"/p", 3), (b"/p/x", 1), (b"/p/e", 0), (b"/", 11), (b"", 11)])
def test_all_children_are_counted_at_any_depth(
    store: Store, watches: Watches, path: bytes, number: int
) -> None:
    error, body = ask(store, watches, messages.GetAllChildrenNumberRequest(path))
    assert (error, body) == (0, number.to_bytes(4, "big"))


@pytest.mark.parametrize("path", [b"/nope", b"/p/", b"p", b"//", b"/p//x", b"\xff"])
@pytest.mark.parametrize(
    "kind", [messages.GetDataRequest, messages.ExistsRequest, messages.GetChildrenRequest]
)
def test_what_is_no_path_is_just_not_there(store: Store, watches: Watches, kind: Any, path: bytes) -> None:
    assert ask(store, watches, kind(path, False)) == (-101, b"")


def test_exists_alone_minds_a_nul(store: Store, watches: Watches) -> None:
    assert ask(store, watches, messages.ExistsRequest(b"/a\0", True)) == (-8, b"")
    assert ask(store, watches, messages.GetDataRequest(b"/a\0", True)) == (-101, b"")
    assert watches.totals().watches == 0


# --- who may have it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reads", "reads_acl"),
    [
        (b"/p", True, "whole"),
        (b"/read", True, "masked"),
        (b"/admin", False, "whole"),
        (b"/mixed", True, "masked"),
        (b"/closed", False, None),
    ],
)
def test_permissions(
    store: Store, watches: Watches, path: bytes, reads: bool, reads_acl: str | None
) -> None:
    expected = 0 if reads else -102
    for kind in (messages.GetDataRequest, messages.ExistsRequest, messages.GetChildrenRequest):
        assert ask(store, watches, kind(path, False))[0] == expected
    assert ask(store, watches, messages.GetChildren2Request(path, False))[0] == expected
    assert ask(store, watches, messages.GetAllChildrenNumberRequest(path))[0] == expected
    several = messages.MultiReadRequest(
        (messages.GetDataRequest(path, False), messages.GetChildrenRequest(path, False))
    )
    _, body = ask(store, watches, several)
    assert (b"\xff\xff\xff\xff\x00\xff\xff\xff\x9a" in body) is not reads

    error, body = ask(store, watches, messages.GetAclRequest(path))
    assert error == (0 if reads_acl else -102)
    record = store.tree.get(path)
    assert record is not None
    if reads_acl:
        shown = tuple(
            Permission(line.perms, line.id.scheme, line.id.id)
            for line in kazoo.GetACL.deserialize(body, 0)[0]
        )
        assert shown == (record.acl if reads_acl == "whole" else masked(record.acl))
    root = Asker(credentials=ADMINISTRATOR)
    assert ask(store, watches, messages.GetDataRequest(path, False), root)[0] == 0
    error, body = ask(store, watches, messages.GetAclRequest(path), root)
    assert b"u:x" not in body


def masked(acl: Acl) -> Acl:
    return tuple(line._replace(id="u:x") if line.scheme == "digest" else line for line in acl)


# --- watches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "held"),
    [
        (messages.GetDataRequest(b"/p", True), WatcherType.DATA),
        (messages.GetDataRequest(b"/p", False), None),
        (messages.GetDataRequest(b"/nope", True), None),
        (messages.GetDataRequest(b"/closed", True), None),
        (messages.ExistsRequest(b"/p", True), WatcherType.DATA),
        (messages.ExistsRequest(b"/p", False), None),
        (messages.ExistsRequest(b"/nope", True), WatcherType.DATA),
        (messages.ExistsRequest(b"/closed", True), None),
        (messages.GetChildrenRequest(b"/p", True), WatcherType.CHILDREN),
        (messages.GetChildrenRequest(b"/p", False), None),
        (messages.GetChildrenRequest(b"/nope", True), None),
        (messages.GetChildren2Request(b"/p", True), WatcherType.CHILDREN),
        (messages.GetChildren2Request(b"/closed", True), None),
        (messages.AddWatchRequest(b"/nope", AddWatchMode.PERSISTENT), WatcherType.PERSISTENT),
        (
            messages.AddWatchRequest(b"/closed", AddWatchMode.PERSISTENT_RECURSIVE),
            WatcherType.PERSISTENT_RECURSIVE,
        ),
        (messages.MultiReadRequest((messages.GetDataRequest(b"/p", True),)), None),
    ],
)
def test_which_read_leaves_which_watch(
    store: Store, watches: Watches, request_: Any, held: WatcherType | None
) -> None:
    ask(store, watches, request_)
    assert watches.totals().watches == (0 if held is None else 1)
    if held is not None:
        assert watches.holds(ME.id, request_.path, held)
        assert ask(store, watches, messages.CheckWatchesRequest(request_.path, held))[0] == 0
        assert ask(store, watches, messages.RemoveWatchesRequest(request_.path, held))[0] == 0
        assert ask(store, watches, messages.RemoveWatchesRequest(request_.path, held))[0] == -121


def test_set_watches_without_room_ends_the_connection(store: Store, watches: Watches) -> None:
    """An error would not do: the client would go on and wait for events that never come."""
    with pytest.raises(TooManyWatches):
        answer(store, watches, ME, -8, messages.SetWatchesRequest(99, (), (b"/x", b"/y", b"/z"), ()))
