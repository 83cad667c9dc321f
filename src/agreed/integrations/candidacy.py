"""Stand for election again and again, and do something for as long as one leads.

    candidacy = Candidacy(Where(url="agreed://...", name="scheduler"))
    await candidacy.run(work)               until it is cancelled; `work(term)` is cancelled with each term
    candidacy.certain()                     the term that is certain now, or None

A service that does not answer is waited for, from the beginning on: the web application or the beat around
this does not end with it, and does nothing that needs a leader meanwhile.  What cannot become right by
waiting (a URL that is none, a password that is not taken) is raised.

When it is cancelled it resigns, so that the next one follows at once and not after `ttl`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NoReturn

import msgspec

from agreed.client.errors import QuotaExceeded, ReadOnly, Throttled, Unanswered
from agreed.coordination.client import Client, connect
from agreed.coordination.schemes import factory_of, url_or_environment
from agreed.errors import AgreedError
from agreed.recipes.election import Term
from agreed.recipes.errors import LeadershipLost

LOG: Final = logging.getLogger("agreed.integrations")

AGAIN_AFTER_S: Final = 1.0
"""After a service did not answer."""

MENDED_BY_WAITING: Final = (Unanswered, ReadOnly, Throttled, QuotaExceeded)
"""No answer, no majority, too much at once, no space until an operator gives some."""

LEAVE_WITHIN_S: Final = 3.0
"""What a client gives back when it goes; a service that does not answer finds out by itself, after `ttl`."""


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Which service (None: `AGREED_URL`), the name of the election there, and how long leadership outlives
    who has it.  `identity` is what others see of the leader."""

    url: str | None = None
    name: str
    ttl_s: float = 10.0
    identity: str | None = None

    def check(self) -> None:
        """Raises ConfigurationError for a URL that is none; asks nobody."""
        factory_of(url_or_environment(self.url))


class Candidacy:
    """`client` is there once the service has answered."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self.client: Client | None = None
        self._term: Term | None = None

    def certain(self) -> Term | None:
        """The term, if nobody else can lead now."""
        term = self._term
        return term if term is not None and term.remaining() > 0 else None

    async def run(self, work: Callable[[Term], Awaitable[None]]) -> NoReturn:
        """`work(term)` whenever it leads.  When that ends by itself it resigns, and stands again behind all
        others.  Raises what `work` does, and errors of the service that waiting does not mend."""
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        cancelling_before = task.cancelling()
        async with self._connected() as client:
            while True:
                if task.cancelling() > cancelling_before:
                    # Work may have swallowed it, or raised something else while it cleaned up.  Nobody
                    # cancels twice: whoever waits for the end of this would wait for ever.
                    raise asyncio.CancelledError
                try:
                    async with client.election(self.where.name).lead() as term:
                        LOG.info("leads %s, token %d", self.where.name, term.token)
                        self._term = term
                        try:
                            await work(term)
                        finally:
                            self._term = None
                except LeadershipLost as loss:
                    if loss.__cause__ is not None and not isinstance(loss.__cause__, LeadershipLost):
                        raise
                    LOG.warning("%s; it stands for election again", loss)
                except MENDED_BY_WAITING as error:
                    LOG.warning("%s: %s; it tries again", self.where.name, error)
                    await asyncio.sleep(AGAIN_AFTER_S)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        where = self.where
        while True:
            try:
                self.client = await connect(where.url, ttl=where.ttl_s, identity=where.identity)
                break
            except MENDED_BY_WAITING as error:
                LOG.warning("%s: %s; it tries again", where.name, error)
                await asyncio.sleep(AGAIN_AFTER_S)
        try:
            yield self.client
        finally:
            with contextlib.suppress(TimeoutError, AgreedError):
                async with asyncio.timeout(LEAVE_WITHIN_S):
                    await self.client.close()
