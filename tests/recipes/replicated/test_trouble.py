"""What goes wrong is told as it is: lost answers, times that are over, a service that is away or replaced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from agreed.backends.contract import Put
from agreed.client.errors import ConnectionLost, SessionClosed
from agreed.errors import AgreedError
from agreed.recipes import follower
from agreed.recipes.errors import CodecError, TransactionTimeout
from agreed.recipes.replicated import replica as replica_module
from agreed.recipes.replicated.replica import Replica
from agreed.recipes.sessions import Sessions
from tests.backends.conftest import Place, place, service, with_connections_to_cut
from tests.recipes.cancelling import cancelled_at_each_turn
from tests.recipes.lossy import Loss, lossy
from tests.recipes.replicated.objects import Bank, Journal, Refused
from tests.recipes.replicated.staged import client_of, play, until
from tests.recipes.stage import Stage, at_once
from tests.recipes.world.virtual import run

__all__ = ["place", "service"]


def bank(sessions: Sessions, timeout: float | None = None) -> Replica[Bank]:
    return Replica(sessions, "bank", Bank, timeout=timeout)


TIMEOUT_S = 1.5
"""Of a time that is not that of the machine."""


async def who_waits_too_long_knows_whether_it_may_be_done() -> None:
    stage, stalled, goes_on = Stage(), asyncio.Event(), asyncio.Event()

    async def stall(question: str) -> None:
        if question == "commit":
            stalled.set()
            await goes_on.wait()

    mine = bank(client_of(stage), TIMEOUT_S)
    await mine.sync()
    stage.before = stall
    first = asyncio.create_task(mine.call(Bank.deposit, "a", 1))
    await stalled.wait()
    calls = (mine.call(Bank.deposit, "a", 10), mine.call(Bank.all_accounts))  # in line behind it
    told = await asyncio.gather(first, *calls, return_exceptions=True)
    assert [type(each) for each in told] == [TransactionTimeout] * 3
    assert [each.surely_not_done for each in told] == [False, True, True]  # type: ignore[union-attr]
    goes_on.set()
    mine._timeout_s = None
    assert await mine.call(Bank.all_accounts) == {"a": 1}


async def what_others_have_prevented_is_not_done() -> None:
    stage = Stage()
    mine, yours = bank(client_of(stage), TIMEOUT_S), bank(client_of(stage))

    async def stall(question: str) -> None:
        if question == "get":
            await asyncio.Event().wait()

    async def be_faster(question: str) -> None:
        if question == "commit":
            stage.before = at_once
            await yours.call(Bank.deposit, "a", 1)
            stage.before = stall

    await mine.sync()
    stage.before = be_faster
    with pytest.raises(TransactionTimeout) as told:
        await mine.call(Bank.deposit, "a", 1)
    assert told.value.surely_not_done


@pytest.mark.parametrize(
    "story", [who_waits_too_long_knows_whether_it_may_be_done, what_others_have_prevented_is_not_done]
)
def test_the_time_of_a_call_is_a_total(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run(0, story())


def test_who_is_cancelled_is_in_nobodys_way() -> None:
    async def story(stage: Stage) -> None:
        mine, yours = bank(client_of(stage)), bank(client_of(stage))
        calls = [asyncio.create_task(mine.call(Bank.deposit, each, 1)) for each in "abc"]
        await asyncio.sleep(0)
        calls[1].cancel()
        await asyncio.wait(calls)
        assert await yours.call(Bank.all_accounts) in ({"a": 1, "c": 1}, {"a": 1, "b": 1, "c": 1})
        only = asyncio.create_task(mine.call(Bank.deposit, "d", 1))
        await asyncio.sleep(0)
        only.cancel()
        await asyncio.wait([only])
        assert await mine.call(Bank.deposit, "e", 1) == 1

    play(story)


def test_a_service_that_answers_nothing_is_not_waited_for_for_ever() -> None:
    async def story(stage: Stage) -> None:
        sessions, way = lossy(client_of(stage))
        mine, yours = bank(sessions), bank(client_of(stage))
        way.lose(*[Loss.LATE] * 8)
        with pytest.raises(ConnectionLost) as told:
            await mine.call(Bank.deposit, "a", 1)
        assert told.value.maybe
        assert await yours.call(Bank.all_accounts) == {}
        assert [each is None for each in await way.arrive()] == [False] + [True] * 7
        assert await mine.call(Bank.deposit, "a", 1) == 2
        way.lose(Loss.REFUSED)
        with pytest.raises(ConnectionLost) as told:
            await mine.call(Bank.deposit, "a", 1)
        assert not told.value.maybe
        way.lose(Loss.DONE)
        with pytest.raises(ConnectionLost) as told:
            await mine.call(Bank.transfer, "b", "a")
        assert not told.value.maybe
        assert await yours.call(Bank.all_accounts) == {"a": 2}

    play(story)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bank/extent", b"?"),
        ("bank/extent", b'{"next":9,"bytes":9}'),
        ("bank/extent", b'{"next":1}'),
        ("bank/extent", b'{"next":2,"format":2}'),
        ("bank/extent", b'{"next":2,"more":2}'),
        ("bank/records/000000000000/00000000000001", b"{}"),
        (
            "bank/records/000000000000/00000000000001",
            b'{"command":"rob","arguments":{},"since":1,"version":1,"digest":"","mark":"","now_ms":0,"seed":0}',
        ),
    ],
)
def test_who_finds_what_nobody_has_written_stops(key: str, value: bytes) -> None:
    async def story(stage: Stage) -> None:
        mine, yours = bank(client_of(stage)), bank(client_of(stage))
        await yours.call(Bank.deposit, "a", 1)
        await yours.call(Bank.deposit, "a", 1)
        if "extent" in key:
            await mine.sync()
        await stage.client().commit([], [Put(key, value)])
        for _ in range(2):
            with pytest.raises(CodecError):
                await mine.call(Bank.deposit, "a", 1)
        with pytest.raises(CodecError):
            await mine.sync()

    play(story)


def test_who_follows_goes_on_when_the_service_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "AGAIN_AFTER_S", 0.01)

    async def story(stage: Stage) -> None:
        fails = False

        async def fail(question: str) -> None:
            if fails:
                raise ConnectionLost("the test wants it so", maybe=False)

        async with bank(client_of(stage)) as mine:
            await mine.call(Bank.deposit, "a", 1)
            stage.before, fails = fail, True
            stage.changed("bank/extent")
            await until(lambda: isinstance(mine.error, AgreedError))
            assert mine.local(Bank.balance, "a") == 1
            fails = False
            await bank(client_of(stage)).call(Bank.deposit, "a", 1)
            await until(lambda: mine.position == 2)
            await until(lambda: mine.error is None)

    play(story)


@with_connections_to_cut
def test_while_the_service_cannot_be_reached_it_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No change tells of that, and no watch: nobody hears anything, as if nothing happened."""
    for name in ("ASKED_EVERY_S", "ANSWERED_WITHIN_S", "AGAIN_AFTER_S"):
        monkeypatch.setattr(follower, name, 0.05)

    async def story(stage: Stage) -> None:
        async with place.backend() as other, place.leash() as leash, place.backend(by=leash) as backend:
            yours = bank(Sessions(other, 10.0))
            await yours.call(Bank.deposit, "a", 1)
            async with bank(Sessions(backend, 10.0)) as mine:
                leash.close()
                await until(lambda: mine.error is not None)
                await yours.call(Bank.deposit, "a", 1)
                assert mine.local(Bank.balance, "a") == 1
                await leash.open()
                await until(lambda: mine.position == 2 and mine.error is None)

    play(story)


