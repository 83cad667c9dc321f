"""One order of commands for all copies, each once, and errors that are true."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import pytest

from agreed.backends.contract import Guard, Put
from agreed.check.linearizable import linearizable
from agreed.check.models.counter import Counter
from agreed.check.verdict import Outcome
from agreed.client.errors import ConnectionLost, TooLarge
from agreed.recipes.errors import CodecError
from agreed.recipes.replicated import replica as replica_module
from agreed.recipes.replicated.replica import Replica
from agreed.recipes.sessions import Sessions
from agreed.testing.history import OwnHistory
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy
from tests.recipes.replicated.objects import Bank, Journal, Raffle, Refused, Text, Twins
from tests.recipes.replicated.staged import client_of, play, until
from tests.recipes.stage import Stage


def journal(sessions: Sessions) -> Replica[Journal]:
    return Replica(sessions, "journal", Journal)


def bank(sessions: Sessions) -> Replica[Bank]:
    return Replica(sessions, "bank", Bank)


def test_commands_of_all_clients_are_done_in_one_order_on_all_copies(clients: Clients) -> None:
    async def story() -> None:
        told: dict[str, tuple[int, int]] = {}
        refused: set[str] = set()

        async def work(mine: Replica[Journal], who: str) -> None:
            for amount in range(8):
                try:
                    told[f"{who} {amount}"] = await mine.call(Journal.add, who, amount)
                except Refused as error:
                    refused.add(str(error))

        async with (
            clients() as one,
            clients() as two,
            clients() as three,
            journal(one) as a,
            journal(two) as b,
            journal(three) as c,
        ):
            await asyncio.gather(work(a, "a"), work(a, "A"), work(b, "b"), work(c, "c"))
            assert len(told) + len(refused) == 32
            lines = await b.call(Journal.all_lines)
            plain = Journal()
            for who, amount in lines:
                assert told.pop(f"{who} {amount}") == plain.add(who, amount)
            assert told == {}
            assert a.error is b.error is c.error is None
            await asyncio.gather(a.sync(), c.sync())
            assert a.position == b.position == c.position == len(lines)
            assert a.digest == b.digest == c.digest

    clients.play(story)


def test_a_copy_that_is_followed_hears_of_everything_and_one_that_is_not_when_it_asks(
    clients: Clients,
) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, idle = bank(one), bank(two)
            async with bank(two) as yours:
                assert await mine.call(Bank.deposit, "a", 3) == 3
                assert await mine.call(Bank.deposit, "a", amount=4) == 7
                await until(lambda: yours.position == 2)
                assert yours.local(Bank.balance, "a") == 7
                assert (idle.position, idle.local(Bank.all_accounts)) == (0, {})
                assert await idle.call(Bank.balance, "a") == 7
                assert idle.position == 2
                await yours.call(Bank.deposit, "a", 1)
                assert await idle.sync() == 3

    clients.play(story)


def test_what_raises_has_changed_nothing_and_is_raised_where_it_was_asked_for(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = bank(one), bank(two)
            with pytest.raises(Refused, match="a"):
                await mine.call(Bank.transfer, "a", "b")
            await mine.call(Bank.deposit, "a", 5)
            outcomes = await asyncio.gather(
                mine.call(Bank.deposit, "b", 1),
                mine.call(Bank.transfer, "a", "b", 9),
                mine.call(Bank.transfer, "a", "b", 5),
                mine.call(Bank.transfer, "a", "b", 1),
                return_exceptions=True,
            )
            assert [type(each).__name__ for each in outcomes] == ["int", "Refused", "NoneType", "Refused"]
            assert await yours.call(Bank.all_accounts) == {"a": 0, "b": 6}
            assert yours.position == mine.position == 3
            with pytest.raises(KeyError):
                await yours.call(Bank.balance, "nobody")

    clients.play(story)


def test_an_error_is_true_of_the_newest_state(clients: Clients) -> None:
    """The copy that has not heard of the deposit would have raised."""

    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = bank(one), bank(two)
            await mine.call(Bank.deposit, "a", 1)
            await yours.call(Bank.deposit, "a", 1)
            await mine.call(Bank.transfer, "a", "b", 2)
            assert await yours.call(Bank.balance, "b") == 2

    clients.play(story)


def test_a_command_whose_answer_is_lost_is_done_once(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            mine, yours = bank(sessions), bank(two)
            await mine.call(Bank.deposit, "a", 1)
            way.lose(Loss.DONE, Loss.LATE, Loss.NOT_DONE, Loss.DONE, Loss.DONE, Loss.LATE, Loss.NOT_DONE)
            for number in range(2, 7):
                assert await mine.call(Bank.deposit, "a", 1) == number
                assert await yours.call(Bank.deposit, "b", 1) == number - 1
            assert await way.arrive() == [None, None]
            assert way.lost == 7
            assert await yours.call(Bank.all_accounts) == {"a": 6, "b": 5}

    clients.play(story)


def test_time_and_dice_are_the_same_everywhere_and_time_does_not_go_back(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = Replica(one, "raffle", Raffle), Replica(two, "raffle", Raffle)
            before = time.time_ns() // 1_000_000
            drawn = [await mine.call(Raffle.draw), await yours.call(Raffle.draw)]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(time, "time_ns", lambda: 5)
                drawn.append(await yours.call(Raffle.draw))
            await mine.sync()
            assert mine.digest == yours.digest
            assert len(set(drawn)) == 3
            times = mine.local(Raffle.all_times)
            assert before <= times[0] <= times[1] == times[2]

    clients.play(story)


# --- on the stage: what does not depend on the service ----------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_lost_nothing_is_done_twice_and_all_copies_are_the_same(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "SNAPSHOT_EVERY", 8)
    draw = random.Random(seed)

    async def story(stage: Stage) -> None:
        done: dict[tuple[str, int], tuple[int, int]] = {}
        not_done: set[tuple[str, int]] = set()

        async def work(who: str) -> Replica[Journal]:
            sessions, way = lossy(client_of(stage))
            mine = journal(sessions)
            for amount in range(10):
                losses = [Loss.DONE, Loss.NOT_DONE, Loss.LATE, Loss.REFUSED, Loss.NOTHING]
                way.lose(*draw.choices(losses, weights=[2, 2, 2, 1, 6], k=draw.randrange(10)))
                try:
                    done[who, amount] = await mine.call(Journal.add, who, amount)
                except Refused:
                    not_done.add((who, amount))
                except ConnectionLost as error:
                    if error.surely_not_done:
                        not_done.add((who, amount))
                if draw.random() < 0.3:
                    await way.arrive()
            await way.arrive()
            return mine

        copies = await asyncio.gather(*map(work, "abcd"))
        newcomer = journal(client_of(stage))
        lines = await newcomer.call(Journal.all_lines)
        assert len(set(lines)) == len(lines)
        assert not not_done & set(lines)
        plain = Journal()
        for line in lines:
            result = plain.add(*line)
            assert done.pop(line, result) == result
        assert done == {}
        for copy in copies:
            await copy.sync()
            assert copy.digest == newcomer.digest

    play(story)


def test_what_is_answered_is_linearizable() -> None:
    async def story(stage: Stage) -> None:
        history = OwnHistory()
        draw = random.Random(7)

        async def hesitate(question: str) -> None:
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)

        stage.before = hesitate

        async def work(who: str) -> None:
            async with bank(client_of(stage)) as mine:
                for _ in range(12):
                    if draw.random() < 0.5:
                        with history.operation(who, "add-and-get", 1) as adding:
                            adding.result = await mine.call(Bank.deposit, "a", 1)
                    else:
                        with history.operation(who, "read") as reading:
                            accounts = await mine.call(Bank.all_accounts)
                            reading.result = accounts.get("a", 0)

        await asyncio.gather(*map(work, "abcd"))
        assert linearizable(history.history(), Counter()).outcome is Outcome.HOLDS

    play(story)


def test_what_leaves_no_state_is_not_done() -> None:
    async def story(stage: Stage) -> None:
        mine = bank(client_of(stage))
        await mine.call(Bank.deposit, "a", 1)
        with pytest.raises(CodecError, match="int"):
            await mine.call(Bank.give, "b")
        with pytest.raises(CodecError):
            await mine.call(Bank.deposit, "a", "1")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await mine.call(Bank.deposit, "a")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="no command"):
            await mine.call(Bank.__init__)
        with pytest.raises(TypeError, match="no command"):
            await mine.call(Journal.add, "a", 1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="no query"):
            mine.local(Bank.deposit, "a", 1)
        assert await mine.call(Bank.all_accounts) == {"a": 1}
        assert mine.position == 1

    play(story)


def test_what_is_answered_is_a_copy() -> None:
    async def story(stage: Stage) -> None:
        mine, yours = bank(client_of(stage)), bank(client_of(stage))
        await mine.call(Bank.deposit, "a", 1)
        accounts = await mine.call(Bank.all_accounts)
        accounts["a"] = 7
        assert mine.local(Bank.balance, "a") == 1
        await yours.call(Bank.deposit, "a", 1)
        assert await mine.call(Bank.balance, "a") == 2

    play(story)


def test_between_two_commands_it_is_what_a_snapshot_would_keep_of_it() -> None:
    """Else a copy that began with a snapshot would differ from those that were there before."""

    async def story(stage: Stage) -> None:
        mine, yours = (Replica(client_of(stage), "twins", Twins) for _ in range(2))
        await mine.call(Twins.join)
        assert await mine.call(Twins.add, 1) == await yours.call(Twins.add, 2) == "1.0"
        assert await mine.call(Twins.both) == ([1, 2], [])
        assert mine.digest == yours.digest

    play(story)


def test_an_iteration_that_ends_is_an_error_like_others() -> None:
    """An exception that asyncio takes for a word of its own."""

    async def story(stage: Stage) -> None:
        mine = bank(client_of(stage))
        with pytest.raises(RuntimeError):
            await mine.call(Bank.end)
        assert await mine.call(Bank.deposit, "a", 1) == 1
        assert await mine.call(Bank.end) == "a"

    play(story)


@pytest.mark.parametrize(("calls", "size", "commits"), [(300, 1, 3), (12, 100_000, 3)])
def test_what_is_asked_for_at_once_goes_together_as_far_as_one_commit_takes(
    calls: int, size: int, commits: int
) -> None:
    async def story(stage: Stage) -> None:
        sessions = client_of(stage)
        asked: list[list[Put]] = []
        commit = sessions.backend.commit

        async def noted(guards: Sequence[Guard], changes: Sequence[Put]) -> int | None:
            if changes[0].key == "text/extent":
                asked.append(list(changes))
            return await commit(guards, changes)

        sessions.backend.commit = noted  # type: ignore[method-assign, assignment]
        mine = Replica(sessions, "text", Text)
        lengths = await asyncio.gather(*(mine.call(Text.append, "x" * size) for _ in range(calls)))
        assert lengths == [size * each for each in range(1, calls + 1)]
        assert len(asked) == commits
        capabilities = sessions.backend.capabilities
        assert max(map(len, asked)) <= capabilities.changes
        assert max(sum(len(put.value) for put in each) for each in asked) <= capabilities.value_bytes

    play(story)


def test_what_is_too_large_is_not_done() -> None:
    async def story(stage: Stage) -> None:
        mine = Replica(client_of(stage), "text", Text)
        with pytest.raises(TooLarge):
            await mine.call(Text.append, "x" * (1 << 19))
        assert await mine.call(Text.append, "x" * 1000) == 1000
        with pytest.raises(TooLarge):
            await mine.call(Text.repeat, 17_000)
        assert await mine.call(Text.length) == 1000
        assert await mine.call(Text.repeat, 16_000) == 16_000_000

    play(story)
