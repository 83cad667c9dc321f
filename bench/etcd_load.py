"""The load on servers of the etcd API: one process on uvloop, requests encoded before they are needed.

    python -m bench.etcd_load '{"operation": "put", "connections": 10, "outstanding": 50, ...}'

Frames are counted and answers are not decoded (`etcd_connection`).  Both systems get the same bytes.

    put, get, local-get     unary calls, so many outstanding on each connection (get: linearizable)
    fill                    every key once, 100 puts in a transaction
    watch-one               one watcher on the same key for each of `watchers`; a put after the other
    watch-many              each watcher on a key of its own; puts as in `put`; latency until it is heard
    keep-alive              `leases` leases, renewed over one stream for each connection

Latencies are in microseconds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import uvloop

from bench.etcd_connection import Connection

PUTS_IN_A_TRANSACTION = 100
MARK = b"@mark@"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """`addresses` as `host:port`; connections go round."""

    operation: str
    addresses: list[str]
    connections: int = 1
    outstanding: int = 1
    seconds: float = 3.0
    warmup_s: float = 0.5
    keys: int = 1000
    bytes: int = 128
    watchers: int = 0
    leases: int = 0

    @property
    def name(self) -> str:
        return f"{self.operation} {self.connections}x{self.outstanding}"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`done` counts what was measured: calls, or events where watchers are (`calls` then the puts)."""

    seconds: float
    done: int
    calls: int
    errors: int
    per_s: float
    p50_us: float
    p99_us: float
    max_us: float
    busy_share: float


# --- protobuf, as much as is needed ----------------------------------------------------------------------


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def key_of(number: int) -> bytes:
    return b"/bench/%012d" % number


def put_request(key: bytes, value: bytes) -> bytes:
    return field(1, key) + field(2, value)


def range_request(key: bytes, *, local: bool) -> bytes:
    return field(1, key) + (field(7, 1) if local else b"")


def fill_request(first: int, count: int, value: bytes) -> bytes:
    puts = (field(2, put_request(key_of(number), value)) for number in range(first, first + count))
    return b"".join(field(2, put) for put in puts)


def create_request(key: bytes) -> bytes:
    return field(1, field(1, key))


# --- one run ---------------------------------------------------------------------------------------------


