"""What a request means to the store, and what a result means to a client (read with kazoo's eyes)."""
from __future__ import annotations

from typing import Any

import pytest
from kazoo.protocol import serialization as kazoo

from agreed.store import commands
from agreed.store.machine import Store
from agreed.store.records import ALL, OPEN_ACL, Acl, Permission, Record
from agreed.store.results import Changed, Created, Done, MultiDone, MultiRefused, Refusal
from agreed.wire.zookeeper import messages, replies
from agreed.wire.zookeeper.codec import Reader
from agreed.wire.zookeeper.messages import CreateRequest, ErrorCode, MultiRequest, Op
from agreed.wire.zookeeper.reads import READS
from agreed.wire.zookeeper.reply_codec import decode_reply
from agreed.wire.zookeeper.translate import WRITES, command_for, reply_for

ME = 7
SECRET: Acl = (Permission(ALL, "digest", "u:hash"),)
RECORD = Record(b"/a-0000000003", b"data", 11, 12, 13, 14, 15, 16, 17, 18, 19, 0, OPEN_ACL, None)
STAT = (11, 12, 14, 15, 16, 33, 18, 19, 4, 1, 13)
NEW_STAT = (11, 12, 14, 15, 16, 34, 18, 19, 4, 0, 13)
"""Of `RECORD` with one child, and with none."""


def make(mode: int, op: Op = Op.CREATE, ttl_ms: int = 0, acl: Acl = OPEN_ACL) -> CreateRequest:
    return CreateRequest(b"/a", b"data", acl, mode, ttl_ms, op)


# --- request -> command -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "command"),
    [
        (make(0), commands.Create(ME, b"/a", b"data", None, 0)),
        (make(0, acl=SECRET), commands.Create(ME, b"/a", b"data", SECRET, 0)),
        (make(0, acl=()), commands.Create(ME, b"/a", b"data", (), 0)),
        (messages.SetDataRequest(b"/a", None, 3), commands.SetData(ME, b"/a", None, 3)),
        (messages.DeleteRequest(b"/a", -1), commands.Delete(ME, b"/a", -1)),
        (messages.SetAclRequest(b"/a", SECRET, 2), commands.SetAcl(ME, b"/a", SECRET, 2)),
        (messages.SetAclRequest(b"/a", OPEN_ACL, 2), commands.SetAcl(ME, b"/a", None, 2)),
        (MultiRequest(()), commands.Multi(ME, ())),
        (
            MultiRequest(
                (
                    make(0),
                    messages.SetDataRequest(b"/a", b"", 0),
                    messages.CheckRequest(b"/a", 1),
                    messages.DeleteRequest(b"/a", 1),
                )
            ),
            commands.Multi(
                ME,
                (
                    commands.Create(ME, b"/a", b"data", None, 0),
                    commands.SetData(ME, b"/a", b"", 0),
                    commands.Check(ME, b"/a", 1),
                    commands.Delete(ME, b"/a", 1),
                ),
            ),
        ),
        (messages.CloseSessionRequest(), commands.RevokeLease(ME)),
    ],
)
def test_a_write_becomes_a_command(request_: messages.Request, command: commands.Command) -> None:
    assert command_for(ME, request_) == command
    assert type(request_) in WRITES


@pytest.mark.parametrize(
    ("op", "modes"),
    [
        # What the client says -> what it means; what is missing is refused.
        (Op.CREATE, {0: 0, 1: 1, 2: 2, 3: 3, 4: 0}),
        (Op.CREATE2, {0: 0, 1: 1, 2: 2, 3: 3, 4: 0}),
        (Op.CREATE_CONTAINER, {0: 4, 1: 4, 4: 4}),
        (Op.CREATE_TTL, {5: 5, 6: 6}),
    ],
)
def test_each_kind_of_create_has_its_modes(op: Op, modes: dict[int, int]) -> None:
    ttl_ms = 1000 if op is Op.CREATE_TTL else 0
    for mode in (-(2**31), -1, *range(10), 2**31 - 1):
        command = command_for(ME, make(mode, op, ttl_ms))
        if mode in modes:
            assert command == commands.Create(ME, b"/a", b"data", None, modes[mode], ttl_ms)
        else:
            assert command is ErrorCode.BAD_ARGUMENTS


def test_the_request_that_kills_a_real_server_never_reaches_the_log() -> None:
    assert command_for(ME, make(0, Op.CREATE_TTL, -1)) is ErrorCode.BAD_ARGUMENTS


@pytest.mark.parametrize("ttl_ms", [-1, 0, 1 << 40])
def test_a_time_to_live_out_of_range_is_for_the_store_to_refuse(ttl_ms: int) -> None:
    command = command_for(ME, make(5, Op.CREATE_TTL, ttl_ms))
    assert isinstance(command, commands.Create)
    assert with_session().execute(command) is Refusal.BAD_ARGUMENTS


def test_within_a_multi_a_wrong_mode_is_refused_by_the_store_in_its_turn() -> None:
    multi = command_for(ME, MultiRequest((make(0), make(9), make(0, Op.CREATE_TTL, -1))))
    assert isinstance(multi, commands.Multi)
    assert with_session().execute(multi) == MultiRefused(1, Refusal.BAD_ARGUMENTS)


