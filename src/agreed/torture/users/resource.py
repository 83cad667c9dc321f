"""What the users work on: it lies outside of the service, believes nobody, and looks at tokens.

    async with Resource(directory / "resource") as resource: ...       in the process that judges
    accepted = use(path, "locks/a", token, holder)                      by a user; `use_soon` where it awaits

It remembers the largest token of each name and refuses smaller ones, which is all that a fence is; and it
writes down every access in the order of arrival.  Each access is a connection of its own to a Unix socket, so
that whoever is stopped or killed in the middle leaves nothing behind.  It serves no user and waits for none:
one that stands still with half a question asked stops nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from agreed.check.grants import Access

ANSWER_WITHIN_S: Final = 20.0
"""The process that answers has a lot to do now and then."""

ACCEPTED: Final = b"1"


class _Question(msgspec.Struct, frozen=True, array_like=True):
    name: str
    token: int
    holder: str
    fenced: bool


_QUESTIONS = msgspec.json.Decoder(_Question)


class Resource:
    """`fence` False: whoever comes is let in, which is what must be found out."""

    def __init__(self, path: Path, *, fence: bool = True) -> None:
        self.path = path
        self.accesses: list[Access] = []
        self._fence = fence
        self._newest: dict[str, int] = {}
        self._waiting: dict[str, list[asyncio.Future[str]]] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._called, str(self.path), backlog=512)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, msgspec.DecodeError):
                line = await reader.readline()
                if not line.endswith(b"\n"):
                    return
                question = _QUESTIONS.decode(line)
                writer.write(ACCEPTED if self.access(question) else b"0")
                await writer.drain()
        finally:
            writer.close()

    async def next_holder(self, recipe: str) -> str:
        """The user process that comes next with a grant of this recipe: it holds one at this moment, and will
        for a while, as a rule."""
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(recipe, []).append(waiting)
        return await waiting

    def access(self, question: _Question) -> bool:
        newest = self._newest.get(question.name, 0)
        accepted = question.token >= newest or not (question.fenced and self._fence)
        self._newest[question.name] = max(newest, question.token)
        who, _, recipe = question.holder.partition("/")
        for waiting in self._waiting.pop(recipe, ()):
            if not waiting.done():
                waiting.set_result(who)
        self.accesses.append(
            Access(
                at=time.monotonic_ns(),
                name=question.name,
                token=question.token,
                holder=question.holder,
                accepted=accepted,
            )
        )
        return accepted


def _said(name: str, token: int, holder: str, fenced: bool) -> bytes:
    return msgspec.json.encode(_Question(name, token, holder, fenced)) + b"\n"


def use(path: Path, name: str, token: int, holder: str, *, fenced: bool = True) -> bool:
    """Whether it was let in; False where there was no answer as well."""
    try:
        with socket.socket(socket.AF_UNIX) as way:
            way.settimeout(ANSWER_WITHIN_S)
            way.connect(str(path))
            way.sendall(_said(name, token, holder, fenced))
            return way.recv(1) == ACCEPTED
    except OSError:
        return False


async def use_soon(path: Path, name: str, token: int, holder: str, *, fenced: bool = True) -> bool:
    """The same for whoever has an event loop."""
    writer = None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(_said(name, token, holder, fenced))
            return await reader.read(1) == ACCEPTED
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()
