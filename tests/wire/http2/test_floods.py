"""What a hostile client can make us do is bounded: work, answers, and memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from agreed.wire.http2.fields import encode
from agreed.wire.http2.frames import ErrorCode, FrameType
from agreed.wire.http2.limits import Allowance, Limits
from agreed.wire.http2.sending import Sender
from agreed.wire.http2.server import Http2Server
from agreed.wire.http2.streams import Stream
from tests.wire.http2 import peer
from tests.wire.http2.peer import END_STREAM, REQUEST, data, frame, headers, ping, tell
from tests.wire.http2.test_server_rules import GREETING

CALM = ErrorCode.ENHANCE_YOUR_CALM
HEAD = encode([(b":status", b"200")])


def server(**limits: int) -> Http2Server:
    made = Http2Server(Limits(**limits))
    tell(made, GREETING)
    return made


def flood(made: Http2Server, one: Callable[[int], bytes], times: int, every_ms: float = 0) -> int | None:
    """How many went through before the connection ended; None if all did."""
    for turn in range(times):
        told = tell(made, one(turn), int(turn * every_ms))
        if told.fault is not None:
            assert told.goaway is CALM
            return turn
    return None


FLOODS = {
    "SETTINGS": lambda turn: peer.settings((4, 1000)),
    "SETTINGS acknowledged": lambda turn: frame(FrameType.SETTINGS, peer.ACK, 0),
    "PING answered": lambda turn: ping(flags=peer.ACK),
    "PRIORITY": lambda turn: frame(FrameType.PRIORITY, 0, 1, bytes(5)),
    "GOAWAY": lambda turn: frame(FrameType.GOAWAY, 0, 0, bytes(8)),
    "empty DATA": lambda turn: (headers(1, 0) if not turn else b"") + data(1, b""),
    "begun and reset": lambda turn: headers(turn * 2 + 1) + peer.reset(turn * 2 + 1),
    "begun so that we reset": lambda turn: headers(turn * 2 + 1) + peer.window_update(turn * 2 + 1, 0),
    "reset again and again": lambda turn: (headers(1) if not turn else b"") + peer.reset(1),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_the_connection(name: str) -> None:
    assert flood(server(), FLOODS[name], 1_500) is not None


@pytest.mark.parametrize("name", [name for name in FLOODS if name not in ("GOAWAY",)])
def test_the_same_at_leisure_does_not(name: str) -> None:
    assert flood(server(), FLOODS[name], 3_000, every_ms=11) is None


def test_who_cancels_what_has_been_open_for_a_while_is_no_attacker() -> None:
    """Thousands of calls with a deadline, while the cluster has no leader."""
    made = server()
    for turn in range(30):
        numbers = range(turn * 200 + 1, turn * 200 + 201, 2)
        assert tell(made, b"".join(headers(number) for number in numbers), turn * 200).fault is None
        assert tell(made, b"".join(peer.reset(number) for number in numbers), turn * 200 + 199).fault is None


def test_who_begins_too_much_at_once_is_refused_and_not_dropped() -> None:
    """A client may not have heard yet how many streams there may be."""
    made = server(max_concurrent_streams=10)
    told = tell(made, b"".join(headers(number) for number in range(1, 10_000, 2)))
    assert told.fault is None
    assert set(told.resets.values()) == {ErrorCode.REFUSED_STREAM}
    assert len(told.resets) == 4_990


def test_windows_of_many_streams_are_not_moved_for_nothing() -> None:
    """Sixteen kilobytes of settings can change the windows of ten thousand streams 2,730 times."""
    made = server()
    tell(made, b"".join(headers(number) for number in range(1, 4_000, 2)))
    changed: list[int] = []
    real = Sender.initial_window_changed

    def counted(self: Sender, size: int, streams: list[Stream]) -> list[Stream]:
        changed.append(size)
        return real(self, size, streams)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sender, "initial_window_changed", counted)
        assert tell(made, peer.settings(*[(4, size) for size in range(2_700)])).fault is None
        assert changed == [2_699]
        assert flood(made, lambda turn: peer.settings((4, turn)), 1_000) is not None
    assert len(changed) < 60


def test_a_block_of_endless_continuations() -> None:
    made = server()
    tell(made, frame(FrameType.HEADERS, 0, 1, b""))
    sent = flood(made, lambda turn: frame(FrameType.CONTINUATION, 0, 1, bytes(16_384)), 100)
    assert sent is not None
    assert sent < 20


LONG_FIELD = peer.block([*REQUEST, (b"x", b"a" * 3_900)])
"""It goes into the table, where one byte names it."""


def test_a_list_that_is_too_long_takes_its_stream_and_leaves_the_table_in_step() -> None:
    made = server()
    tell(made, frame(FrameType.HEADERS, peer.END_HEADERS | END_STREAM, 1, LONG_FIELD))
    too_long = b"\xbe" * 20 + b"\x40\x03new\x05field"
    assert tell(made, frame(FrameType.HEADERS, peer.END_HEADERS | END_STREAM, 3, too_long)).resets == {
        3: CALM
    }
    told = tell(made, frame(FrameType.HEADERS, peer.END_HEADERS | END_STREAM, 5, b"\x83\x86\x84\xbe"))
    assert told.events[0].fields.get(b"new") == b"field"  # type: ignore[union-attr]


def test_a_bomb_of_fields_takes_neither_memory_nor_time() -> None:
    """Sixteen kilobytes for sixty megabytes: one long field in the table, named again and again."""
    made = server()
    tell(made, frame(FrameType.HEADERS, peer.END_HEADERS | END_STREAM, 1, LONG_FIELD))
    tracemalloc.start()
    try:
        bomb = frame(FrameType.HEADERS, peer.END_HEADERS | END_STREAM, 3, b"\xbe" * 16_000)
        assert tell(made, bomb).goaway is CALM
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_many_different_blocks_are_not_all_kept() -> None:
    made = server(max_concurrent_streams=1 << 30)
    tracemalloc.start()
    try:
        for turn in range(1_000):
            block = b"\x83\x86\x84" + b"\x10\x01x\x7f\x49" + b"%0200d" % turn  # never indexed
            tell(made, frame(FrameType.HEADERS, peer.END_HEADERS | END_STREAM, turn * 2 + 1, block))
            made.reset(turn * 2 + 1, ErrorCode.CANCEL)
            made.take()
        assert tracemalloc.get_traced_memory()[0] < 300_000
    finally:
        tracemalloc.stop()


# --- pings --------------------------------------------------------------------------------------------------


def pings(made: Http2Server, count: int, every_ms: int) -> ErrorCode | None:
    start = made._now
    for turn in range(count):
        told = tell(made, ping(), start + turn * every_ms)
        if told.goaway is not None:
            last = told.of(FrameType.GOAWAY)[-1]
            assert last.payload[8:] == b"too_many_pings"
            return told.goaway
    return None


def test_pings_every_five_seconds_are_welcome_while_a_call_is_open() -> None:
    made = server()
    tell(made, headers(1))
    assert pings(made, 20, 5_000) is None


def test_pings_that_come_sooner_are_not() -> None:
    made = server()
    tell(made, headers(1))
    assert pings(made, 3, 4_999) is None, "one free, and two strikes"
    assert pings(made, 1, 0) is CALM


def test_without_a_call_there_is_no_reason_to_ping() -> None:
    assert pings(server(), 4, 60_000) is CALM
    assert pings(server(), 5, 2 * 60 * 60 * 1000) is None


def test_whatever_we_say_on_a_call_forgives() -> None:
    """grpcio measures the connection with a PING behind every answer; that must never be a strike."""
    made = server()
    for turn in range(200):
        number = turn * 2 + 1
        told = tell(made, headers(number) + ping(), turn)
        assert told.fault is None
        made.respond(number, HEAD, b"x", encode([(b"a", b"b")]))
        made.take()


def test_what_was_forgiven_is_forgotten() -> None:
    made = server()
    tell(made, headers(1) + headers(3))
    assert pings(made, 3, 1_000) is None, "two strikes"
    made.respond(1, HEAD, b"x", encode([(b"a", b"b")]))
    made.take()
    assert pings(made, 3, 1_000) is None, "the first is forgiven, and two strikes again"
    assert pings(made, 1, 0) is CALM


# --- allowances ---------------------------------------------------------------------------------------------


def test_an_allowance_refills_with_time() -> None:
    allowance = Allowance(2, 10)
    assert [allowance.spend(0) for _ in range(3)] == [True, True, False]
    allowance = Allowance(2, 10)
    assert all(allowance.spend(now) for now in range(0, 10_000, 100))
    allowance = Allowance(2, 10)
    assert not all(allowance.spend(now) for now in range(0, 10_000, 99))


def test_an_allowance_holds_no_more_than_its_burst_and_minds_no_clock_that_stands() -> None:
    allowance = Allowance(2, 10)
    assert allowance.spend(0)
    assert [allowance.spend(1_000_000) for _ in range(3)] == [True, True, False]
    assert not allowance.spend(999_999)
