"""A server before 3.6, which knows no watches that stay: the same promise by watches on every node."""

from __future__ import annotations

import asyncio

from agreed.backends.contract import Delete, Put
from agreed.wire.zookeeper.messages import Op
from tests.backends.conftest import Place
from tests.backends.leash import Leash
from tests.backends.test_changes import is_there, until
from tests.node.running import DEADLINE_S


class OlderServer(Leash):
    """It is asked for what no server knows where it was asked to add a watch."""

    def passes(self, data: bytes) -> bytes:
        frames = []
        while data:
            size = 4 + int.from_bytes(data[:4], "big")
            frame, data = data[:size], data[size:]
            if int.from_bytes(frame[8:12], "big") == Op.ADD_WATCH:
                frame = frame[:8] + (4711).to_bytes(4, "big") + frame[12:]
            frames.append(frame)
        return b"".join(frames)


def test_all_that_is_below_is_watched_one_by_one(place: Place) -> None:
    async def story() -> None:
        async with (
            OlderServer(place.service.address) as older,
            place.backend() as other,
            place.backend(by=older) as backend,
            backend.changes("top", below=True) as changes,
            backend.changes("top", below=False) as here,
        ):
            assert older.connections == 2, "the server hung up on what it did not know"
            for key in ("top/a", "top/b/c/d", "top/b/c/e", "top", "top/b"):
                for value in (b"1", b"2"):
                    await other.commit([], [Put(key, value)])
                    await until(changes, is_there(backend, key, value))
            await other.commit([], [Delete("top/b/c/d")])
            await until(changes, is_there(backend, "top/b/c/d", None))
            await other.commit([], [Put("top/b/c/d", b"3")])
            await until(changes, is_there(backend, "top/b/c/d", b"3"))
            await until(here, is_there(backend, "top", b"2"))
            async with asyncio.timeout(DEADLINE_S):
                while await changes.wait(0.3):
                    pass
            await other.commit([], [Put("top/b/c/e", b"4")])
            assert await changes.wait(DEADLINE_S)
            assert older.connections == 2, "it is not asked for it a second time"

    asyncio.run(story())
