"""From wishes to requests, and from answers to values."""
from __future__ import annotations

import pytest

from agreed.client.errors import BadArguments, BadVersion, TooLarge, UnknownAnswer
from agreed.client.operations import (
    Paths,
    create_request,
    multi_request,
    multi_results,
    raise_if_too_large,
)
from agreed.client.values import Check, Create, Created, Delete, SetData, Stat
from agreed.wire.zookeeper.connection import FRAME_BYTES_MAX
from agreed.wire.zookeeper.messages import CreateMode, ErrorCode, Op, SetDataRequest
from agreed.wire.zookeeper.replies import (
    Create2Reply,
    CreateReply,
    ErrorReply,
    HeaderReply,
    MultiReply,
    SetDataReply,
)
from agreed.wire.zookeeper.request_codec import encode_request

STAT = Stat(*range(11))
NUMBERED_WITH_TTL = CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL


@pytest.mark.parametrize(
    ("root", "path", "wire"),
    [
        ("", "/", b"/"),
        ("", "/a", b"/a"),
        ("/r", "/", b"/r"),
        ("/r", "/a/b", b"/r/a/b"),
        ("", "/ö", "/ö".encode()),
    ],
)
def test_paths_go_behind_the_root_and_come_back(root: str, path: str, wire: bytes) -> None:
    assert Paths(root).wire(path) == wire
    assert Paths(root).told(wire) == path


@pytest.mark.parametrize("path", ["", "a", "/\ud800"])
def test_what_is_no_path_is_not_sent(path: str) -> None:
    with pytest.raises(BadArguments):
        Paths("/r").wire(path)


@pytest.mark.parametrize(
    ("wish", "op", "mode"),
    [
        (Create(path="/a"), Op.CREATE2, CreateMode.PERSISTENT),
        (Create(path="/a", ephemeral=True), Op.CREATE2, CreateMode.EPHEMERAL),
        (Create(path="/a", sequential=True), Op.CREATE2, CreateMode.PERSISTENT_SEQUENTIAL),
        (Create(path="/a", ephemeral=True, sequential=True), Op.CREATE2, CreateMode.EPHEMERAL_SEQUENTIAL),
        (Create(path="/a", container=True), Op.CREATE_CONTAINER, CreateMode.CONTAINER),
        (Create(path="/a", ttl_ms=5), Op.CREATE_TTL, CreateMode.PERSISTENT_WITH_TTL),
        (Create(path="/a", ttl_ms=5, sequential=True), Op.CREATE_TTL, NUMBERED_WITH_TTL),
    ],
)  # fmt: skip
def test_kinds_of_nodes(wish: Create, op: Op, mode: CreateMode) -> None:
    request = create_request(Paths(""), wish)
    assert (request.op, request.mode, request.ttl_ms) == (op, mode, wish.ttl_ms or 0)


@pytest.mark.parametrize(
    "wish",
    [
        Create(path="/a", container=True, ephemeral=True),
        Create(path="/a", container=True, sequential=True),
        Create(path="/a", container=True, ttl_ms=5),
        Create(path="/a", ephemeral=True, ttl_ms=5),
    ],
)
def test_kinds_that_there_are_not(wish: Create) -> None:
    with pytest.raises(BadArguments):
        create_request(Paths(""), wish)


OPERATIONS = (Create(path="/a"), SetData("/b", b"", 3), Delete("/c"), Check("/d", 1))


def test_a_multi_that_was_done() -> None:
    reply = MultiReply(
        (Create2Reply(b"/r/a", STAT), SetDataReply(STAT), HeaderReply(Op.DELETE), HeaderReply(Op.CHECK))
    )
    assert multi_results(Paths("/r"), OPERATIONS, reply) == (Created("/a", STAT), STAT, None, None)
    assert len(multi_request(Paths("/r"), OPERATIONS).operations) == 4
    old = MultiReply((CreateReply(b"/r/a"),))
    assert multi_results(Paths("/r"), OPERATIONS[:1], old) == ("/a",)


def test_a_multi_that_was_refused_says_which_operation_was() -> None:
    codes = (ErrorCode.OK, ErrorCode.BAD_VERSION, ErrorCode.RUNTIME_INCONSISTENCY, -2)
    with pytest.raises(BadVersion) as raised:
        multi_results(Paths(""), OPERATIONS, MultiReply(tuple(map(ErrorReply, codes))))
    assert (raised.value.path, raised.value.index) == ("/b", 1)


def test_a_multi_that_failed_and_nobody_says_why() -> None:
    with pytest.raises(UnknownAnswer):
        multi_results(Paths(""), OPERATIONS, MultiReply((ErrorReply(0),) * 4))


def test_the_largest_request_and_one_byte_more() -> None:
    most = FRAME_BYTES_MAX - (len(encode_request(1, SetDataRequest(b"/a", b"", -1))) - 4)
    raise_if_too_large(SetDataRequest(b"/a", bytes(most), -1), "/a")
    with pytest.raises(TooLarge):
        raise_if_too_large(SetDataRequest(b"/a", bytes(most + 1), -1), "/a")
    with pytest.raises(TooLarge):
        raise_if_too_large(multi_request(Paths(""), [SetData("/a", bytes(100_000))] * 11), "/a")
