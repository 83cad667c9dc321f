"""A connection, seen from both of its ends."""

from __future__ import annotations

import itertools
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.errors import MalformedInput
from agreed.store.records import OPEN_ACL
from agreed.wire.zookeeper import messages as m
from agreed.wire.zookeeper import replies
from agreed.wire.zookeeper import reply_codec as r
from agreed.wire.zookeeper.connection import (
    FOUR_LETTER_WORDS,
    FRAME_BYTES_MAX,
    Answer,
    ClientConnection,
    Notification,
    ServerConnection,
)
from agreed.wire.zookeeper.request_codec import encode_connect, encode_request, op_of
from tests.wire.zookeeper import strategies

HELLO = m.ConnectRequest(0, 0, 10_000, 0, bytes(16), False)
GREETING = encode_connect(HELLO)
PING = encode_request(m.XID_PING, m.PingRequest())


def frame(xid: int, op: int, body: bytes = b"") -> bytes:
    return struct.pack(">iii", 8 + len(body), xid, op) + body


def greeted() -> ServerConnection:
    connection = ServerConnection()
    assert connection.receive_data(GREETING) == [(0, HELLO)]
    return connection


def in_pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


# --- the server's end ------------------------------------------------------------------------------------


def test_a_conversation():
    connection = greeted()
    get, close = m.GetDataRequest(b"/a", True), m.CloseSessionRequest()
    assert connection.receive_data(encode_request(1, get) + PING) == [(1, get), (-2, m.PingRequest())]
    assert connection.receive_data(encode_request(2, close)) == [(2, close)]
    assert connection.closed


@given(
    st.lists(st.tuples(strategies.INT, strategies.REQUEST), max_size=6),
    st.lists(st.integers(0, 2000), max_size=8),
)
def test_any_cut_of_the_stream_gives_the_same_messages(numbered, cuts):
    stream = GREETING + b"".join(encode_request(xid, request_) for xid, request_ in numbered)
    connection = ServerConnection()
    messages = [message for piece in in_pieces(stream, cuts) for message in connection.receive_data(piece)]
    assert messages == [(0, HELLO), *numbered]


def test_byte_by_byte():
    connection = ServerConnection()
    stream = GREETING + PING + encode_request(1, m.GetDataRequest(b"/a", False)) + PING
    told = [len(connection.receive_data(stream[at : at + 1])) for at in range(len(stream))]
    assert sum(told) == 4
    assert told[len(GREETING) - 1] == 1
    assert told[-1] == 1


def test_a_large_frame_in_small_pieces_is_joined_once():
    """If each piece were joined to what is there, a frame byte by byte would copy half a terabyte."""
    connection = greeted()
    request_ = m.SetDataRequest(b"/a", bytes(FRAME_BYTES_MAX - 22), -1)
    stream = encode_request(1, request_)
    assert len(stream) == 4 + FRAME_BYTES_MAX
    for at in range(5000):
        assert not connection.receive_data(stream[at : at + 1])
    assert len(connection._remainder._pieces) > 4900
    assert not connection.receive_data(stream[5000:-1])
    assert connection.receive_data(stream[-1:]) == [(1, request_)]
    assert not connection._remainder._pieces


@pytest.mark.parametrize("word", sorted(FOUR_LETTER_WORDS))
def test_a_four_letter_word_is_heard_only_at_the_very_start(word):
    connection = ServerConnection()
    assert connection.receive_data(word + b"\n") == [(0, m.FourLetterWord(word))]
    assert connection.closed
    assert connection.receive_data(word) == []
    with pytest.raises(MalformedInput):
        greeted().receive_data(word)


def test_a_word_may_come_in_two_pieces():
    connection = ServerConnection()
    assert connection.receive_data(b"ru") == []
    assert connection.receive_data(b"ok") == [(0, m.FourLetterWord(b"ruok"))]


def test_an_unknown_word_is_a_length_that_is_too_large():
    with pytest.raises(MalformedInput):
        ServerConnection().receive_data(b"abcd")


@pytest.mark.parametrize("length", [-5, -(2**31), 0, 7, FRAME_BYTES_MAX + 1, 5_000_000, 2**31 - 1])
def test_an_impossible_length_ends_the_connection_before_its_frame_has_come(length):
    for connection in (ServerConnection(), greeted()):
        with pytest.raises(MalformedInput):
            connection.receive_data(struct.pack(">i", length))
        assert connection.closed
        assert connection.receive_data(PING) == []


@pytest.mark.parametrize("length", [-5, -4, 0, 7])
def test_an_impossible_length_is_found_in_the_middle_of_other_frames_too(length):
    with pytest.raises(MalformedInput):
        greeted().receive_data(PING + struct.pack(">i", length) + PING * 3)


