"""Windows (RFC 9113, 5.2 and 6.9): nobody sends more than the other can take, and nobody is starved."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.wire.http2.events import Drained
from agreed.wire.http2.fields import encode
from agreed.wire.http2.frames import ErrorCode, FrameType
from agreed.wire.http2.limits import Limits
from agreed.wire.http2.server import Http2Server
from tests.wire.http2 import peer
from tests.wire.http2.peer import END_STREAM, data, headers, tell, window_update
from tests.wire.http2.test_server_rules import GREETING

HEAD = encode([(b":status", b"200")])
TAIL = encode([(b"done", b"yes")])
DEFAULT = 65_535


def server(*streams: int, first: bytes = b"", limits: Limits | None = None) -> Http2Server:
    """With a greeted client, that has asked something on each of `streams`."""
    made = Http2Server(limits or Limits())
    tell(made, GREETING + first + b"".join(headers(stream) for stream in streams))
    return made


def sent(of: Http2Server) -> peer.Told:
    return peer.Told([], peer.frames_of(of.take()))


def test_an_answer_stops_at_the_streams_window() -> None:
    made = server(1)
    made.respond(1, HEAD, bytes(DEFAULT + 10), TAIL)
    told = sent(made)
    assert len(told.data_of(1)) == DEFAULT
    assert len(told.of(FrameType.HEADERS)) == 1, "trailers stand behind the data"
    assert made.backlog(1) == 10
    assert tell(made, window_update(0, 1000)).frames == []
    told = tell(made, window_update(1, 4))
    assert told.data_of(1) == bytes(4)
    told = tell(made, window_update(1, 1000))
    assert told.data_of(1) == bytes(6)
    assert told.frames[-1].flags & END_STREAM
    assert made.streams == 0


def test_a_short_answer_stops_at_the_streams_window_too() -> None:
    made = server(1, first=peer.settings((4, 3)))
    made.respond(1, HEAD, b"abcde", TAIL)
    assert sent(made).data_of(1) == b"abc"
    assert tell(made, window_update(1, 9)).data_of(1) == b"de"


def test_an_answer_stops_at_the_connections_window() -> None:
    made = server(1, 3, first=peer.settings((4, 1_000_000)))
    made.send_fields(1, HEAD)
    made.send_data(1, bytes(DEFAULT - 1))
    made.respond(3, HEAD, b"abc", TAIL)
    told = sent(made)
    assert told.data_of(3) == b"a"
    told = tell(made, window_update(0, 5))
    assert told.data_of(3) == b"bc"


def test_settings_move_the_windows_of_open_streams_even_below_zero() -> None:
    made = server(1)
    made.send_fields(1, HEAD)
    made.send_data(1, b"x" * 30)
    sent(made)
    told = tell(made, peer.settings((4, 10)))  # 20 less than was sent
    made.send_data(1, b"abc", ends=True)
    assert sent(made).data_of(1) == b""
    assert tell(made, window_update(1, 20)).data_of(1) == b"", "the window is 0 now"
    told = tell(made, window_update(1, 1))
    assert told.data_of(1) == b"a"
    told = tell(made, peer.settings((4, 12)))
    assert told.data_of(1) == b"bc"
    assert told.of(FrameType.DATA)[-1].flags & END_STREAM
    assert told.frames[0].kind == FrameType.SETTINGS, "the peer counts by the old ones until it hears this"


def test_an_end_without_data_needs_no_window() -> None:
    made = server(1, first=peer.settings((4, 0)))
    made.send_fields(1, HEAD)
    made.send_data(1, b"", ends=True)
    assert sent(made).of(FrameType.DATA)[0].flags & END_STREAM
    assert made.streams == 0


def test_nothing_is_said_for_nothing() -> None:
    made = server(1)
    made.send_data(1, b"")
    assert made.take() == b""


def test_whoever_waits_is_told_when_it_is_over() -> None:
    made = server(1, first=peer.settings((4, 5)))
    made.send_fields(1, HEAD)
    made.send_data(1, b"abcdefgh")
    sent(made)
    assert made.backlog(1) == 3
    assert Drained(1) in tell(made, window_update(1, 100)).events
    assert made.backlog(1) == 0


def test_frames_are_no_longer_than_the_peer_allows() -> None:
    made = server(1)
    made.send_fields(1, HEAD)
    made.send_data(1, bytes(20_000))
    assert [len(found.payload) for found in sent(made).of(FrameType.DATA)] == [16_384, 3_616]
    made = server(1, first=peer.settings((5, 20_000)))
    made.send_fields(1, HEAD)
    made.send_data(1, bytes(20_000))
    assert [len(found.payload) for found in sent(made).of(FrameType.DATA)] == [20_000]


def test_a_long_answer_does_not_silence_a_short_one() -> None:
    made = server(1, 3, first=peer.settings((4, 10_000_000)))
    made.send_fields(1, HEAD)
    made.send_fields(3, HEAD)
    made.send_data(1, bytes(DEFAULT))
    made.send_data(1, bytes(5_000_000))
    made.send_data(3, b"short", ends=True)
    sent(made)
    told = tell(made, window_update(0, 40_000))
    assert told.data_of(3) == b"short"
    assert len(told.data_of(1)) == 40_000 - len(b"short")


def test_a_stream_without_window_does_not_hold_up_those_behind_it() -> None:
    made = server(1, 3, first=peer.settings((4, 100)) + window_update(0, 1000))
    made.respond(1, HEAD, bytes(200), TAIL)
    made.respond(3, HEAD, bytes(100), TAIL)
    assert len(sent(made).data_of(3)) == 100


def test_what_waits_on_a_stream_dies_with_it() -> None:
    made = server(1, 3, first=peer.settings((4, 10_000_000)))
    made.send_fields(1, HEAD)
    made.send_data(1, bytes(100_000))
    made.respond(3, HEAD, b"after", TAIL)
    sent(made)
    told = tell(made, peer.reset(1) + window_update(0, 1_000))
    assert told.data_of(1) == b""
    assert told.data_of(3) == b"after"
    assert made.backlog(1) == 0
    assert made.untaken_bytes == 0, "else a connection with many that give up ends without answers"


def test_trailers_wait_behind_data_and_streams_end_with_them() -> None:
    made = server(1, first=peer.settings((4, 1)))
    made.send_fields(1, HEAD)
    made.send_data(1, b"abc")
    made.send_fields(1, TAIL, ends=True)
    told = sent(made)
    assert len(told.of(FrameType.HEADERS)) == 1
    told = tell(made, window_update(1, 2))
    assert [found.kind for found in told.frames] == [FrameType.DATA, FrameType.HEADERS]
    assert made.streams == 0


# --- what the peer may send ---------------------------------------------------------------------------------


def test_more_than_the_connections_window_ends_the_connection() -> None:
    made = server(limits=Limits(connection_window_bytes=DEFAULT, stream_window_bytes=10_000_000))
    tell(made, headers(1, 0))
    made._half_window = 1 << 30  # as if nothing were ever returned
    for _ in range(3):
        assert tell(made, data(1, bytes(16_384))).fault is None
    assert tell(made, data(1, bytes(16_384))).goaway is ErrorCode.FLOW_CONTROL_ERROR


def test_more_than_the_streams_window_ends_the_stream() -> None:
    made = server(limits=Limits(stream_window_bytes=DEFAULT))
    tell(made, headers(1, 0))
    made._half_stream_window = 1 << 30
    for _ in range(3):
        assert tell(made, data(1, bytes(16_384))).resets == {}
    assert tell(made, data(1, bytes(16_384))).resets == {1: ErrorCode.FLOW_CONTROL_ERROR}


def test_windows_are_returned_padding_and_all() -> None:
    made = server(limits=Limits(stream_window_bytes=100_000, connection_window_bytes=100_000))
    tell(made, headers(1, 0))
    returned = {0: 0, 1: 0}
    sent_bytes = 0
    for _ in range(50):
        payload = b"\xff" + bytes(10_000) + bytes(255)
        sent_bytes += len(payload)
        told = tell(made, data(1, payload, peer.PADDED))
        assert told.fault is None
        assert not told.resets
        for found in told.of(FrameType.WINDOW_UPDATE):
            returned[found.stream] += int.from_bytes(found.payload, "big")
    assert sent_bytes - 50_000 <= returned[0] <= sent_bytes
    assert sent_bytes - 50_000 <= returned[1] <= sent_bytes


def test_data_on_a_stream_that_is_no_more_still_returns_the_connections_window() -> None:
    made = server(limits=Limits(connection_window_bytes=DEFAULT))
    tell(made, headers(1, 0))
    made.reset(1, ErrorCode.CANCEL)
    made.take()
    returned = 0
    for _ in range(20):
        told = tell(made, data(1, bytes(16_000)))
        assert told.fault is None
        assert told.resets == {}, "it does not know yet"
        returned += sum(int.from_bytes(found.payload, "big") for found in told.of(FrameType.WINDOW_UPDATE))
    assert returned >= 320_000 - DEFAULT


@settings(max_examples=25)
@given(st.data())
def test_whatever_the_windows_everything_arrives_in_order(draw: st.DataObject) -> None:
    """The peer opens windows as it likes; what is said never exceeds them, and in the end all has come."""
    initial = draw.draw(st.integers(0, 500))
    made = server(1, 3, 5, first=peer.settings((4, initial)))
    windows = {0: DEFAULT, 1: initial, 3: initial, 5: initial}
    expected = {1: b"", 3: b"", 5: b""}
    heard = {1: b"", 3: b"", 5: b""}

    def hear(told: peer.Told) -> None:
        for found in told.of(FrameType.DATA):
            heard[found.stream] += found.payload
            for window in (0, found.stream):
                windows[window] -= len(found.payload)
                assert windows[window] >= 0

    for stream in expected:
        made.send_fields(stream, HEAD)
    for _ in range(draw.draw(st.integers(1, 25))):
        stream = draw.draw(st.sampled_from((1, 3, 5)))
        match draw.draw(st.integers(0, 2)):
            case 0:
                piece = bytes((len(expected[stream]) % 251,)) * draw.draw(st.integers(0, 30_000))
                expected[stream] += piece
                made.send_data(stream, piece)
                hear(sent(made))
            case 1:
                increment = draw.draw(st.integers(1, 40_000))
                windows[stream] += increment
                hear(tell(made, window_update(stream, increment)))
            case _:
                changed = draw.draw(st.integers(0, 60_000))
                for number in expected:
                    windows[number] += changed - initial
                initial = changed
                hear(tell(made, peer.settings((4, changed))))
    for stream in expected:
        made.send_fields(stream, TAIL, ends=True)
    hear(sent(made))
    for window in windows:
        if window == 0 or made.is_open(window):
            windows[window] += 1_000_000
            hear(tell(made, window_update(window, 1_000_000)))
    assert heard == expected
    assert made.streams == 0
