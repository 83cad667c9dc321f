"""Replies: the bytes of a real 3.9.3 server, what kazoo makes of ours, and back."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kazoo import exceptions
from kazoo.protocol import serialization as kazoo

from agreed.errors import MalformedInput
from agreed.store.records import OPEN_ACL, Credential, Permission
from agreed.wire.zookeeper import messages as m
from agreed.wire.zookeeper import replies
from agreed.wire.zookeeper import reply_codec as r
from agreed.wire.zookeeper.codec import Reader, pack_stat, write_data, write_paths
from tests.wire.zookeeper import strategies

STAT = m.Stat(12, 13, 1795329307239, 1795329307240, 1, 9, 2, 0x1000042AF4A001E, 3, 9, 50)
RAW_STAT = pack_stat(*STAT)


def body_of(frame: bytes, xid: int = 3, zxid: int = 50, error: int = 0) -> bytes:
    """Checks length and header, as every client does."""
    length, *header = struct.unpack_from(">iiqi", frame)
    assert length == len(frame) - 4
    assert header == [xid, zxid, error]
    return frame[20:]


def decode(op: int, frame: bytes) -> replies.Reply:
    reader = Reader(frame, 4, len(frame))
    _, _, error = r.decode_reply_header(reader)
    reply = r.decode_reply(op, error, reader)
    if not error:
        assert reader.position == len(frame), "something is left over"
    return reply


@given(strategies.OP_AND_REPLY)
def test_every_reply_comes_back(op_and_reply):
    op, reply = op_and_reply
    assert decode(op, r.encode_reply(3, 50, reply)) == reply


@given(st.integers(-200, -1))
def test_an_error_has_no_body(code):
    frame = r.encode_reply(3, 50, replies.ErrorReply(code))
    assert body_of(frame, error=code) == b""
    assert decode(m.Op.GET_DATA, frame) == replies.ErrorReply(code)


# --- recorded from ZooKeeper 3.9.3 -----------------------------------------------------------------------

MULTI = (
    "000000010000000000000000132f7072313739353332393330373135332f6d31"
    "00000005000000000000000000000000320000000000000032000001a201f732f8000001a201f732f8"
    "0000000100000000000000000000000000000000000000010000000000000000000000320000000d00000000"
    "00000000020000000000ffffffff01ffffffff"
)
FAILED_MULTI = (
    "ffffffff000000000000000000ffffffff00ffffff99ffffff99ffffffff00fffffffefffffffeffffffff01ffffffff"
)
MULTI_READ = (
    "0000000400000000000000000164000000000000000c000000000000000c000001a201f73267000001a201f7326700000000"
    "0000000d000000000000000000000000000000010000000900000000000000320000000800000000000000000900000003633462"
    "000000016100000002633400000002743500000003633463000000026175000000026330000000016e0000000d74362d30303030"
    "303030303037ffffffff00ffffff9bffffff9bffffffff01ffffffff"
)
NOW = 1795329307384
RECORDED = [
    (
        m.Op.MULTI,
        MULTI,
        replies.MultiReply(
            (
                replies.CreateReply(b"/pr1795329307153/m1"),
                replies.SetDataReply(m.Stat(50, 50, NOW, NOW, 1, 0, 0, 0, 1, 0, 50)),
                replies.HeaderReply(m.Op.CHECK),
                replies.HeaderReply(m.Op.DELETE),
            )
        ),
    ),
    (
        m.Op.MULTI,
        FAILED_MULTI,
        replies.MultiReply((replies.ErrorReply(0), replies.ErrorReply(-103), replies.ErrorReply(-2))),
    ),
    (m.Op.MULTI, "ffffffff01ffffffff", replies.MultiReply(())),
    (
        m.Op.MULTI_READ,
        MULTI_READ,
        replies.MultiReadReply(
            (
                replies.GetDataReply(
                    b"d", m.Stat(12, 12, 1795329307239, 1795329307239, 0, 13, 0, 0, 1, 9, 50)
                ),
                replies.GetChildrenReply(
                    (b"c4b", b"a", b"c4", b"t5", b"c4c", b"au", b"c0", b"n", b"t6-0000000007")
                ),
                replies.ErrorReply(-101),
            )
        ),
    ),
    (m.Op.SYNC, "000000052f6e6f7065", replies.SyncReply(b"/nope")),
    (m.Op.GET_EPHEMERALS, "00000000", replies.GetEphemeralsReply(())),
    (m.Op.GET_ALL_CHILDREN_NUMBER, "00000008", replies.GetAllChildrenNumberReply(8)),
    (
        m.Op.WHO_AM_I,
        "0000000200000002697000000009" + b"127.0.0.1".hex() + "00000006" + b"digest".hex() + "0000000175",
        replies.WhoAmIReply((Credential("ip", "127.0.0.1"), Credential("digest", "u"))),
    ),
    (m.Op.ADD_WATCH, "00000000", replies.AddWatchReply()),
    (m.Op.CREATE, "00000010" + b"/pr1795329307153".hex(), replies.CreateReply(b"/pr1795329307153")),
]


@pytest.mark.parametrize(("op", "recorded", "reply"), RECORDED)
def test_the_bytes_of_a_real_server_are_read_and_written_in_the_same_way(op, recorded, reply):
    frame = struct.pack(">iiqi", 16 + len(recorded) // 2, 3, 50, 0) + bytes.fromhex(recorded)
    assert decode(op, frame) == reply
    assert r.encode_reply(3, 50, reply) == frame


def test_a_recorded_watch_event():
    body = b"\0\0\0\4\0\0\0\3\0\0\0\x10/pr1795329307153"
    frame = r.watch_event(75, m.EventType.NODE_CHILDREN_CHANGED, b"/pr1795329307153")
    assert body_of(frame, xid=-1, zxid=75) == body
    event = r.decode_watch_event(Reader(body, 0, len(body)))
    assert event == replies.WatchEvent(m.EventType.NODE_CHILDREN_CHANGED, b"/pr1795329307153")


def test_a_failed_sasl_exchange_has_an_error_and_a_null_token():
    assert body_of(r.sasl_failure(2), xid=2, zxid=0, error=-115) == b"\xff\xff\xff\xff"


@pytest.mark.parametrize(("read_only", "size"), [(None, 36), (False, 37), (True, 37)])
def test_the_answer_to_the_handshake_has_its_last_byte_only_for_clients_that_know_it(read_only, size):
    response = m.ConnectResponse(0, 4000, 77, b"p" * 16, read_only)
    frame = r.encode_connect_response(response)
    assert len(frame) == 4 + size
    assert struct.unpack_from(">i", frame)[0] == size
    assert r.decode_connect_response(Reader(frame, 4, len(frame))) == response


# --- the functions for servers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "reply"),
    [
        (r.header_reply(3, 50), replies.HeaderReply(m.Op.DELETE)),
        (r.stat_reply(3, 50, RAW_STAT), replies.ExistsReply(STAT)),
        (r.get_data_reply(3, 50, b"abc", RAW_STAT), replies.GetDataReply(b"abc", STAT)),
        (r.get_data_reply(3, 50, b"", RAW_STAT), replies.GetDataReply(b"", STAT)),
        (r.get_data_reply(3, 50, None, RAW_STAT), replies.GetDataReply(None, STAT)),
        (
            r.get_data_packer(3)(r.GET_DATA_REPLY_BYTES + 3, 3, 50, 0, 3, b"abc", *STAT),
            replies.GetDataReply(b"abc", STAT),
        ),
        (r.path_reply(3, 50, b"/a"), replies.CreateReply(b"/a")),
        (r.create2_reply(3, 50, b"/a", RAW_STAT), replies.Create2Reply(b"/a", STAT)),
        (r.paths_reply(3, 50, [b"x", b"yz"]), replies.GetChildrenReply((b"x", b"yz"))),
        (r.paths_reply(3, 50, {b"x": None}, RAW_STAT), replies.GetChildren2Reply((b"x",), STAT)),
        (r.acl_reply(3, 50, OPEN_ACL, RAW_STAT), replies.GetAclReply(OPEN_ACL, STAT)),
        (r.number_reply(3, 50, 8), replies.GetAllChildrenNumberReply(8)),
        (r.body_reply(3, 50, write_paths([b"/e"])), replies.GetEphemeralsReply((b"/e",))),
        (
            r.who_am_i_reply(3, 50, (Credential("ip", "::1"),)),
            replies.WhoAmIReply((Credential("ip", "::1"),)),
        ),
        (
            r.multi_reply(
                3,
                50,
                [r.multi_result(m.Op.CREATE, write_data(b"/a")), r.multi_result(m.Op.DELETE, b"")],
            ),
            replies.MultiReply((replies.CreateReply(b"/a"), replies.HeaderReply(m.Op.DELETE))),
        ),
        (r.multi_reply(3, 50, [r.multi_error(-101)]), replies.MultiReadReply((replies.ErrorReply(-101),))),
    ],
)
def test_a_frame_made_at_once_is_that_of_the_message(frame, reply):
    assert frame == r.encode_reply(3, 50, reply)


def test_a_sasl_token_goes_under_zxid_zero():
    assert r.sasl_reply(3, b"rspauth=x") == r.encode_reply(3, 0, replies.SaslReply(b"rspauth=x"))
    assert body_of(r.encode_reply(3, 0, replies.SaslReply(None)), zxid=0) == b"\xff\xff\xff\xff"


# --- kazoo -----------------------------------------------------------------------------------------------


def test_kazoo_reads_our_replies():
    def given_to(theirs, reply):
        return theirs.deserialize(r.encode_reply(3, 50, reply), 20)

    header, offset = kazoo.ReplyHeader.deserialize(r.header_reply(3, 50, -101), 4)
    assert header == (3, 50, -101)
    assert offset == 20
    assert given_to(kazoo.Create, replies.CreateReply("/ä".encode())) == "/ä"
    assert given_to(kazoo.Create2, replies.Create2Reply(b"/a", STAT)) == ("/a", STAT)
    assert given_to(kazoo.Exists, replies.ExistsReply(STAT)) == STAT
    assert given_to(kazoo.GetData, replies.GetDataReply(b"d", STAT)) == (b"d", STAT)
    assert given_to(kazoo.GetData, replies.GetDataReply(None, STAT)) == (None, STAT)
    assert given_to(kazoo.SetData, replies.SetDataReply(STAT)) == STAT
    acl = (Permission(1, "digest", "u:x"),)
    [line], stat = given_to(kazoo.GetACL, replies.GetAclReply(acl, STAT))
    assert (line.perms, line.id.scheme, line.id.id, stat) == (1, "digest", "u:x", STAT)
    assert given_to(kazoo.SetACL, replies.SetAclReply(STAT)) == STAT
    assert given_to(kazoo.GetChildren, replies.GetChildrenReply((b"x", b"y"))) == ["x", "y"]
    assert given_to(kazoo.GetChildren2, replies.GetChildren2Reply((b"x",), STAT)) == (["x"], STAT)
    assert given_to(kazoo.Sync, replies.SyncReply(b"/")) == "/"
    assert given_to(kazoo.Reconfig, replies.ReconfigReply(b"server.1", STAT)) == (b"server.1", STAT)
    assert given_to(kazoo.SASL, replies.SaslReply(b"t"))[0] == b"t"


def test_kazoo_reads_our_events():
    frame = r.watch_event(9, m.EventType.NODE_DELETED, b"/a")
    assert kazoo.Watch.deserialize(frame, 20)[0] == (2, 3, "/a")


def test_kazoo_reads_our_handshake():
    frame = r.encode_connect_response(m.ConnectResponse(0, 4000, 77, b"p" * 16, True))
    assert kazoo.Connect.deserialize(frame, 4)[0] == (0, 0, 4000, 77, b"p" * 16, True)


def test_kazoo_reads_our_multis():
    done = replies.MultiReply(
        (
            replies.CreateReply(b"/a"),
            replies.SetDataReply(STAT),
            replies.HeaderReply(m.Op.CHECK),
            replies.HeaderReply(m.Op.DELETE),
        )
    )
    assert kazoo.Transaction.deserialize(r.encode_reply(3, 50, done), 20) == ["/a", STAT, True, True]
    failed = replies.MultiReply((replies.ErrorReply(0), replies.ErrorReply(-101), replies.ErrorReply(-2)))
    kinds = [type(e) for e in kazoo.Transaction.deserialize(r.encode_reply(3, 50, failed), 20)]
    assert kinds == [
        exceptions.RolledBackError,
        exceptions.NoNodeError,
        exceptions.RuntimeInconsistency,
    ]


# --- servers that say nonsense ---------------------------------------------------------------------------


@given(strategies.OP_AND_REPLY, st.data())
def test_a_reply_that_ends_too_early_is_malformed(op_and_reply, data):
    op, reply = op_and_reply
    frame = r.encode_reply(3, 50, reply)
    if len(frame) > 20:
        size = data.draw(st.integers(20, len(frame) - 1))
        with pytest.raises(MalformedInput):
            decode(op, frame[:size])


@pytest.mark.parametrize("result", ["0000000300000000", "0000000100ffffff9b"])
def test_a_multi_with_an_impossible_result_is_malformed(result):
    with pytest.raises(MalformedInput):
        decode(m.Op.MULTI, r.body_reply(3, 50, bytes.fromhex(result) + bytes(100)))


@pytest.mark.parametrize("body", [struct.pack(">iii", 9, 3, 0), struct.pack(">iii", 1, 99, 0)])
def test_an_event_of_an_unknown_kind_is_malformed(body):
    with pytest.raises(MalformedInput):
        r.decode_watch_event(Reader(body, 0, len(body)))
