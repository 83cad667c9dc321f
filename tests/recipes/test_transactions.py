"""Transactions stand in one order, though they run at once, answers are lost, and some begin again."""

from __future__ import annotations

import asyncio

import pytest

from agreed.backends.contract import Absent, At, Delete, Put
from agreed.client.errors import TooLarge
from agreed.recipes.errors import TransactionTimeout
from agreed.recipes.lock import Lock
from agreed.recipes.sessions import Sessions
from agreed.recipes.transactions import Transaction, commit_if, transact
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy

ACCOUNTS = ("accounts/a", "accounts/b", "accounts/c")


async def open_accounts(sessions: Sessions) -> None:
    await commit_if(sessions, [], [Put(each, b"100") for each in ACCOUNTS])


async def sums(t: Transaction) -> int:
    return sum([int(await t.get(each) or b"0") for each in ACCOUNTS])


def moving(source: str, target: str) -> object:
    async def move(t: Transaction) -> None:
        t.put(source, b"%d" % (int(await t.get(source) or b"0") - 1))
        t.put(target, b"%d" % (int(await t.get(target) or b"0") + 1))

    return move


def test_many_at_once_lose_nothing_and_who_sums_sees_one_moment(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            await open_accounts(one)

            async def work(sessions: Sessions, number: int) -> None:
                source, target = ACCOUNTS[number % 3], ACCOUNTS[(number + 1 + number % 2) % 3]
                for _ in range(5):
                    await transact(sessions, moving(source, target))  # type: ignore[arg-type]
                    assert await transact(sessions, sums) == 300

            await asyncio.gather(*(work(each, number) for number, each in enumerate((one, two, three) * 2)))
            assert await transact(one, sums) == 300

    clients.play(story)


def test_what_two_decide_by_what_the_other_writes_is_not_decided_by_both(clients: Clients) -> None:
    """Write skew: each looks at both and takes one off call."""

    async def story() -> None:
        async with clients() as one, clients() as two:
            for _ in range(10):
                await commit_if(one, [], [Put("on-call/1", b""), Put("on-call/2", b"")])

                async def leave(t: Transaction, mine: str) -> bool:
                    there = [each for each in ("on-call/1", "on-call/2") if await t.get(each) is not None]
                    if len(there) == 2:
                        t.delete(mine)
                    return len(there) == 2

                left = await asyncio.gather(
                    transact(one, lambda t: leave(t, "on-call/1")),
                    transact(two, lambda t: leave(t, "on-call/2")),
                )
                assert sorted(left) == [False, True]
                assert len(await one.backend.entries("on-call")) == 1

    clients.play(story)


def test_an_answer_that_is_lost_does_not_make_it_done_twice(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            await open_accounts(two)
            sessions, way = lossy(one)
            await transact(sessions, moving(*ACCOUNTS[:2]))  # type: ignore[arg-type]
            way.lose(Loss.DONE, Loss.LATE, Loss.NOT_DONE, Loss.DONE, Loss.DONE)
            for _ in range(4):
                await transact(sessions, moving(*ACCOUNTS[:2]))  # type: ignore[arg-type]
            await way.arrive()
            assert way.lost == 5
            found = [int(entry.value) for entry in await two.backend.entries("accounts")]
            assert found == [95, 105, 100]

    clients.play(story)


def test_what_was_written_is_read_by_the_same_one_and_by_nobody_else_before_the_end(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            transaction = Transaction(one)
            transaction.put("a", b"1")
            assert await transaction.get("a") == b"1"
            transaction.delete("a")
            assert await transaction.get("a") is None
            transaction.put("a", b"2")
            assert await two.backend.get("a") is None
            assert await transaction.commit()
            again = Transaction(two)
            assert await again.get("a") == b"2"
            await one.backend.commit([], [Delete("a")])
            assert await again.get("a") == b"2", "it reads what it has read"
            assert not await again.is_true()
            again.put("b", b"")
            assert not await again.commit()
            assert await one.backend.get("b") is None

    clients.play(story)


def test_what_is_raised_is_raised_if_what_was_read_is_true_and_else_it_runs_again(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            await open_accounts(one)
            runs = 0

            async def work(t: Transaction) -> str:
                nonlocal runs
                runs += 1
                first = await t.get(ACCOUNTS[0])
                if runs == 1:
                    await transact(two, moving(*ACCOUNTS[:2]))  # type: ignore[arg-type]
                if int(first or b"0") + int(await t.get(ACCOUNTS[1]) or b"0") != 200:
                    raise ValueError("money was made")
                if runs == 3:
                    raise LookupError("mine")
                t.put("audited", first or b"")
                return "well"

            assert await transact(one, work) == "well"
            assert runs == 2
            with pytest.raises(LookupError, match="mine"):
                await transact(one, work)

    clients.play(story)


def test_who_never_gets_through_is_told_in_time(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:

            async def work(t: Transaction) -> None:
                await t.get("a")
                await two.backend.commit([], [Put("a", b"")])
                t.put("b", b"")

            with pytest.raises(TransactionTimeout) as told:
                await transact(one, work, timeout=0.2)
            assert isinstance(told.value, TimeoutError)
            await one.certain.settled()
            assert await two.backend.get("b") is None

    clients.play(story)


def test_guards_and_changes_are_all_or_nothing(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            revision = await commit_if(one, [Absent("a")], [Put("a", b"1"), Put("b", b"1")])
            assert revision is not None
            assert await commit_if(two, [At("a", revision), Absent("b")], [Delete("a")]) is None
            assert await commit_if(two, [At("a", revision), At("b", revision)], [Delete("a")]) is not None
            assert await one.backend.get("a") is None

            transaction = Transaction(one)
            for number in range(one.backend.capabilities.changes):
                transaction.put(f"many/{number}", b"")
            with pytest.raises(TooLarge):
                await transaction.commit()

    clients.play(story)


def test_only_who_holds_the_lock_gets_through(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            held = await Lock(one, "lock").acquire()
            transaction = Transaction(one)
            transaction.require(held.condition())
            transaction.put("a", b"1")
            assert await transaction.commit()
            await held.release()
            transaction = Transaction(one)
            transaction.require(held.condition())
            transaction.put("a", b"2")
            assert not await transaction.commit()

    clients.play(story)
