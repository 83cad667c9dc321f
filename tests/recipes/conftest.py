"""Each recipe has one body of tests, and every service that there is runs it.

    def test_one_at_a_time(clients: Clients) -> None:
        async def story() -> None:
            async with clients() as mine, clients() as yours: ...
        clients.play(story)

`clients()` is one more client of the same service, as its `Sessions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from agreed.backends.contract import Backend
from agreed.recipes.obtaining import Obtainable
from agreed.recipes.sessions import Sessions
from tests.backends.conftest import (
    SERVICES,
    Place,
    agreed_node,
    embedded_node,
    file_node,
    memory_node,
    zookeeper_server,
)
from tests.backends.etcd_services import agreed_etcd_node, etcd_server
from tests.recipes.stage import Stage

__all__ = [
    "agreed_etcd_node",
    "agreed_node",
    "embedded_node",
    "etcd_server",
    "file_node",
    "memory_node",
    "zookeeper_server",
]

PLAY_WITHIN_S = 60.0

_numbers = itertools.count(1)


class Clients:
    def __init__(self, connect: Callable[[], contextlib.AbstractAsyncContextManager[Backend]]) -> None:
        self._connect = connect

    @contextlib.asynccontextmanager
    async def __call__(self, ttl_s: float = 10.0) -> AsyncIterator[Sessions]:
        async with self._connect() as backend:
            sessions = Sessions(backend, ttl_s)
            try:
                yield sessions
            finally:
                await sessions.close()

    def play(self, story: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(PLAY_WITHIN_S):
                await story()

        asyncio.run(bounded())


def _on_stage() -> Clients:
    stage = Stage()

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Backend]:
        backend = stage.client()
        try:
            yield backend
        finally:
            await backend.close()

    return Clients(connect)


@pytest.fixture(params=[pytest.param("", id="stage"), *SERVICES])
def clients(request: pytest.FixtureRequest) -> Clients:
    if not request.param:
        return _on_stage()
    service = request.getfixturevalue(request.param)
    place = Place(service, f"recipes{next(_numbers)}")
    return Clients(place.backend)


async def until_so_many_wait(wanted: Obtainable[Any], number: int) -> None:
    while len(await wanted.waiters()) != number:
        await asyncio.sleep(0.01)


async def nobody_is_left(sessions: Sessions, name: str) -> None:
    await sessions.tidied()
    assert await sessions.backend.names(name) == []
