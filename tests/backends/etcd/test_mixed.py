"""One line with `etcdctl lock` and `etcdctl elect`, which are etcd's own concurrency package: whoever stands
before us excludes us, and we whoever stands behind us; and nothing is lost of what both add in turn."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from agreed.backends.contract import Backend, Kind, Layout, Put
from agreed.recipes.election import Election
from agreed.recipes.lock import Lock
from agreed.recipes.sessions import Sessions
from tests.acceptance.etcd.ensemble import Programs, debian, packaged
from tests.backends.conftest import Place
from tests.node.running import DEADLINE_S

ROUNDS = 4
"""Of theirs, each with a process; we have as many as there is time for meanwhile."""

NEW, OLD = pytest.mark.peer("etcd"), pytest.mark.peer("debian-etcd")

TOGETHER = [
    pytest.param(("etcd_server", packaged), id="3.5", marks=NEW),
    pytest.param(("older_etcd_server", debian), id="3.4", marks=OLD),
    pytest.param(("agreed_etcd_node", packaged), id="ours-3.5", marks=NEW),
    pytest.param(("agreed_etcd_node", debian), id="ours-3.4", marks=OLD),
]


@pytest.fixture(params=TOGETHER)
def place_and_programs(request: pytest.FixtureRequest) -> tuple[Place, Programs]:
    service, programs = request.param
    return Place(request.getfixturevalue(service), f"mixed-{uuid4().hex}"), programs()


class Theirs:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def key(self) -> str:
        """What it says once it holds or leads."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    async def give_up(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        await self._process.wait()


@contextlib.asynccontextmanager
async def theirs(place: Place, programs: Programs, command: str) -> AsyncIterator[Theirs]:
    assert programs.etcdctl is not None
    words = [command, f"{place.root}/a", *(["me"] if command == "elect" else [])]
    process = await asyncio.create_subprocess_exec(
        programs.etcdctl,
        *("--endpoints", place.service.address, *words),
        env={"ETCDCTL_API": "3"},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Theirs(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_so_many(backend: Backend, number: int) -> list[str]:
    """The keys that stand in the line, first to last."""
    async with asyncio.timeout(DEADLINE_S), backend.changes("a", below=True) as changes:
        while len(line := await backend.line("a", Layout.KAZOO)) != number:
            await changes.wait()
    return [each.key for each in line]


@pytest.mark.parametrize("command", ["lock", "elect"])
def test_etcdctl_and_we_stand_in_one_line(place_and_programs: tuple[Place, Programs], command: str) -> None:
    place, programs = place_and_programs

    async def story() -> None:
        async with place.backend() as backend:
            session = await backend.open_session(10.0)
            async with theirs(place, programs, command) as first, asyncio.timeout(DEADLINE_S):
                held = (await first.key()).removeprefix(f"{place.root}/")
                mark = uuid4().hex
                ours = await backend.enter("a", session, mark, b"we", Kind.WRITER, Layout.KAZOO)
                assert [each.key for each in ours.line] == [held, ours.mine.key]
                assert ours.line[0].mark == held.removeprefix("a/")
                async with theirs(place, programs, command) as second:
                    line = await until_so_many(backend, 3)
                    assert line[:2] == [held, ours.mine.key]
                    waiting = asyncio.ensure_future(second.key())
                    await first.give_up()
                    assert await until_so_many(backend, 2) == [ours.mine.key, line[2]]
                    # Their turn has not come as long as we stand there.
                    await asyncio.wait([waiting], timeout=0.3)
                    assert not waiting.done()
                    await backend.leave("a", session, mark)
                    assert (await waiting).removeprefix(f"{place.root}/") == line[2]
                    await second.give_up()
            assert await until_so_many(backend, 0) == []

    asyncio.run(story())


async def add_one(backend: Backend) -> None:
    found = await backend.get("number")
    number = 0 if found is None else int(found.value)
    await asyncio.sleep(0)
    await backend.commit([], [Put("number", b"%d" % (number + 1))])


@pytest.mark.parametrize("command", ["lock", "elect"])
def test_nothing_that_either_adds_while_he_has_it_is_lost(
    place_and_programs: tuple[Place, Programs], command: str
) -> None:
    """A number is read and written, by both in turn, and nothing but the line is between them."""
    place, programs = place_and_programs

    async def their_part() -> None:
        async with place.backend() as backend:
            for _ in range(ROUNDS):
                async with theirs(place, programs, command) as one:
                    await one.key()
                    await add_one(backend)
                    await one.give_up()

    async def story() -> None:
        async with place.backend() as backend, asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
            sessions = Sessions(backend, 10.0)
            ours = Lock(sessions, "a") if command == "lock" else Election(sessions, "a")
            adding = tasks.create_task(their_part())
            added = 0
            while not adding.done():
                async with ours as grant:
                    await add_one(backend)
                    grant.check()
                    added += 1
            found = await backend.get("number")
            assert found is not None
            assert int(found.value) == added + ROUNDS
            assert added >= ROUNDS - 1
            await sessions.close()

    asyncio.run(story())
