"""Programs of different age at one object: the newer read what the older wrote, and those stop in time."""

from __future__ import annotations

import pytest

from agreed.errors import ConfigurationError
from agreed.recipes.errors import CodecError, NewerVersion
from agreed.recipes.replicated import replica as replica_module
from agreed.recipes.replicated.replica import Replica
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients
from tests.recipes.replicated.shops import ShopOf1, ShopOf2, ShopOf3
from tests.recipes.replicated.staged import client_of, play
from tests.recipes.stage import Stage


def of_1(sessions: Sessions) -> Replica[ShopOf1]:
    return Replica(sessions, "shop", ShopOf1)


def of_2(sessions: Sessions, compatible: int | None = None) -> Replica[ShopOf2]:
    return Replica(sessions, "shop", ShopOf2, compatible=compatible)


def test_a_rolling_update_in_two_steps_stops_nobody(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First every program is replaced by a newer one that speaks as the older does, one after the other; then
    each of them is told to speak as it is."""
    monkeypatch.setattr(replica_module, "SNAPSHOT_EVERY", 4)

    async def story() -> None:
        async with clients() as one, clients() as two:
            old, new = of_1(one), of_2(two, compatible=1)
            for _ in range(4):
                await old.call(ShopOf1.put, "a", 1)
                await new.call(ShopOf2.put, "a", 1)
            assert await new.call(ShopOf2.take, "a", 1) == 1
            assert await old.call(ShopOf1.take, "a", 1) == 1
            with pytest.raises(ValueError):
                await new.call(ShopOf2.take, "a", 9)  # as version 1 does it
            with pytest.raises(NewerVersion):
                await new.call(ShopOf2.give_back, "a", 1)
            assert await old.call(ShopOf1.level, "a") == await new.call(ShopOf2.level, "a") == 6
            newest = of_2(one)
            assert await newest.call(ShopOf2.take, "a", 9) == 6
            assert await new.call(ShopOf2.all_taken) == await newest.call(ShopOf2.all_taken) == 6
            assert new.digest == newest.digest

    clients.play(story)


def test_an_older_program_stops_at_the_first_thing_it_does_not_know(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            old, new = of_1(one), of_2(two)
            await old.call(ShopOf1.put, "a", 3)
            await new.call(ShopOf2.put, "a", 2)
            assert await old.call(ShopOf1.level, "a") == 5
            await new.call(ShopOf2.take, "a", 1)
            for _ in range(2):
                with pytest.raises(NewerVersion) as told:
                    await old.call(ShopOf1.put, "a", 3)
                assert (told.value.needs, told.value.ours) == (2, 1)
            with pytest.raises(NewerVersion):
                old.local(ShopOf1.level, "a")
            assert isinstance(old.error, NewerVersion)
            assert await new.call(ShopOf2.level, "a") == 4

    clients.play(story)


def test_a_newer_program_reads_older_snapshots_and_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "SNAPSHOT_EVERY", 4)

    async def story(stage: Stage) -> None:
        async with of_1(client_of(stage)) as old:
            for number in range(9):
                await old.call(ShopOf1.put, "a", number)
            await old.call(ShopOf1.take, "a", 6)
        async with of_2(client_of(stage)) as new:
            assert await new.call(ShopOf2.level, "a") == 30
            for _ in range(8):
                assert await new.call(ShopOf2.take, "a", 1) == 1
        newest = Replica(client_of(stage), "shop", ShopOf3)  # has no `upgrade`: begins with what is missing
        assert await newest.call(ShopOf3.level, "a") == 22
        assert not await newest.call(ShopOf3.is_closed)

    play(story)


def test_an_older_program_takes_no_newer_snapshot_where_it_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "SNAPSHOT_EVERY", 4)

    async def story(stage: Stage) -> None:
        late = of_1(client_of(stage))
        assert await late.sync() == 0
        async with of_2(client_of(stage)) as new:
            for _ in range(6):
                await new.call(ShopOf2.put, "a", 1)
        assert await late.call(ShopOf1.level, "a") == 6  # the commands are there, and it knows them
        async with of_2(client_of(stage)) as new:
            for _ in range(7):
                await new.call(ShopOf2.put, "a", 1)
        newcomer = of_1(client_of(stage))
        with pytest.raises(NewerVersion, match="snapshot") as told:
            await newcomer.call(ShopOf1.level, "a")
        assert (told.value.needs, told.value.ours) == (2, 1)

    play(story)


def test_who_speaks_like_an_older_version_writes_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "SNAPSHOT_EVERY", 2)

    async def story(stage: Stage) -> None:
        async with of_2(client_of(stage), compatible=1) as new:
            for _ in range(6):
                await new.call(ShopOf2.put, "a", 1)
        assert "shop/snapshot" not in stage.entries
        async with of_2(client_of(stage)) as new:
            for _ in range(2):
                await new.call(ShopOf2.put, "a", 1)
        assert "shop/snapshot" in stage.entries

    play(story)


def test_a_program_that_has_forgotten_an_old_form_stops_where_it_meets_one() -> None:
    async def story(stage: Stage) -> None:
        old = of_1(client_of(stage))
        await old.call(ShopOf1.put, "a", 3)
        await old.call(ShopOf1.take, "a", 3)
        newest = Replica(client_of(stage), "shop", ShopOf3)
        with pytest.raises(CodecError, match="take of version 1"):
            await newest.call(ShopOf3.level, "a")

    play(story)


@pytest.mark.parametrize("compatible", [0, 3])
def test_nobody_speaks_like_a_version_that_he_does_not_have(compatible: int) -> None:
    with pytest.raises(ConfigurationError, match="version 2"):
        of_2(client_of(Stage()), compatible)
