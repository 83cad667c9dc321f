"""What is registered is found while it lives and is well."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Delete, Put
from agreed.recipes.errors import CodecError, MembershipLost
from agreed.recipes.registry import Instance, Registry
from tests.recipes.conftest import Clients, nobody_is_left
from tests.recipes.lossy import Loss, lossy


async def until_told(registry: Registry, *addresses: str) -> list[Instance]:
    while True:
        found = await registry.resolve("mail")
        if [each.address for each in found] == list(addresses):
            return found
        await asyncio.sleep(0.005)


def test_instances_are_found_as_long_as_they_are_there(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = Registry(one), Registry(two)
            assert await mine.resolve("mail") == []
            assert await mine.pick("mail") is None
            async with mine.register("mail", "a:25", {"zone": "1"}) as first:
                async with yours.register("mail", "b:25") as second:
                    found = await mine.resolve("mail")
                    assert [(each.address, each.meta) for each in found] == [
                        ("a:25", {"zone": "1"}),
                        ("b:25", {}),
                    ]
                    assert [each.token for each in found] == [first.token, second.token]
                    assert await yours.pick("mail") in found
                    assert await yours.services() == ["mail"]
                    await second.update(meta={"zone": "2"})
                    await second.update(address="c:25")
                    [_, changed] = await mine.resolve("mail")
                    assert (changed.address, changed.meta, changed.id) == ("c:25", {"zone": "2"}, found[1].id)
                assert len(await yours.resolve("mail")) == 1
            await nobody_is_left(one, "services/mail")

    clients.play(story)


def test_who_follows_sees_who_comes_and_dies(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, Registry(two).follow("mail") as states:
            assert await states.next(30.0) == []
            registration = await Registry(one).register("mail", "a:25").acquire()
            [instance] = await states.next(30.0)
            assert instance.address == "a:25"
            await registration.session.close()
            assert await states.next(30.0) == []
            with pytest.raises(MembershipLost):
                await registration.update(address="b:25")

    clients.play(story)


def test_who_is_not_well_is_not_told_to_anybody(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            health: list[object] = [False]

            async def looks_well() -> bool:
                state = health[0]
                if state == "slow":
                    await asyncio.Event().wait()
                if isinstance(state, Exception):
                    raise state
                return bool(state)

            sessions, way = lossy(one)
            registry, others = Registry(sessions), Registry(two)
            registering = registry.register("mail", "a:25", healthy=looks_well, every_s=0.02)
            async with registering as registration, others.register("mail", "b:25"):
                await until_told(others, "b:25")
                assert [each.healthy for each in await others.resolve("mail", unhealthy=True)] == [
                    False,
                    True,
                ]
                for ill in (False, ValueError("mine"), "slow"):
                    way.lose(Loss.REFUSED, Loss.NOT_DONE, Loss.DONE, Loss.LATE)
                    health[0] = True
                    await until_told(others, "a:25", "b:25")
                    health[0] = ill
                    await until_told(others, "b:25")
                await registration.update(meta={"more": "1"})
                assert not (await others.resolve("mail", unhealthy=True))[0].healthy
            await nobody_is_left(one, "services/mail")
            await sessions.close()

    clients.play(story)


def test_health_that_could_not_be_told_is_told_though_it_was_told_before(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            asked = 0

            async def looks_well() -> bool:
                nonlocal asked
                asked += 1
                if asked == 2:
                    way.lose(Loss.REFUSED)
                if asked == 3:
                    await registration.update(meta={"asked": "3"})
                return asked != 2

            registering = Registry(sessions).register("mail", "a:25", healthy=looks_well, every_s=0.2)
            async with registering as registration:
                while asked < 4:
                    await asyncio.sleep(0.005)
                [instance] = await until_told(Registry(two), "a:25")
                assert instance.meta == {"asked": "3"}
            await sessions.close()

    clients.play(story)


def test_whose_entry_was_deleted_is_told_so_when_his_health_changes(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            well = asyncio.Event()

            async def looks_well() -> bool:
                return well.is_set()

            with pytest.raises(MembershipLost, match="deleted by somebody else"):
                async with Registry(one).register("mail", "a:25", healthy=looks_well, every_s=0.02) as mine:
                    await two.backend.commit([], [Delete(mine.key)])
                    well.set()
                    await asyncio.Event().wait()

    clients.play(story)


def test_what_is_no_instance_is_not_taken_for_one(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            registration = await Registry(one).register("mail", "a:25").acquire()
            await one.backend.commit([], [Put(registration.key, b"me")])
            with pytest.raises(CodecError, match="no instance"):
                await Registry(one).resolve("mail")
            await registration.release()

    clients.play(story)
