"""Clients that write as fast as they can and remember what they were told.

A write is *acknowledged* when its reply came: it must be there for ever.  It is *unknown* when the connection
broke first: it may be there or not, and both are right.  There is no third outcome, and a writer never
repeats a write, so that each name was written once.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry


def connect(hosts: str) -> KazooClient:
    """A client that comes back by itself, and quickly, trying the first host first."""
    again = KazooRetry(max_tries=-1, delay=0.02, backoff=1.5, max_delay=0.2)
    client = KazooClient(hosts, timeout=10.0, connection_retry=again, randomize_hosts=False)
    client.start(timeout=15)
    return client


class Acknowledged:
    """A write whose reply came; instants of this process's monotonic clock, in seconds."""

    __slots__ = ("asked_at", "name", "told_at")

    def __init__(self, name: str, asked_at: float, told_at: float) -> None:
        self.name = name
        self.asked_at = asked_at
        self.told_at = told_at


class Writers:
    """`count` clients, each in its own thread, create `parent`/<client>-<number>, with that name as data.

    They are dealt out to the hosts in turn, so that some of them hang on whichever node is killed."""

    def __init__(self, hosts: Sequence[str], parent: str, count: int) -> None:
        self.parent = parent
        self.acknowledged: list[Acknowledged] = []
        self.unknown: list[str] = []
        self._stopping = threading.Event()
        turns = [number % len(hosts) for number in range(count)]
        self._clients = [connect(",".join([*hosts[turn:], *hosts[:turn]])) for turn in turns]
        self._threads = [
            threading.Thread(target=self._write, args=(f"client{number}", client), daemon=True)
            for number, client in enumerate(self._clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every writer hear of its last write, then close the connections."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)
        for client in self._clients:
            client.stop()
            client.close()

    def first_after(self, instant: float) -> Acknowledged | None:
        """The earliest reply to a write that was asked for after `instant`."""
        after = [write for write in self.acknowledged if write.asked_at >= instant]
        return min(after, key=lambda write: write.told_at, default=None)

    def per_slot(self, begin: float, end: float, slot_s: float) -> list[int]:
        """How many replies came in each slot of time."""
        counts = [0] * max(1, round((end - begin) / slot_s))
        for write in self.acknowledged:
            slot = int((write.told_at - begin) / slot_s)
            if 0 <= slot < len(counts):
                counts[slot] += 1
        return counts

    def _names(self, client_name: str) -> Iterator[str]:
        number = 0
        while not self._stopping.is_set():
            yield f"{client_name}-{number:06d}"
            number += 1

    def _write(self, client_name: str, client: KazooClient) -> None:
        for name in self._names(client_name):
            asked_at = time.monotonic()
            try:
                client.create(f"{self.parent}/{name}", name.encode())
            except (KazooException, KazooTimeoutError):
                self.unknown.append(name)
                time.sleep(0.01)
            else:
                self.acknowledged.append(Acknowledged(name, asked_at, time.monotonic()))
