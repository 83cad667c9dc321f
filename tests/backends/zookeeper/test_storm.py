"""Connections that break in the middle of one request out of ten, before it was done or after: whatever is
said of what became of it is true, and nobody stands in a line twice or is left in it.

The server is our store without a log and a quorum, in the test's own event loop, so that a thousand things
happen in a second."""

from __future__ import annotations

import asyncio
import random
from uuid import uuid4

import pytest

from agreed.backends.contract import Absent, At, Backend, Change, Delete, Guard, Kind, Layout, Put, Session
from agreed.backends.zookeeper import connect
from agreed.client.errors import ClientError, Unanswered
from tests.client.servers import StoreServer

SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])


@SEEDS
def test_what_is_said_of_a_commit_is_true(seed: int) -> None:
    async def story() -> None:
        dice = random.Random(seed)
        async with StoreServer(seed=seed) as server:
            backend = await connect(f"{server.url}/app", session_timeout_s=5.0)
            session = await backend.open_session(6.0)
            await backend.commit([], [Put(f"old/{number}", b"old") for number in range(60)])
            server.loss = 0.05
            said: dict[int, int | str | None] = {}

            async def one(number: int) -> None:
                try:
                    said[number] = await commit(backend, session, number, dice)
                except ClientError as error:
                    said[number] = "maybe" if error.maybe else "no"

            for start in range(0, 60, 3):
                await asyncio.gather(*(one(number) for number in range(start, start + 3)))
            server.loss = 0.0
            for number, outcome in said.items():
                new, old = await backend.get(f"new/{number}"), await backend.get(f"old/{number}")
                assert (new is None) == (old is not None and old.value == b"old"), "one of the two is there"
                if isinstance(outcome, int):
                    assert new is not None
                    assert new.created == outcome
                elif outcome != "maybe":
                    assert new is None
            assert server.lost > 5
            known = [outcome for outcome in said.values() if outcome != "maybe"]
            assert len(known) > 40, "most of it can be known"
            await backend.close()

    asyncio.run(story())


async def commit(backend: Backend, session: Session, number: int, dice: random.Random) -> int | None:
    """The one makes new/N, the other changes or deletes old/N."""
    old, new = f"old/{number}", f"new/{number}"
    entry = await backend.get(old)
    assert entry is not None
    value = uuid4().bytes
    choices: list[list[Guard]] = [[], [At(old, entry.version)], [Absent(new)], [At(old, entry.version + 1)]]
    on_old: list[Change] = [Delete(old), Put(old, value)]
    changes = [Put(new, value, dice.choice([session, None])), dice.choice(on_old)]
    return await backend.commit(dice.choice(choices), changes)


@SEEDS
@pytest.mark.parametrize("layout", list(Layout))
def test_nobody_stands_twice_or_is_left_standing(seed: int, layout: Layout) -> None:
    async def story() -> None:
        dice = random.Random(seed)
        async with StoreServer(seed=seed, loss=0.1) as server:
            backend = await connect(f"{server.url}/app", session_timeout_s=5.0)
            sessions = [await backend.open_session(5.0 + number) for number in range(3)]
            standing: set[str] = set()

            async def one(number: int) -> None:
                mark, session = uuid4().hex, sessions[number % 3]
                entering = asyncio.ensure_future(
                    backend.enter("line", session, mark, b"", Kind.WRITER, layout)
                )
                if dice.random() < 0.3:
                    for _ in range(dice.randrange(20)):
                        await asyncio.sleep(0)
                    entering.cancel()
                    await asyncio.wait([entering])
                else:
                    mine = (await entering).mine
                    assert mine.owner == session.id
                    if dice.random() < 0.3:
                        again = await backend.enter("line", session, mark, b"", Kind.WRITER, layout)
                        assert again.mine.key == mine.key
                    if dice.random() < 0.5:
                        standing.add(mine.key)
                        return
                await backend.leave("line", session, mark)

            for start in range(0, 60, 6):
                await asyncio.gather(*(one(number) for number in range(start, start + 6)))
            server.loss = 0.0
            assert {each.key for each in await backend.line("line", layout)} == standing
            assert server.lost > 5
            await backend.close()

    asyncio.run(story())


KEYS = ("a", "b", "a/x", "a/x/1", "b/y")


@pytest.mark.parametrize("loss", [0.0, 0.05])
@SEEDS
def test_commits_mean_what_they_mean_of_a_dictionary(seed: int, loss: float) -> None:
    """Random guards and changes, one after the other, on keys some of which are the parents of others."""

    async def story() -> None:
        dice = random.Random(seed)
        async with StoreServer(seed=seed, loss=loss) as server:
            backend = await connect(f"{server.url}/app", session_timeout_s=5.0)
            model: dict[str, bytes] = {}
            for step in range(60):
                entries = {key: await backend.get(key) for key in KEYS}
                assert {key: each.value for key, each in entries.items() if each} == model, f"step {step}"
                guards: list[Guard] = []
                holds = True
                for key in dice.sample(KEYS, dice.randrange(3)):
                    entry = entries[key]
                    wants_absent = dice.random() < 0.5
                    guards.append(Absent(key) if wants_absent or entry is None else At(key, entry.version))
                    holds &= entry is None if isinstance(guards[-1], Absent) else True
                after = dict(model)
                changes: list[Change] = []
                for key in dice.sample(KEYS, dice.randrange(3)):
                    if dice.random() < 0.5:
                        after[key] = dice.randbytes(dice.randrange(3))
                        changes.append(Put(key, after[key]))
                    elif not any(each.startswith(f"{key}/") for each in model):
                        after.pop(key, None)
                        changes.append(Delete(key))
                if any(up not in after and each.startswith(f"{up}/") for up in model for each in after):
                    continue  # what it would delete has others below it by then
                try:
                    done = await backend.commit(guards, changes)
                except Unanswered as error:
                    if not error.maybe:
                        after = model
                    now = {key: each.value for key in KEYS if (each := await backend.get(key))}
                    assert now in (model, after)
                    model = now
                    continue
                assert (done is not None) == holds, f"step {step}: {guards}"
                model = after if holds else model
            await backend.close()

    asyncio.run(story())
