"""A synchronous session: an asynchronous one on the thread that all of this process share (`loop_thread.py`).

    with agreed.client.connect("agreed://127.0.0.1:2181/app") as session:
        created = session.create("/jobs/job-", b"...", sequential=True)
        data, stat = session.get(created.path)

The methods are those of `agreed.client.aio.Session` with the same arguments, answers and errors; what they
promise is told there.  Any number of threads may use one session at once.  Callbacks are called on a thread
of the session's own, one after the other, and may use the session.
"""
from __future__ import annotations

import contextlib
import ssl as tls
from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from agreed.client import aio
from agreed.client.errors import Forked
from agreed.client.loop_thread import Caller, shared
from agreed.client.values import (
    OPEN_ACL,
    Acl,
    Change,
    Children,
    Created,
    MultiResult,
    Operation,
    SessionState,
    Stat,
    WatchEvent,
    WatchKind,
    Znode,
)

__all__ = ["Session", "Watch", "connect"]

Wanted = TypeVar("Wanted")
OnEvent = Callable[[WatchEvent], object]
OnState = Callable[[SessionState], object]


def connect(
    url: str,
    *,
    session_timeout_s: float = 10.0,
    connect_timeout_s: float = 15.0,
    request_timeout_s: float = 15.0,
    auth: Sequence[tuple[str, bytes]] = (),
    ssl: tls.SSLContext | None = None,
) -> Session:
    """As `agreed.client.aio.connect`."""
    wished = aio.connect(
        url,
        session_timeout_s=session_timeout_s,
        connect_timeout_s=connect_timeout_s,
        request_timeout_s=request_timeout_s,
        auth=auth,
        ssl=ssl,
    )
    return Session(shared().run(wished))


class _Called(msgspec.Struct, frozen=True):
    """A callback of the program, as the session sees it: the same callback is the same watcher."""

    caller: Caller
    callback: OnEvent

    def __call__(self, event: WatchEvent) -> None:
        self.caller.call(lambda: self.callback(event))


