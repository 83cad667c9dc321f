"""Background work of a web application, in one of its workers.

    async def work(term): ...                     cancelled when leadership is lost, begun anew with the next

    app = Starlette(routes=..., lifespan=leading(work, url="agreed://10.0.0.1:2181/app", name="mail"))
    app = FastAPI(lifespan=leading(work, lifespan=mine))        around one that you have already
    app = LeadingMiddleware(any_asgi_application, work)         where there is no such parameter

Every worker of every machine (`uvicorn --workers 4`) has a client of its own, and one of them works.  A
request finds the state in its scope:

    leader = request.state.leadership
    leader.leads, leader.token, leader.check()

It begins when the server starts the application in the process that serves, that is, after it has forked.
Requests are served whether there is a leader or not, and also while the service cannot be reached.  At
shutdown the work is cancelled and leadership given back, before anything else is shut down, so that the next
worker takes over at once.

Work that ends by itself is done: its worker keeps leading until it shuts down, so that no other does it again
meanwhile.  Work that raises is begun again, after a second, by whoever leads then.

What it does not do: lead from a worker whose event loop is blocked.  A handler that blocks it for longer than
the `ttl` loses leadership; what the work writes elsewhere belongs behind a fence (`term.token`).  And it is
for asyncio, not for trio.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from agreed.errors import ConfigurationError
from agreed.integrations.candidacy import AGAIN_AFTER_S, LOG, Candidacy, Where
from agreed.recipes.election import Term
from agreed.recipes.errors import LeadershipLost

Work: TypeAlias = Callable[[Term], Awaitable[object]]
State: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Lifespan: TypeAlias = Callable[[Any], contextlib.AbstractAsyncContextManager[Any]]

KEY: Final = "leadership"
"""Where a request finds it in the state of its scope."""


class LeadershipHere:
    """What requests see of it."""

    def __init__(self, candidacy: Candidacy) -> None:
        self._candidacy = candidacy

    @property
    def leads(self) -> bool:
        """It is certain now that no other worker does."""
        return self._candidacy.certain() is not None

    @property
    def token(self) -> int | None:
        term = self._candidacy.certain()
        return None if term is None else term.token

    def check(self) -> Term:
        """The term.  Raises LeadershipLost unless it is certain."""
        term = self._candidacy.certain()
        if term is None:
            raise LeadershipLost(f"{self._candidacy.where.name}: this worker does not lead")
        return term


@contextlib.asynccontextmanager
async def working(work: Work, where: Where) -> AsyncIterator[LeadershipHere]:
    """Stands for election for as long as the body runs, and works where it leads.  Raises ConfigurationError
    for a URL that is none, and at the end what has ended it before: a password that is not taken."""
    where.check()
    candidacy = Candidacy(where)

    async def work_once(term: Term) -> None:
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        try:
            await work(term)
        except (asyncio.CancelledError, LeadershipLost):
            raise
        except Exception:
            term.check()  # after a loss the loss is what to tell
            LOG.exception("%s: the work of the leader failed", where.name)
            if not task.cancelling():
                await asyncio.sleep(AGAIN_AFTER_S)
                return
        if task.cancelling():
            raise asyncio.CancelledError  # it was, and has kept that for itself, or failed in cleaning up
        await asyncio.Event().wait()

    async def stand() -> None:
        try:
            await candidacy.run(work_once)
        except Exception:
            LOG.exception("%s: this worker does not stand for election any more", where.name)
            raise

    standing = asyncio.create_task(stand(), name=f"agreed-{where.name}")
    try:
        yield LeadershipHere(candidacy)
    finally:
        standing.cancel()
        await asyncio.wait([standing])
        if not standing.cancelled():
            await standing


def leading(
    work: Work,
    *,
    url: str | None = None,
    name: str = "leader",
    ttl: float = 10.0,
    identity: str | None = None,
    lifespan: Lifespan | None = None,
) -> Lifespan:
    """For the parameter `lifespan` of Starlette, FastAPI and those who have it from them.  `lifespan`:
    another one, which is entered first and left last; what it yields is in the state as well."""
    where = Where(url=url, name=name, ttl_s=ttl, identity=identity)

    @contextlib.asynccontextmanager
    async def around(application: Any) -> AsyncIterator[State]:
        async with contextlib.AsyncExitStack() as stack:
            state = None if lifespan is None else await stack.enter_async_context(lifespan(application))
            here = await stack.enter_async_context(working(work, where))
            yield {**(state or {}), KEY: here}

    return around


class LeadingMiddleware:
    """Around any ASGI application, also one that knows nothing of lifespans."""

    def __init__(
        self,
        app: Application,
        work: Work,
        *,
        url: str | None = None,
        name: str = "leader",
        ttl: float = 10.0,
        identity: str | None = None,
    ) -> None:
        self._app = app
        self._work = work
        self._where = Where(url=url, name=name, ttl_s=ttl, identity=identity)
        self._here: LeadershipHere | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if self._here is not None:
            # The dictionary of each request is its own; that of the lifespan is shared.
            scope = {**scope, "state": {**(scope.get("state") or {}), KEY: self._here}}
        await self._app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The work begins when the application has begun, and ends before it ends."""
        try:
            self._where.check()
        except ConfigurationError as error:
            # Raised instead, it would mean "no lifespan" to a server, which would serve without the work.
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        async with contextlib.AsyncExitStack() as stack:

            async def told(message: Message) -> None:
                if message["type"] == "lifespan.startup.complete":
                    self._here = await stack.enter_async_context(working(self._work, self._where))
                await send(message)

            async def heard() -> Message:
                message = await receive()
                if message["type"] == "lifespan.shutdown":
                    await stack.aclose()
                return message

            await _with_lifespan(self._app, scope, heard, told)


async def _with_lifespan(app: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """The application's own; one that raises before it has answered has none, says the specification, and is
    answered for."""
    answered = False

    async def told(message: Message) -> None:
        nonlocal answered
        answered = True
        await send(message)

    try:
        await app(scope, receive, told)
    except Exception:
        if answered:
            raise
        await send({"type": "lifespan.startup.complete"})
        while (await receive())["type"] != "lifespan.shutdown":
            pass
        await send({"type": "lifespan.shutdown.complete"})
