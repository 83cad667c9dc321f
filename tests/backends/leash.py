"""A connection on a leash: what a server answers can be held back, and the connection cut, in mid-sentence.

    async with Leash(address) as leash:
        ...                                 clients connect to leash.address
        leash.hold(b"needle")               the packet with these bytes still arrives, its answer does not
        await leash.held()                  it was forwarded
        leash.cut()                         all connections end now; new ones work

It knows no protocol, so a needle is bytes that stand in the request as they are: a key, a mark, a value.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"


class Leash:
    def __init__(self, server: str) -> None:
        self._host, _, port = server.rpartition(":")
        self._port = int(port)
        self._own_port = 0
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._needle: bytes | None = None
        self._swallow = False
        self._forwards = True
        self._found = asyncio.Event()
        self.connections = 0
        """How many were made so far."""

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self._own_port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self._own_port}"

    def passes(self, data: bytes) -> bytes:
        """What the server is told in the place of `data`; for those who inherit."""
        return data

    def hold(self, needle: bytes, *, forwards: bool = True) -> None:
        """From the packet that has `needle` in it, nothing the server says on that connection comes through.
        Not `forwards`: that packet, and what follows it, does not arrive either."""
        self._needle, self._forwards = needle, forwards
        self._found.clear()

    async def held(self) -> None:
        await self._found.wait()

    def cut(self) -> None:
        self._needle = None
        for writer in list(self._writers):
            writer.transport.abort()

    def close(self) -> None:
        """As `cut`, and nobody gets a new connection."""
        assert self._listener is not None
        self._listener.close()
        self.cut()

    async def open(self) -> None:
        """After `close`: at the same address again."""
        self._listener = await asyncio.start_server(self._accept, LOOPBACK, self._own_port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError):
            from_server, to_server = await asyncio.open_connection(self._host, self._port)
            self._writers |= {writer, to_server}
            holding = asyncio.Event()
            pumps = [
                asyncio.ensure_future(self._requests(reader, to_server, holding)),
                asyncio.ensure_future(self._answers(from_server, writer, holding)),
            ]
            self._tasks.update(pumps)
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                    self._tasks.discard(pump)
                self._writers -= {writer, to_server}
                writer.close()
                to_server.close()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, holding: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                data = self.passes(data)
                if self._needle is not None and self._needle in data:
                    holding.set()
                if self._forwards or not holding.is_set():
                    writer.write(data)
                    await writer.drain()
                if holding.is_set():
                    self._found.set()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, holding: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not holding.is_set():
                    writer.write(data)
                    await writer.drain()
