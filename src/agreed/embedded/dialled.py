"""The contract of backends over a node that is reached by something else than the host and port of a URL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from agreed.backends.zookeeper.backend import ZooKeeperBackend
from agreed.client import aio
from agreed.client.driver import Dialer
from agreed.client.url import ClusterUrl, Server
from agreed.errors import ConfigurationError


async def backend_by(
    dial: Dialer,
    where: str,
    *,
    root: str,
    name: str,
    durable: bool,
    shared: bool,
    alone: bool,
    session_timeout_s: float,
    connect_timeout_s: float,
    request_timeout_s: float,
    at_end: Callable[[], None] | None = None,
) -> ZooKeeperBackend:
    """`where` is what error messages call the node; `alone`: it is a cluster of one.  `at_end` is called
    once, on another thread, when the backend is closed, and also where it does not come to be."""
    nowhere = ClusterUrl((Server(where, 0),), "")

    async def open_session(ttl_s: float) -> aio.Session:
        session = aio.Session(
            nowhere, session_timeout_s=ttl_s, request_timeout_s=request_timeout_s, dial=dial, alone=alone
        )
        try:
            await session.wait_connected(timeout_s=connect_timeout_s)
        except BaseException:
            session.abandon()
            raise
        return session

    backend = _Backend(
        open_session,
        root=root,
        session_timeout_s=session_timeout_s,
        request_timeout_s=request_timeout_s,
        name=name,
        durable=durable,
        shared=shared,
    )
    backend.at_end = at_end
    try:
        await backend.start()
    except BaseException:
        await backend.close()
        raise
    return backend


class _Backend(ZooKeeperBackend):
    at_end: Callable[[], None] | None = None
    _made_by = 0

    async def start(self) -> None:
        self._made_by = os.getpid()
        await super().start()

    async def close(self) -> None:
        """Of one that a fork has inherited nothing ends: it is its parent's."""
        await super().close()
        at_end, self.at_end = self.at_end, None
        if at_end is not None and self._made_by == os.getpid():
            await asyncio.to_thread(at_end)


def root_of(url: str, path: str) -> str:
    """From the `root` of a URL, as the user writes it, to what stands before every key.  Raises
    ConfigurationError."""
    root = path.strip("/")
    if root and any(name in ("", ".", "..") for name in root.split("/")):
        raise ConfigurationError(f"{url!r}: {path!r} is no path of the store")
    return f"/{root}" if root else ""


def refuse_what_is_for_servers(url: str, **given: object) -> None:
    """A password that is asked for by nobody protects nothing: who gives one is to know that."""
    for name, value in given.items():
        if value is not None:
            raise ConfigurationError(f"{url!r}: there is no server that could look at {name}")
