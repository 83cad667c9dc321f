"""What an error says of what was done is so, also where one thing goes wrong after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from agreed.backends.contract import Change, Guard, Put
from agreed.client.errors import ClientError, ConnectionLost, NoAuth, SessionExpired, TimedOut
from agreed.errors import AgreedError
from agreed.recipes.barrier import Barrier, DoubleBarrier
from agreed.recipes.codec import codec_of
from agreed.recipes.counter import Counter
from agreed.recipes.errors import AcquireTimeout, Conflict, LockLost, WaitTimeout
from agreed.recipes.lock import Lock
from agreed.recipes.queue import Queue
from agreed.recipes.rate_limiter import RateLimiter
from agreed.recipes.semaphore import Semaphore
from agreed.recipes.sessions import Sessions
from agreed.recipes.transactions import Transaction, transact
from tests.recipes.lossy import Loss, lossy
from tests.recipes.stage import Stage, StageBackend, StageSession
from tests.recipes.world.virtual import run


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await story()

    run(0, bounded())


class Refusing(StageBackend):
    """`refuses`: whatever is asked next fails like this, once."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.refuses: list[ClientError] = []

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        error = self.refuses.pop(0) if self.refuses else None
        if error is not None:
            if isinstance(error, ConnectionLost):
                await super().commit(guards, changes)
            raise error
        return await super().commit(guards, changes)


def test_what_was_done_is_not_called_undone_because_the_question_for_it_was_refused() -> None:
    """The answer is lost, and whoever asks has no right any more."""

    async def story() -> None:
        backend = Refusing(Stage())
        sessions = Sessions(backend, 10.0)
        await sessions.certain.commit([], [Put("a", b"1")])  # a slot is there
        backend.refuses = [ConnectionLost("on its way", maybe=True), NoAuth("a")]
        with pytest.raises(ClientError) as told:
            await sessions.certain.commit([], [Put("a", b"2")])
        assert told.value.maybe
        assert backend.stage.entries["a"].value == b"2"

    play(story)


def test_a_session_that_ended_before_a_job_was_claimed_with_it_is_replaced() -> None:
    async def story() -> None:
        backend = Refusing(Stage())
        await Queue(Sessions(StageBackend(backend.stage), 10.0), "q", codec_of(str)).put("a")
        sessions = Sessions(backend, 10.0)
        first = cast("StageSession", await sessions.get())

        backend.refuses = [SessionExpired("the cluster says so", maybe=False)]
        commit = backend.commit

        async def ends(guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
            if backend.refuses:
                first.end()
            return await commit(guards, changes)

        backend.commit = ends  # type: ignore[method-assign]
        job = await Queue(sessions, "q", codec_of(str)).take(5.0)
        assert job.value == "a"
        assert job.session is not first

    play(story)


def test_a_change_whose_answer_was_lost_is_not_called_undone_because_something_strange_stands_there() -> None:
    async def story() -> None:
        stage = Stage()
        sessions, way = lossy(Sessions(stage.client(), 10.0))
        counter = Counter(sessions, "n")
        await counter.add()
        way.lose(Loss.DONE)

        async def somebody_else() -> None:
            stage.revision += 1
            stage.put("n", b"not a counter", 0)

        way.meanwhile = somebody_else
        with pytest.raises(AgreedError) as told:
            await counter.add()
        assert not told.value.surely_not_done

    play(story)


def test_a_transaction_under_a_lock_that_is_lost_ends() -> None:
    """What was created and is gone never comes again: who waits for it waits for ever."""

    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)
        held = await Lock(sessions, "a").acquire()
        stage.delete(held.key)

        async def work(t: Transaction) -> None:
            t.require(held.condition())
            t.put("b", b"")

        with pytest.raises(Conflict) as told:
            await transact(sessions, work)
        assert told.value.surely_not_done
        assert "b" not in stage.entries

    play(story)


async def never(question: str) -> None:
    await asyncio.Event().wait()


ALWAYS = "every question"


