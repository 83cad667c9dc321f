"""Nonsense for every layer between the socket and a service of the etcd API: none may crash, hang, or swell.

    python -m tests.torture.fuzz_http2 --inputs 1000000 [--seed 1] [--jobs 2]

An input is one of

    a conversation   a client's (or a server's) frames, valid ones of every kind with some of them spoilt,
                     others made up, doubled, left out or swapped, cut anywhere, fed to our server's
                     (client's) end of gRPC; whatever calls come through are answered
    a block          of compressed header fields, spoilt or random, decoded after others
    a message        a request or reply of the etcd API in protobuf, spoilt or random, decoded; what can be
                     decoded is encoded again, and decoding that must give the same
    a node           whole and in memory, whose clients talk nonsense (`fuzz_etcd_node`); in the end an honest
                     one has to be answered

All that may come out is `MalformedInput`.  After each piece the books have to balance: what is counted as
kept is what is kept, no more streams are open than allowed, and the answers are in proportion.  What else is
watched is told in `nonsense`.
"""

from __future__ import annotations

import random
import struct
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from hpack import Encoder

from agreed.errors import MalformedInput
from agreed.wire.etcd import protobuf
from agreed.wire.etcd.messages.fields import Field, Scalar, fields_of
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.client import ClientConnection
from agreed.wire.grpc.events import Called, Ended, FromClient, Message
from agreed.wire.grpc.messages import framed
from agreed.wire.grpc.server import ServerConnection
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.http2.fields import FieldsDecoder
from agreed.wire.http2.frames import PREFACE
from agreed.wire.http2.limits import Limits
from tests.torture import fuzz_etcd_node
from tests.torture.nonsense import Mutator, main

ANSWER_LIMIT = 200
"""Bytes of answer for a byte of nonsense: a call of some ten bytes is answered by a status with its text."""

SETTINGS = ((1, 0), (1, 100), (2, 0), (3, 5), (4, 10), (4, 65_535), (5, 16_384), (6, 99))
PATHS = sorted(METHODS)
UNARY = frozenset(PATHS[::2])
LIMITS = Limits(max_message_bytes=20_000, max_partial_bytes=50_000, max_concurrent_streams=8)


# --- messages -----------------------------------------------------------------------------------------------


def _kinds() -> list[type[msgspec.Struct]]:
    return [kind for method in METHODS.values() for kind in (method.request, method.reply)]


KINDS = _kinds()


