"""Background work of web applications, with the messages that a server would exchange, and no server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from agreed.errors import ConfigurationError
from agreed.integrations.asgi import LeadershipHere, LeadingMiddleware, leading, working
from agreed.integrations.candidacy import Where
from agreed.recipes.election import Term
from agreed.recipes.errors import LeadershipLost
from agreed.testing.server import ZooKeeperServer

WITHIN_S = 30.0

_numbers = itertools.count(1)


def nowhere_else() -> str:
    return f"memory://asgi/{next(_numbers)}"


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.005)


class Work:
    """What an application does in the background."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended = 0

    async def __call__(self, term: Term) -> None:
        self.begun.append(term.token)
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1


class Server:
    """What uvicorn says to an application."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.said: list[str] = []
        self.state: dict[str, Any] = {}
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def __aenter__(self) -> Server:
        async def send(message: Any) -> None:
            self.said.append(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        self.task = asyncio.create_task(self.app(scope, self._heard.get, send))
        self._heard.put_nowait({"type": "lifespan.startup"})
        await until(lambda: self.said or self.task.done())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.shut_down()
        await asyncio.wait_for(self.task, WITHIN_S)

    def shut_down(self) -> None:
        self._heard.put_nowait({"type": "lifespan.shutdown"})

    async def get(self, path: str) -> bytes:
        body = b""

        async def send(message: Any) -> None:
            nonlocal body
            body += message.get("body", b"")

        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [],
            "state": dict(self.state),
        }
        await self.app(scope, self._heard.get, send)
        return body


async def leader(request: Request) -> JSONResponse:
    here: LeadershipHere = request.state.leadership
    return JSONResponse([here.leads, here.token])


def application(work: Callable[[Term], Awaitable[object]], url: str, **named: Any) -> Starlette:
    return Starlette(routes=[Route("/", leader)], lifespan=leading(work, url=url, **named))


def test_one_of_two_workers_works_and_the_other_when_that_one_is_shut_down() -> None:
    async def story() -> None:
        url, first, second = nowhere_else(), Work(), Work()
        async with Server(application(first, url)) as one:
            await until(lambda: first.begun)
            async with Server(application(second, url)) as two:
                assert await one.get("/") == b"[true,%d]" % first.begun[0]
                assert await two.get("/") == b"[false,null]"
                assert second.begun == []
                await one.__aexit__()
                assert first.ended == 1
                await until(lambda: second.begun)
                assert second.begun[0] > first.begun[0]
            assert two.said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    asyncio.run(story())


def test_it_goes_around_a_lifespan_that_is_there_already() -> None:
    order: list[str] = []

    @contextlib.asynccontextmanager
    async def mine(app: Any) -> AsyncIterator[dict[str, str]]:
        order.append("database opened")
        yield {"database": "it"}
        order.append("database closed")

    async def work(term: Term) -> None:
        order.append("work begun")
        try:
            await asyncio.Event().wait()
        finally:
            order.append("work ended")

    async def story() -> None:
        async with Server(application(work, nowhere_else(), lifespan=mine)) as server:
            await until(lambda: "work begun" in order)
            assert server.state["database"] == "it"

    asyncio.run(story())
    assert order == ["database opened", "work begun", "work ended", "database closed"]


def test_a_loss_cancels_the_work_and_it_is_begun_again(zk_server: ZooKeeperServer) -> None:
    async def story() -> None:
        work = Work()
        async with Server(application(work, zk_server.url)) as server:
            await until(lambda: work.begun)
            here = server.state["leadership"]
            term = here.check()
            zk_server.faults.expire(term.session.id)
            await until(lambda: work.ended == 1)
            with pytest.raises(LeadershipLost):
                term.check()
            await until(lambda: len(work.begun) == 2)
            assert here.token == work.begun[1] > work.begun[0]

    asyncio.run(story())


def test_requests_are_served_while_the_service_is_away(zk_server: ZooKeeperServer) -> None:
    async def story() -> None:
        work = Work()
        with zk_server.faults.unreachable():
            async with Server(application(work, zk_server.url)) as server:
                assert await server.get("/") == b"[false,null]"
                with pytest.raises(LeadershipLost):
                    server.state["leadership"].check()
        assert work.begun == []

    asyncio.run(story())


def test_a_url_that_is_none_is_told_at_the_start() -> None:
    async def story() -> None:
        with pytest.raises(ConfigurationError):
            async with working(Work(), Where(url="nonsense", name="it")):
                raise AssertionError

    asyncio.run(story())


def test_work_that_is_done_is_not_done_by_others_and_one_that_fails_is_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agreed.integrations.asgi.AGAIN_AFTER_S", 0.01)
    done: list[str] = []

    async def fails_once(term: Term) -> None:
        done.append("one")
        if len(done) == 1:
            raise ValueError("a mistake in the program")

    async def story() -> None:
        url = nowhere_else()
        async with Server(application(fails_once, url)):
            await until(lambda: len(done) == 2)
            other = Work()
            async with Server(application(other, url)):
                await asyncio.sleep(0.1)
                assert other.begun == []
                assert len(done) == 2

    asyncio.run(story())


def test_work_that_keeps_its_cancellation_for_itself_does_not_stop_the_shutdown() -> None:
    begun = asyncio.Event()

    async def stubborn(term: Term) -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def story() -> None:
        async with Server(application(stubborn, nowhere_else())):
            await begun.wait()

    asyncio.run(story())


def test_work_that_fails_to_clean_up_does_not_stop_the_shutdown() -> None:
    begun: list[int] = []

    async def broken(term: Term) -> None:
        begun.append(term.token)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if len(begun) == 1:
                raise ValueError("a mistake in the clean-up") from None
            raise

    async def story() -> None:
        server = await Server(application(broken, nowhere_else())).__aenter__()
        await until(lambda: begun)
        server.shut_down()
        await until(lambda: server.task.done() or len(begun) > 1)
        assert len(begun) == 1
        assert server.said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    asyncio.run(story())


# --- as a middleware --------------------------------------------------------------------------------------


async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http", "no lifespan here"
    here = scope["state"]["leadership"]
    await send({"type": "http.response.body", "body": str(here.token).encode()})


def test_the_middleware_answers_for_an_application_without_a_lifespan() -> None:
    async def story() -> None:
        work = Work()
        async with Server(LeadingMiddleware(without_lifespan, work, url=nowhere_else())) as server:
            await until(lambda: work.begun)
            assert await server.get("/") == str(work.begun[0]).encode()
        assert server.said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert work.ended == 1

    asyncio.run(story())


def test_the_middleware_tells_of_a_url_that_is_none_at_the_start() -> None:
    """To raise it would be to have no lifespan: the server would serve, and nobody would work."""

    async def story() -> None:
        async with Server(LeadingMiddleware(without_lifespan, Work(), url="nonsense")) as server:
            await asyncio.wait_for(server.task, WITHIN_S)
            assert server.said == ["lifespan.startup.failed"]

    asyncio.run(story())


def test_the_middleware_works_between_the_beginning_and_the_end_of_its_application() -> None:
    work = Work()
    ended: list[int] = []

    @contextlib.asynccontextmanager
    async def mine(app: Any) -> AsyncIterator[None]:
        assert work.begun == []
        yield
        ended.append(work.ended)

    async def story() -> None:
        inner = Starlette(lifespan=mine, routes=[Route("/", leader)])
        async with Server(LeadingMiddleware(inner, work, url=nowhere_else())) as server:
            await until(lambda: work.begun)
            assert await server.get("/") == b"[true,%d]" % work.begun[0]
        assert ended == [1]

    asyncio.run(story())


def test_an_application_that_fails_to_start_does_not_work() -> None:
    @contextlib.asynccontextmanager
    async def broken(app: Any) -> AsyncIterator[None]:
        raise ValueError("no database")
        yield

    async def story() -> None:
        work = Work()
        server = Server(LeadingMiddleware(Starlette(lifespan=broken), work, url=nowhere_else()))
        await server.__aenter__()
        with pytest.raises(ValueError, match="no database"):
            await asyncio.wait_for(server.task, WITHIN_S)
        assert server.said == ["lifespan.startup.failed"]
        assert work.begun == []

    asyncio.run(story())


def test_workers_that_were_forked_have_clients_of_their_own(tmp_path: Path) -> None:
    """The application is made before the fork, as gunicorn does with `preload`."""
    work = Work()
    app = application(work, f"file://{tmp_path}/locks")

    async def serve() -> int:
        async with Server(app) as server:
            await until(lambda: server.state["leadership"].leads)
            return int(work.begun[0])

    def worker(results: Any) -> None:
        results.put((os.getpid(), asyncio.run(serve())))

    forking = multiprocessing.get_context("fork")
    results = forking.SimpleQueue()
    workers = [forking.Process(target=worker, args=(results,)) for _ in range(2)]
    for each in workers:
        each.start()
    told = [results.get() for _ in workers]
    for each in workers:
        each.join(WITHIN_S)
    assert {process for process, _ in told} == {each.pid for each in workers}
    assert len({token for _, token in told}) == 2
