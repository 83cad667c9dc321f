"""Calls to an etcd, with the errors that every backend has: what a status of gRPC says of what was asked.

    failure(error, about, changes=True)     the error of `agreed.client.errors` for a call that failed

What a server says before it does anything is `Refused`.  What it says afterwards, and what a lost connection
leaves open, or an answer that is too large for us, is `Unanswered`: `maybe` for what changes something, and
not for what only reads, since that has no effect whichever way it went.  `SessionExpired`: the
lease that is not there any more.

Reads are asked again, of another server, until their time is over.  What changes something is not, unless it
has surely not been done: whoever knows that twice is as good as once says so himself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, Final

import msgspec

from agreed.client.errors import (
    AuthenticationFailed,
    BadArguments,
    ClientError,
    ConnectionLost,
    Forked,
    NoAuth,
    NotSupported,
    QuotaExceeded,
    Refused,
    SessionClosed,
    SessionExpired,
    Throttled,
    TimedOut,
    TooLarge,
    UnknownAnswer,
)
from agreed.client.etcd_channel import REFUSALS, CallFailed, EtcdChannel
from agreed.wire.etcd.messages import RangeRequest, RangeResponse, TxnRequest, TxnResponse
from agreed.wire.grpc.status import Code

RANGE: Final = "/etcdserverpb.KV/Range"
TXN: Final = "/etcdserverpb.KV/Txn"


class Compacted(Refused):
    """The revision that was asked for is not kept any more."""


_BY_TEXT: Final[tuple[tuple[str, type[Refused]], ...]] = (
    ("request is too large", TooLarge),
    ("received message larger than max", TooLarge),
    ("too many operations", TooLarge),
    ("database space exceeded", QuotaExceeded),
    ("too many requests", Throttled),
    ("has been compacted", Compacted),
    ("permission denied", NoAuth),
    ("user name is empty", NoAuth),
    ("not capable", NotSupported),
)
"""What the codes do not tell apart, and what some versions send with the wrong code."""

_BY_CODE: Final[dict[Code, type[Refused]]] = {
    Code.INVALID_ARGUMENT: BadArguments,
    Code.NOT_FOUND: BadArguments,
    Code.ALREADY_EXISTS: BadArguments,
    Code.FAILED_PRECONDITION: BadArguments,
    Code.OUT_OF_RANGE: BadArguments,
    Code.PERMISSION_DENIED: NoAuth,
    Code.RESOURCE_EXHAUSTED: Throttled,
    Code.UNIMPLEMENTED: NotSupported,
}

_WRONG_CREDENTIALS: Final = ("authentication failed", "invalid auth token")
_LATE: Final = ("timed out", "deadline exceeded")


def failure(error: CallFailed, about: str, *, changes: bool) -> ClientError:
    """`about`: the key or what else the call was about.  `changes`: it was to change something."""
    code, text = error.status.code, error.status.message
    maybe = changes and not error.surely_not_done
    if code is Code.NOT_FOUND and "lease not found" in text:
        return SessionExpired(f"{about}: the lease of the session is not there any more", maybe=False)
    if code is Code.UNAUTHENTICATED or any(each in text for each in _WRONG_CREDENTIALS):
        return AuthenticationFailed(text)
    if maybe and code in REFUSALS:
        return UnknownAnswer(about, code.value)  # our own word for an answer that we could not take
    for part, refusal in _BY_TEXT:
        if part in text:
            return refusal(about)
    if code is Code.DEADLINE_EXCEEDED or any(each in text for each in _LATE):
        return TimedOut(f"{about}: {text}", maybe=maybe)
    if code in (Code.UNAVAILABLE, Code.CANCELLED):
        return ConnectionLost(f"{about}: {text or 'the connection was lost'}", maybe=maybe)
    if code in _BY_CODE:
        return _BY_CODE[code](about)
    return UnknownAnswer(about, code.value)


class Calls:
    """The channel, the time that a call may take, and what goes on when nobody waits for it any more."""

    def __init__(self, channel: EtcdChannel, request_timeout_s: float) -> None:
        self.channel = channel
        self.request_timeout_s = request_timeout_s
        self._process = os.getpid()
        self._closed = False
        self._background: set[asyncio.Task[Any]] = set()

    @property
    def is_ours(self) -> bool:
        """This process made it."""
        return os.getpid() == self._process

    @property
    def closed(self) -> bool:
        return self._closed

    def raise_if_unusable(self) -> None:
        if not self.is_ours:
            raise Forked()
        if self._closed:
            raise SessionClosed("the backend was closed", maybe=False)

    async def read(
        self, path: str, request: msgspec.Struct, about: str, *, timeout_s: float | None = None
    ) -> Any:
        self.raise_if_unusable()
        wait_s = timeout_s or self.request_timeout_s
        try:
            return await self.channel.call(path, request, timeout_s=wait_s, repeatable=True)
        except CallFailed as error:
            raise failure(error, about, changes=False) from error

    async def once(
        self, path: str, request: msgspec.Struct, about: str, *, timeout_s: float | None = None
    ) -> Any:
        """Something that changes something, if only perhaps."""
        self.raise_if_unusable()
        try:
            return await self.channel.call(path, request, timeout_s=timeout_s or self.request_timeout_s)
        except CallFailed as error:
            raise failure(error, about, changes=True) from error

    async def range(self, request: RangeRequest, about: str) -> RangeResponse:
        reply: RangeResponse = await self.read(RANGE, request, about)
        return reply

    async def commit(self, request: TxnRequest, about: str, *, timeout_s: float | None = None) -> TxnResponse:
        reply: TxnResponse = await self.once(TXN, request, about, timeout_s=timeout_s)
        return reply

    async def revision(self, key: bytes, about: str) -> int:
        """Nothing that was acknowledged before this was asked has a higher one.  `key`: one that we may
        read."""
        return revision_of(await self.range(RangeRequest(key=key, count_only=True), about))

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """It goes on whatever becomes of who began it, and `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def close(self) -> None:
        if self._background:
            await asyncio.wait(self._background, timeout=self.request_timeout_s)
        self._closed = True
        for task in self._background:
            task.cancel()
        self.channel.close()


def revision_of(reply: Any) -> int:
    """That of the header: how far the store was when the answer was made."""
    return reply.header.revision if reply.header is not None else 0
