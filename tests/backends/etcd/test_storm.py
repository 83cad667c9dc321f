"""Connections that break all the time: one at a time holds, nobody is left in line, nothing is told twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
from uuid import uuid4

import pytest

from agreed.backends.contract import Backend, EventKind, Kind, Layout, Put, Session, Stands
from agreed.client.errors import ConnectionLost, TimedOut
from tests.backends.conftest import Place
from tests.backends.etcd_services import ETCD_SERVICES
from tests.backends.leash import Leash
from tests.node.running import DEADLINE_S

TURNS = 12


@pytest.fixture(params=ETCD_SERVICES)
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.getfixturevalue(request.param), f"storm-{uuid4().hex}")


async def cut(leashes: list[Leash], dice: random.Random) -> None:
    while True:
        await asyncio.sleep(dice.uniform(0.005, 0.05))
        leash = dice.choice(leashes)
        leash.hold(b"", forwards=dice.random() < 0.5)
        await asyncio.sleep(dice.uniform(0, 0.01))
        leash.cut()


async def turn(backend: Backend, session: Session, inside: list[str], tokens: list[int]) -> None:
    """Enter, wait to be the first, write down what one holds, leave."""
    mark = uuid4().hex
    standing = await backend.enter("line", session, mark, b"", Kind.WRITER, Layout.KAZOO)
    async with backend.changes("line", below=True) as changes:
        while (await backend.line("line", Layout.KAZOO))[0].mark != mark:
            await changes.wait()
    inside.append(mark)
    assert inside == [mark], "two are the first"
    token = standing.mine.created
    with contextlib.suppress(ConnectionLost, TimedOut):  # it may have been done
        mine = Stands(standing.mine.key, token)
        assert await backend.commit([mine], [Put("written", b"%d" % token)])
    tokens.append(token)
    inside.remove(mark)
    await backend.leave("line", session, mark)


@pytest.mark.parametrize("seed", [1, 2])
def test_one_at_a_time_and_nobody_is_left(place: Place, seed: int) -> None:
    dice = random.Random(seed)
    inside: list[str] = []
    tokens: list[int] = []

    async def work(leash: Leash) -> None:
        async with place.backend(by=leash) as backend:
            session = await backend.open_session(20.0)
            for _ in range(TURNS):
                await turn(backend, session, inside, tokens)

    async def listen(leash: Leash, told: list[int], since: int) -> None:
        async with place.backend(by=leash) as backend:
            async for event in backend.history("written", below=False, since=since):
                entry = await backend.get("written") if event.kind is EventKind.GAP else event.entry
                assert entry is not None
                if event.kind is EventKind.PUT or not told or int(entry.value) > told[-1]:
                    told.append(int(entry.value))

    async def story() -> None:
        told: list[int] = []
        async with contextlib.AsyncExitStack() as stack, asyncio.timeout(2 * DEADLINE_S):
            leashes = [await stack.enter_async_context(place.leash()) for _ in range(4)]
            async with place.backend() as backend:
                began = await backend.commit([], [Put("began", b"")])
            assert began is not None
            listening = asyncio.ensure_future(listen(leashes[3], told, began))
            cutting = asyncio.ensure_future(cut(leashes, dice))
            await asyncio.gather(*[work(leash) for leash in leashes[:3]])
            cutting.cancel()
            for leash in leashes:
                leash.cut()  # of what is held now nothing would ever come through
            async with place.backend() as backend:
                assert await backend.line("line", Layout.KAZOO) == ()
                last = await backend.get("written")
                assert last is not None
                while not told or told[-1] != int(last.value):
                    assert not listening.done()
                    await asyncio.sleep(0.01)
            listening.cancel()
            await asyncio.wait([listening, cutting])
        assert tokens == sorted(set(tokens))
        assert len(tokens) == 3 * TURNS
        assert told == sorted(set(told))
        assert set(told) <= set(tokens)

    asyncio.run(story())
