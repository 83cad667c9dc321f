"""A job that one has taken out of a queue (`queue.py`): a grant, until it is done or given back.

    async with job:             done at the end of the body, given back where it raises; cancelled and JobLost
        ...                     where the job was lost, because somebody else has it then
    await job.ack()             by hand: it is done, and gone
    await job.release()         it is not, and goes to the next one who asks
    await job.postpone(60.0)    nor is it, and nobody gets it before then

What is neither of them is given back with the session, by the end of the client or `ttl` after its death.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from agreed.backends.contract import Backend, Change, Entry, Session, Stands
from agreed.errors import AgreedError
from agreed.recipes.codec import Codec
from agreed.recipes.errors import JobLost, NotHeld
from agreed.recipes.grant import Grant
from agreed.recipes.holding import Holding

Value = TypeVar("Value")


class Claim(msgspec.Struct, frozen=True):
    """`job` is what was put, `mine` says that it is ours."""

    job: Entry
    mine: Entry
    priority: int
    session: Session

    @property
    def condition(self) -> Stands:
        return Stands(self.mine.key, self.mine.created)


class Job(Grant, Generic[Value]):
    """`raw` is the value as it stands in the store."""

    def __init__(
        self,
        backend: Backend,
        queue: str,
        claim: Claim,
        codec: Codec[Value],
        acknowledge: Callable[[Claim, Sequence[Change]], Awaitable[bool]],
        give_back: Callable[[Claim], Awaitable[None]],
        postpone: Callable[[Claim, float], Awaitable[bool]],
        in_any_case: Callable[[Coroutine[Any, Any, None]], Awaitable[None]],
    ) -> None:
        super().__init__(
            backend, queue, claim.mine, claim.session, JobLost, lambda: in_any_case(self._settle())
        )
        self._claim = claim
        self._codec = codec
        self._acknowledge = acknowledge
        self._unclaim = give_back
        self._postpone = postpone
        self._is_settled = False
        self._is_well_done = False
        self._holding: Holding | None = None

    @property
    def value(self) -> Value:
        """Raises CodecError."""
        return self._codec.decode(self._claim.job.value)

    @property
    def raw(self) -> bytes:
        return self._claim.job.value

    @property
    def priority(self) -> int:
        return self._claim.priority

    async def ack(self, also: Sequence[Change] = ()) -> None:
        """It is done, and `also` is done with it: all of it, or nothing where somebody else has the job.

        Raises JobLost; NotHeld where it was done or given back; what the backend does, with `maybe` only
        where the session was lost meanwhile."""
        self._raise_unless_held()
        await self._settle_by(self._acknowledge(self._claim, also))

    async def postpone(self, delay: float) -> None:
        """Nobody gets it for `delay` seconds; then it stands behind those that are there.  Raises what `ack`
        does."""
        self._raise_unless_held()
        await self._settle_by(self._postpone(self._claim, delay))

    def _raise_unless_held(self) -> None:
        """Whether it is certainly held does not matter here: the commit itself tells."""
        if self.lost:
            raise self.loss()
        if not self.held:
            raise NotHeld(f"the job of {self.name} was done or given back")

    async def _settle_by(self, settling: Awaitable[bool]) -> None:
        with self._key_may_go():
            if not await settling:
                self.lose("somebody else has it by now")
                raise self.loss()
            self._is_settled = True
            await self.release()

    async def end(self, *, well: bool) -> None:
        """For the end of a body: it is done, or given back."""
        self._is_well_done = well
        await self.release()

    async def _settle(self) -> None:
        """What `release` does."""
        if self._is_settled:
            return
        if not self._is_well_done or self.lost:
            await self._unclaim(self._claim)
            return
        try:
            done = await self._acknowledge(self._claim, ())
        except AgreedError:
            await self._unclaim(self._claim)  # if it was done after all, there is nothing to give back
            raise
        if not done:
            raise JobLost(f"{self.name} (token {self.token}) is lost: somebody else has it by now")

    async def __aenter__(self) -> Self:
        if self.lost_by_now():
            await self.release()
        self.check()
        self._holding = Holding(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._holding is not None
        self._is_well_done = error is None
        await self._holding.end(error)
