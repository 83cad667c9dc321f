"""Random conversations with `h2` at the other end: it objects to nothing, and hears what was said.

Both sides are played through the same story: a request with a body is answered by its body again, with
trailers behind it; in between windows are small and change, streams are cancelled, pings and settings come,
and the bytes are cut anywhere.
"""

from __future__ import annotations

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest

from agreed.wire.http2.client import Http2Client
from agreed.wire.http2.events import DataReceived, HeadersReceived, StreamReset, TrailersReceived
from agreed.wire.http2.fields import encode
from agreed.wire.http2.frames import ErrorCode
from agreed.wire.http2.limits import Limits
from agreed.wire.http2.server import Http2Server

SEEDS = range(int(os.environ.get("SEEDS", "8")))
STEPS = 80
LIMITS = Limits(stream_window_bytes=70_000, connection_window_bytes=100_000, ping_strikes_most=1_000)
CODES = h2.settings.SettingCodes

REQUEST = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/echo"), (b":authority", b"here")]
HEAD = [(b":status", b"200"), (b"kind", b"echo")]
TAIL = [(b"done", b"yes")]


def theirs(client_side: bool) -> Any:
    config = h2.config.H2Configuration(client_side=client_side, header_encoding=None)
    made = h2.connection.H2Connection(config)
    made.initiate_connection()
    return made


def cut(dice: random.Random, stream: bytes) -> list[bytes]:
    pieces = []
    while stream:
        size = dice.choice((1, 5, 9, 10, 100, len(stream)))
        pieces.append(stream[:size])
        stream = stream[size:]
    return pieces


class Queues:
    """What `h2` wants to say and has no window for: with `h2` one has to see to that oneself."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._waiting: dict[int, tuple[bytes, list[tuple[bytes, bytes]] | None]] = {}

    def send(self, stream: int, data: bytes, trailers: list[tuple[bytes, bytes]] | None) -> None:
        self._waiting[stream] = (data, trailers)
        self.pump()

    def drop(self, stream: int) -> None:
        self._waiting.pop(stream, None)

    def pump(self) -> None:
        for stream, (data, trailers) in list(self._waiting.items()):
            connection = self._connection
            try:
                while data:
                    free = connection.local_flow_control_window(stream)
                    size = min(len(data), free, connection.max_outbound_frame_size)
                    if size <= 0:
                        break
                    connection.send_data(stream, data[:size])
                    data = data[size:]
                if data:
                    self._waiting[stream] = (data, trailers)
                    continue
                if trailers is None:
                    connection.end_stream(stream)
                else:
                    connection.send_headers(stream, trailers, end_stream=True)
            except h2.exceptions.StreamClosedError:
                pass
            del self._waiting[stream]


class Pair(ABC):
    """An end of ours and one of h2's, what was asked, answered and cancelled between them, by stream."""

    def __init__(
        self,
        dice: random.Random,
        theirs: Any,
        client_says: Callable[[], bytes],
        server_says: Callable[[], bytes],
    ) -> None:
        self.dice = dice
        self.theirs = theirs
        self.queues = Queues(theirs)
        self._client_says, self._server_says = client_says, server_says
        self.bodies: dict[int, bytes] = {}
        """Of requests, as they come in at the server."""
        self.expected: dict[int, bytes] = {}
        self.answered: dict[int, bytes] = {}
        self.finished: set[int] = set()
        self.cancelled: set[int] = set()

    @abstractmethod
    def hear_request(self, piece: bytes) -> None: ...

    @abstractmethod
    def hear_answer(self, piece: bytes) -> None: ...

    @abstractmethod
    def step(self) -> None:
        """One of all the things that the two can do."""

    def play(self) -> None:
        for _ in range(STEPS):
            self.step()
            if self.dice.random() < 0.6:
                self.exchange()
        self.exchange()

    def exchange(self) -> None:
        """Until both have nothing to say."""
        while True:
            forth, back = self._client_says(), self._server_says()
            if not forth and not back:
                return
            for piece in cut(self.dice, forth):
                self.hear_request(piece)
            for piece in cut(self.dice, back):
                self.hear_answer(piece)

    def body(self) -> bytes:
        return self.dice.randbytes(self.dice.choice((0, 1, 100, 5_000, 70_000)))

    def change(self, setting: Any, *values: int) -> None:
        """A setting of theirs, to one of these."""
        self.exchange()  # one at a time: h2 takes an acknowledgement for all that it has changed
        self.theirs.update_settings({setting: self.dice.choice(values)})

    def cancel_one(self) -> int | None:
        """A stream that is running, and is to be cancelled; None: there is none."""
        running = [n for n in self.expected if n not in self.finished and n not in self.cancelled]
        if not running:
            return None
        stream = self.dice.choice(running)
        self.cancelled.add(stream)
        return stream

    def check(self) -> None:
        """What was not cancelled has come back whole."""
        assert set(self.expected) - self.cancelled <= self.finished
        for stream in self.finished:
            assert self.answered[stream] == self.expected[stream]


