"""What is kept: logs, cells, accounts, configuration."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import msgspec

from agreed.errors import AgreedError
from agreed.recipes.cell import Cell
from agreed.recipes.codec import codec_of
from agreed.recipes.config import Config
from agreed.recipes.errors import LogTrimmed
from agreed.recipes.log import Log
from agreed.recipes.transactions import Transaction, transact
from tests.recipes.world.plays.numbers import OfEachClient, states_during, wrongly_told
from tests.recipes.world.world import Play, User, World


class Logs(OfEachClient):
    """Everybody reads the same, from wherever he begins; an append is in it once."""

    name = "log"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._number = 0
        self._read: dict[int, str] = {}

    async def act(self, user: User) -> None:
        log = self.mine(user, lambda: Log(user.sessions, "l", codec_of(str)))
        what = user.dice.random()
        if what < 0.6:
            self._number += 1
            await user.tries("append", str(self._number), log.append(str(self._number)))
        elif what < 0.7:
            await user.tries("trim", None, self._trim(user, log))
        else:
            await user.tries("read", None, self._reads(user, log), waits=True)

    async def _trim(self, user: User, log: Log[str]) -> None:
        await log.trim(max(0, await log.length() - user.dice.randrange(20)))

    async def _reads(self, user: User, log: Log[str]) -> None:
        since = await log.first()
        offset = since
        async with log.read(since, follow=user.dice.random() < 0.5) as records:
            with suppress(StopAsyncIteration, LogTrimmed):
                for _ in range(user.dice.randrange(20)):
                    record = await records.next()
                    if record.offset != offset:
                        self.world.wrong(f"{record} was read behind offset {offset - 1}")
                    if self._read.setdefault(record.offset, record.value) != record.value:
                        self.world.wrong(f"{record}, and others have read {self._read[record.offset]}")
                    offset += 1

    def judge(self) -> Iterator[str]:
        appended: dict[str, list[int]] = {}
        for version in self.world.stage.log:
            if version.key.startswith("l/records/") and version.after is not None:
                offset = int(version.key.rpartition("/")[2])
                value = codec_of(str).decode(version.after.value)
                appended.setdefault(value, []).append(offset)
                if version.before is not None or self._read.get(offset, value) != value:
                    yield f"{offset} was {self._read.get(offset)!r} and is {value!r}"
        offsets = sorted(offset for each in appended.values() for offset in each)
        if offsets != list(range(len(offsets))):
            yield f"there are holes: {offsets}"
        for told in self.world.of("append"):
            stands = appended.get(told.about, [])
            yield from wrongly_told(told, len(stands))
            if told.done and [told.result] != stands:
                yield f"it stands at {stands}: {told}"


class Cells(Play):
    """Values that name who has put them."""

    name = "cell"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._number = 0

    async def act(self, user: User) -> None:
        cell = Cell(user.sessions, "c", list[int])
        self._number += 1
        mine = self._number
        match user.dice.choice(["set", "set if", "update", "delete", "get"]):
            case "set":
                await user.tries("set", mine, cell.set([mine]))
            case "set if":
                found = await user.tries("get", None, cell.get())
                version = found.result.version if found.done and found.result else 0
                await user.tries("set", mine, cell.set([mine], if_version=version))
            case "update":
                await user.tries("update", mine, cell.update(lambda old: [*(old or []), mine]))
            case "delete":
                await user.tries("delete", mine, cell.delete())
            case _:
                await user.tries("get", None, cell.get())

    def judge(self) -> Iterator[str]:
        put: Tally[int] = Tally()
        states: list[tuple[float, Any]] = [(0.0, None)]
        for version in self.world.stage.history.get("c", ()):
            before = [] if version.before is None else msgspec.json.decode(version.before.value)
            after = [] if version.after is None else msgspec.json.decode(version.after.value)
            put.update(set(after) - set(before))
            if after and after.count(after[-1]) > 1:
                yield f"updated twice: {after}"
            states.append((version.at_s, after if version.after is not None else None))
        for told in self.world.told:
            during = states_during(states, told.began_s, told.ended_s)
            if told.what in ("set", "update"):
                yield from wrongly_told(told, put[told.about])
            found = told.result.value if told.what == "get" and told.result else None
            if told.what == "get" and told.done and found not in during:
                yield f"it was {during}: {told}"
            if told.what == "delete" and told.done and None not in during:
                yield f"it was there all the time, {during}: {told}"


class Transactions(Play):
    """Money goes from one account to another, and none is made or lost; each transfer leaves its number."""

    name = "transaction"
    ACCOUNTS: Final = ("a", "b", "c")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._number = 0

    async def act(self, user: User) -> None:
        if user.dice.random() < 0.2:
            await user.tries("sum", None, transact(user.sessions, self._sum))
            return
        self._number += 1
        mine = self._number
        one, other = user.dice.sample(self.ACCOUNTS, 2)

        async def move(t: Transaction) -> None:
            t.put(one, b"%d" % (int(await t.get(one) or b"0") - 1))
            t.put(other, b"%d" % (int(await t.get(other) or b"0") + 1))
            t.put(f"moved/{mine}", b"")
            if user.dice.random() < 0.1:
                raise ValueError("mine")

        await user.tries("move", mine, self._mine(user, move))

    async def _mine(self, user: User, move: Any) -> None:
        with suppress(ValueError):
            await transact(user.sessions, move, timeout=user.timeout())
            return
        raise AgreedError("nothing of it is done")

    async def _sum(self, t: Transaction) -> int:
        return sum([int(await t.get(name) or b"0") for name in self.ACCOUNTS])

    def judge(self) -> Iterator[str]:
        accounts = dict.fromkeys(self.ACCOUNTS, 0)
        revision = 0
        for version in self.world.stage.log:
            if version.key in accounts and version.after is not None:
                if version.revision != revision and sum(accounts.values()) != 0:
                    yield f"at {revision} there is {accounts}"
                revision = version.revision
                accounts[version.key] = int(version.after.value)
        for told in self.world.of("move"):
            times = len(list(self.world.values(f"moved/{told.about}")))
            yield from wrongly_told(told, times)
            if type(told.error) is AgreedError and times:
                yield f"it raised something of its own, and is done: {told}"
        for told in self.world.of("sum"):
            if told.done and told.result:
                yield f"there never was so much: {told}"


class Configs(Play):
    """The state at hand is never older than it was, and the newest one soon after all is well."""

    name = "config"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._number = 0

    async def act(self, user: User) -> None:
        if user.dice.random() < 0.5:
            self._number += 1
            await user.tries("set", self._number, Cell(user.sessions, "c", int).set(self._number))
        else:
            await user.tries("follow", None, self._follow(user))

    async def _follow(self, user: User) -> None:
        async with Config(user.sessions, "c", int, default=0) as config:
            newest = 0
            for _ in range(user.dice.randrange(10)):
                if config.version < newest:
                    self.world.wrong(f"from {newest} to {config.version}")
                newest = config.version
                await user.pause()
            if self.world.healed:
                await asyncio.sleep(5.0)
                there = self.world.stage.entries.get("c")
                if config.version != (there.version if there else 0):
                    self.world.wrong(f"it has {config.version} at hand, and there is {there}")

    async def finish(self) -> None:
        users = [self.world.visitor(), *self.world.users]
        following = [asyncio.create_task(user.tries("follow", None, self._follow(user))) for user in users]
        await asyncio.sleep(1.0)
        await users[0].tries("set", -1, Cell(users[0].sessions, "c", int).set(-1))
        await asyncio.gather(*following)

    def judge(self) -> Iterator[str]:
        put = Tally(int(value) for _, value in self.world.values("c"))
        for told in self.world.of("set"):
            yield from wrongly_told(told, put[told.about])
