"""A connection within this process, on one event loop and between two."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from agreed.embedded.transport import PILE_BYTES, End, connect
from tests.embedded.waiting import until


class Talker(asyncio.Protocol):
    def __init__(self, echo: bool = False) -> None:
        self.echo = echo
        self.heard = bytearray()
        self.told: list[str] = []
        self.transport: End

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, End)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.echo:
            self.transport.write(data)

    def pause_writing(self) -> None:
        self.told.append("no more")

    def resume_writing(self) -> None:
        self.told.append("more")

    def connection_lost(self, error: Exception | None) -> None:
        self.told.append("lost" if error is None else "broken")


class Elsewhere:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def stop(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    other = Elsewhere()
    yield other
    other.stop()


def pair(loop: asyncio.AbstractEventLoop | None = None, *, echo: bool = False) -> tuple[Talker, Talker]:
    near, far = Talker(), Talker(echo)
    connect(near, lambda: far, loop or asyncio.get_running_loop())
    return near, far


def test_bytes_arrive_in_order_and_not_at_once() -> None:
    async def story() -> None:
        near, far = pair(echo=True)
        near.transport.write(b"one ")
        near.transport.write(bytearray(b"two"))
        assert not far.heard
        await until(lambda: near.heard == b"one two")
        assert far.transport.get_extra_info("peername")[0] == "127.0.0.1"

    asyncio.run(story())


def test_what_was_written_before_the_end_still_arrives() -> None:
    async def story() -> None:
        near, far = pair()
        near.transport.write(b"last words")
        near.transport.close()
        near.transport.write(b"too late")
        await until(lambda: far.told == near.told == ["lost"])
        assert far.heard == b"last words"
        assert far.transport.is_closing()

    asyncio.run(story())


def test_who_breaks_off_leaves_nothing_behind() -> None:
    async def story() -> None:
        near, far = pair()
        far_paused = asyncio.Event()
        await until(lambda: hasattr(far, "transport"))
        far.transport.pause_reading()
        far_paused.set()
        near.transport.write(b"unread")
        near.transport.abort()
        await until(lambda: far.told == ["broken"])
        await until(lambda: near.told == ["lost"])
        assert not far.heard

    asyncio.run(story())


def test_who_does_not_read_is_not_written_to() -> None:
    async def story() -> None:
        near, far = pair()
        await until(lambda: hasattr(far, "transport"))
        far.transport.pause_reading()
        assert not far.transport.is_reading()
        near.transport.write(bytes(PILE_BYTES + 1))
        assert near.told == ["no more"]
        assert near.transport.get_write_buffer_size() == PILE_BYTES + 1
        far.transport.resume_reading()
        await until(lambda: near.told == ["no more", "more"])
        assert len(far.heard) == PILE_BYTES + 1
        assert near.transport.get_write_buffer_size() == 0

    asyncio.run(story())


def test_a_protocol_that_fails_loses_its_connection() -> None:
    class Failing(Talker):
        def data_received(self, data: bytes) -> None:
            raise ValueError("of its own making")

    async def story() -> None:
        problems: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context["exception"]))
        near, far = Talker(), Failing()
        connect(near, lambda: far, loop)
        near.transport.write(b"x")
        await until(lambda: near.told == ["broken"])
        assert [type(each) for each in problems] == [ValueError]

    asyncio.run(story())


def test_between_threads_nothing_is_lost_and_each_end_lives_on_its_own_loop(elsewhere: Elsewhere) -> None:
    words = [bytes([number % 256]) * (number * 97 % 4_000) for number in range(300)]

    async def story() -> None:
        near, far = pair(elsewhere.loop, echo=True)
        for word in words:
            near.transport.write(word)
        await until(lambda: near.heard == b"".join(words))
        near.transport.close()
        await until(lambda: far.told[-1:] == ["lost"])

    asyncio.run(story())


def test_an_end_whose_peer_has_no_loop_any_more_is_lost_with_the_next_word(elsewhere: Elsewhere) -> None:
    async def story() -> None:
        near, far = pair(elsewhere.loop)
        near.transport.write(b"hello")
        await until(lambda: far.heard == b"hello")
        elsewhere.stop()
        near.transport.write(b"is anybody there?")
        await until(lambda: near.told == ["broken"])
        with pytest.raises(ConnectionRefusedError):
            pair(elsewhere.loop)

    asyncio.run(story())
