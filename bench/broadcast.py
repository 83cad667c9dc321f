"""How fast a log is, and what a message costs: `python -m bench.broadcast` (three nodes on this machine).

Prints messages a second published by one and by several publishers, one after the other and many at once; the
time from publishing to a subscriber that waits; catching up; and the memory of a node per message, in the
tail and packed.
"""
from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

from agreed.broadcast.aio import LATEST, Log
from agreed.broadcast.layout import Packed, Published, encode
from agreed.cli.playground import Playground
from agreed.client import aio
from agreed.store.commands import Create, GrantLease
from agreed.store.machine import Store

PAYLOAD = b"x" * 100
MANY = 20_000


async def one_after_the_other(url: str, publishers: int, messages: int) -> float:
    """Messages a second, where each publisher waits for its answer."""
    sessions = [await aio.connect(url) for _ in range(publishers)]
    logs = [await Log.open(session, f"/waits-{publishers}") for session in sessions]
    ready = [await log.publisher() for log in logs]

    async def publish(number: int) -> None:
        for _ in range(messages):
            await ready[number].publish(PAYLOAD)

    began = time.perf_counter()
    await asyncio.gather(*[publish(number) for number in range(publishers)])
    took = time.perf_counter() - began
    for session in sessions:
        await session.close()
    return publishers * messages / took


async def many_at_once(url: str, publishers: int) -> tuple[float, float]:
    """Messages a second in, and out again for a subscriber that begins when all are in."""
    sessions = [await aio.connect(url) for _ in range(publishers)]
    logs = [await Log.open(session, f"/many-{publishers}") for session in sessions]
    ready = [await log.publisher() for log in logs]
    share = [PAYLOAD] * (MANY // publishers)
    began = time.perf_counter()
    await asyncio.gather(*[publisher.publish_many(share) for publisher in ready])
    published = time.perf_counter() - began
    await logs[0].tidy()
    subscription = await logs[0].subscribe()
    began = time.perf_counter()
    for _ in range(len(share) * publishers):
        await subscription.next()
    read = time.perf_counter() - began
    for session in sessions:
        await session.close()
    return len(share) * publishers / published, len(share) * publishers / read


async def delay(url: str, messages: int) -> float:
    """Median milliseconds from `publish` to a subscriber on another session that waits for it."""
    async with await aio.connect(url) as session, await aio.connect(url) as other:
        publisher = await (await Log.open(session, "/delay")).publisher()
        subscription = await (await Log.open(other, "/delay")).subscribe(LATEST)
        times = []
        for _ in range(messages):
            waiting = asyncio.ensure_future(subscription.next())
            await asyncio.sleep(0.01)
            began = time.perf_counter()
            giving = asyncio.ensure_future(publisher.publish(PAYLOAD))
            await waiting
            times.append(time.perf_counter() - began)
            await giving
        return statistics.median(times) * 1000


def bytes_a_message(packed: bool) -> float:
    """Of the store of one node, for each message."""
    store, many = Store(), 10_000
    paths = [f"/tail/m-{offset:010d}".encode() for offset in range(many)]
    tracemalloc.start()
    store.begin(1)
    store.execute(GrantLease(1, 10_000, b"", ()))
    store.execute(Create(1, b"/tail", None, None, 0))
    for offset, path in enumerate(paths[:: 1000 if packed else 1]):
        if packed:
            data = encode([Packed("publisher", offset, 10**12, PAYLOAD) for _ in range(1000)])
        else:
            data = encode(Published("publisher", offset, PAYLOAD))
        store.execute(Create(1, bytes(bytearray(path)), data, None, 0))
        store.fresh.clear()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / many


async def measure(cluster: Playground) -> None:
    url = f"agreed://{cluster.hosts}"
    alone, packed = bytes_a_message(False), bytes_a_message(True)
    print(f"bytes of a node's memory for a message of 100: {alone:,.0f} in the tail, {packed:,.0f} packed")
    print(f"from publish to a waiting subscriber: {await delay(url, 200):.2f} ms (median)")
    for publishers in (1, 10):
        rate = await one_after_the_other(url, publishers, 300)
        published, read = await many_at_once(url, publishers)
        print(
            f"{publishers:2} publishers: {rate:,.0f} messages/s each waiting for its answer, "
            f"{published:,.0f} many at once, {read:,.0f} read again"
        )


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, Playground(Path(directory)) as cluster:
        cluster.start_all()
        cluster.wait_until_serving(60)
        asyncio.run(measure(cluster))


if __name__ == "__main__":
    main()
