"""Each item is owned by one at most, and in the end by exactly the one to whom it belongs."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from agreed.backends.contract import Delete
from agreed.recipes.assignment import owner_of
from agreed.recipes.errors import Lost, MembershipLost
from agreed.recipes.grant import Grant
from agreed.recipes.group import Group, Membership
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients, nobody_is_left

ITEMS = [f"shard/{number}" for number in range(12)] + [".", "..", "ü"]


class Worker:
    """A member that works on what it is told, and notes whom it meets there."""

    def __init__(self, sessions: Sessions, owners: dict[str, Grant], tokens: dict[str, list[int]]) -> None:
        self.group = Group(sessions, "workers")
        self.mine: dict[str, Grant] = {}
        self.membership: Membership | None = None
        self.shares = 0
        self._owners = owners
        self._tokens = tokens
        self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        async with self.group.join() as membership, self.group.assign(membership, ITEMS) as shares:
            self.membership = membership
            async for mine in shares:
                self.shares += 1
                for item in self.mine.keys() - mine.keys():
                    await asyncio.sleep(0)  # what is under way is brought to its end
                    self._leave(item)
                for item in mine.keys() - self.mine.keys():
                    self._enter(item, mine[item])
                self.mine = mine

    def _enter(self, item: str, grant: Grant) -> None:
        grant.check()
        if item in self._owners:
            with pytest.raises(Lost):
                self._owners[item].check()
        self._owners[item] = grant
        tokens = self._tokens.setdefault(item, [])
        assert not tokens or grant.token > tokens[-1]
        tokens.append(grant.token)

    def _leave(self, item: str) -> None:
        del self._owners[item]

    def is_right(self, members: list[str]) -> bool:
        if self._task.done():
            self._task.result()
        me = self.membership.id if self.membership else ""
        return self.mine.keys() == {item for item in ITEMS if owner_of(item, members) == me}

    async def stop(self) -> None:
        for item in self.mine:
            self._leave(item)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def die(self) -> None:
        assert self.membership is not None
        await self.membership.session.close()
        with pytest.raises(MembershipLost):
            await self._task


async def until_divided(*workers: Worker) -> None:
    while True:
        members = [worker.membership.id for worker in workers if worker.membership]
        if len(members) == len(workers) and all(worker.is_right(members) for worker in workers):
            return
        await asyncio.sleep(0.01)


def test_items_move_with_those_who_come_go_and_die_and_are_never_owned_twice(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            owners: dict[str, Grant] = {}
            tokens: dict[str, list[int]] = {}
            workers = [Worker(one, owners, tokens)]
            await until_divided(*workers)
            assert workers[0].mine.keys() == set(ITEMS)
            workers += [Worker(two, owners, tokens), Worker(three, owners, tokens)]
            await until_divided(*workers)
            assert sum(len(worker.mine) for worker in workers) == len(ITEMS)
            await workers.pop(1).stop()
            await until_divided(*workers)
            await workers.pop(0).die()
            await until_divided(*workers)
            workers.append(Worker(two, owners, tokens))
            await until_divided(*workers)
            for worker in workers:
                await worker.stop()
            await nobody_is_left(three, "workers/members")
            for item in await three.backend.names("workers/items"):
                await nobody_is_left(three, f"workers/items/{item}")
            assert sum(map(len, tokens.values())) > len(ITEMS)

    clients.play(story)


def test_what_was_taken_away_is_given_back_when_the_next_share_is_asked_for(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = Group(one, "workers"), Group(two, "workers")
            async with mine.join() as member, mine.assign(member, ITEMS) as shares:
                everything = await shares.next(30.0)
                while everything.keys() != set(ITEMS):
                    everything = await shares.next(30.0)
                async with yours.join() as newcomer, yours.assign(newcomer, ITEMS) as more:
                    rest = await shares.next(30.0)
                    while set(rest) != {
                        item for item in ITEMS if owner_of(item, [member.id, newcomer.id]) == member.id
                    }:
                        rest = await shares.next(30.0)
                    assert await more.next(30.0) == {}
                    taken = everything.keys() - rest.keys()
                    for item in taken:
                        everything[item].check()  # it may bring to an end what it has begun
                    with pytest.raises(TimeoutError):
                        await shares.next(0.1)
                    theirs = await more.next(30.0)
                    while theirs.keys() != taken:
                        theirs = await more.next(30.0)
                    assert all(not everything[item].held for item in taken)
                    assert all(theirs[item].token > everything[item].token for item in taken)

    clients.play(story)


def test_what_was_taken_away_stays_until_then_whoever_else_comes_and_only_its_own_member_waits(
    clients: Clients,
) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            mine, yours, theirs = (Group(each, "workers") for each in (one, two, three))
            async with mine.join() as first, mine.assign(first, ITEMS) as shares:
                everything = await shares.next(30.0)
                while everything.keys() != set(ITEMS):
                    everything = await shares.next(30.0)
                async with yours.join() as second, yours.assign(second, ITEMS):
                    rest = await shares.next(30.0)
                    assert rest.keys() < everything.keys()
                    async with theirs.join() as third, theirs.assign(third, ITEMS):
                        members = [first.id, second.id, third.id]
                        expected = sorted(1 if owner_of(item, members) == first.id else 2 for item in ITEMS)
                        while await lengths_of_lines(one) != expected:
                            await asyncio.sleep(0.005)
                        for grant in everything.values():
                            grant.check()

    clients.play(story)


async def lengths_of_lines(sessions: Sessions) -> list[int]:
    items = await sessions.backend.names("workers/items")
    return sorted([len(await sessions.backend.names(f"workers/items/{item}")) for item in items])


def test_an_item_whose_key_was_deleted_is_asked_for_again(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.recipes.grant.LOOK_AFTER_S", 0.0)

    async def story() -> None:
        async with clients() as one, clients() as two:
            group = Group(one, "workers")
            async with group.join() as member, group.assign(member, ["a"]) as shares:
                share = await shares.next(30.0)
                while not share:
                    share = await shares.next(30.0)
                await two.backend.commit([], [Delete(share["a"].key)])
                again = await shares.next(30.0)
                while not again:
                    again = await shares.next(30.0)
                assert share["a"].lost
                assert again["a"].token > share["a"].token

    clients.play(story)


def test_few_items_move_when_somebody_comes_and_everybody_has_his_part() -> None:
    items = [str(number) for number in range(1000)]
    three = [owner_of(item, ["a", "b", "c"]) for item in items]
    four = [owner_of(item, ["d", "c", "b", "a"]) for item in items]
    assert all(old == new or new == "d" for old, new in zip(three, four, strict=True))
    assert all(200 < four.count(member) < 300 for member in "abcd")
    assert [owner_of(f"shard-{number}", "abc") for number in (1, 2, 3)] == ["c", "c", "b"], "for ever"


def test_an_item_without_a_name_is_refused(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            group = Group(one, "workers")
            async with group.join() as member:
                with pytest.raises(ValueError, match="an item has a name"):
                    group.assign(member, [""])

    clients.play(story)