class OurServerTheirClient(Pair):
    def __init__(self, dice: random.Random) -> None:
        self.ours = Http2Server(LIMITS)
        client = theirs(True)
        super().__init__(dice, client, client.data_to_send, self.ours.take)

    def hear_request(self, piece: bytes) -> None:
        for event in self.ours.receive_data(piece, 0):
            match event:
                case HeadersReceived(stream, fields, ended):
                    assert list(fields.fields) == REQUEST
                    self.bodies[stream] = b""
                    assert not ended
                case DataReceived(stream, data, ended):
                    self.bodies[stream] += data
                    if ended:
                        self.answer(stream)
                case StreamReset(stream):
                    assert stream in self.cancelled
                    self.bodies.pop(stream, None)

    def answer(self, stream: int) -> None:
        body = self.bodies.pop(stream)
        if self.dice.random() < 0.5 and body:
            self.ours.respond(stream, encode(HEAD), body, encode(TAIL))
        else:
            self.ours.send_fields(stream, encode(HEAD))
            half = self.dice.randrange(len(body) + 1)
            self.ours.send_data(stream, body[:half])
            self.ours.send_data(stream, body[half:])
            self.ours.send_fields(stream, encode(TAIL), ends=True)

    def hear_answer(self, piece: bytes) -> None:
        for event in self.theirs.receive_data(piece):
            match event:
                case h2.events.ResponseReceived():
                    assert event.headers == HEAD
                    self.answered[event.stream_id] = b""
                case h2.events.DataReceived():
                    self.answered[event.stream_id] += event.data
                    self.theirs.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.TrailersReceived():
                    assert event.headers == TAIL
                case h2.events.StreamEnded():
                    self.finished.add(event.stream_id)
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    raise AssertionError(event)
            self.queues.pump()

    def step(self) -> None:
        match self.dice.randrange(8):
            case 0 | 1 | 2:
                stream, body = self.theirs.get_next_available_stream_id(), self.body()
                self.theirs.send_headers(stream, REQUEST)
                self.expected[stream] = body
                self.queues.send(stream, body, None)
            case 3:
                self.theirs.ping(self.dice.randbytes(8))
            case 4:
                self.change(CODES.INITIAL_WINDOW_SIZE, 500, 1_000, 65_535, 200_000)
            case 5:
                self.change(CODES.MAX_FRAME_SIZE, 16_384, 20_000, 1 << 20)
            case 6:
                self.change(CODES.HEADER_TABLE_SIZE, 0, 100, 4_096, 8_192)
            case 7:
                cancelled = self.cancel_one()
                if cancelled is not None:
                    self.theirs.reset_stream(cancelled, ErrorCode.CANCEL)
                    self.queues.drop(cancelled)

    def settle(self) -> None:
        """Whatever waits for a window gets one."""
        for _ in range(3):
            for stream in [0, *self.expected]:
                if stream not in self.finished and stream not in self.cancelled:
                    self.theirs.increment_flow_control_window(1_000_000, stream or None)
            self.exchange()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_of_ours_and_a_client_of_h2(seed: int) -> None:
    pair = OurServerTheirClient(random.Random(seed))
    pair.play()
    pair.settle()
    pair.check()
    assert pair.ours.streams == 0


class TheirServerOurClient(Pair):
    def __init__(self, dice: random.Random) -> None:
        self.ours = Http2Client(LIMITS)
        server = theirs(False)
        super().__init__(dice, server, self.ours.take, server.data_to_send)

    def hear_request(self, piece: bytes) -> None:
        for event in self.theirs.receive_data(piece):
            match event:
                case h2.events.RequestReceived():
                    assert event.headers == REQUEST
                    self.bodies[event.stream_id] = b""
                case h2.events.DataReceived():
                    self.bodies[event.stream_id] += event.data
                    self.theirs.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    body = self.bodies.pop(event.stream_id)
                    if event.stream_id not in self.cancelled:
                        self.theirs.send_headers(event.stream_id, HEAD)
                        self.queues.send(event.stream_id, body, TAIL)
                case h2.events.StreamReset():
                    assert event.stream_id in self.cancelled
                    self.queues.drop(event.stream_id)
                case h2.events.ConnectionTerminated():
                    raise AssertionError(event)
            self.queues.pump()

    def hear_answer(self, piece: bytes) -> None:
        for event in self.ours.receive_data(piece, 0):
            match event:
                case HeadersReceived(stream, fields):
                    assert list(fields.fields) == HEAD
                    self.answered[stream] = b""
                case DataReceived(stream, data):
                    self.answered[stream] += data
                case TrailersReceived(stream, fields):
                    assert list(fields.fields) == TAIL
                    self.finished.add(stream)
                case StreamReset():
                    raise AssertionError(event)

    def step(self) -> None:
        match self.dice.randrange(7):
            case 0 | 1 | 2:
                body, stream = self.body(), self.ours.begin(encode(REQUEST))
                self.expected[stream] = body
                half = self.dice.randrange(len(body) + 1)
                self.ours.send_data(stream, body[:half])
                self.ours.send_data(stream, body[half:], ends=True)
            case 3:
                self.ours.ping(self.dice.randbytes(8))
            case 4:
                self.change(CODES.INITIAL_WINDOW_SIZE, 100, 65_535, 200_000)
            case 5:
                self.change(CODES.HEADER_TABLE_SIZE, 0, 100, 4_096)
            case 6:
                cancelled = self.cancel_one()
                if cancelled is not None:
                    self.ours.reset(cancelled, ErrorCode.CANCEL)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_client_of_ours_and_a_server_of_h2(seed: int) -> None:
    pair = TheirServerOurClient(random.Random(seed))
    pair.play()
    pair.check()
    assert not pair.finished & pair.cancelled
    assert pair.ours.streams == 0
