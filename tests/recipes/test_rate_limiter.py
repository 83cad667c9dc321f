"""No more than the bucket holds and what drips into it, whoever asks; by clocks that the test turns."""

from __future__ import annotations

import asyncio

import pytest

from agreed.client.errors import SessionClosed
from agreed.recipes.errors import AcquireTimeout, Differs
from agreed.recipes.rate_limiter import RateLimiter
from agreed.recipes.sessions import Sessions
from tests.recipes.conftest import Clients
from tests.recipes.lossy import Loss, lossy

START_S = 1_700_000_000.0


class Clock:
    """A wall clock that is ahead by so much, and a monotonic one, both turned by the test."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.elapsed_s = 0.0
        self.ahead_s = ahead_s

    def limiter(self, sessions: Sessions, permits: int, period_s: float, burst: int) -> RateLimiter:
        return RateLimiter(
            sessions,
            "mail",
            permits,
            period_s,
            burst=burst,
            wall_s=lambda: START_S + self.ahead_s + self.elapsed_s,
            monotonic_s=lambda: 5.0 + self.elapsed_s,
        )


async def given(*limiters: RateLimiter) -> int:
    """How many they get before none gets any."""
    count = 0
    while any([await each.try_acquire() for each in limiters]):
        count += 1
    return count


def test_a_burst_and_then_what_drips(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            clock = Clock()
            mine, yours = (clock.limiter(each, 10, 1.0, 5) for each in (one, two))
            assert [await each.try_acquire() for each in (mine, yours) * 3] == [True] * 5 + [False]
            clock.elapsed_s = 0.0999
            assert not await yours.try_acquire()
            clock.elapsed_s = 0.1
            assert await yours.try_acquire()
            assert not await mine.try_acquire()
            clock.elapsed_s = 0.4
            assert not await mine.try_acquire(4)
            assert await mine.try_acquire(3)
            clock.elapsed_s = 100.0
            assert await yours.try_acquire(5), "a bucket that was long full holds no more than a burst"
            assert not await yours.try_acquire()

    clients.play(story)


def test_many_at_once_get_no_more_than_there_are(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two, clients() as three:
            clock = Clock()
            limiters = [clock.limiter(each, 10, 1.0, 7) for each in (one, two, three)]
            taken = await asyncio.gather(*(each.try_acquire() for each in limiters * 5))
            assert sum(taken) == 7

    clients.play(story)


def test_a_clock_that_is_ahead_gives_what_it_is_ahead_once_and_locks_nobody_out(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            slow, fast = Clock(), Clock(ahead_s=0.3)
            right, wrong = slow.limiter(one, 10, 1.0, 5), fast.limiter(two, 10, 1.0, 5)
            assert [await right.try_acquire() for _ in range(6)] == [True] * 5 + [False]
            assert [await wrong.try_acquire() for _ in range(4)] == [True] * 3 + [False]
            assert not await right.try_acquire()
            for clock in (slow, fast):
                clock.elapsed_s = 0.1
            assert await right.try_acquire(), "it goes on from the newest time, and does not wait for it"
            assert not await wrong.try_acquire()
            far = Clock(ahead_s=3600.0).limiter(two, 10, 1.0, 5)
            assert [await far.try_acquire() for _ in range(6)] == [True] * 5 + [False]
            assert not await right.try_acquire()
            slow.elapsed_s = 0.2
            assert await right.try_acquire()

    clients.play(story)


def test_who_waits_gets_his_own_in_the_end_and_who_cannot_is_told_at_once(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            limiter = RateLimiter(one, "mail", 50, 1.0, burst=2)
            loop = asyncio.get_running_loop()
            began = loop.time()
            await asyncio.gather(*(limiter.acquire() for _ in range(6)))
            assert loop.time() - began > 0.075
            slow = RateLimiter(one, "post", 1, 3600.0)
            await slow.acquire(timeout=5.0)
            began = loop.time()
            with pytest.raises(AcquireTimeout, match="but in 3"):
                await slow.acquire(timeout=30.0)
            assert loop.time() - began < 20
            waiting = asyncio.create_task(slow.acquire())
            with pytest.raises(AcquireTimeout):
                await slow.acquire(timeout=0.05)  # behind the one who waits
            before = await one.backend.get("post")
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await one.backend.get("post") == before, "who stops waiting has taken none"

    clients.play(story)


def test_who_waits_hears_that_the_client_is_closed(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            limiter = RateLimiter(one, "mail", 1, 3600.0)
            await limiter.acquire()
            waiting = [asyncio.create_task(limiter.acquire()) for _ in range(2)]
            await asyncio.sleep(0.05)
            await one.end()
            with pytest.raises(SessionClosed) as raised:
                await waiting[0]
            assert raised.value.surely_not_done
            waiting[1].cancel()
            await asyncio.wait(waiting)

    clients.play(story)


def test_those_of_one_object_are_served_in_the_order_in_which_they_came(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            limiter = RateLimiter(one, "mail", 100, 1.0, burst=1)
            served: list[int] = []

            async def wait(number: int) -> None:
                await limiter.acquire()
                served.append(number)

            await asyncio.gather(*map(wait, range(7)))
            assert served == list(range(7))

    clients.play(story)


def test_a_permit_whose_answer_is_lost_is_taken_once(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one:
            sessions, way = lossy(one)
            limiter = Clock().limiter(sessions, 10, 1.0, 6)
            way.lose(Loss.DONE, Loss.NOT_DONE, Loss.LATE)
            assert await limiter.try_acquire()
            await way.arrive()
            way.lose(Loss.LATE, Loss.DONE)
            assert await limiter.try_acquire()
            await way.arrive()
            assert await given(limiter) == 4

    clients.play(story)


def test_who_says_another_rate_is_refused(clients: Clients) -> None:
    async def story() -> None:
        async with clients() as one, clients() as two:
            await RateLimiter(one, "mail", 10, 1.0).acquire()
            with pytest.raises(Differs, match="10 permits in a period, and not 20"):
                await RateLimiter(two, "mail", 20, 1.0).acquire()
            with pytest.raises(Differs, match="1 seconds in a period, and not 60"):
                await RateLimiter(two, "mail", 10, 60.0).acquire()
            with pytest.raises(Differs, match="10 permits in a burst, and not 3"):
                await RateLimiter(two, "mail", 10, 1.0, burst=3).try_acquire()
            with pytest.raises(ValueError, match="between 1 and 10"):
                await RateLimiter(two, "mail", 10, 1.0).acquire(11)

    clients.play(story)


@pytest.mark.parametrize(("permits", "period_s", "burst"), [(0, 1.0, 1), (1, 0.0, 1), (1, 1.0, 0)])
def test_a_rate_of_nothing_is_none(permits: int, period_s: float, burst: int) -> None:
    with pytest.raises(ValueError, match="more than nothing"):
        RateLimiter(None, "mail", permits, period_s, burst=burst)  # type: ignore[arg-type]