def test_the_limit_can_be_chosen():
    small = ServerConnection(frame_bytes_max=100)
    small.receive_data(GREETING)
    ok = m.SetDataRequest(b"/a", bytes(78), -1)
    assert small.receive_data(encode_request(1, ok)) == [(1, ok)]
    with pytest.raises(MalformedInput):
        small.receive_data(encode_request(1, m.SetDataRequest(b"/a", bytes(79), -1)) + PING)


def test_a_garbled_body_is_answered_and_the_connection_goes_on():
    connection = greeted()
    stream = frame(57, m.Op.GET_DATA, b"\0\0\0\x7f") + frame(58, m.Op.EXISTS, b"\0\0\0\1/\0")
    assert connection.receive_data(stream) == [
        (57, m.Malformed(m.Op.GET_DATA)),
        (58, m.ExistsRequest(b"/", False)),
    ]
    assert not connection.closed


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0", b"\0\0\0"])
@pytest.mark.parametrize("behind", [b"", PING * 3])
def test_a_body_shorter_than_an_int_is_garbled_at_the_end_of_a_chunk_and_in_its_middle(body, behind):
    told = greeted().receive_data(frame(1, m.Op.GET_DATA, body) + behind)
    assert told[0] == (1, m.Malformed(m.Op.GET_DATA))
    assert len(told) == 1 + len(behind) // len(PING)


def test_a_session_can_only_be_made_by_the_handshake():
    connection = greeted()
    assert connection.receive_data(frame(1, -10, bytes(4)) + PING) == [
        (1, m.Malformed(-10)),
        (-2, m.PingRequest()),
    ]
    assert connection.receive_data(frame(1, -10)) == [(1, m.Malformed(-10))]


@pytest.mark.parametrize("op", [0, -1, 13, 20, 77, 500, 997, -12, 2**31 - 1])
@pytest.mark.parametrize("body", [b"", bytes(30)])
def test_after_an_operation_that_is_not_served_nothing_is_heard(op, body):
    connection = greeted()
    assert connection.receive_data(frame(56, op, body) + PING) == [(56, m.UnknownOperation(op))]
    assert connection.closed
    assert connection.receive_data(PING) == []


@pytest.mark.parametrize("behind", [b"", frame(2, 3, b"\0\0\0\1/\0"), b"\xff" * 40])
def test_what_was_sent_behind_a_close_is_dropped(behind):
    connection = greeted()
    told = connection.receive_data(encode_request(1, m.CloseSessionRequest()) + behind)
    assert told == [(1, m.CloseSessionRequest())]
    assert connection.receive_data(PING) == []


def test_a_handshake_that_cannot_be_read_ends_the_connection():
    with pytest.raises(MalformedInput):
        ServerConnection().receive_data(struct.pack(">i", 10) + bytes(10))


def test_requests_may_be_sent_before_the_handshake_is_answered():
    assert ServerConnection().receive_data(GREETING + PING) == [(0, HELLO), (-2, m.PingRequest())]


def test_garbage_gives_messages_or_malformed_input_and_nothing_else():
    """A hundred thousand frames: some of chance alone, most of them good ones with a few bytes changed."""
    dice = random.Random(20_260_801)
    good = [
        m.CreateRequest(b"/a/b", b"data", OPEN_ACL, 0),
        m.CreateRequest(b"/a/b", b"data", (OPEN_ACL[0],) * 2, 5, 1000, m.Op.CREATE_TTL),
        m.SetDataRequest(b"/a/b", b"data", 1),
        m.GetDataRequest(b"/a/b", True),
        m.SetWatchesRequest(1, (b"/a",), (b"/b",), (), (b"/c",), (), m.Op.SET_WATCHES2),
        m.MultiRequest((m.CreateRequest(b"/a", b"", OPEN_ACL, 0), m.CheckRequest(b"/a", 0))),
        m.MultiReadRequest((m.GetDataRequest(b"/a", False),)),
        m.SetAclRequest(b"/a", (OPEN_ACL[0],) * 2, 1),
        m.AuthRequest(0, "digest", b"u:p"),
        m.ReconfigRequest("server.1=a:1:2", "", "", -1),
        m.AddWatchRequest(b"/a", m.AddWatchMode.PERSISTENT),
    ]
    bodies = [encode_request(1, request_)[12:] for request_ in good]
    ops = [op_of(request_) for request_ in good]
    kinds: dict[str, int] = {}
    connection = greeted()
    for _ in range(1000):
        frames = []
        for _ in range(100):
            choice = dice.randrange(len(good))
            body = bytearray(bodies[choice])
            for _ in range(dice.randrange(4)):
                body[dice.randrange(len(body))] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
            if dice.random() < 0.2:
                body = body[: dice.randrange(len(body))]
            if dice.random() < 0.1:
                body = bytearray(dice.randbytes(dice.randrange(60)))
            frames.append(frame(dice.randrange(2**31), ops[choice], bytes(body)))
        told = connection.receive_data(b"".join(frames))
        assert len(told) == 100
        for _, message in told:
            kinds[type(message).__name__] = kinds.get(type(message).__name__, 0) + 1
    assert kinds["Malformed"] > 10_000
    assert kinds["CreateRequest"] > 1_000
    assert "UnknownOperation" not in kinds


