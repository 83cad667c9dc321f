"""One process of the fleet that hands locks on: its clients, each with a connection and a session of its own.

    python -m bench.lock_load JSON          (`Load`; started by `bench.locks`, and spoken to over its pipes)

It says `ready` when all its clients are connected, is told when to begin and when to end (by CLOCK_MONOTONIC,
which all processes of a machine share), and then says when each hold was asked for, had, given back and gone.
With `elections` its clients stand for those instead, and it says which of them leads, until it is killed.

Each client makes one lock and uses it again and again, which is how locks are used, and does nothing while
it holds it.  Those of ours are tasks of one event loop (`ours`) or threads (`ours, threads`: the synchronous
face); those of kazoo, python-etcd3 and pysyncobj are threads, because that is what these libraries have.

This file imports nothing but the standard library before it knows which client is wanted: python-etcd3 lives
in an environment of its own, with a protobuf of years ago, where nothing of ours is installed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, Protocol

TTL_S = 10.0
POLL_S = 0.001
"""Between two attempts of pysyncobj, whose locks cannot be waited for."""

ELECTED_FOREVER_S = 3600.0


@dataclass(frozen=True)
class Load:
    """`addresses`: one for each client of this process.  `scheme`: of ours, by which protocol they ask."""

    client: str
    scheme: str = ""
    addresses: list[str] = field(default_factory=list)
    name: str = "bench/lock"
    ttl_s: float = TTL_S
    elections: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Hold:
    """All by CLOCK_MONOTONIC, in seconds.  `had` to `giving` it was held for certain."""

    asked: float
    had: float
    giving: float
    gone: float


class Threads(Protocol):
    """A client whose calls block."""

    def acquire(self) -> object: ...

    def release(self) -> object: ...

    def close(self) -> object: ...


class Tasks(Protocol):
    """A client whose calls are awaited."""

    async def acquire(self) -> object: ...

    async def release(self) -> object: ...

    async def close(self) -> object: ...


# --- the clients -------------------------------------------------------------------------------------------


class Kazoo:
    def __init__(self, load: Load, address: str) -> None:
        from kazoo.client import KazooClient

        self.client = KazooClient(hosts=address, timeout=load.ttl_s)
        self.client.start(timeout=30)
        self._lock = self.client.Lock(f"/{load.name}", "bench")

    def acquire(self) -> None:
        self._lock.acquire()

    def release(self) -> None:
        self._lock.release()

    def close(self) -> None:
        self.client.stop()
        self.client.close()


class OursByThreads:
    def __init__(self, load: Load, address: str) -> None:
        import agreed

        self.client = agreed.connect(f"{load.scheme}://{address}", ttl=load.ttl_s)
        self._lock = self.client.lock(load.name)

    def acquire(self) -> None:
        self._grant = self._lock.acquire()

    def release(self) -> None:
        self._grant.release()

    def close(self) -> None:
        self.client.close()


class Ours:
    """`connect` first."""

    def __init__(self, load: Load, address: str) -> None:
        self._url = f"{load.scheme}://{address}"
        self._load = load

    async def connect(self) -> None:
        from agreed import aio

        self.client = await aio.connect(self._url, ttl=self._load.ttl_s)
        self._lock = self.client.lock(self._load.name)

    async def acquire(self) -> None:
        self._grant = await self._lock.acquire()

    async def release(self) -> None:
        await self._grant.release()

    async def close(self) -> None:
        await self.client.close()


class LockService:
    """etcd's own lock, taken inside the server (`v3lockpb.Lock`), by two calls over HTTP/2 and nothing else:
    what the fastest client of etcd could have."""

    def __init__(self, load: Load, address: str) -> None:
        self._address = address
        self._load = load

    async def connect(self) -> None:
        from agreed.client.etcd_channel import EtcdChannel
        from agreed.wire.etcd import messages

        self._messages = messages
        self._channel = EtcdChannel([self._address])
        granted = await self._channel.call(
            "/etcdserverpb.Lease/LeaseGrant", messages.LeaseGrantRequest(TTL=600)
        )
        self._request = messages.LockRequest(name=self._load.name.encode(), lease=granted.ID)

    async def acquire(self) -> None:
        self._key = (await self._channel.call("/v3lockpb.Lock/Lock", self._request, timeout_s=60)).key

    async def release(self) -> None:
        await self._channel.call("/v3lockpb.Lock/Unlock", self._messages.UnlockRequest(key=self._key))

    async def close(self) -> None:
        self._channel.close()


class PythonEtcd3:
    def __init__(self, load: Load, address: str) -> None:
        import etcd3

        host, _, port = address.rpartition(":")
        self._client = etcd3.client(host=host, port=int(port))
        self._lock = self._client.lock(load.name, ttl=int(load.ttl_s))

    def acquire(self) -> None:
        """It looks first and watches then, and waits for ever for who has left between the two."""
        while not self._lock.acquire(timeout=1):
            pass

    def release(self) -> None:
        self._lock.release()

    def close(self) -> None:
        self._client.close()


class PySyncObj:
    """A client without a vote.  `address`: all members, between commas."""

    def __init__(self, load: Load, address: str) -> None:
        from pysyncobj import SyncObj, SyncObjConf
        from pysyncobj.batteries import ReplLockManager

        self._name = load.name
        self._locks = ReplLockManager(autoUnlockTime=load.ttl_s)
        self._member = SyncObj(None, address.split(","), SyncObjConf(), consumers=[self._locks])
        deadline = time.monotonic() + 30
        while not self._member.isReady() or self._member._getLeader() is None:
            if time.monotonic() > deadline:
                raise TimeoutError("pysyncobj has found no leader")
            time.sleep(0.01)

    def acquire(self) -> None:
        while not self._try():
            time.sleep(POLL_S)

    def _try(self) -> bool:
        from pysyncobj import SyncObjException

        try:
            return bool(self._locks.tryAcquire(self._name, sync=True, timeout=10))
        except SyncObjException:
            return False

    def release(self) -> None:
        self._locks.release(self._name, sync=True, timeout=10)

    def close(self) -> None:
        self._locks.destroy()
        self._member.destroy()


BY_THREADS: dict[str, Callable[[Load, str], Threads]] = {
    "kazoo": Kazoo,
    "ours, threads": OursByThreads,
    "python-etcd3": PythonEtcd3,
    "pysyncobj": PySyncObj,
}
BY_TASKS: dict[str, Callable[[Load, str], Any]] = {"ours": Ours, "lock service": LockService}


# --- what they do ------------------------------------------------------------------------------------------


def hand_on(client: Threads, begins: float, ends: float) -> list[Hold]:
    holds = []
    now = time.monotonic
    time.sleep(max(0.0, begins - now()))
    while (asked := now()) < ends:
        client.acquire()
        had = now()
        giving = now()
        client.release()
        holds.append(Hold(asked, had, giving, now()))
    return holds


async def hand_on_by_tasks(client: Tasks, begins: float, ends: float) -> list[Hold]:
    holds = []
    now = time.monotonic
    await asyncio.sleep(max(0.0, begins - now()))
    while (asked := now()) < ends:
        await client.acquire()
        had = now()
        giving = now()
        await client.release()
        holds.append(Hold(asked, had, giving, now()))
    return holds


_speaking = threading.Lock()


def say(text: str) -> None:
    with _speaking:
        print(text, flush=True)


def told() -> tuple[float, float]:
    begins, ends = sys.stdin.readline().split()
    return float(begins), float(ends)


def tell(found: Sequence[list[Hold]], used_s: float) -> None:
    """The holds of each client; `used_s`: the processor time that they took, together."""
    say(json.dumps([used_s, [[astuple(hold) for hold in holds] for holds in found]]))


def leads(name: str) -> None:
    say(f"leads {name} {time.monotonic()!r}")


def run_threads(load: Load) -> None:
    clients = [BY_THREADS[load.client](load, address) for address in load.addresses]
    say("ready")
    begins, ends = told()
    used_s = time.process_time()
    found: list[list[Hold]] = [[] for _ in clients]
    failed: list[BaseException] = []

    def work(number: int, client: Threads) -> None:
        try:
            found[number] = hand_on(client, begins, ends)
        except BaseException as error:
            failed.append(error)

    _each_in_a_thread([lambda n=n, c=c: work(n, c) for n, c in enumerate(clients)])  # type: ignore[misc]
    if failed:
        raise failed[0]
    tell(found, time.process_time() - used_s)
    for client in clients:
        client.close()


def _each_in_a_thread(work: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def run_tasks(load: Load) -> None:
    clients = [BY_TASKS[load.client](load, address) for address in load.addresses]
    await asyncio.gather(*(client.connect() for client in clients))
    say("ready")
    begins, ends = await asyncio.to_thread(told)
    used_s = time.process_time()
    found = await asyncio.gather(*(hand_on_by_tasks(client, begins, ends) for client in clients))
    tell(found, time.process_time() - used_s)
    await asyncio.gather(*(client.close() for client in clients))


async def stand(load: Load) -> None:
    clients = [Ours(load, address) for address in load.addresses]
    await asyncio.gather(*(client.connect() for client in clients))

    async def lead(client: Ours, name: str) -> None:
        async with client.client.election(name).lead():
            leads(name)
            await asyncio.sleep(ELECTED_FOREVER_S)

    standing: list[Awaitable[None]] = [
        asyncio.ensure_future(lead(client, name))
        for client, name in zip(clients, load.elections, strict=True)
    ]
    say("ready")
    await asyncio.gather(*standing)


def stand_by_threads(load: Load) -> None:
    clients = [Kazoo(load, address) for address in load.addresses]

    def lead(name: str) -> None:
        leads(name)
        time.sleep(ELECTED_FOREVER_S)

    say("ready")
    _each_in_a_thread(
        [
            lambda client=client, name=name: client.client.Election(f"/{name}", "bench").run(lead, name)  # type: ignore[misc]
            for client, name in zip(clients, load.elections, strict=True)
        ]
    )


def main() -> None:
    load = Load(**json.loads(sys.argv[1]))
    if load.client in BY_TASKS:
        import uvloop  # which the synchronous face uses as well

        uvloop.run(stand(load) if load.elections else run_tasks(load))
    elif load.elections:
        stand_by_threads(load)
    else:
        run_threads(load)


if __name__ == "__main__":
    main()
