"""kazoo's locks and elections, each on a thread of its own, behind the interface of `curator.Wanted`."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from kazoo.client import KazooClient

WITHIN_S = 30.0


class KazooLock:
    def __init__(self, client: KazooClient, kind: str, path: str) -> None:
        self._client = client
        self._lock: Any = getattr(client, kind)(path, "kazoo")
        self._thread = ThreadPoolExecutor(1)
        self._asked: Future[bool] | None = None

    def ask(self) -> None:
        self._asked = self._thread.submit(self._lock.acquire)

    def tries(self) -> bool:
        got: bool = self._thread.submit(self._lock.acquire, blocking=False).result(WITHIN_S)
        return got

    def has(self) -> bool:
        return self._asked is not None and self._asked.done()

    def obtained(self) -> bool:
        assert self._asked is not None
        return self._asked.result(WITHIN_S)

    def leader(self) -> bytes:
        raise NotImplementedError("it is a lock")

    def release(self) -> None:
        self._asked = None
        self._thread.submit(self._lock.release).result(WITHIN_S)

    def add(self, path: str, rounds: int) -> None:
        for _ in range(rounds):
            with self._lock:
                add_one(self._client, path)


class KazooElection:
    def __init__(self, client: KazooClient, path: str) -> None:
        self._client = client
        self._election = client.Election(path, "kazoo")
        self._leads = threading.Event()
        self._resigned = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._ran: Future[None] | None = None

    def ask(self) -> None:
        self._resigned.clear()
        self._ran = self._thread.submit(self._election.run, self._lead)

    def _lead(self) -> None:
        self._leads.set()
        self._resigned.wait(WITHIN_S)

    def tries(self) -> bool:
        raise NotImplementedError("it is an election")

    def has(self) -> bool:
        return self._leads.is_set()

    def obtained(self) -> bool:
        return self._leads.wait(WITHIN_S)

    def leader(self) -> bytes:
        first: str = self._election.contenders()[0]
        return first.encode()

    def release(self) -> None:
        assert self._ran is not None
        self._resigned.set()
        self._ran.result(WITHIN_S)
        self._leads.clear()

    def add(self, path: str, rounds: int) -> None:
        for _ in range(rounds):
            self._election.run(add_one, self._client, path)


def add_one(client: KazooClient, path: str) -> None:
    number, _ = client.get(path)
    client.set(path, b"%d" % (int(number) + 1))
