"""Three real processes for each protocol: how long a write takes, and how long none is taken when a leader is
killed.

One client writes to the leader, one write after the other, then another at a node that stays; leaders are
killed with SIGKILL, and come back.  What is measured is this machine as much as the protocol.
"""
from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from agreed.cli.playground import Playground
from agreed.errors import AgreedError
from agreed.torture.address import Address
from agreed.torture.client import Refused
from agreed.torture.zookeeper_client import ZooKeeperClient

WARM_UP_WRITES = 300
WITHIN_S = 60.0
SESSION_MS = 10_000
PATH = "/compared"


class Real(msgspec.Struct, frozen=True):
    """`failover_ms`: for each killed leader, from the kill to the first acknowledged write after it."""

    protocol: str
    writes: int
    p50_ms: float
    p99_ms: float
    failover_ms: list[float]


def measure(protocol: str, writes: int = 2_000, kills: int = 5) -> Real:
    """Raises `NotServing` where the nodes do not start, `TimeoutError` where they take no writes."""
    with (
        tempfile.TemporaryDirectory(prefix="agreed-compare-") as directory,
        Playground(Path(directory), flags=["--consensus", protocol]) as cluster,
    ):
        cluster.start_all()
        cluster.wait_until_serving(WITHIN_S)
        return asyncio.run(_measure(cluster, protocol, writes, kills))


async def _measure(cluster: Playground, protocol: str, writes: int, kills: int) -> Real:
    client = _client_of(cluster, _leader(cluster))
    try:
        await _write(client)
        latencies = [await _write(client) for _ in range(WARM_UP_WRITES + writes)][WARM_UP_WRITES:]
    finally:
        await client.close()
    failovers = [await _failover(cluster) for _ in range(kills)]
    percentiles = statistics.quantiles(latencies, n=100)
    return Real(protocol, writes, statistics.median(latencies), percentiles[98], failovers)


def _leader(cluster: Playground) -> str:
    deadline = time.monotonic() + WITHIN_S
    while (leader := cluster.leader()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody leads")
    return leader


def _client_of(cluster: Playground, name: str) -> ZooKeeperClient:
    host, _, port = cluster.places[name].client_address.rpartition(":")
    return ZooKeeperClient("compared", [Address(host, int(port))], random.Random(0), SESSION_MS)


async def _write(client: ZooKeeperClient) -> float:
    """Until it is acknowledged; how long that took, in ms."""
    began = time.monotonic()
    while True:
        try:
            await client.write(PATH, "x")
            return (time.monotonic() - began) * 1000
        except Refused:
            await client.create(PATH, "x")
        except AgreedError:
            if time.monotonic() > began + WITHIN_S:
                raise


async def _failover(cluster: Playground) -> float:
    leader = _leader(cluster)
    client = _client_of(cluster, next(name for name in cluster.places if name != leader))
    try:
        for _ in range(50):
            await _write(client)
        cluster.kill(leader)
        # What was under way may still be acknowledged; what is asked from now on needs another leader.
        took_ms = await _write(client)
    finally:
        await client.close()
    cluster.start(leader)
    await asyncio.to_thread(cluster.wait_until_serving, WITHIN_S)
    return took_ms
