"""One leader among all who stand for it, and everybody can see who that is.

    election = Election(sessions, "scheduler", value=b"pod-7")
    async with election.lead() as term:             waits until it leads; the body is cancelled with the term
        await serve(term.token)
    async with election.follow() as leaders:
        async for leader in leaders: ...            None: nobody leads at present

Who leads is who came first of those whose sessions live; the next one follows at once when he resigns, and
when his session ends otherwise (`ttl` after he was heard of last).  `term.token` grows from term to term.

That somebody is the leader in the store does not mean that he knows it, or that the one before has noticed
that he is not: what they write to has to look at the token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from agreed.backends.contract import Layout, Put
from agreed.recipes.entering import Obtaining
from agreed.recipes.errors import LeadershipLost
from agreed.recipes.following import Following
from agreed.recipes.grant import Grant
from agreed.recipes.obtaining import Holder, Obtainable
from agreed.recipes.sessions import Sessions
from agreed.recipes.waiting import Exclusive

Result = TypeVar("Result")


class Term(Grant):
    """Leadership, from its beginning to its end; a `Grant`."""

    async def proclaim(self, value: bytes) -> None:
        """Say something else of oneself than before.  Raises LeadershipLost."""
        if await self._backend.commit([self.condition()], [Put(self.key, value)]) is None:
            self.lose("its key was deleted by somebody else")
        self.check()

    async def resign(self) -> None:
        await self.release()


class Election(Obtainable[Term]):
    """`value` is what others see of the leader; `lead` is `acquire` by another name, for `async with`."""

    granted = Term
    loss = LeadershipLost

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        *,
        value: bytes = b"",
        ttl: float | None = None,
        layout: Layout = Layout.KAZOO,
    ) -> None:
        super().__init__(sessions, name, Exclusive(), ttl=ttl, value=value, layout=layout)

    def lead(self, timeout: float | None = None) -> Obtaining[Term]:
        return self.hold(timeout)

    async def run(self, work: Callable[[Term], Awaitable[Result]]) -> Result:
        """Wait until it leads, and do this; as often as leadership is lost meanwhile, again.  Returns what
        `work` does, and raises what it raises."""
        while True:
            try:
                async with self.lead() as term:
                    return await work(term)
            except LeadershipLost as loss:
                if loss.__cause__ is not None:
                    raise

    async def leader(self) -> Holder | None:
        return next(iter(await self.holders()), None)

    async def candidates(self) -> list[Holder]:
        """The leader and those who would follow, in that order."""
        return await self.holders() + await self.waiters()

    def follow(self) -> Following[Holder | None]:
        """Each leader, and None in between."""
        return Following(self._sessions.backend, self.name, self.leader, below=True)
