"""A connection within this process: what one end writes, the other receives; there is no socket.

    connect(protocol, accept, loop)     `protocol` on this event loop, `accept()` on `loop`, which may be that
                                        of another thread

Each end is a transport of asyncio, and is used on its own loop alone.  Bytes arrive in the order in which
they were written, whole, and not before the turn of the loop is over; who does not read lets its peer's
writes pile up, and its peer's protocol hears of that as with a socket.  If one loop is closed, the other end
loses the connection when it says the next word.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import Final

ADDRESS: Final = "127.0.0.1"
"""Whom a server sees: somebody on this machine."""

PILE_BYTES: Final = 256 * 1024
"""With more unread than this a protocol is asked to write no more, until it is a quarter of it."""

_ports: Final = itertools.count(1)


class End(asyncio.Transport):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"peername": (ADDRESS, next(_ports))})
        self._loop = loop
        self._peer: End
        self._protocol: asyncio.Protocol | None = None
        self._arrived: deque[bytes | None] = deque()
        """None: the peer has closed its end."""
        self._paused = self._closing = False
        self._full = False
        # Counted by its own end alone, and read by both: so no lock is needed.
        self._written = self._taken = 0

    def _begin(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def _tell(self, callback: Callable[..., None], *what: object) -> None:
        """To the peer, on its loop."""
        loop = self._peer._loop
        try:
            if loop is self._loop:
                loop.call_soon(callback, *what)
            else:
                loop.call_soon_threadsafe(callback, *what)
        except RuntimeError:
            # That loop is closed: nobody is there any more.
            self._closing = True
            self._loop.call_soon(self._lost, ConnectionResetError("the event loop of the peer is closed"))

    # --- what arrives ---------------------------------------------------------------------------------

    def _arrive(self, data: bytes | None) -> None:
        if self._protocol is not None and not self._closing:
            self._arrived.append(data)
            self._deliver()

    def _deliver(self) -> None:
        arrived = self._arrived
        while arrived and not self._paused and not self._closing and self._protocol is not None:
            data = arrived.popleft()
            if data is None:
                self._closing = True
                self._lost(None)
                return
            self._taken += len(data)
            try:
                self._protocol.data_received(data)
            except Exception as error:
                self._loop.call_exception_handler(
                    {"message": "a protocol failed", "exception": error, "transport": self}
                )
                self.abort()
        if self._peer._full and self._peer.get_write_buffer_size() <= PILE_BYTES // 4:
            self._tell(self._peer._has_room)

    def _lost(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        self._closing = True
        self._arrived.clear()
        if protocol is not None:
            protocol.connection_lost(error)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._deliver)

    # --- what is written ------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        self._written += len(data)
        self._tell(self._peer._arrive, bytes(data))
        if not self._full and self.get_write_buffer_size() > PILE_BYTES and self._protocol is not None:
            self._full = True
            self._protocol.pause_writing()
            # The peer may have read all of it before it could see that we wait for that.
            if self.get_write_buffer_size() <= PILE_BYTES // 4:
                self._loop.call_soon(self._has_room)

    def _has_room(self) -> None:
        if self._full and self._protocol is not None:
            self._full = False
            self._protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self._written - self._peer._taken

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """What was written still arrives."""
        if not self._closing:
            self._closing = True
            self._tell(self._peer._arrive, None)
            self._loop.call_soon(self._lost, None)

    def abort(self) -> None:
        if self._protocol is not None:
            self._closing = True
            self._tell(self._peer._lost, ConnectionResetError("the peer broke the connection off"))
            self._loop.call_soon(self._lost, None)


def connect(
    protocol: asyncio.Protocol,
    accept: Callable[[], asyncio.Protocol],
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Raises ConnectionRefusedError where `loop` is closed."""
    ours, theirs = End(asyncio.get_running_loop()), End(loop)
    ours._peer, theirs._peer = theirs, ours

    def accepted() -> None:
        try:
            there = accept()
        except Exception as error:
            theirs._tell(ours._lost, ConnectionRefusedError(str(error)))
            return
        theirs._begin(there)

    try:
        loop.call_soon_threadsafe(accepted)
    except RuntimeError as error:
        raise ConnectionRefusedError("the event loop of the node is closed") from error
    ours._begin(protocol)