def with_session() -> Store:
    store = Store()
    store.execute(commands.GrantLease(ME, 10_000, b"", ()))
    return store


def test_every_request_of_a_session_is_a_read_or_a_write_or_has_a_way_of_its_own() -> None:
    own_way = {messages.AuthRequest, messages.SaslRequest, messages.ReconfigRequest}
    inside_a_multi = {messages.CheckRequest}
    everything = set(messages.Request.__args__) - own_way - inside_a_multi
    assert everything == READS | WRITES
    assert not READS & WRITES


# --- result -> reply --------------------------------------------------------------------------------------


def body_of(frame: bytes) -> tuple[tuple[int, int, int], int]:
    """((xid, zxid, error), where the body begins)."""
    (length,) = kazoo.int_struct.unpack_from(frame)
    assert length == len(frame) - 4
    header, offset = kazoo.ReplyHeader.deserialize(frame, 4)
    return (header.xid, header.zxid, header.err), offset


@pytest.mark.parametrize("request_", [make(2), make(0, Op.CREATE2)])
def test_create_answers_the_path_and_create2_the_stat_too(request_: CreateRequest) -> None:
    frame = reply_for(5, request_, Created(RECORD), 99)
    header, offset = body_of(frame)
    assert header == (5, 99, 0)
    if request_.op is Op.CREATE:
        assert kazoo.Create.deserialize(frame, offset) == "/a-0000000003"
        assert offset + 4 + 13 == len(frame)
    else:
        path, stat = kazoo.Create2.deserialize(frame, offset)
        assert (path, tuple(stat)) == ("/a-0000000003", NEW_STAT)


@pytest.mark.parametrize("op", [Op.CREATE_CONTAINER, Op.CREATE_TTL])
def test_containers_and_nodes_with_a_time_to_live_are_answered_as_by_create2(op: Op) -> None:
    frame = reply_for(5, make(4, op), Created(RECORD), 99)
    assert frame == reply_for(5, make(4, Op.CREATE2), Created(RECORD), 99)


@pytest.mark.parametrize(
    "request_", [messages.SetDataRequest(b"/a", b"", -1), messages.SetAclRequest(b"/a", OPEN_ACL, -1)]
)
def test_changes_answer_the_stat(request_: messages.Request) -> None:
    frame = reply_for(5, request_, Changed(RECORD, 1), 99)
    header, offset = body_of(frame)
    assert header == (5, 99, 0)
    assert tuple(kazoo.SetData.deserialize(frame, offset)) == STAT


def test_a_deletion_and_a_farewell_answer_nothing_but_the_header() -> None:
    for request in (messages.DeleteRequest(b"/a", -1), messages.CloseSessionRequest()):
        frame = reply_for(5, request, Done.DONE, 99)
        assert body_of(frame) == ((5, 99, 0), len(frame))


@pytest.mark.parametrize("request_", [make(0), MultiRequest((make(0),))])
def test_a_refusal_is_a_header_with_its_code(request_: Any) -> None:
    frame = reply_for(5, request_, Refusal.NO_LEASE, 99)
    assert body_of(frame) == ((5, 99, -112), len(frame))


def test_kazoo_understands_a_multi() -> None:
    request = MultiRequest(
        (
            make(0),
            messages.SetDataRequest(b"/a", b"", 0),
            messages.CheckRequest(b"/a", 1),
            messages.DeleteRequest(b"/a", 1),
        )
    )
    done = (Created(RECORD), Changed(RECORD, 1), Done.DONE, Done.DONE)
    frame = reply_for(5, request, MultiDone(done), 99)
    header, offset = body_of(frame)
    assert header == (5, 99, 0)
    results = kazoo.Transaction.deserialize(frame, offset)
    assert results[0] == "/a-0000000003"
    assert tuple(results[1]) == STAT
    assert results[2:] == [True, True]


@pytest.mark.parametrize("op", [Op.CREATE2, Op.CREATE_CONTAINER, Op.CREATE_TTL])
def test_in_a_multi_every_create_but_the_oldest_answers_as_create2(op: Op) -> None:
    """kazoo cannot read these, so our own client does."""
    done = MultiDone((Created(RECORD), Created(RECORD)))
    frame = reply_for(5, MultiRequest((make(5, op), make(0))), done, 99)
    reply = decode_reply(Op.MULTI, 0, Reader(frame, 20, len(frame)))
    assert reply == replies.MultiReply(
        (
            replies.Create2Reply(RECORD.key, messages.Stat(*NEW_STAT)),
            replies.CreateReply(RECORD.key),
        )
    )


@pytest.mark.parametrize("culprit", [0, 1, 2])
def test_kazoo_sees_who_spoiled_a_multi(culprit: int) -> None:
    request = MultiRequest(tuple(messages.DeleteRequest(b"/a", -1) for _ in range(3)))
    frame = reply_for(5, request, MultiRefused(culprit, Refusal.NOT_EMPTY), 99)
    header, offset = body_of(frame)
    assert header == (5, 99, 0)
    codes = [error.code for error in kazoo.Transaction.deserialize(frame, offset)]
    assert codes == [0] * culprit + [-111] + [-2] * (2 - culprit)