@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
@settings(max_examples=300)
def test_bytes_of_chance_give_messages_or_malformed_input_and_nothing_else(pieces, first):
    connection = ServerConnection() if first else greeted()
    try:
        for piece in pieces:
            connection.receive_data(piece)
    except MalformedInput:
        assert connection.closed


# --- the client's end ------------------------------------------------------------------------------------

WELCOME = m.ConnectResponse(0, 10_000, 77, b"p" * 16, False)


def welcomed() -> ClientConnection:
    connection = ClientConnection()
    assert connection.connect(HELLO) == GREETING
    assert connection.receive_data(r.encode_connect_response(WELCOME)) == [WELCOME]
    return connection


@given(
    st.lists(st.tuples(strategies.REQUEST, strategies.OP_AND_REPLY), max_size=6),
    st.lists(st.integers(0, 2000), max_size=6),
)
def test_both_ends_understand_each_other_however_the_answers_are_cut(exchanges, cuts):
    client, server = welcomed(), greeted()
    stream = b""
    expected = []
    for request_, (op, reply) in exchanges:
        xid, raw = client.send(request_)
        assert server.receive_data(raw) == [(xid, request_)]
        fits = op_of(request_) == op
        reply = reply if fits else replies.ErrorReply(-101)
        stream += r.encode_reply(xid, 9, reply)
        expected.append(Answer(xid, 9, reply))
    told = [answer for piece in in_pieces(stream, cuts) for answer in client.receive_data(piece)]
    assert told == expected
    assert client.pending == ()


def test_a_client_counts_its_requests_from_one_and_gives_some_a_number_of_their_own():
    client = welcomed()
    sent = [
        m.SyncRequest(b"/"),
        m.PingRequest(),
        m.AuthRequest(0, "digest", b"u:p"),
        m.SetWatchesRequest(0, (), (), ()),
        m.WhoAmIRequest(),
    ]
    assert [client.send(request_)[0] for request_ in sent] == [1, -2, -4, -8, 2]
    assert client.pending == (1, -8, 2)


def test_numbers_begin_again_when_they_are_used_up():
    client = welcomed()
    client._last_xid = 2**31 - 2
    assert [client.send(m.SyncRequest(b"/"))[0] for _ in range(2)] == [2**31 - 1, 1]


def test_pings_auth_packets_and_events_come_between_other_answers():
    client = welcomed()
    client.send(m.ExistsRequest(b"/a", True))
    client.send(m.PingRequest())
    client.send(m.AuthRequest(0, "digest", b"u:p"))
    stream = (
        r.header_reply(-2, 5)
        + r.watch_event(6, m.EventType.NODE_CREATED, b"/a")
        + r.header_reply(-4, 0, -115)
        + r.header_reply(1, 6, -101)
    )
    assert client.receive_data(stream) == [
        Answer(-2, 5, replies.HeaderReply(m.Op.PING)),
        Notification(6, replies.WatchEvent(m.EventType.NODE_CREATED, b"/a")),
        Answer(-4, 0, replies.ErrorReply(-115)),
        Answer(1, 6, replies.ErrorReply(-101)),
    ]


@pytest.mark.parametrize("xid", [2, 3, 0, -8, -2, -4])
def test_an_answer_that_is_not_the_next_in_order_ends_the_connection(xid):
    client = welcomed()
    client.send(m.SyncRequest(b"/"))
    client.send(m.SyncRequest(b"/"))
    with pytest.raises(MalformedInput):
        client.receive_data(r.header_reply(xid, 5, -101))


def test_one_ping_has_one_answer():
    client = welcomed()
    client.send(m.PingRequest())
    client.receive_data(r.header_reply(-2, 5))
    with pytest.raises(MalformedInput):
        client.receive_data(r.header_reply(-2, 5))


@pytest.mark.parametrize("length", [-1, 101])
def test_a_client_refuses_impossible_lengths(length):
    client = ClientConnection(frame_bytes_max=100)
    with pytest.raises(MalformedInput):
        client.receive_data(struct.pack(">i", length))


def test_a_refused_handshake():
    refusal = m.ConnectResponse(0, 0, 0, bytes(16), None)
    assert ClientConnection().receive_data(r.encode_connect_response(refusal)) == [refusal]
