"""Members, their shares of the work, and services: who is told of is there, and who is there is told of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import msgspec

from agreed.recipes.assignment import owner_of
from agreed.recipes.group import Group, Membership
from agreed.recipes.registry import Registration, Registry
from tests.recipes.world.plays.lines import TRIES, first
from tests.recipes.world.world import Play, Told, User, World


def anywhere(line: object, index: int) -> bool:
    return True


class Groups(Play):
    name = "group"
    directory = "g/members"

    async def act(self, user: User) -> None:
        if user.dice.random() < 0.3:
            await user.tries("members", None, self._members(user))
        else:
            await user.tries("join", None, self._join(user))

    async def _members(self, user: User) -> list[str]:
        return [member.id for member in await Group(user.sessions, "g").members()]

    async def _join(self, user: User) -> None:
        async with Group(user.sessions, "g").join(b"0") as membership:
            await self._speak(user, membership)

    async def _speak(self, user: User, membership: Membership) -> None:
        for number in range(1, user.dice.randrange(5)):
            if not self.world.certain(membership, anywhere):
                return
            said = str(number).encode()
            try:
                async with asyncio.timeout(user.timeout()):
                    await membership.inform(said)
            except TimeoutError:
                continue
            if said not in [value for _, value in self.world.values(membership.key)]:
                self.world.wrong(f"{said!r} was said and is nowhere")

    async def finish(self) -> None:
        for user in self.world.users:
            for _ in range(TRIES):
                if (await user.tries("join", None, self._join(user))).done:
                    break
            else:
                self.world.wrong(f"all is well, and user {user.number} cannot join")

    def judge(self) -> Iterator[str]:
        for key in self._keys():
            said = [int(value) for _, value in self.world.values(key)]
            if sorted(said) != said:
                yield f"what was said first came last: {said}"
        for told in self.world.of("members"):
            if told.done:
                yield from self._judged(told)

    def _keys(self) -> list[str]:
        return [key for key in self.world.stage.history if key.startswith(f"{self.directory}/")]

    def _judged(self, told: Told) -> Iterator[str]:
        for key in self._keys():
            there = self.world.there_during(key, told.began_s, told.ended_s)
            is_told = key.rpartition("/")[2] in told.result
            if is_told and True not in there:
                yield f"{key} was not there: {told}"
            if not is_told and False not in there:
                yield f"{key} was there all the time: {told}"


class Assignments(Play):
    """An item has one owner at most; and each has its own when nobody comes or goes any more."""

    name = "assignment"
    ITEMS: Final = ("i", "j", "k", "l", "m")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._told: dict[str, set[str]] = {}
        self._enough = asyncio.Event()

    async def act(self, user: User) -> None:
        await user.tries("work", None, self._work(user, user.dice.randrange(6)), waits=True)

    async def _work(self, user: User, rounds: int) -> None:
        group = Group(user.sessions, "g")
        async with group.join(b"") as membership, group.assign(membership, self.ITEMS) as shares:
            for _ in range(rounds):
                mine = await shares.next()
                for _ in range(user.dice.randrange(3)):
                    for grant in mine.values():
                        self.world.certain(grant, first)
                    await user.pause()

    async def finish(self) -> None:
        users = self.world.users
        for user in users:
            await user.tries("work", None, self._work(user, 0))  # to find out that a session is over
        working = [asyncio.create_task(user.tries("work", None, self._stay(user))) for user in users]
        await asyncio.sleep(10.0)
        members = list(self._told)
        for item in self.ITEMS:
            owners = [member for member, items in self._told.items() if item in items]
            if not members or owners != [owner_of(item, members)]:
                self.world.wrong(f"of {members}, {owners} have {item}")
        self._enough.set()
        await asyncio.gather(*working)

    async def _stay(self, user: User) -> None:
        group = Group(user.sessions, "g")
        async with group.join(b"") as membership, group.assign(membership, self.ITEMS) as shares:
            self._told[membership.id] = set()
            while not self._enough.is_set():
                try:
                    mine = await shares.next(1.0)
                except TimeoutError:
                    continue
                self._told[membership.id] = set(mine)
                for grant in mine.values():
                    self.world.certain(grant, first)

    def judge(self) -> Iterator[str]:
        for key in self.world.stage.entries:
            if key.startswith("g/"):
                yield f"somebody is still there: {key}"


class Registries(Groups):
    """Whoever is not well is not told of."""

    name = "registry"
    directory = "services/s"

    async def act(self, user: User) -> None:
        if user.dice.random() < 0.3:
            await user.tries("resolve", None, self._resolve(user))
        else:
            await user.tries("join", None, self._join(user))

    async def _resolve(self, user: User) -> list[str]:
        return [instance.id for instance in await Registry(user.sessions).resolve("s")]

    async def _join(self, user: User) -> None:
        async def well() -> bool:
            return user.dice.random() < 0.8 or self.world.healed

        healthy = well if user.dice.random() < 0.7 else None
        registering = Registry(user.sessions).register("s", "0", healthy=healthy, every_s=0.1)
        async with registering as registration:
            await self._say(user, registration)
            if self.world.healed:
                await asyncio.sleep(3.0)
                if registration.id not in await self._resolve(user):
                    self.world.wrong(f"{registration} is well, and is not told")

    async def _say(self, user: User, registration: Registration) -> None:
        for number in range(1, user.dice.randrange(4)):
            if not self.world.certain(registration, anywhere):
                return
            await registration.update(str(number))
            await user.pause()

    def judge(self) -> Iterator[str]:
        for key in self._keys():
            said = [int(msgspec.json.decode(value)["address"]) for _, value in self.world.values(key)]
            if sorted(said) != said:
                yield f"what was said first came last: {said}"
        for told in self.world.of("resolve"):
            if told.done:
                for each in told.result:
                    if True not in self.world.there_during(f"services/s/{each}", told.began_s, told.ended_s):
                        yield f"{each} was not there: {told}"
