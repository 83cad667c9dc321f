"""That something may have changed is said also where nobody saw it."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from agreed.backends.contract import Put
from agreed.backends.etcd import EtcdBackend
from agreed.client.errors import TimedOut
from tests.backends.conftest import Place
from tests.backends.etcd_services import ETCD_SERVICES
from tests.node.running import DEADLINE_S


@pytest.fixture(params=ETCD_SERVICES)
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.getfixturevalue(request.param), f"changes-{uuid4().hex}")


def test_who_waits_while_nobody_watches_is_told_to_look_again(place: Place) -> None:
    async def story() -> None:
        async with (
            place.backend() as other,
            place.leash() as leash,
            place.backend(by=leash) as backend,
            backend.changes("k", below=False) as changes,
        ):
            waiting = asyncio.ensure_future(changes.wait(DEADLINE_S))
            leash.close()
            await other.commit([], [Put("k", b"1")])
            await leash.open()
            assert await waiting

    asyncio.run(story())


def test_many_watch_on_one_stream_and_go(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            assert isinstance(backend, EtcdBackend)
            each = [backend.changes(f"k{number}", below=False) for number in range(100)]
            await asyncio.gather(*[changes.__aenter__() for changes in each])
            stream = backend._watches._stream
            await other.commit([], [Put("k42", b""), Put("k43", b"")])
            assert await each[42].wait(DEADLINE_S)
            assert await each[43].wait(DEADLINE_S)
            assert not await each[44].wait(0)
            for changes in each:
                await changes.__aexit__(None, None, None)
            assert backend._watches._stream is stream
            assert not backend._watches._watchers
            assert not backend._watches._by_number

    asyncio.run(story())


def test_nobody_waits_longer_than_a_call_may_take_for_a_watch_to_begin(place: Place) -> None:
    async def story() -> None:
        async with place.leash() as leash, place.backend(by=leash, request_timeout_s=0.3) as backend:
            assert isinstance(backend, EtcdBackend)
            leash.close()
            with pytest.raises(TimedOut):
                await backend.changes("k", below=True).__aenter__()
            assert not backend._watches._watchers

    asyncio.run(story())
