"""Standing for election again and again, as whatever happens to the service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agreed.errors import ConfigurationError
from agreed.integrations.candidacy import Candidacy, Where
from agreed.recipes.election import Term
from agreed.recipes.errors import LeadershipLost
from agreed.testing.server import ZooKeeperServer

WITHIN_S = 30.0


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.005)


class Worker:
    """What is begun and ended, as a candidate sees it."""

    def __init__(self, url: str, name: str = "work", ttl_s: float = 10.0) -> None:
        self.candidacy = Candidacy(Where(url=url, name=name, ttl_s=ttl_s))
        self.tokens: list[int] = []
        self.ended = 0

    async def work(self, term: Term) -> None:
        self.tokens.append(term.token)
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1

    def start(self, work: Callable[[Term], Awaitable[None]] | None = None) -> asyncio.Task[None]:
        return asyncio.create_task(self.candidacy.run(work or self.work))


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def test_one_works_and_the_next_follows_when_it_is_cancelled() -> None:
    async def story() -> None:
        one, two = Worker("memory://candidacy/a"), Worker("memory://candidacy/a")
        first = one.start()
        await until(one.candidacy.certain)
        second = two.start()
        await asyncio.sleep(0.05)
        assert two.tokens == []
        await end(first)
        assert one.ended == 1
        assert one.candidacy.certain() is None
        await until(two.candidacy.certain)
        assert two.tokens[0] > one.tokens[0]
        await end(second)

    asyncio.run(story())


def test_what_is_lost_is_stood_for_again(zk_server: ZooKeeperServer) -> None:
    async def story() -> None:
        worker = Worker(zk_server.url)
        task = worker.start()
        await until(worker.candidacy.certain)
        term = worker.candidacy.certain()
        assert term is not None
        zk_server.faults.expire(term.session.id)
        await until(lambda: len(worker.tokens) == 2)
        assert worker.tokens[1] > worker.tokens[0]
        assert worker.ended == 1
        await end(task)

    asyncio.run(story())


def test_work_that_notices_a_loss_is_begun_again(zk_server: ZooKeeperServer) -> None:
    terms = []

    async def work(term: Term) -> None:
        terms.append(term)
        if len(terms) == 1:
            zk_server.faults.expire(term.session.id)
            while True:
                term.check()
                await asyncio.sleep(0.005)
        await asyncio.Event().wait()

    async def story() -> None:
        task = Worker(zk_server.url).start(work)
        await until(lambda: len(terms) == 2)
        await end(task)

    asyncio.run(story())


def test_who_loses_his_place_in_line_stands_again(zk_server: ZooKeeperServer) -> None:
    async def story() -> None:
        one, two = Worker(zk_server.url), Worker(zk_server.url)
        first = one.start()
        await until(one.candidacy.certain)
        second = two.start()
        await until(lambda: two.candidacy.client is not None)
        assert two.candidacy.client is not None
        election = two.candidacy.client.election("work")
        while len(waiting := await election.waiters()) != 1:
            await asyncio.sleep(0.005)
        zk_server.faults.expire(waiting[0].session)
        await end(first)
        await until(two.candidacy.certain)
        await end(second)

    asyncio.run(story())


def test_a_mistake_after_a_loss_is_not_taken_for_the_loss(zk_server: ZooKeeperServer) -> None:
    async def work(term: Term) -> None:
        zk_server.faults.expire(term.session.id)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("while it was cleaned up") from None

    async def story() -> None:
        with pytest.raises(LeadershipLost) as told:
            await asyncio.wait_for(Worker(zk_server.url).start(work), WITHIN_S)
        assert isinstance(told.value.__cause__, ValueError)

    asyncio.run(story())


def test_a_service_that_does_not_answer_is_waited_for(zk_server: ZooKeeperServer) -> None:
    async def story() -> None:
        worker = Worker(zk_server.url)
        with zk_server.faults.unreachable():
            task = worker.start()
            await asyncio.sleep(0.1)
            assert not task.done()
        await until(worker.candidacy.certain)
        await end(task)

    asyncio.run(story())


def test_what_waiting_does_not_mend_is_raised() -> None:
    async def story() -> None:
        with pytest.raises(ConfigurationError, match="nowhere is none of"):
            await Worker("nowhere://a").start()

    asyncio.run(story())


@pytest.mark.parametrize("error", [ValueError("a mistake"), LeadershipLost("that of something else")])
def test_what_the_work_raises_ends_the_candidacy_unless_it_is_a_loss(error: Exception) -> None:
    begun = []

    async def work(term: Term) -> None:
        begun.append(term)
        if len(begun) == 1:
            raise error

    async def story() -> None:
        task = Worker("memory://candidacy/b").start(work)
        if isinstance(error, LeadershipLost):
            await until(lambda: len(begun) > 1)
            await end(task)
        else:
            with pytest.raises(ValueError, match="a mistake"):
                await task

    asyncio.run(story())


def test_work_that_fails_to_clean_up_does_not_outlive_its_cancellation() -> None:
    """It was cancelled once, by somebody who then waits for its end."""
    begun: list[int] = []

    async def work(term: Term) -> None:
        begun.append(term.token)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if len(begun) == 1:
                raise LeadershipLost("that of something else") from None
            raise

    async def story() -> None:
        task = Worker("memory://candidacy/c").start(work)
        await until(lambda: begun)
        task.cancel()
        await until(lambda: task.done() or len(begun) > 1)
        assert len(begun) == 1

    asyncio.run(story())