class Run:
    """What is measured: from `begin` to `finish`."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.latencies = array("d")
        self.calls = self.errors = 0
        self.measuring = False
        self.connections: list[Connection] = []
        self.began = self.ended = self.cpu = 0.0

    async def connect(self, count: int, path: bytes) -> list[Connection]:
        made = []
        for number in range(count):
            address = self.load.addresses[number % len(self.load.addresses)]
            host, _, port = address.rpartition(":")
            loop = asyncio.get_running_loop()
            connecting = partial(Connection, path, address.encode())
            _, connection = await loop.create_connection(connecting, host, int(port))
            made.append(connection)
        self.connections += made
        return made

    def took(self, since: float) -> None:
        if self.measuring:
            self.latencies.append((time.perf_counter() - since) * 1e6)

    async def measure(self) -> None:
        await self.wait(self.load.warmup_s)
        self.measuring, self.calls = True, 0
        self.began, cpu = time.perf_counter(), time.process_time()
        await self.wait(self.load.seconds)
        self.measuring = False
        self.ended, self.cpu = time.perf_counter(), time.process_time() - cpu

    async def wait(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            await asyncio.sleep(min(left, 0.2))
            self.check()

    def check(self) -> None:
        for connection in self.connections:
            if connection.broken:
                raise SystemExit(f"{self.load.name}: {connection.broken}")

    def result(self) -> Result:
        ordered = sorted(self.latencies)
        seconds = max(self.ended - self.began, 1e-9)

        def at(share: float) -> float:
            return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0

        return Result(
            seconds=seconds,
            done=len(ordered),
            calls=self.calls,
            errors=self.errors,
            per_s=len(ordered) / seconds,
            p50_us=at(0.5),
            p99_us=at(0.99),
            max_us=at(1.0),
            busy_share=self.cpu / seconds,
        )


class Closed:
    """So many calls outstanding on one connection, a new one for each that ends; `requests` never ends.

    Calls that end in one read are answered by one write."""

    def __init__(
        self, run: Run, connection: Connection, requests: Iterator[bytes], *, timed: bool = True
    ) -> None:
        self._run = run
        self._connection = connection
        self._requests = requests
        self._timed = timed
        self._since: dict[int, float] = {}
        self._out: list[bytes] = []
        self.finished = asyncio.Event()
        connection.on_end = self._on_end

    def start(self, outstanding: int) -> None:
        for _ in range(outstanding):
            self._more()
        self._flush()

    def _more(self) -> None:
        message = next(self._requests, None)
        if message is None:
            if not self._since:
                self.finished.set()
            return
        stream, data = self._connection.call(message)
        self._since[stream] = time.perf_counter()
        self._out.append(data)

    def _flush(self) -> None:
        self._connection.write(b"".join(self._out))
        self._out.clear()

    def _on_end(self, stream: int, ok: bool) -> None:
        run = self._run
        run.calls += 1
        since = self._since.pop(stream)
        if not ok:
            run.errors += 1
        if self._timed:
            run.took(since)
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._more()


KV = b"/etcdserverpb.KV/"


def numbers(load: Load, connection: int) -> Iterator[int]:
    """Keys in an order that looks like chance, another one for each connection; without end."""
    number = connection * 7919
    while True:
        number = (number * 1103515245 + 12345) & 0x7FFFFFFF
        yield number % load.keys


def requests(load: Load, connection: int) -> Iterator[bytes]:
    value = b"v" * load.bytes
    made: dict[str, Callable[[int], bytes]] = {
        "put": lambda number: put_request(key_of(number), value),
        "get": lambda number: range_request(key_of(number), local=False),
        "local-get": lambda number: range_request(key_of(number), local=True),
    }
    ready = [made[load.operation](number) for number in range(load.keys)]
    return (ready[number] for number in numbers(load, connection))


async def unary(run: Run) -> None:
    load = run.load
    method = b"Put" if load.operation == "put" else b"Range"
    for number, connection in enumerate(await run.connect(load.connections, KV + method)):
        Closed(run, connection, requests(load, number)).start(load.outstanding)
    await run.measure()


async def fill(run: Run) -> None:
    load = run.load
    value = b"v" * load.bytes
    starts = iter(range(0, load.keys, PUTS_IN_A_TRANSACTION))
    firsts = (fill_request(first, min(PUTS_IN_A_TRANSACTION, load.keys - first), value) for first in starts)
    closed = [
        Closed(run, connection, firsts) for connection in await run.connect(load.connections, KV + b"Txn")
    ]
    run.measuring, run.began = True, time.perf_counter()
    for each in closed:
        each.start(load.outstanding)
    waiting = [asyncio.ensure_future(each.finished.wait()) for each in closed]
    while not all(each.done() for each in waiting):
        await run.wait(0.2)
    run.ended = time.perf_counter()


async def watchers(run: Run, keys: Callable[[int], bytes], heard: Callable[[bytes], None]) -> None:
    """All watchers, in equal parts on the connections, one stream each; returns when all are created."""
    load = run.load
    connections = await run.connect(load.connections, b"/etcdserverpb.Watch/Watch")
    created = 0

    def on_message(stream: int, message: bytes) -> None:
        nonlocal created
        if MARK in message:
            heard(message)
        else:
            created += 1

    number = 0
    for index, connection in enumerate(connections):
        connection.on_message = on_message
        stream, head = connection.open()
        connection.write(head)
        for _ in range(load.watchers * (index + 1) // len(connections) - number):
            while connection.window < 1000:
                await run.wait(0.01)
            connection.write(connection.body(stream, create_request(keys(number)), end=False))
            number += 1
    while created < load.watchers:
        await run.wait(0.05)


def marked(number: int, size: int) -> bytes:
    return MARK + b"%011d" % number + b"v" * (size - len(MARK) - 11)


def mark_of(message: bytes) -> int:
    at = message.index(MARK) + len(MARK)
    return int(message[at : at + 11])


async def watch_one(run: Run) -> None:
    """One put, and the next when everybody has heard of it."""
    load = run.load
    missing, since, told = 0, 0.0, asyncio.Event()

    def heard(message: bytes) -> None:
        nonlocal missing
        run.took(since)
        missing -= 1
        if not missing:
            told.set()

    await watchers(run, lambda number: b"/watched", heard)
    (putter,) = await run.connect(1, KV + b"Put")

    async def put() -> None:
        nonlocal missing, since
        while True:
            missing, since = load.watchers, time.perf_counter()
            told.clear()
            run.calls += 1
            putter.write(putter.call(put_request(b"/watched", marked(0, load.bytes)))[1])
            await told.wait()

    putting = asyncio.ensure_future(put())
    await run.measure()
    putting.cancel()


async def watch_many(run: Run) -> None:
    load = run.load
    since: dict[int, float] = {}

    def heard(message: bytes) -> None:
        run.took(since.pop(mark_of(message), time.perf_counter()))

    await watchers(run, key_of, heard)
    (putter,) = await run.connect(1, KV + b"Put")

    def puts() -> Iterator[bytes]:
        for count, number in enumerate(numbers(load, 0)):
            since[count] = time.perf_counter()
            yield put_request(key_of(number), marked(count, load.bytes))

    Closed(run, putter, puts(), timed=False).start(load.outstanding)
    await run.measure()


async def keep_alive(run: Run) -> None:
    load = run.load
    (granter,) = await run.connect(1, b"/etcdserverpb.Lease/LeaseGrant")
    grants = (field(1, 600) + field(2, number) for number in range(1, load.leases + 1))
    granting = Closed(run, granter, iter(grants), timed=False)
    granting.start(50)
    await granting.finished.wait()
    for index, connection in enumerate(
        await run.connect(load.connections, b"/etcdserverpb.Lease/LeaseKeepAlive")
    ):
        _renew(run, connection, index)
    await run.measure()


def _renew(run: Run, connection: Connection, index: int) -> None:
    """Its share of the leases, one after the other, so many requests on their way."""
    load = run.load
    mine = range(1 + index, load.leases + 1, load.connections)
    stream, head = connection.open()
    sent: list[float] = []
    count = 0

    def one() -> bytes:
        nonlocal count
        number = mine[count % len(mine)]
        count += 1
        sent.append(time.perf_counter())
        return connection.body(stream, field(1, number), end=False)

    def on_message(stream: int, message: bytes) -> None:
        run.calls += 1
        run.took(sent.pop(0))
        connection.write(one())

    connection.on_message = on_message
    connection.write(head + b"".join(one() for _ in range(load.outstanding)))


OPERATIONS = {
    "put": unary,
    "get": unary,
    "local-get": unary,
    "fill": fill,
    "watch-one": watch_one,
    "watch-many": watch_many,
    "keep-alive": keep_alive,
}


def main() -> None:
    load = msgspec.json.decode(sys.argv[1], type=Load)
    run = Run(load)
    uvloop.run(OPERATIONS[load.operation](run))
    print(msgspec.json.encode(run.result()).decode())


if __name__ == "__main__":
    main()
