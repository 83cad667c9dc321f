"""A server that ends lets what is under way be finished, and takes nothing that it would have to drop."""

from __future__ import annotations

from agreed.wire.http2.fields import encode
from agreed.wire.http2.frames import ErrorCode, FrameType
from agreed.wire.http2.limits import Limits
from agreed.wire.http2.server import Http2Server
from tests.wire.http2 import peer
from tests.wire.http2.peer import END_STREAM, data, headers, tell
from tests.wire.http2.test_server_rules import GREETING

HEAD = encode([(b":status", b"200")])
TAIL = encode([(b"done", b"yes")])


def leaving() -> tuple[Http2Server, bytes]:
    """A server with stream 1 open that has begun to go, and the ping it waits for."""
    made = Http2Server(Limits())
    tell(made, GREETING + headers(1))
    made.shut_down()
    said = peer.frames_of(made.take())
    assert [found.kind for found in said] == [FrameType.GOAWAY, FrameType.PING]
    assert said[0].payload == (2**31 - 1).to_bytes(4, "big") + bytes(4), "it refuses nothing yet"
    return made, said[1].payload


def test_calls_that_crossed_the_farewell_are_served_and_later_ones_are_not() -> None:
    made, question = leaving()
    assert len(tell(made, headers(3)).events) == 1
    told = tell(made, peer.ping(question, peer.ACK))
    assert told.of(FrameType.GOAWAY)[0].payload == (3).to_bytes(4, "big") + bytes(4)
    late = tell(made, headers(5, 0) + data(5, b"x") + data(5, b"y", END_STREAM) + headers(5))
    assert late.events == []
    assert late.frames == []
    assert not made.closed
    made.respond(1, HEAD, b"a", TAIL)
    made.respond(3, HEAD, b"b", TAIL)
    assert made.closed
    assert made.take().count(b"a") >= 1


def test_an_answer_that_waits_is_waited_for() -> None:
    made, question = leaving()
    tell(made, peer.ping(question, peer.ACK))
    made.respond(1, HEAD, bytes(70_000), TAIL)
    made.take()
    assert not made.closed
    told = tell(made, peer.window_update(1, 10_000) + peer.window_update(0, 10_000))
    assert len(told.data_of(1)) == 70_000 - 65_535
    assert made.closed


def test_who_has_nothing_open_is_let_go_at_once() -> None:
    made, question = leaving()
    tell(made, peer.reset(1))
    assert not made.closed, "something may be on its way"
    tell(made, peer.ping(question, peer.ACK))
    assert made.closed


def test_it_is_said_once_and_only_by_its_own_ping() -> None:
    made, question = leaving()
    made.shut_down()
    assert made.take() == b""
    assert tell(made, peer.ping(b"anything", peer.ACK)).frames == []
    assert len(tell(made, peer.ping(question, peer.ACK)).frames) == 1
    assert tell(made, peer.ping(question, peer.ACK)).frames == []


def test_an_answer_before_the_question_has_ended_is_final() -> None:
    """8.1: the client is asked to stop; what it says until it hears that is ignored."""
    made = Http2Server(Limits())
    tell(made, GREETING + headers(1, 0))
    made.respond(1, HEAD, b"no", TAIL)
    said = peer.Told([], peer.frames_of(made.take()))
    assert said.resets == {1: ErrorCode.NO_ERROR}
    assert said.frames[-2].flags & END_STREAM
    late = tell(made, data(1, b"abc") + data(1, b"", END_STREAM))
    assert late.frames == []
    assert late.events == []


def test_what_is_said_on_a_stream_that_is_no_more_goes_nowhere() -> None:
    made = Http2Server(Limits())
    tell(made, GREETING + headers(1) + peer.reset(1))
    made.send_fields(1, HEAD)
    made.send_data(1, b"abc")
    made.respond(1, HEAD, b"abc", TAIL)
    made.reset(1, ErrorCode.CANCEL)
    assert made.backlog(1) == 0
    assert not made.is_open(1)
    assert made.take() == b""


def test_a_client_that_allows_no_table_is_told_that_there_is_none() -> None:
    """RFC 7541, 4.2: before the first block, and only there."""
    made = Http2Server(Limits())
    tell(made, GREETING + peer.settings((1, 0)) + headers(1) + headers(3))
    made.respond(1, HEAD, b"a", TAIL)
    made.respond(3, HEAD, b"b", TAIL)
    blocks = [found.payload for found in peer.frames_of(made.take()) if found.kind == FrameType.HEADERS]
    assert [block[:1] == b"\x20" for block in blocks] == [True, False, False, False]


def test_a_long_block_is_sent_in_pieces() -> None:
    made = Http2Server(Limits())
    tell(made, GREETING + headers(1))
    long = encode([(b":status", b"200"), *((b"x-%d" % number, bytes(b"\xff" * 500)) for number in range(50))])
    made.send_fields(1, long, ends=True)
    said = peer.frames_of(made.take())
    assert said[0].kind == FrameType.HEADERS
    assert {found.kind for found in said[1:]} == {FrameType.CONTINUATION}
    assert [found.flags for found in said] == [END_STREAM, *[0] * (len(said) - 2), peer.END_HEADERS]
    assert b"".join(found.payload for found in said) == long.block