@pytest.mark.parametrize("silent", [ALWAYS, "commit", "get"])
@pytest.mark.parametrize(
    "wait",
    [
        lambda sessions: Semaphore(sessions, "s", 1).acquire(0.05),
        lambda sessions: Lock(sessions, "a").acquire(0.05),
        lambda sessions: Barrier(sessions, "b", 2).wait(0.05),
        lambda sessions: DoubleBarrier(sessions, "d", 2).once(0.05).__aenter__(),
        lambda sessions: Queue(sessions, "q", codec_of(str)).take(0.05),
        lambda sessions: Queue(sessions, "p", codec_of(str), most=1).put("two", timeout=0.05),
        lambda sessions: RateLimiter(sessions, "r", 1, 1000.0).acquire(timeout=0.05),
    ],
    ids=["permit", "lock", "barrier", "double barrier", "job", "place", "rate"],
)
def test_the_time_to_wait_is_over_also_where_nobody_answers(
    wait: Callable[[Sessions], Awaitable[Any]], silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.recipes.barrier.KNOWN_WITHIN_S", 0.05)

    async def story() -> None:
        stage = Stage()
        other = Sessions(stage.client(), 10.0)
        sessions = Sessions(stage.client(), 10.0)
        await Queue(other, "p", codec_of(str), most=1).put("one")
        await RateLimiter(other, "r", 1, 1000.0).acquire()

        async def nobody(question: str) -> None:
            if silent in (ALWAYS, question):
                await never(question)

        stage.before = nobody
        async with asyncio.timeout(10.0):
            task = asyncio.ensure_future(wait(sessions))
            await asyncio.wait([task])
        ended = task.exception()
        assert ended is None or isinstance(ended, AgreedError)

    play(story)


def test_who_may_have_taken_a_permit_in_the_last_moment_is_told_so() -> None:
    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)

        class Slow(StageBackend):
            async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
                await super().commit(guards, changes)
                return cast("int | None", await never("commit"))

        limiter = RateLimiter(Sessions(Slow(stage), 10.0), "r", 1, 1000.0)
        with pytest.raises(AcquireTimeout) as told:
            await limiter.acquire(timeout=0.1)
        assert not told.value.surely_not_done
        assert not await RateLimiter(sessions, "r", 1, 1000.0).try_acquire(), "it is taken"
        with pytest.raises(AcquireTimeout) as told:
            await RateLimiter(sessions, "r", 1, 1000.0).acquire(timeout=0.1)
        assert told.value.surely_not_done

    play(story)


def test_a_party_that_may_have_been_let_through_in_the_last_moment_is_told_so() -> None:
    async def story() -> None:
        stage = Stage()
        mine, yours = Sessions(stage.client(), 10.0), Sessions(stage.client(), 10.0)
        waiting = asyncio.create_task(Barrier(mine, "b", 2).wait(0.3))
        while await Barrier(yours, "b", 2).waiting() != 1:
            await asyncio.sleep(0.01)
        backend = cast("StageBackend", mine.backend)
        backend.get = backend.commit = lambda *_: never("")  # type: ignore[method-assign,assignment]
        assert await Barrier(yours, "b", 2).wait() == 1
        with pytest.raises(WaitTimeout) as told:
            await waiting
        assert not told.value.surely_not_done

    play(story)


def test_that_a_key_was_deleted_is_noticed_also_after_nobody_could_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agreed.recipes.grant.LOOK_AFTER_S", 0.0)

    async def story() -> None:
        stage = Stage()
        sessions = Sessions(stage.client(), 10.0)
        failures = 2

        async def away(question: str) -> None:
            nonlocal failures
            await asyncio.sleep(0)
            if question == "get" and failures:
                failures -= 1
                raise TimedOut("no answer in time", maybe=False)

        with pytest.raises(LockLost, match="deleted"):
            async with Lock(sessions, "a") as held:
                stage.before = away
                while failures or not stage.watching:
                    await asyncio.sleep(0.01)
                stage.delete(held.key)
                await never("")

    play(story)


def test_a_double_barrier_is_left_also_where_that_is_not_answered_at_first() -> None:
    """Else the others wait within for somebody who is out, for as long as his program lives."""

    async def story() -> None:
        stage = Stage()
        mine, yours = Sessions(stage.client(), 10.0), Sessions(stage.client(), 10.0)
        one, two = DoubleBarrier(mine, "d", 2), DoubleBarrier(yours, "d", 2)
        inside = asyncio.Event()

        async def other() -> None:
            async with two:
                inside.set()

        going = asyncio.create_task(other())
        with pytest.raises(ValueError, match="mine"):
            async with one:
                await inside.wait()
                way = cast("Any", mine.backend)
                way.commit = lambda *_: _fails()
                raise ValueError("mine")
        await asyncio.sleep(0.3)
        del way.commit
        await going

    async def _fails() -> None:
        raise TimedOut("no answer in time", maybe=True)

    play(story)
