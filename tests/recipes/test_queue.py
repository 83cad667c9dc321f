"""Each job is handed out until it is done, to one at a time; what is done with that is done once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest

from agreed.backends.contract import At, Change, Delete, Entry, Guard, Put
from agreed.client.errors import ConnectionLost, TimedOut
from agreed.recipes import queue as queue_module
from agreed.recipes.codec import codec_of
from agreed.recipes.errors import AcquireTimeout, CodecError, Differs, JobLost, NotHeld, QueueFull
from agreed.recipes.job import Job
from agreed.recipes.queue import Queue
from agreed.recipes.queue_layout import MINUTE_MS, State, decode
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy

NUMBERS = codec_of(int)


def numbers(sessions: Sessions, most: int | None = None) -> Queue[int]:
    return Queue(sessions, "q", NUMBERS, most=most)


async def drained(queue: Queue[int]) -> list[int]:
    found = []
    while (job := await queue.try_take()) is not None:
        found.append(job.value)
        await job.ack()
    return found


async def nothing_is_left(sessions: Sessions) -> None:
    await sessions.tidied()
    await sessions.certain.settled()
    assert await numbers(sessions).count() == 0
    for part in ("claims", "jobs", "later"):
        assert await sessions.backend.names(f"q/{part}") == []


async def state_of(sessions: Sessions) -> State:
    entry = await sessions.backend.get("q/state")
    assert entry is not None
    return decode("q/state", entry.value)


@pytest.fixture
def buckets_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "PUTS_OF_BUCKET", 3)


@pytest.mark.usefixtures("buckets_of_three")
def test_first_in_first_out_over_many_buckets(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = numbers(one), numbers(two)
            for number in range(20):
                await (mine, yours)[number % 2].put(number)
            assert await mine.count() == 20
            assert (await state_of(one)).levels[5].last > 0
            assert await drained(yours) == list(range(20))
            levels = (await state_of(one)).levels
            assert levels[5].first == levels[5].last
            await nothing_is_left(one)

    clients.play(story)


@pytest.mark.usefixtures("buckets_of_three")
def test_what_is_urgent_goes_first(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            queue = numbers(one)
            for number in range(12):
                await queue.put(number, priority=(9, 0, 5)[number % 3])
            assert await drained(queue) == [1, 4, 7, 10, 2, 5, 8, 11, 0, 3, 6, 9]
            with pytest.raises(ValueError, match="0 to 9"):
                await queue.put(1, priority=10)

    clients.play(story)


@pytest.mark.usefixtures("buckets_of_three")
def test_many_who_put_and_many_who_take_lose_nothing_and_have_nothing_twice(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            done: list[int] = []
            tokens: list[int] = []
            held: set[int] = set()

            async def produce(sessions: Sessions, begin: int) -> None:
                queue = numbers(sessions)
                for number in range(begin, begin + 8):
                    await queue.put(number)

            async def consume(sessions: Sessions) -> None:
                async for job in numbers(sessions):
                    async with job:
                        assert job.value not in held
                        held.add(job.value)
                        tokens.append(job.token)
                        await asyncio.sleep(0)
                        held.remove(job.value)
                        done.append(job.value)
                    if len(done) == 32:
                        return

            consumers = [asyncio.create_task(consume(each)) for each in (one, two, three)]
            producers = (one, two, three, one)
            await asyncio.gather(*(produce(each, 8 * number) for number, each in enumerate(producers)))
            await asyncio.wait(consumers, return_when=asyncio.FIRST_COMPLETED)
            for consumer in consumers:
                consumer.cancel()
            await asyncio.wait(consumers)
            assert sorted(done) == list(range(32))
            assert len(set(tokens)) == 32
            for each in (two, three):  # who was cancelled while he said that it is done says so to its end
                await each.tidied()
                await each.certain.settled()
            await nothing_is_left(one)

    clients.play(story)


def test_who_waits_has_it_when_it_comes_and_who_waits_in_vain_has_nothing(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            waiting = asyncio.create_task(numbers(one).take())
            with pytest.raises(AcquireTimeout):
                await numbers(two).take(0.1)
            assert await numbers(two).try_take() is None
            await numbers(two).put(7)
            job = await waiting
            assert job.value == 7
            assert await numbers(two).try_take() is None
            await job.ack()
            with pytest.raises(NotHeld):
                await job.ack()
            await nothing_is_left(one)

    clients.play(story)


def test_a_body_that_fails_gives_its_job_back_and_the_next_token_is_larger(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            queue = numbers(one)
            await queue.put(1)
            await queue.put(2)
            first = await queue.take()
            with pytest.raises(ValueError, match="mine"):
                async with first:
                    raise ValueError("mine")
            assert not first.held
            async with await numbers(two).take() as again:
                assert (again.value, again.token > first.token) == (1, True)
            assert await drained(queue) == [2]
            await nothing_is_left(one)

    clients.play(story)


def test_whose_session_ends_loses_his_jobs_and_cannot_say_that_they_are_done(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            await numbers(two).put(1)
            jobs: list[Job[int]] = []

            async def work() -> None:
                async with await numbers(one).take() as job:
                    jobs.append(job)
                    await job.session.close()
                    await asyncio.Event().wait()

            with pytest.raises(JobLost):
                await work()
            again = await numbers(two).take(30.0)
            assert again.value == 1
            assert again.token > jobs[0].token
            with pytest.raises(JobLost):
                await jobs[0].ack()
            await again.ack()
            await nothing_is_left(two)

    clients.play(story)


def test_what_is_done_with_the_acknowledgement_is_done_by_who_has_the_job(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            await numbers(one).put(1)
            lost = await numbers(one).take()
            await two.backend.commit([], [Delete(lost.key)])  # as an operator does
            again = await numbers(two).take(30.0)
            with pytest.raises(JobLost):
                await lost.ack(also=[Put("result", b"lost")])
            assert lost.lost
            async with again:
                await again.ack(also=[Put("result", b"again")])
            entry = await one.backend.get("result")
            assert entry is not None
            assert entry.value == b"again"
            await nothing_is_left(one)

    clients.play(story)


async def postponed(job: Job[int]) -> None:
    await job.postpone(0.001)


@pytest.mark.parametrize("settle", [Job.ack, postponed], ids=["done", "put off"])
def test_who_says_what_becomes_of_his_job_is_not_told_that_it_is_lost(
    clients: Clients, settle: Callable[[Job[int]], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was held for so long that its key is watched, and that goes before he hears that it is done."""
    monkeypatch.setattr("agreed.recipes.grant.LOOK_AFTER_S", 0.0)

    async def story() -> None:
        async with clients() as one:
            commit = one.backend.commit

            async def answered_late(guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
                revision = await commit(guards, changes)
                await asyncio.sleep(0.3)  # time for what would be wrong to happen
                return revision

            await numbers(one).put(1)
            async with await numbers(one).take() as job:
                await until_watched(one, job)
                monkeypatch.setattr(one.backend, "commit", answered_late)
                await settle(job)
            assert not job.lost
            with pytest.raises(NotHeld):
                await job.ack()

    clients.play(story)


def test_a_job_is_watched_again_where_nobody_took_what_was_said_of_it(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.recipes.grant.LOOK_AFTER_S", 0.0)

    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            await numbers(one).put(1)
            with pytest.raises(JobLost, match="deleted by somebody else"):
                async with await numbers(sessions).take() as job:
                    way.lose(Loss.REFUSED)
                    with pytest.raises(ConnectionLost):
                        await job.ack()
                    await two.backend.commit([], [Delete(job.key)])
                    await asyncio.Event().wait()
            await sessions.close()

    clients.play(story)


async def until_watched(sessions: Sessions, job: Job[int]) -> None:
    """Somebody who deletes its key would be noticed."""
    while job._watching is None:
        await asyncio.sleep(0.001)
    await sessions.backend.get(job.key)
    await asyncio.sleep(0.05)


def test_a_job_that_was_lost_unnoticed_is_not_done_at_the_end_of_its_body(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agreed.recipes.grant.LOOK_AFTER_S", 3600.0)

    async def story() -> None:
        async with clients() as one, clients() as two:
            await numbers(one).put(1)
            with pytest.raises(JobLost):
                async with await numbers(one).take() as job:
                    await two.backend.commit([], [Delete(job.key)])
                    again = await numbers(two).take(30.0)
            await again.ack()
            await nothing_is_left(one)

    clients.play(story)


def test_answers_that_are_lost_neither_lose_nor_double_a_job(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            queue = numbers(sessions)
            done = []
            await queue.put(0)
            every = [Loss.DONE, Loss.NOT_DONE, Loss.LATE]
            for number in range(1, 7):
                way.lose(every[number % 3])
                await queue.put(number)
            for number in range(7):
                way.lose(every[number % 3])  # of the claim
                job = await queue.take(30.0)
                way.lose(every[number % 2])  # of the acknowledgement
                await job.ack(also=[Put(f"results/{job.value}", b"")])
                done.append(job.value)
                await way.arrive()
            assert done == list(range(7))
            assert way.lost == 20
            assert len(await two.backend.names("results")) == 7
            await nothing_is_left(two)

    clients.play(story)


class Clock:
    """The clock of all queues of this process; it stands still where a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stands_at_s: float | None = None
        self.later_s = 0.0
        monkeypatch.setattr(queue_module, "now_ms", lambda: int(self.now_s() * 1000))

    def now_s(self) -> float:
        return self.later_s + (time.time() if self._stands_at_s is None else self._stands_at_s)

    def stand_still(self) -> None:
        self._stands_at_s = time.time()

    def go_on(self) -> None:
        self.later_s = self.now_s() - time.time()
        self._stands_at_s = None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_delayed_job_comes_when_its_time_has_come(clients: Clients, clock: Clock) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            queue = numbers(one)
            clock.stand_still()
            await queue.put(1, delay=150.0, priority=0)
            await queue.put(2, delay=100.0, priority=0)
            await queue.put(3, delay=0.2)
            assert await queue.try_take() is None
            assert await queue.count() == 3
            clock.go_on()
            job = await numbers(two).take(30.0)
            assert job.value == 3
            await job.ack()
            assert await queue.try_take() is None
            clock.later_s += 300.0
            assert await drained(numbers(two)) == [2, 1]
            await nothing_is_left(one)
            for _ in range(10):
                assert await queue.try_take() is None
            assert (await state_of(one)).later == {}
            with pytest.raises(ValueError, match="at most"):
                await queue.put(1, delay=1e9)

    clients.play(story)


def test_a_job_that_is_put_into_a_minute_that_is_being_forgotten_is_not_forgotten(
    clients: Clients, clock: Clock
) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            queue, other = numbers(one), numbers(two)
            clock.stand_still()
            clock.later_s = MINUTE_MS / 1000 - clock.now_s() % (MINUTE_MS / 1000)  # a minute begins
            await queue.put(1, delay=0.001)
            clock.later_s += 1.0
            await (await queue.take()).ack()
            minute = next(iter((await state_of(one)).later))
            seen = await queue._look()
            await queue._forget(seen, minute, is_open=True)
            closed = await queue._look()
            assert closed.state.later == {minute: False}
            await other._commit(lambda state: (state.with_minute(minute), [], []))
            await queue._forget(closed, minute, is_open=False)
            assert (await state_of(one)).later == {minute: True}, "it was open again, and may have jobs"
            assert minute * MINUTE_MS <= clock.now_s() * 1000

    clients.play(story)


def test_a_job_may_be_put_off(clients: Clients, clock: Clock) -> None:
    async def story() -> None:
        async with clients() as one:
            queue = numbers(one)
            await queue.put(1)
            await queue.put(2)
            async with await queue.take() as job:
                clock.stand_still()
                due_s = clock.now_s() + 0.3
                await job.postpone(0.3)
            second = await queue.take()
            assert second.value == 2
            await second.ack()
            clock.go_on()
            again = await queue.take(30.0)
            assert clock.now_s() >= due_s
            assert again.value == 1
            await again.ack()
            await nothing_is_left(one)

    clients.play(story)


def test_who_lost_a_job_unnoticed_cannot_put_it_off(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            await numbers(one).put(1)
            lost = await numbers(one).take()
            await two.backend.commit([], [Delete(lost.key)])
            again = await numbers(two).take(30.0)
            with pytest.raises(JobLost):
                await lost.postpone(0.001)
            await again.ack()
            await nothing_is_left(one)

    clients.play(story)


def test_what_could_not_be_acknowledged_is_given_back(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            sessions, way = lossy(one)
            await numbers(two).put(1)
            with pytest.raises(ConnectionLost, match="was not done"):
                async with await numbers(sessions).take():
                    way.lose(Loss.REFUSED, Loss.REFUSED, Loss.REFUSED)
            again = await numbers(two).take(30.0)
            await again.ack()
            await nothing_is_left(two)

    clients.play(story)


async def until_it_is_full(queue: Queue[int], number: int) -> None:
    """On a machine that is slow the time may be over before it has looked."""
    for timeout in (0.4, 5.0, 30.0):
        with pytest.raises((QueueFull, TimedOut)) as told:
            await queue.put(number, timeout=timeout)
        if isinstance(told.value, QueueFull):
            return
    raise AssertionError("it is not full")


def test_a_full_queue_takes_no_more_until_one_is_done(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            mine, yours = numbers(one, 2), numbers(two, 2)
            await mine.put(1)
            await yours.put(2)
            await until_it_is_full(mine, 3)
            waiting = asyncio.create_task(mine.put(3))
            job = await yours.take()
            await until_it_is_full(yours, 4)  # who works on it still has it
            await job.ack()
            await waiting
            assert await drained(yours) == [2, 3]
            await asyncio.gather(*(each.put(1, timeout=30.0) for each in (mine, yours)))
            assert (await state_of(one)).jobs == 2
            with pytest.raises(Differs):
                await numbers(one).put(1)
            with pytest.raises(ValueError, match="one job or more"):
                numbers(one, 0)

    clients.play(story)


def test_a_wait_that_is_cancelled_leaves_nothing_taken(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            queue = numbers(one)
            for turns in range(25):
                task = asyncio.create_task(numbers(two).take())
                await queue.put(turns)
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    await task.result().release()
                await two.tidied()
                assert await drained(queue) == [turns]
            await nothing_is_left(one)

    clients.play(story)


def test_what_cannot_be_read_is_a_job_like_others(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            await Queue(one, "q", codec_of(str)).put("twelve")
            job = await numbers(one).take()
            with pytest.raises(CodecError):
                assert job.value
            assert job.raw == b"twelve"
            assert (job.name, job.priority) == ("q", 5)
            await job.ack()
            with pytest.raises(CodecError):
                await numbers(one).put("twelve")  # type: ignore[arg-type]
            entry: Entry | None = await one.backend.get("q/state")
            assert entry is not None
            await one.backend.commit([At(entry.key, entry.version)], [Put(entry.key, b"?")])
            with pytest.raises(CodecError, match="no queue"):
                await numbers(one).take()

    clients.play(story)


def test_who_takes_does_not_look_at_all_that_is_there(clients: Clients) -> None:
    """Three hundred jobs in buckets: what a `take` reads does not grow with them."""

    async def story() -> None:
        async with clients() as one:
            queue = numbers(one)
            for begin in range(0, 300, 30):
                await asyncio.gather(*(queue.put(begin) for _ in range(30)))
                await queue._commit(lambda state: (state.bucket_closed(5), [], []))
            read = 0
            entries = one.backend.entries

            async def counted(directory: str) -> list[Entry]:
                nonlocal read
                found = await entries(directory)
                read += len(found)
                return found

            one.backend.entries = counted  # type: ignore[method-assign]
            jobs = [await queue.take() for _ in range(5)]
            assert read <= 5 * 35
            for job in jobs:
                await job.release()

    clients.play(story)
