"""Requests: bytes which real clients send, and back."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from kazoo.protocol import serialization as kazoo
from kazoo.security import ACL, Id

from agreed.errors import MalformedInput
from agreed.store.records import OPEN_ACL, Permission
from agreed.wire.zookeeper import messages as m
from agreed.wire.zookeeper.codec import MULTI_END, MULTI_HEADER, write_acl, write_data, write_paths
from agreed.wire.zookeeper.request_codec import (
    DECODERS,
    decode_connect,
    encode_connect,
    encode_request,
    op_of,
)
from tests.wire.zookeeper import strategies

OPEN = [ACL(31, Id("world", "anyone"))]
NULL = b"\xff\xff\xff\xff"


def decode(op: int, body: bytes, behind: bytes = b"") -> object:
    """As the connection calls it: the first int is read already, and other frames may follow."""
    first = struct.unpack_from(">i", body + behind)[0] if len(body + behind) >= 4 else -1
    return DECODERS[op](body + behind, 4, len(body), first)[0]


@given(strategies.REQUEST)
def test_every_request_comes_back_and_where_it_ended_is_known(request_):
    frame = encode_request(7, request_)
    length, xid, op = struct.unpack_from(">iii", frame)
    assert (length, xid, op) == (len(frame) - 4, 7, op_of(request_))
    body = frame[12:]
    first = struct.unpack_from(">i", body)[0] if len(body) >= 4 else -1
    assert DECODERS[op](body, 4, len(body), first) == (request_, len(body))


@given(strategies.CONNECT)
def test_a_handshake_comes_back_with_and_without_its_last_byte(request_):
    frame = encode_connect(request_)
    assert struct.unpack_from(">i", frame)[0] == len(frame) - 4
    assert decode_connect(frame, 4, len(frame)) == request_


def test_only_close_and_what_no_client_may_ask_are_not_in_the_table():
    missing = set(m.Op) - set(DECODERS)
    assert missing == {
        m.Op.NOTIFICATION,
        m.Op.CHECK,
        m.Op.DELETE_CONTAINER,
        m.Op.CREATE_SESSION,
        m.Op.CLOSE_SESSION,
        m.Op.ERROR,
    }


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (kazoo.Create("/ä", b"d", OPEN, 3), m.CreateRequest("/ä".encode(), b"d", OPEN_ACL, 3)),
        (
            kazoo.Create("/a", None, [ACL(5, Id("auth", ""))], 0),
            m.CreateRequest(b"/a", None, (Permission(5, "auth", ""),), 0),
        ),
        (
            kazoo.Create2("/a", b"", OPEN, 0),
            m.CreateRequest(b"/a", b"", OPEN_ACL, 0, 0, m.Op.CREATE2),
        ),
        (kazoo.Delete("/a", -1), m.DeleteRequest(b"/a", -1)),
        (kazoo.Exists("/a", True), m.ExistsRequest(b"/a", True)),
        (kazoo.Exists("/a", None), m.ExistsRequest(b"/a", False)),
        (kazoo.GetData("/a", True), m.GetDataRequest(b"/a", True)),
        (kazoo.SetData("/a", b"new", 4), m.SetDataRequest(b"/a", b"new", 4)),
        (kazoo.SetData("/a", None, 4), m.SetDataRequest(b"/a", None, 4)),
        (kazoo.GetACL("/a"), m.GetAclRequest(b"/a")),
        (
            kazoo.SetACL("/a", [ACL(1, Id("digest", "u:x")), *OPEN], 2),
            m.SetAclRequest(b"/a", (Permission(1, "digest", "u:x"), *OPEN_ACL), 2),
        ),
        (kazoo.GetChildren("/a", False), m.GetChildrenRequest(b"/a", False)),
        (kazoo.GetChildren2("/a", True), m.GetChildren2Request(b"/a", True)),
        (kazoo.Sync("/a"), m.SyncRequest(b"/a")),
        (kazoo.Ping(), m.PingRequest()),
        (
            kazoo.Transaction(
                [
                    kazoo.Create("/a", b"1", OPEN, 0),
                    kazoo.SetData("/a", b"2", 0),
                    kazoo.CheckVersion("/a", 1),
                    kazoo.Delete("/a", -1),
                ]
            ),
            m.MultiRequest(
                (
                    m.CreateRequest(b"/a", b"1", OPEN_ACL, 0),
                    m.SetDataRequest(b"/a", b"2", 0),
                    m.CheckRequest(b"/a", 1),
                    m.DeleteRequest(b"/a", -1),
                )
            ),
        ),
        (kazoo.Transaction([]), m.MultiRequest(())),
        (
            kazoo.Reconfig("server.4=a:1:2", None, "", -1),
            m.ReconfigRequest("server.4=a:1:2", "", "", -1),
        ),
        (kazoo.Auth(0, "digest", "user:pass"), m.AuthRequest(0, "digest", b"user:pass")),
        (kazoo.Auth(0, "ip", ""), m.AuthRequest(0, "ip", b"")),
        (kazoo.SASL(b"token"), m.SaslRequest(b"token")),
        (kazoo.SASL(b""), m.SaslRequest(b"")),
    ],
)
def test_what_kazoo_sends_is_understood_and_we_would_send_the_same_fields(theirs, ours):
    assert decode(theirs.type, bytes(theirs.serialize())) == ours
    assert decode(theirs.type, encode_request(1, ours)[12:]) == ours


def test_kazoos_handshake():
    raw = bytes(kazoo.Connect(0, 5, 10_000, 77, b"p" * 16, True).serialize())
    assert decode_connect(raw, 0, len(raw)) == m.ConnectRequest(0, 5, 10_000, 77, b"p" * 16, True)
    assert encode_connect(m.ConnectRequest(0, 5, 10_000, 77, b"p" * 16, True))[4:] == raw


def test_an_old_handshake_without_password_and_last_byte():
    raw = struct.pack(">iqiq", 0, 0, 4000, 0) + NULL
    assert decode_connect(raw, 0, len(raw)) == m.ConnectRequest(0, 0, 4000, 0, b"", None)


@pytest.mark.parametrize("size", [0, 27, 43])
def test_a_handshake_that_ends_too_early_is_malformed(size):
    raw = encode_connect(m.ConnectRequest(0, 0, 4000, 0, b"p" * 16, None))[4:]
    with pytest.raises(MalformedInput):
        decode_connect(raw[:size], 0, size)


GET_DATA = write_data(b"/a") + b"\1"
CREATE = write_data(b"/a") + write_data(b"d") + write_acl(OPEN_ACL) + b"\0\0\0\0"
FOREIGN_ACL = write_acl((Permission(1, "ip", "::1"),))


@pytest.mark.parametrize(
    ("op", "body"),
    [
        (m.Op.GET_DATA, GET_DATA),
        (m.Op.EXISTS, GET_DATA),
        (m.Op.GET_CHILDREN, GET_DATA),
        (m.Op.GET_CHILDREN2, GET_DATA),
        (m.Op.DELETE, write_data(b"/a") + b"\0\0\0\1"),
        (m.Op.SET_DATA, write_data(b"/a") + write_data(b"d") + b"\0\0\0\1"),
        (m.Op.SET_DATA, write_data(b"/a") + NULL + b"\0\0\0\1"),
        (m.Op.CREATE, CREATE),
        (m.Op.CREATE2, write_data(b"/a") + NULL + FOREIGN_ACL + b"\0\0\0\0"),
        (m.Op.CREATE_CONTAINER, CREATE),
        (m.Op.CREATE_TTL, CREATE + bytes(8)),
        (m.Op.GET_ACL, write_data(b"/a")),
        (m.Op.SYNC, write_data(b"/a")),
        (m.Op.GET_ALL_CHILDREN_NUMBER, write_data(b"/a")),
        (m.Op.SET_ACL, write_data(b"/a") + FOREIGN_ACL + b"\0\0\0\0"),
        (m.Op.CHECK_WATCHES, write_data(b"/a") + b"\0\0\0\1"),
        (m.Op.REMOVE_WATCHES, write_data(b"/a") + b"\0\0\0\5"),
        (m.Op.ADD_WATCH, write_data(b"/a") + b"\0\0\0\1"),
        (m.Op.AUTH, b"\0\0\0\0" + write_data(b"ip") + write_data(b"x")),
        (m.Op.SASL, write_data(b"x")),
        (m.Op.GET_EPHEMERALS, write_data(b"/a")),
        (m.Op.SET_WATCHES, bytes(8) + write_paths([b"/a"]) * 3),
        (m.Op.SET_WATCHES2, bytes(8) + write_paths([b"/a"]) * 5),
        (m.Op.RECONFIG, write_data(b"a") * 3 + bytes(8)),
        (m.Op.MULTI, MULTI_HEADER.pack(1, False, -1) + CREATE + MULTI_END),
        (m.Op.MULTI_READ, MULTI_HEADER.pack(4, False, -1) + GET_DATA + MULTI_END),
    ],
)
def test_a_body_that_ends_anywhere_too_early_is_malformed_though_other_frames_follow(op, body):
    decode(op, body)
    for size in range(len(body)):
        for behind in (b"", body[size:], bytes(100)):
            with pytest.raises(MalformedInput):
                decode(op, body[:size], behind)


@pytest.mark.parametrize(
    ("op", "body"),
    [
        (m.Op.GET_DATA, b"\0\0\0\x7f"),
        (m.Op.CREATE, b"\0\0\0\x7f"),
        (m.Op.GET_DATA, NULL + b"\0"),
        (m.Op.CREATE, NULL + write_data(b"d") + write_acl(OPEN_ACL) + b"\0\0\0\0"),
        (m.Op.CREATE, write_data(b"/a") + b"\xff\xff\xff\xfe" + write_acl(OPEN_ACL) + b"\0\0\0\0"),
        (m.Op.SET_DATA, write_data(b"/a") + b"\x80\0\0\0" + b"\0\0\0\1"),
        (m.Op.SET_DATA, write_data(b"/a") + b"\x7f\xff\xff\xff" + b"\0\0\0\1"),
        (m.Op.DELETE, b"\x7f\xff\xff\xff"),
        (m.Op.ADD_WATCH, write_data(b"/a") + b"\0\0\0\7"),
        (m.Op.REMOVE_WATCHES, write_data(b"/a") + b"\0\0\0\0"),
        (m.Op.SET_WATCHES, bytes(8) + (b"\0\0\0\1" + NULL) * 3),
        (m.Op.AUTH, b"\0\0\0\0" + write_data(b"\xff") + write_data(b"x")),
        (m.Op.MULTI, MULTI_HEADER.pack(4, False, -1) + GET_DATA + MULTI_END),
        (m.Op.MULTI, MULTI_HEADER.pack(3, False, -1) + GET_DATA + MULTI_END),
        (m.Op.MULTI, MULTI_HEADER.pack(14, False, -1) + MULTI_END + MULTI_END),
        (m.Op.MULTI_READ, MULTI_HEADER.pack(1, False, -1) + CREATE + MULTI_END),
    ],
    ids=str,
)
def test_what_a_real_server_answers_with_minus_five(op, body):
    with pytest.raises(MalformedInput):
        decode(op, body)


@pytest.mark.parametrize("acl", [NULL, b"\0\0\0\0"])
def test_no_acl_at_all_can_be_read_and_is_left_to_the_server_to_refuse(acl):
    body = write_data(b"/a") + write_data(b"d") + acl + b"\0\0\0\0"
    assert decode(m.Op.CREATE, body) == m.CreateRequest(b"/a", b"d", (), 0)


def test_a_null_prefix_asks_for_all_ephemerals():
    assert decode(m.Op.GET_EPHEMERALS, NULL) == m.GetEphemeralsRequest(b"")


def test_any_byte_but_zero_is_true():
    assert decode(m.Op.GET_DATA, write_data(b"/a") + b"\x80") == m.GetDataRequest(b"/a", True)


def test_what_a_newer_client_adds_at_the_end_is_ignored():
    assert decode(m.Op.GET_DATA, GET_DATA + b"more") == m.GetDataRequest(b"/a", True)


def test_the_usual_acl_of_a_request_is_the_one_object():
    request_ = decode(m.Op.CREATE, CREATE)
    assert isinstance(request_, m.CreateRequest)
    assert request_.acl is OPEN_ACL


def test_what_is_not_given_in_a_reconfiguration_goes_as_null():
    raw = encode_request(1, m.ReconfigRequest("", "3", "", 9))
    assert raw[12:] == NULL + write_data(b"3") + NULL + struct.pack(">q", 9)
