"""A named log over a synchronous session (`agreed.client.connect`); what `aio.py` has, without `await`.

    with agreed.client.connect("agreed://127.0.0.1:2181") as session:
        log = agreed.broadcast.open_log(session, "/orders")
        with log.publisher("till-3") as publisher:
            publisher.publish(b"...")
        for message in log.subscribe():
            ...

A publisher may be used by many threads at once; what they give is sent together.  A subscription is for one
thread.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Literal, Self

from agreed.broadcast import aio
from agreed.broadcast.layout import Message, Settings
from agreed.broadcast.publisher import Publisher as AsyncPublisher
from agreed.broadcast.subscription import Subscription as AsyncSubscription
from agreed.client.sync import Session


def open_log(session: Session, path: str, settings: Settings | None = None) -> Log:
    """As `agreed.broadcast.aio.Log.open`."""
    return Log(session, session.run(aio.Log.open(session.asynchronous, path, settings)))


class Log:
    """Made by `open_log`."""

    def __init__(self, session: Session, log: aio.Log) -> None:
        self._session = session
        self._log = log

    @property
    def path(self) -> str:
        return self._log.path

    @property
    def settings(self) -> Settings:
        return self._log.settings

    def publisher(self, name: str | None = None, *, timeout_s: float = 30.0) -> Publisher:
        return Publisher(self._session, self._session.run(self._log.publisher(name, timeout_s=timeout_s)))

    def subscribe(
        self, start: int | Literal["earliest", "latest"] = aio.EARLIEST, *, consumer: str | None = None
    ) -> Subscription:
        wished = self._log.subscribe(start, consumer=consumer)
        return Subscription(self._session, self._session.run(wished))

    def read(self, offset: int) -> list[Message]:
        return self._session.run(self._log.read(offset))

    def first(self) -> int:
        return self._session.run(self._log.first())

    def end(self) -> int:
        return self._session.run(self._log.end())

    def trim(self, before: int) -> None:
        self._session.run(self._log.trim(before))

    def tidy(self) -> None:
        self._session.run(self._log.tidy())


class Publisher:
    """Made by `Log.publisher`; a context manager that closes it."""

    def __init__(self, session: Session, publisher: AsyncPublisher) -> None:
        self._session = session
        self._publisher = publisher

    @property
    def name(self) -> str:
        return self._publisher.name

    @property
    def last_number(self) -> int:
        return self._publisher.last_number

    def publish(self, payload: bytes) -> int:
        return self._session.run(self._publisher.publish(payload))

    def publish_once(self, number: int, payload: bytes) -> int | None:
        return self._session.run(self._publisher.publish_once(number, payload))

    def publish_many(self, payloads: Sequence[bytes]) -> list[int]:
        return self._session.run(self._publisher.publish_many(payloads))

    def flush(self) -> None:
        self._session.run(self._publisher.flush())

    def close(self) -> None:
        self._session.run(self._publisher.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Subscription:
    """Made by `Log.subscribe`: `for message in subscription`, or `subscription.next(timeout_s)`."""

    def __init__(self, session: Session, subscription: AsyncSubscription) -> None:
        self._session = session
        self._subscription = subscription

    @property
    def position(self) -> int:
        return self._subscription.position

    def next(self, timeout_s: float | None = None) -> Message:
        at_hand = self._subscription.at_hand()  # without a word to the other thread, mostly
        return at_hand if at_hand is not None else self._session.run(self._subscription.next(timeout_s))

    def seek(self, offset: int) -> None:
        self._subscription.seek(offset)

    def commit(self, next_offset: int | None = None, *, timeout_s: float | None = None) -> None:
        self._session.run(self._subscription.commit(next_offset, timeout_s=timeout_s))

    def __iter__(self) -> Iterator[Message]:
        while True:
            yield self.next()
