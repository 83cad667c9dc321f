"""An etcd as a backend: any etcd v3, and clusters of this package by etcd's protocol.

    backend = await connect("etcd://127.0.0.1:2379,127.0.0.1:3379/app")

Everything is asked over one connection, to one of the servers, and elsewhere when that one is of no use:
calls, the renewals of all sessions (`sessions.py`) and all watches (`watches.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl as tls
from collections.abc import AsyncIterator, Sequence
from typing import Final

from agreed.backends.contract import (
    Capabilities,
    Change,
    Changes,
    Entry,
    Event,
    Guard,
    Kind,
    Layout,
    Place,
    Session,
    Standing,
    Subtree,
)
from agreed.backends.etcd.calls import RANGE, Calls, Compacted, revision_of
from agreed.backends.etcd.changes import EtcdChanges
from agreed.backends.etcd.commits import CHANGES_MOST, VALUE_BYTES_MOST, commit
from agreed.backends.etcd.departures import until_gone
from agreed.backends.etcd.history import history
from agreed.backends.etcd.keys import Keys, is_name, raise_if_no_key
from agreed.backends.etcd.lines import Lines
from agreed.backends.etcd.sessions import TTL_S, Keeper
from agreed.backends.etcd.subtree import subtree
from agreed.backends.etcd.watches import Watches
from agreed.backends.url import ServiceUrl, parse
from agreed.client.errors import NoAuth, SessionClosed
from agreed.client.etcd_channel import EtcdChannel
from agreed.wire.etcd.messages import KeyValue, RangeRequest

SCHEME: Final = "etcd"
USUAL_PORT: Final = 2379

PAGE: Final = 256
PAGE_OF_NAMES: Final = 4096
"""Keys read at once; a page of values of the largest size is still one message."""

ETCD: Final = Capabilities(
    name="etcd",
    durable=True,
    shared=True,
    history=True,
    deletes_parents=True,
    value_bytes=VALUE_BYTES_MOST,
    changes=CHANGES_MOST,
    ttl_s=TTL_S,
)


async def connect(
    url: str,
    *,
    session_timeout_s: float = 10.0,
    connect_timeout_s: float = 15.0,
    request_timeout_s: float = 15.0,
    user: str | None = None,
    password: str | None = None,
    ssl: tls.SSLContext | None = None,
) -> EtcdBackend:
    """`url`: `etcd://...`, see `agreed.backends.url`, and `keys.py` for what stands behind the slash.

    session_timeout_s   means nothing here: what is asked needs no session
    connect_timeout_s   for the first answer
    request_timeout_s   the most that any call takes
    user, password      in the place of those in the URL

    Raises ConfigurationError, AuthenticationFailed, and what else `agreed.client.errors` says."""
    where, path = parse_url(url)
    servers = list(where.servers)
    random.shuffle(servers)  # so that a thousand clients with the same URL do not all go to the first
    ends_at = asyncio.get_running_loop().time() + connect_timeout_s
    context = where.context(ssl)
    records = where.records(context)
    if records is not None:
        await records.find(connect_timeout_s)
    channel = EtcdChannel(
        servers,
        ssl=context,
        user=where.user if user is None else user,
        password=(where.password if password is None else password) or "",
        dial=None if records is None else records.dialer(),
    )
    backend = EtcdBackend(channel, path, request_timeout_s)
    try:
        await backend.answered(ends_at - asyncio.get_running_loop().time())
    except BaseException:
        await backend.close()
        raise
    return backend


def parse_url(url: str) -> tuple[ServiceUrl, str]:
    """And what is put before every key: of two slashes behind the servers the second belongs to it."""
    scheme, separator, rest = url.partition("://")
    hosts, _, path = rest.partition("/")
    where = parse(f"{scheme}{separator}{hosts}/{path.removeprefix('/')}", (SCHEME,), USUAL_PORT)
    return where, ("/" if path.startswith("/") else "") + where.path.removeprefix("/")


class EtcdBackend:
    """See `contract.Backend`.  `path`: put before every key.  The channel is closed with it."""

    def __init__(self, channel: EtcdChannel, path: str = "", request_timeout_s: float = 15.0) -> None:
        self._calls = Calls(channel, request_timeout_s)
        self._keys = Keys(path)
        self._keeper = Keeper(self._calls)
        self._watches = Watches(self._calls)
        self._lines = Lines(self._calls, self._keys)
        self._closing: asyncio.Task[None] | None = None

    @property
    def capabilities(self) -> Capabilities:
        return ETCD

    async def answered(self, timeout_s: float) -> None:
        """It can be reached, and knows us, whatever it lets us do."""
        start, _ = self._keys.below("")
        request = RangeRequest(key=start, count_only=True)
        with contextlib.suppress(NoAuth):
            await self._calls.read(RANGE, request, "the cluster", timeout_s=timeout_s)

    async def get(self, key: str) -> Entry | None:
        raise_if_no_key(key)
        reply = await self._calls.range(RangeRequest(key=self._keys.raw(key)), key)
        return self._keys.entry(reply.kvs[0]) if reply.kvs else None

    async def entries(self, directory: str) -> list[Entry]:
        length = len(self._keys.prefix(directory))
        found = await self._below(directory, PAGE, keys_only=False)
        return [self._keys.entry(each) for each in found if _is_a_name(each.key[length:])]

    async def names(self, directory: str) -> list[str]:
        length = len(self._keys.prefix(directory))
        found = await self._below(directory, PAGE_OF_NAMES, keys_only=True)
        names = {each.key[length:].partition(b"/")[0].decode("utf-8", "surrogateescape") for each in found}
        return sorted(name for name in names if is_name(name))

    async def subtree(self, key: str, *, most: int, most_bytes: int) -> Subtree:
        raise_if_no_key(key, or_all=True)
        return await subtree(self._calls, self._keys, key, most, most_bytes)

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        return await commit(self._calls, self._keys, guards, changes)

    async def enter(
        self, directory: str, session: Session, mark: str, value: bytes, kind: Kind, layout: Layout
    ) -> Standing:
        return await self._lines.enter(directory, session, mark, value, kind)

    async def leave(self, directory: str, session: Session, mark: str) -> None:
        await self._lines.leave(directory, session, mark)

    async def line(self, directory: str, layout: Layout) -> tuple[Place, ...]:
        return await self._lines.line(directory)

    async def line_before(
        self, directory: str, layout: Layout, mine: Entry, session: Session
    ) -> tuple[Place, ...]:
        return await self._lines.line_before(directory, mine)

    async def until_gone(self, place: Place, mine: Entry, session: Session) -> None:
        await until_gone(self._calls, self._keys, self._watches, place, mine, session)

    def changes(self, key: str, *, below: bool) -> Changes:
        raise_if_no_key(key, or_all=below)
        return EtcdChanges(self._calls, self._keys, self._watches, key, below=below)

    def history(self, key: str, *, below: bool, since: int | None) -> AsyncIterator[Event]:
        raise_if_no_key(key, or_all=below)
        return history(self._calls, self._keys, self._watches, key, below=below, since=since)

    async def open_session(self, ttl_s: float) -> Session:
        return await self._keeper.open(ttl_s)

    async def close(self) -> None:
        if not self._calls.is_ours:
            return
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._watches.close(SessionClosed("the backend was closed", maybe=False))
        await self._keeper.close()
        await self._calls.close()

    # --- directories ------------------------------------------------------------------------------------

    async def _below(self, directory: str, page: int, *, keys_only: bool) -> list[KeyValue]:
        """Of one moment.  Of what is deeper at least one key for each name."""
        raise_if_no_key(directory, or_all=True)
        while True:
            try:
                return await self._pages(directory, page, keys_only=keys_only)
            except Compacted:
                continue  # the moment is over; another is as good

    async def _pages(self, directory: str, page: int, *, keys_only: bool) -> list[KeyValue]:
        start, end = self._keys.below(directory)
        length = len(self._keys.prefix(directory))
        found: list[KeyValue] = []
        revision = 0
        while True:
            request = RangeRequest(
                key=start, range_end=end, limit=page, revision=revision, keys_only=keys_only
            )
            reply = await self._calls.range(request, directory)
            revision = revision or revision_of(reply)
            found += reply.kvs
            if not reply.more:
                return found
            last = reply.kvs[-1].key
            name, slash, _ = last[length:].partition(b"/")
            # What lies deeper below the same name is passed over: "0" follows the slash.
            start = last[:length] + name + b"0" if slash else last + b"\0"


def _is_a_name(raw: bytes) -> bool:
    return b"/" not in raw and is_name(raw.decode("utf-8", "surrogateescape"))