@pytest.mark.parametrize("commands", [2, 3, 4, 12])
def test_an_object_that_was_deleted_and_made_anew_is_another_one(
    commands: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it has as many commands as the one that was there before."""
    monkeypatch.setattr(replica_module, "SNAPSHOT_EVERY", 4)

    async def story(stage: Stage) -> None:
        mine, old = bank(client_of(stage)), bank(client_of(stage))
        for _ in range(3):
            await old.call(Bank.deposit, "a", 1)
        await mine.sync()
        for key in list(stage.entries):
            stage.delete(key)
        async with bank(client_of(stage)) as yours:
            for _ in range(commands):
                await yours.call(Bank.deposit, "b", 1)
        for one in (mine, old):
            with pytest.raises(CodecError):
                await one.call(Bank.deposit, "a", 1)
            with pytest.raises(CodecError):
                await one.call(Bank.all_accounts)
        assert await bank(client_of(stage)).call(Bank.all_accounts) == {"b": commands}

    play(story)


def test_an_answer_that_comes_in_the_moment_in_which_the_time_is_over_is_not_denied() -> None:
    """The loop was held up: the answer is there and the time is over, and both are seen in one turn."""

    async def story(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        for late_s in (-0.004, -0.002, 0.0, 0.0001, 0.002):
            mine = bank(client_of(stage), 0.3)
            await mine.sync()
            at = loop.time() + 0.3
            answer = loop.create_future()

            async def hold_up(question: str, answer: asyncio.Future[None] = answer) -> None:
                if question == "commit":
                    stage.before = at_once
                    await answer

            stage.before = hold_up
            before = stage.entries.get("bank/extent")
            calling = asyncio.create_task(mine.call(Bank.deposit, "a", 1))
            done = calling.done
            await until(lambda done=done: stage.before is at_once or done())  # type: ignore[misc]
            if stage.before is not at_once:
                continue  # the machine stood still, and the time was over before anything was asked for
            loop.call_at(at + late_s, answer.set_result, None)
            while loop.time() < at + 0.01:
                pass
            await asyncio.wait([calling])
            error = calling.exception()
            if error is not None:
                assert isinstance(error, TransactionTimeout)
                assert not error.surely_not_done
            await mine.call(Bank.all_accounts)
            assert stage.entries.get("bank/extent") != before, "it was done"

    play(story)


def test_who_gives_up_while_nothing_can_be_asked_for_is_forgotten() -> None:
    async def story(stage: Stage) -> None:
        async def stall(question: str) -> None:
            await asyncio.Event().wait()

        mine = bank(client_of(stage), 0.01)
        stage.before = stall
        for _ in range(20):
            with pytest.raises(TransactionTimeout):
                await mine.call(Bank.deposit, "a", 1)
        assert len(mine._asked) == 0

    play(story)


def test_it_is_followed_until_the_last_who_entered_has_left() -> None:
    async def story(stage: Stage) -> None:
        mine, yours = bank(client_of(stage)), bank(client_of(stage))
        async with mine:
            async with mine:
                pass
            await yours.call(Bank.deposit, "a", 1)
            await until(lambda: mine.position == 1)
            assert len(stage.watching) == 1
        assert stage.watching == []

    play(story)


def test_who_follows_stops_asking_when_its_client_is_closed() -> None:
    async def story(stage: Stage) -> None:
        async def closed(question: str) -> None:
            raise SessionClosed("the test wants it so", maybe=False)

        async with bank(client_of(stage)) as mine:
            stage.before = closed
            stage.changed("bank/extent")
            await until(lambda: isinstance(mine.error, SessionClosed))
            following = mine._follower._following
            assert following is not None
            await asyncio.wait([following])

    play(story)


def test_who_was_kept_waiting_by_his_own_command_follows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It took him a long time, but it was not he who read for so long."""

    async def story(stage: Stage) -> None:
        stuck, goes_on = asyncio.Event(), asyncio.Event()

        async def hold_up(question: str) -> None:
            if question == "commit":
                stuck.set()
                await goes_on.wait()

        async with bank(client_of(stage)) as mine:
            stage.before = hold_up
            calling = asyncio.create_task(mine.call(Bank.deposit, "a", 1))
            await stuck.wait()
            stage.changed("bank/extent")
            await until(lambda: mine._next_sync is not None)
            seconds = follower.seconds
            monkeypatch.setattr(follower, "seconds", lambda: seconds() + 1000.0)
            goes_on.set()
            await calling
            await bank(client_of(stage)).call(Bank.deposit, "a", 1)
            await until(lambda: mine.position == 2)

    play(story)


@pytest.mark.parametrize("losing", [False, True])
def test_who_is_cancelled_anywhere_leaves_a_copy_that_goes_on(losing: bool) -> None:
    """Whatever was cancelled was done once or not at all, nobody watches, and the same copy goes on."""
    copies: list[tuple[Replica[Journal], Replica[Journal]]] = []

    async def add(copy: Replica[Journal], who: str, amount: int) -> None:
        with contextlib.suppress(Refused):
            await copy.call(Journal.add, who, amount)

    async def story(mine: Sessions, yours: Sessions) -> None:
        one, two = Replica(mine, "journal", Journal), Replica(yours, "journal", Journal)
        copies.append((one, two))
        async with one:
            await asyncio.gather(add(one, "a", 1), add(two, "b", 2))
            await one.call(Journal.all_lines)
            await add(one, "a", 3)

    async def goes_on(stage: Stage) -> None:
        one, two = copies[-1]
        assert stage.watching == []
        for copy in (one, two, Replica(client_of(stage), "journal", Journal)):
            copy._turn = asyncio.Lock()  # of another event loop
            copy._next_sync = copy._writing = None
            lines = await copy.call(Journal.all_lines)
            assert len(set(lines)) == len(lines)
            assert copy.digest == one.digest
            assert copy.error is None
        await add(one, "c", 0)
        assert await two.call(Journal.all_lines) == await one.call(Journal.all_lines)

    for played in cancelled_at_each_turn(story, losing=losing):
        if copies:
            asyncio.run(goes_on(played.stage))
        copies.clear()