class Messages:
    """Draws any message of the API."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def draw(self, kind: type[msgspec.Struct], depth: int = 3) -> msgspec.Struct:
        dice = self._dice
        fields = fields_of(kind)
        union = [one for one in fields if one.oneof]
        chosen = {
            one.name: self._value(one, depth) for one in fields if not one.oneof and dice.random() < 0.6
        }
        if union and dice.random() < 0.9:
            one = dice.choice(union)
            chosen[one.name] = self._value(one, depth)
        return kind(**{name: value for name, value in chosen.items() if value is not None})

    def _value(self, one: Field, depth: int) -> Any:
        if one.message is not None and not depth:
            return None
        if one.repeated:
            return tuple(self._single(one, depth) for _ in range(self._dice.randrange(4)))
        return self._single(one, depth)

    def _single(self, one: Field, depth: int) -> Any:
        dice = self._dice
        if one.message is not None:
            return self.draw(one.message, depth - 1)
        if one.enumeration is not None:
            return dice.choice((*one.enumeration, 7, -1))
        match one.type:
            case Scalar.BYTES:
                return dice.choice((b"", b"\0", b"a", b"b", b"c", dice.randbytes(dice.choice((1, 8, 200)))))
            case Scalar.STRING:
                return dice.choice(("", "root", "a", "b", "x" * 30, "http://127.0.0.1:7"))
            case Scalar.BOOL:
                return dice.random() < 0.5
            case Scalar.UINT32:
                return dice.choice((0, 1, 2**32 - 1))
            case Scalar.UINT64:
                return dice.choice((0, 1, 300, 2**64 - 1))
            case _:
                return dice.choice((0, 1, -1, 300, 2**63 - 1, -(2**63)))


# --- conversations ------------------------------------------------------------------------------------------


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


class Talker:
    """Says valid frames, of one side, on streams that fit."""

    def __init__(self, dice: random.Random, messages: Messages, client: bool) -> None:
        self._dice = dice
        self._messages = messages
        self._client = client
        self._encoder = Encoder()
        self._next = 1
        self._open: list[int] = []

    def greeting(self) -> list[bytes]:
        settings = _frame(
            4, 0, 0, struct.pack(">HIHI", 4, self._dice.choice((0, 100, 65_535, 1 << 20)), 1, 4096)
        )
        return [PREFACE, settings] if self._client else [settings]

    def say(self) -> list[bytes]:
        """Some frames that belong together."""
        dice = self._dice
        kind = dice.randrange(14)
        if kind < 5 or not self._open:
            return self._begin()
        stream = dice.choice(self._open)
        match kind:
            case 5 | 6 | 7:
                return [_frame(0, self._ends(stream, 0.4), stream, self._piece())]
            case 8:
                increment = dice.choice((1, 70_000, 1 << 20))
                return [_frame(8, 0, dice.choice((0, stream)), struct.pack(">I", increment))]
            case 9:
                self._open.remove(stream)
                return [_frame(3, 0, stream, struct.pack(">I", dice.randrange(14)))]
            case 10:
                return [_frame(6, dice.choice((0, 1)), 0, dice.randbytes(8))]
            case 11:
                name, value = dice.choice(SETTINGS)
                return [_frame(4, 0, 0, struct.pack(">HI", name, value)), _frame(4, 1, 0, b"")]
            case 12:
                self._open.remove(stream)
                return [_frame(1, 5, stream, self._encoder.encode([("grpc-status", "0"), ("x", "y")]))]
            case _:
                return [_frame(2, 0, stream, dice.randbytes(5)), _frame(7, 0, 0, bytes(8))][
                    dice.randrange(2) :
                ]

    def _ends(self, stream: int, chance: float) -> int:
        """The flag that says whether this is the last of it."""
        if self._dice.random() < chance:
            self._open.remove(stream)
            return 1
        return 0

    def _begin(self) -> list[bytes]:
        dice = self._dice
        stream = self._next
        self._next += 2
        self._open.append(stream)
        if self._client:
            block = self._encoder.encode(self._request(), huffman=dice.random() < 0.3)
        else:
            fields = [
                (":status", dice.choice(("200", "200", "200", "503"))),
                ("content-type", "application/grpc"),
            ]
            block = self._encoder.encode(fields)
        body = _frame(0, self._ends(stream, 0.5), stream, self._piece())
        match dice.randrange(4):
            case 0:
                cut = dice.randrange(len(block) + 1)
                return [_frame(1, 0, stream, block[:cut]), _frame(9, 4, stream, block[cut:]), body]
            case 1:
                pad = dice.randrange(9)
                return [_frame(1, 0x2C, stream, bytes((pad,)) + bytes(5) + block + bytes(pad)), body]
            case _:
                return [_frame(1, 4, stream, block), body]

    def _request(self) -> list[tuple[str, str]]:
        dice = self._dice
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", dice.choice((*PATHS, "/no/such"))),
            (":authority", "localhost"),
            ("te", "trailers"),
            (
                "content-type",
                dice.choice(("application/grpc", "application/grpc", "application/grpc+proto", "a/b")),
            ),
        ]
        more = [
            ("grpc-timeout", "5S"),
            ("grpc-timeout", "x"),
            ("token", "t.1"),
            ("grpc-encoding", "gzip"),
            ("X", "y"),
        ]
        return fields + [one for one in more if dice.random() < 0.05]

    def _piece(self) -> bytes:
        dice = self._dice
        message = protobuf.encode(self._messages.draw(dice.choice(KINDS), 1))
        data = framed(message)
        match dice.randrange(5):
            case 0:
                return data[: dice.randrange(len(data) + 1)]
            case 1:
                return data + data
            case 2:
                return framed(bytes(dice.choice((3_000, 16_000))))[:16_384]
            case _:
                return data


class Fuzzer:
    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def throw(self, dice: random.Random, number: int) -> None:
        name, one = dice.choices(INPUTS, WEIGHTS)[0]
        self.counted[name] += 1
        try:
            one(self, dice)
        except MalformedInput:
            self.counted[f"{name} refused"] += 1

    def _spoilt(self, dice: random.Random, frames: list[bytes]) -> bytes:
        mutator = Mutator(dice)
        for _ in range(dice.choice((0, 1, 1, 1, 2, 4))):
            at = dice.randrange(len(frames))
            match dice.randrange(8):
                case 0 | 1 | 2:
                    frames[at] = mutator.spoil(frames[at])
                case 3:
                    head, payload = frames[at][:9], frames[at][9:]
                    if len(head) == 9:
                        payload = mutator.spoil(payload)[:16_384]
                        frames[at] = len(payload).to_bytes(3, "big") + head[3:] + payload
                case 4:
                    frames.insert(at, frames[at])
                case 5:
                    frames.pop(at)
                    if not frames:
                        return b""
                case 6:
                    frames.insert(at, frames.pop(dice.randrange(len(frames))))
                case _:
                    payload = dice.randbytes(dice.choice((0, 4, 5, 6, 8, 40)))
                    kind, flags, stream = dice.randrange(12), dice.randrange(64), dice.randrange(6)
                    frames.insert(at, _frame(kind, flags, stream, payload))
        return b"".join(frames)

    def _conversation(self, dice: random.Random, client: bool) -> list[bytes]:
        talker = Talker(dice, Messages(dice), client)
        frames = talker.greeting()
        for _ in range(dice.randrange(1, 12)):
            frames += talker.say()
        stream = self._spoilt(dice, frames)
        if dice.random() < 0.01:
            at = min(len(stream), 400)
            return [*(stream[i : i + 1] for i in range(at)), stream[at:]]
        pieces = []
        while stream:
            size = dice.choice((len(stream), len(stream), dice.randrange(1, 20), 1_000))
            pieces.append(stream[:size])
            stream = stream[size:]
        return pieces

    def to_server(self, dice: random.Random) -> None:
        server = ServerConnection(UNARY, LIMITS)
        server.take()
        heard = said = 0
        now = 0
        if dice.random() < 0.1:
            server.shut_down()
        for piece in self._conversation(dice, client=True):
            heard += len(piece)
            try:
                for event in server.receive_data(piece, now):
                    self._answer(dice, server, event)
            finally:
                said += len(server.take())
            now += dice.choice((0, 1, 1_000))
            balance(server)
        if said > ANSWER_LIMIT * heard + 100_000:
            raise AssertionError(f"{said} bytes of answer for {heard}")

    def _answer(self, dice: random.Random, server: ServerConnection, event: FromClient) -> None:
        match event:
            case Called(stream, path, _, _, message):
                self.counted["calls"] += 1
                if message is not None and dice.random() < 0.9:
                    server.reply(stream, message)
                elif message is None and path not in METHODS:
                    server.finish(stream, Status(Code.UNIMPLEMENTED, f"unknown method {path}"))
            case Message(stream, data):
                if dice.random() < 0.1:
                    server.cancel(stream)
                else:
                    server.send(stream, data)
            case Ended(stream):
                server.finish(stream, OK)

    def to_client(self, dice: random.Random) -> None:
        client = ClientConnection(LIMITS, "localhost")
        for _ in range(6):
            client.call(dice.choice(PATHS), {}, b"question", end=dice.random() < 0.8)
        client.take()
        for piece in self._conversation(dice, client=False):
            try:
                for event in client.receive_data(piece, 0):
                    if dice.random() < 0.1 and hasattr(event, "stream"):
                        client.cancel(event.stream)
                if client.can_call and dice.random() < 0.2:
                    client.call(dice.choice(PATHS), {}, b"more")
            finally:
                client.take()

    def block(self, dice: random.Random) -> None:
        decoder, encoder, mutator = FieldsDecoder(2_000), Encoder(), Mutator(dice)
        for _ in range(dice.randrange(1, 6)):
            fields = [
                (dice.choice(("a", ":path", "te", "x-long-name")), "v" * dice.choice((0, 3, 300)))
                for _ in range(4)
            ]
            block = encoder.encode(fields, huffman=dice.random() < 0.5)
            decoder.decode(
                mutator.spoil(block) if dice.random() < 0.5 else dice.randbytes(dice.randrange(60))
            )

    def node(self, dice: random.Random) -> None:
        self.counted["calls"] += fuzz_etcd_node.throw(
            dice, Messages(dice).draw, lambda: self._conversation(dice, client=True)
        )

    def message(self, dice: random.Random) -> None:
        kind = dice.choice(KINDS)
        data = (
            protobuf.encode(Messages(dice).draw(kind))
            if dice.random() < 0.9
            else dice.randbytes(dice.randrange(80))
        )
        if dice.random() < 0.9:
            data = Mutator(dice).spoil(data)
        if dice.random() < 0.1:
            kind = dice.choice(KINDS)
        decoded = protobuf.decode(kind, data)
        again = protobuf.decode(kind, protobuf.encode(decoded))
        if again != decoded:
            raise AssertionError(f"{kind.__name__} is not the same when it is encoded again: {data!r}")


INPUTS: list[tuple[str, Callable[[Fuzzer, random.Random], None]]] = [
    ("conversations with our server", Fuzzer.to_server),
    ("conversations with our client", Fuzzer.to_client),
    ("blocks of fields", Fuzzer.block),
    ("messages", Fuzzer.message),
    ("whole nodes", Fuzzer.node),
]
WEIGHTS = [40, 20, 10, 30, 2]


def balance(server: ServerConnection) -> None:
    """What is counted is what is there."""
    kept = sum(incoming.kept_bytes for incoming in server._incoming.values())
    if kept != server._kept_bytes:
        raise AssertionError(f"{server._kept_bytes} bytes are counted, {kept} are kept")
    if kept > LIMITS.max_partial_bytes + LIMITS.max_message_bytes + 16_384:
        raise AssertionError(f"{kept} bytes are kept")
    open_streams = server._http2._streams
    if not set(server._incoming) <= set(open_streams) or not server._answered <= set(open_streams):
        raise AssertionError("calls are remembered whose streams are no more")
    if len(open_streams) > LIMITS.max_concurrent_streams:
        raise AssertionError(f"{len(open_streams)} streams are open")


if __name__ == "__main__":
    sys.exit(main("fuzz_http2", __doc__, Fuzzer))
