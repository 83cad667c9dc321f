"""Whoever changes a value knows what he changes."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from agreed.backends.contract import Delete, Put
from agreed.client.errors import BadVersion, ConnectionLost
from agreed.recipes.cell import Cell, Versioned
from agreed.recipes.codec import BYTES
from agreed.recipes.errors import CodecError
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy


@dataclasses.dataclass
class Settings:
    limit: int
    hosts: list[str] = dataclasses.field(default_factory=list)


def test_what_is_set_is_there_with_its_version(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = Cell(one, "app", Settings), Cell(two, "app", Settings)
            assert await mine.get() is None
            assert await mine.delete() is False
            made = await mine.set(Settings(1, ["a"]))
            assert await yours.get() == made == Versioned(Settings(1, ["a"]), made.version)
            changed = await yours.set(Settings(2))
            assert await mine.get() == changed
            assert changed.version != made.version
            assert await yours.delete() is True
            assert await mine.get() is None

    clients.play(story)


def test_who_names_a_version_changes_that_one_or_none(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = Cell(one, "app", int), Cell(two, "app", int)
            first = await mine.set(1, if_version=0)
            with pytest.raises(BadVersion):
                await yours.set(2, if_version=0)
            second = await yours.set(2, if_version=first.version)
            for refused in (mine.set(3, if_version=first.version), mine.delete(if_version=first.version)):
                with pytest.raises(BadVersion):
                    await refused
            assert await mine.get() == second
            assert await mine.delete(if_version=second.version)
            third = await mine.set(2)
            with pytest.raises(BadVersion):  # another life of the key
                await yours.set(3, if_version=second.version)
            assert await yours.get() == third

    clients.play(story)


def test_updates_of_many_at_once_are_all_made(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:

            async def append(number: int) -> Versioned[list[int]]:
                cell = Cell((one, two)[number % 2], "all", list[int])
                return await cell.update(lambda old: [*(old or []), number])

            made = await asyncio.gather(*(append(number) for number in range(12)))
            found = await Cell(one, "all", list[int]).get()
            assert found is not None
            assert sorted(found.value) == list(range(12))
            assert found in made

    clients.play(story)


def test_a_set_that_finds_its_own_value_is_done_and_one_with_a_version_does_not_know(
    clients: Clients,
) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            mine, yours = Cell(sessions, "app", str), Cell(two, "app", str)
            await yours.set("old")
            for loss in (Loss.DONE, Loss.NOT_DONE, Loss.LATE):
                way.lose(loss)
                made = await mine.set(f"new {loss.value}")
                await way.arrive()
                assert await yours.get() == made

            async def with_a_version(before: Versioned[str]) -> Versioned[str]:
                return await mine.set("other", if_version=before.version)

            async def update(before: Versioned[str]) -> Versioned[str]:
                return await mine.update(lambda old: f"{old} and more")

            for losing in (with_a_version, update):
                before = await yours.set("old")
                way.lose(Loss.DONE)
                with pytest.raises(ConnectionLost) as lost:
                    await losing(before)
                assert lost.value.maybe
                before = await yours.set("old")
                way.lose(Loss.NOT_DONE)
                assert await losing(before) == await yours.get()
            way.lose(Loss.NOT_DONE)
            way.meanwhile = lambda: yours.set("faster")
            with pytest.raises(ConnectionLost) as lost:
                await mine.set("slower")
            assert lost.value.maybe

    clients.play(story)


@pytest.mark.parametrize("loss", [Loss.DONE, Loss.NOT_DONE, Loss.LATE])
def test_a_deletion_whose_answer_is_lost_is_done_once(clients: Clients, loss: Loss) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            mine, yours = Cell(sessions, "app", str), Cell(two, "app", str)
            await yours.set("old")
            way.lose(loss)
            assert await mine.delete() is True
            await yours.set("new")
            await way.arrive()
            assert await yours.get() is not None, "a late deletion took another life of the key"
            made = await yours.set("new")
            way.lose(loss)
            if loss is Loss.DONE:
                with pytest.raises(ConnectionLost):
                    await mine.delete(if_version=made.version)
            else:
                assert await mine.delete(if_version=made.version) is True
            await way.arrive()
            await yours.set("new")
            way.lose(loss)
            way.meanwhile = lambda: yours.set("changed")
            assert await mine.delete() is True
            assert (await yours.get() is None) is (loss is not Loss.DONE)

    clients.play(story)


def test_who_follows_sees_the_newest_value_and_that_there_is_none(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            cell = Cell(one, "app", int)
            async with Cell(two, "app", int).follow() as states:
                assert await states.next(30.0) is None
                assert await cell.set(1) == await states.next(30.0)
                await cell.delete()
                assert await states.next(30.0) is None

    clients.play(story)


def test_what_is_not_of_the_type_is_neither_written_nor_read(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            cell = Cell(one, "app", int)
            with pytest.raises(CodecError):
                await cell.set("1")  # type: ignore[arg-type]
            with pytest.raises(CodecError):
                await cell.update(lambda old: "1")  # type: ignore[arg-type, return-value]
            assert await one.backend.get("app") is None
            await one.backend.commit([], [Put("app", b"[1]")])
            for refused in (cell.get(), cell.update(lambda old: 1)):
                with pytest.raises(CodecError):
                    await refused
            await cell.set(1)
            await one.backend.commit([], [Delete("app")])
            raw: Cell[bytes] = Cell(one, "app", bytes, codec=BYTES)
            assert (await raw.set(b"\0")).value == b"\0"

    clients.play(story)