class Session:
    """Made by `connect`; a context manager that closes it."""

    def __init__(self, session: aio.Session) -> None:
        self._session = session
        self._thread = shared()
        self._caller = Caller()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _watcher(self, callback: OnEvent | None) -> _Called | None:
        return None if callback is None else _Called(self._caller, callback)

    # --- the session ------------------------------------------------------------------------------------

    @property
    def asynchronous(self) -> aio.Session:
        """The session itself, for coroutines that are given to `run`."""
        return self._session

    def run(self, coroutine: Coroutine[Any, Any, Wanted]) -> Wanted:
        """Run something of your own beside the session, on the shared loop, and wait for it here.  This is
        how synchronous faces of what stands on a session are made."""
        return self._thread.run(coroutine)

    @property
    def state(self) -> SessionState:
        return self._session.state

    @property
    def id(self) -> int:
        return self._session.id

    @property
    def timeout_s(self) -> float:
        return self._session.timeout_s

    @property
    def zxid(self) -> int:
        return self._session.zxid

    @property
    def root(self) -> str:
        return self._session.root

    def remaining_s(self) -> float:
        return self._session.remaining_s()

    def on_state(self, callback: OnState) -> Callable[[], None]:
        return self._session.on_state(lambda state: self._caller.call(lambda: callback(state)))

    def wait_connected(self, timeout_s: float | None = None) -> None:
        self.run(self._session.wait_connected(timeout_s))

    def close(self, timeout_s: float = 2.0) -> None:
        with contextlib.suppress(Forked):  # it is not ours to close
            self.run(self._session.close(timeout_s))
        self._caller.stop()

    def abandon(self) -> None:
        self._thread.call(self._session.abandon)
        self._caller.stop()

    # --- writes -----------------------------------------------------------------------------------------

    def create(
        self,
        path: str,
        data: bytes = b"",
        *,
        ephemeral: bool = False,
        sequential: bool = False,
        container: bool = False,
        ttl_ms: int | None = None,
        acl: Acl = OPEN_ACL,
        timeout_s: float | None = None,
    ) -> Created:
        return self.run(
            self._session.create(
                path,
                data,
                ephemeral=ephemeral,
                sequential=sequential,
                container=container,
                ttl_ms=ttl_ms,
                acl=acl,
                timeout_s=timeout_s,
            )
        )

    def ensure_path(self, path: str, *, timeout_s: float | None = None) -> None:
        self.run(self._session.ensure_path(path, timeout_s=timeout_s))

    def set(self, path: str, data: bytes, version: int = -1, *, timeout_s: float | None = None) -> Stat:
        return self.run(self._session.set(path, data, version, timeout_s=timeout_s))

    def delete(self, path: str, version: int = -1, *, timeout_s: float | None = None) -> None:
        self.run(self._session.delete(path, version, timeout_s=timeout_s))

    def multi(
        self, operations: Sequence[Operation], *, timeout_s: float | None = None
    ) -> tuple[MultiResult, ...]:
        return self.run(self._session.multi(operations, timeout_s=timeout_s))

    def set_acl(self, path: str, acl: Acl, version: int = -1, *, timeout_s: float | None = None) -> Stat:
        return self.run(self._session.set_acl(path, acl, version, timeout_s=timeout_s))

    # --- reads ------------------------------------------------------------------------------------------

    def get(
        self,
        path: str,
        *,
        watch: OnEvent | None = None,
        fresh: bool = False,
        timeout_s: float | None = None,
    ) -> Znode:
        watcher = self._watcher(watch)
        return self.run(self._session.get(path, watch=watcher, fresh=fresh, timeout_s=timeout_s))

    def exists(
        self,
        path: str,
        *,
        watch: OnEvent | None = None,
        fresh: bool = False,
        timeout_s: float | None = None,
    ) -> Stat | None:
        watcher = self._watcher(watch)
        return self.run(self._session.exists(path, watch=watcher, fresh=fresh, timeout_s=timeout_s))

    def children(
        self,
        path: str,
        *,
        watch: OnEvent | None = None,
        fresh: bool = False,
        timeout_s: float | None = None,
    ) -> Children:
        watcher = self._watcher(watch)
        return self.run(self._session.children(path, watch=watcher, fresh=fresh, timeout_s=timeout_s))

    def get_many(
        self, paths: Sequence[str], *, fresh: bool = False, timeout_s: float | None = None
    ) -> list[Znode | None]:
        return self.run(self._session.get_many(paths, fresh=fresh, timeout_s=timeout_s))

    def sync(self, path: str = "/", *, timeout_s: float | None = None) -> None:
        self.run(self._session.sync(path, timeout_s=timeout_s))

    def get_acl(self, path: str, *, timeout_s: float | None = None) -> tuple[Acl, Stat]:
        return self.run(self._session.get_acl(path, timeout_s=timeout_s))

    def watch(
        self, path: str, kind: WatchKind = WatchKind.PERSISTENT, *, timeout_s: float | None = None
    ) -> Watch:
        return Watch(self, self.run(self._session.watch(path, kind, timeout_s=timeout_s)))

    def add_auth(self, scheme: str, secret: bytes) -> None:
        async def there() -> None:
            self._session.add_auth(scheme, secret)

        self.run(there())


class Watch:
    """As `agreed.client.watching.Watch`: `for event in watch`, or `watch.next(timeout_s)`."""

    def __init__(self, session: Session, watch: aio.Watch) -> None:
        self._session = session
        self._watch = watch

    @property
    def path(self) -> str:
        return self._watch.path

    def next(self, timeout_s: float | None = None) -> WatchEvent:
        """Raises TimeoutError."""
        return self._session.run(self._watch.next(timeout_s))

    def __iter__(self) -> Iterator[WatchEvent]:
        while True:
            event = self.next()
            yield event
            if event.change is Change.ENDED:
                return

    def close(self) -> None:
        async def there() -> None:
            self._watch.close()

        self._session.run(there())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
