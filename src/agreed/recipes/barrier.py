"""All go on together, once all have come.

    barrier = Barrier(sessions, "epoch", parties=4)
    generation = await barrier.wait()               returns in all four when the fourth has come

    double = DoubleBarrier(sessions, "job", parties=4)
    async with double as generation: ...            all go in together, and out when all are done

A barrier is used again and again: those who are let through together are one generation.  Each call of `wait`
is a party of its own.

What becomes of others where one is missing:

    it stops waiting (`timeout`, cancelled)     it is as if it had never come; the others wait for another one
    it dies while it waits                      nobody of this generation is let through: the others are told
                                                (`BarrierBroken`), at most `ttl` later, and wait again if they
                                                like, for as many parties as before
    it dies before it comes                     nobody knows that it was to come: the others wait, for another
                                                one or for as long as their `timeout`
    it dies within a double barrier             it is done; the others go out without it

Whoever was let through, all of his generation are: a party that is counted has not stopped waiting, and does
not stop any more once it is.

At the name stands who has come, so that one commit decides who belongs together; below it stands an entry of
each, which goes with its session.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final

import msgspec

from agreed.backends.contract import At, Change, Changes, Delete, Entry, Put, Session
from agreed.client.errors import (
    ClientError,
    ConnectionLost,
    SessionClosed,
    SessionExpired,
    TimedOut,
    Unanswered,
)
from agreed.recipes.caller import caller
from agreed.recipes.changing import Fate, change
from agreed.recipes.errors import BarrierBroken, CodecError, Differs, WaitTimeout
from agreed.recipes.sessions import Sessions
from agreed.recipes.waiting import until_changed

BROKEN_REMEMBERED: Final = 64
"""Generations.  Who learns of his own later than after so many takes it for broken."""


KNOWN_WITHIN_S: Final = 1.0
"""Whose time is over asks whether he was let through in the last moment, and waits so long for the answer."""


class _State(msgspec.Struct, frozen=True):
    """`generation`: the one that is coming together, of those who have `come`.  `passed`: who was let through
    last, as generation - 1 or before.  `broken`: generations that were not let through."""

    parties: int
    generation: int = 1
    come: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    broken: tuple[int, ...] = ()
    format: int = 1

    def without(self, mark: str) -> _State:
        return msgspec.structs.replace(self, come=tuple(each for each in self.come if each != mark))

    def let_through(self, come: tuple[str, ...]) -> _State:
        return msgspec.structs.replace(self, generation=self.generation + 1, come=(), passed=come)

    def broke(self) -> _State:
        broken = (*self.broken, self.generation)[-BROKEN_REMEMBERED:]
        return msgspec.structs.replace(self, generation=self.generation + 1, come=(), broken=broken)

    def outcome(self, generation: int) -> bool | None:
        """Of a generation to which somebody belonged who asks: let through or not; None: it is coming."""
        if generation >= self.generation:
            return None
        oldest_known = self.broken[0] if len(self.broken) == BROKEN_REMEMBERED else 0
        return generation >= oldest_known and generation not in self.broken


DECODER: Final = msgspec.json.Decoder(_State)

_NOT_ANSWERED: Final = (ConnectionLost, TimedOut, SessionExpired, SessionClosed)


class _Party:
    """One call of `wait`: it comes, and is let through or stops waiting."""

    def __init__(self, barrier: Barrier, session: Session) -> None:
        self.mark = uuid.uuid4().hex
        self.key = f"{barrier.name}/{self.mark}"
        self.session = session
        self.generation: int | None = None
        # Of its last attempt to come, which may be done though its answer never came.
        self._coming: int | None = None
        self._may_have_stopped = False
        self._barrier = barrier
        self._backend = barrier.backend

    async def let_through(self) -> int:
        """The generation.  Raises BarrierBroken; SessionExpired where its own session has ended."""
        async with self._backend.changes(self._barrier.name, below=True) as changes:
            while not await self._look(changes):
                pass
        assert self.generation is not None
        return self.generation

    async def _look(self, changes: Changes) -> bool:
        entry = await self._backend.get(self._barrier.name)
        state = self._barrier.state(entry)
        if self.generation is not None:
            outcome = state.outcome(self.generation)
            if outcome is False:
                raise BarrierBroken(f"{self._barrier.name}: a party of generation {self.generation} is gone")
            if outcome:
                return True
            if self.mark not in state.come and not self.session.ended:
                raise BarrierBroken(f"{self.key} was deleted by somebody else")
        if entry is not None and await self._settle(entry, state):
            return False
        if self.generation is None and len(state.come) < state.parties:
            await self._come()
        else:
            await until_changed(changes, self.session)
        return False

    async def _settle(self, entry: Entry, state: _State) -> bool:
        """What follows from who has come: whose entry is not there after he has come is dead.  The last one
        lets all through; the others would only be in his way."""
        there = set(await self._backend.names(self._barrier.name)) if state.come else set()
        alive = there.intersection(state.come)
        if len(alive) < len(state.come):
            # Also where all are dead: one of them may not know it, and would take the next ones for his own.
            after = state.broke()
        elif len(state.come) == state.parties and state.come[-1] == self.mark:
            after = state.let_through(state.come)
        else:
            return False
        try:
            await self._backend.commit([At(entry.key, entry.version)], [self._barrier.put(after)])
        except Unanswered as error:
            if error.surely_not_done:
                raise
        return True

    async def _come(self) -> None:
        """`generation` is None after it where others have to be let through before."""

        def plan(found: Entry | None) -> Sequence[Change] | None:
            state = self._barrier.state(found)
            if len(state.come) == state.parties:
                self._coming = None
                return None
            self._coming = state.generation
            after = msgspec.structs.replace(state, come=(*state.come, self.mark))
            return [self._barrier.put(after), Put(self.key, str(state.generation).encode(), self.session)]

        def fate(found: Entry | None) -> Fate:
            state = self._barrier.state(found)
            if self.mark in (*state.come, *state.passed) or self._coming in state.broken:
                return Fate.DONE  # if it was not, then it is as good as broken
            return Fate.NOT_DONE if state.generation - (self._coming or 0) <= 1 else Fate.UNKNOWN

        await change(self._backend, self._barrier.name, plan, fate)
        self.generation = self._coming

    async def was_let_through(self) -> bool | None:
        """For whose session has ended.  None: it is still counted among those who wait, or nobody can say."""
        try:
            state = self._barrier.state(await self._backend.get(self._barrier.name))
        except ClientError:
            return None
        if self.mark in state.passed:
            return True
        if self.mark in state.come:
            return None
        if not self._went_on(state):
            return False
        return True if self.generation is not None else None

    def _went_on(self, state: _State) -> bool:
        """Whether the generation was let through with which it has come, or may have come."""
        return self._coming is not None and state.outcome(self._coming) is True

    async def stop_waiting(self) -> bool | None:
        """As if it had never come; unless it is let through already: True, and `generation` is known.

        Of the generation that was let through last stands who they were.  Of an earlier one its own entry
        tells: coming made it, and stopping takes it away.  So does the end of its session, and then nobody
        can say (None)."""
        was_let_through: bool | None = False

        def plan(found: Entry | None) -> Sequence[Change] | None:
            nonlocal was_let_through
            state = self._barrier.state(found)
            was_let_through = self.mark in state.passed
            if was_let_through:
                return None
            if self.mark not in state.come and self._went_on(state):
                has_come = self.generation is not None and not self._may_have_stopped
                was_let_through = True if has_come else None
                return None
            self._may_have_stopped = True
            # Also where it has not come: its coming may be on its way, and is to find a newer version.
            return [self._barrier.put(state.without(self.mark)), Delete(self.key)]

        def fate(found: Entry | None) -> Fate:
            state = self._barrier.state(found)
            is_over = self._coming is not None and state.outcome(self._coming) is not None
            if self.mark in (*state.come, *state.passed) or is_over:
                # Or it can be told from its entry only: `plan` says that again, or takes away the entry.
                return Fate.NOT_DONE
            return Fate.DONE

        await change(self._backend, self._barrier.name, plan, fate)
        if was_let_through is None:
            if await self._backend.get(self.key) is not None:
                was_let_through = True
            elif self.session.remaining_s() > 0:
                was_let_through = False
        if was_let_through:
            # It may have come without hearing of it: its time was over while the answer was on its way.
            self.generation = self._coming
        return was_let_through

    async def stop_and_leave(self) -> None:
        if await self.stop_waiting():
            await self.leave()

    async def leave(self) -> None:
        """Its entry is there no longer."""

        def plan(found: Entry | None) -> Sequence[Change] | None:
            return None if found is None else [Delete(self.key)]

        def fate(found: Entry | None) -> Fate:
            return Fate.DONE if found is None else Fate.NOT_DONE

        await change(self._backend, self.key, plan, fate)

    async def alone(self) -> None:
        """Returns when nobody of its generation is there any more."""
        generation = str(self.generation).encode()
        async with self._backend.changes(self._barrier.name, below=True) as changes:
            while any(each.value == generation for each in await self._backend.entries(self._barrier.name)):
                await changes.wait()


class Barrier:
    """`ttl`: after so long the others hear that a party is dead.  Who names another number of parties than
    the first is refused (`Differs`)."""

    def __init__(self, sessions: Sessions, name: str, parties: int, *, ttl: float | None = None) -> None:
        if parties < 1:
            raise ValueError(f"a barrier is for one party or more, and not for {parties}")
        self.name = name
        self.parties = parties
        self.backend = sessions.backend
        self._sessions = sessions
        self._ttl_s = ttl

    async def wait(self, timeout: float | None = None) -> int:
        """The generation with which it was let through; they grow.

        Raises WaitTimeout, BarrierBroken, Differs; what the backend does.  After each of them nobody waits
        here any more; and nobody was let through with it, unless `surely_not_done` is False: nobody knows."""
        party = await self.pass_through(timeout)
        self.tidy(party, party.leave)
        assert party.generation is not None
        return party.generation

    async def waiting(self) -> int:
        """How many have come and wait for the others."""
        return len(self.state(await self.backend.get(self.name)).come)

    # --- for its parties --------------------------------------------------------------------------------

    async def pass_through(self, timeout: float | None) -> _Party:
        party: _Party | None = None
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                party = _Party(self, await self._sessions.get(self._ttl_s))
                await party.let_through()
        except BarrierBroken:
            assert party is not None
            self.tidy(party, party.leave)
            raise
        except BaseException as error:
            time_is_over = limit.expired() and isinstance(error, TimeoutError)
            let_through: bool | None = False
            if party is not None and (time_is_over or isinstance(error, ClientError)):
                # What was refused or not answered may be any question behind its coming: that this one was
                # surely not done says nothing about whether the others have gone on with it.
                let_through = await self._was_let_through(party, time_is_over)
            elif party is not None and not party.session.ended:
                self.tidy(party, party.stop_and_leave)
            if time_is_over and not let_through:
                message = f"{self.name}: not all have come within {timeout} s"
                raise WaitTimeout(message, maybe=let_through is None) from error
            if let_through is None:
                kind = type(error) if isinstance(error, _NOT_ANSWERED) else ConnectionLost
                raise kind(f"{self.name}: nobody can say whether it was let through", maybe=True) from error
            if not let_through:
                raise
        assert party is not None
        return party

    async def _was_let_through(self, party: _Party, time_is_over: bool) -> bool | None:
        """None: nobody can say at present.  In any case it does not wait any more."""
        if party.session.ended and not time_is_over:
            # As a dead one: those who waited with it are told, and not left to wait for another.  Unless they
            # have gone on, and with it.
            return await party.was_let_through()
        return await self._stopped(party)

    async def _stopped(self, party: _Party) -> bool | None:
        """Whether it was let through in the last moment; None: nobody can say at present.  It stops in any
        case, as soon as it can, and leaves where nobody here waits for that any more."""
        told: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()

        async def stop() -> None:
            let_through = await party.stop_waiting()
            if not told.done():
                told.set_result(let_through)
            elif let_through:
                await party.leave()

        self.tidy(party, stop)
        try:
            async with asyncio.timeout(KNOWN_WITHIN_S):
                return await asyncio.shield(told)
        except TimeoutError:
            return told.result() if told.done() else None
        except asyncio.CancelledError:
            if told.done() and told.result():
                self.tidy(party, party.leave)  # told and cancelled in one turn
            raise
        finally:
            told.cancel()

    def tidy(self, party: _Party, action: Callable[[], Awaitable[None]]) -> None:
        self._sessions.tidy(self._sessions.clean(party.session, action))

    def state(self, found: Entry | None) -> _State:
        if found is None:
            return _State(self.parties)
        try:
            state = DECODER.decode(found.value)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CodecError(f"what stands at {self.name} is no barrier: {error}") from error
        if state.parties != self.parties:
            raise Differs(self.name, "parties", self.parties, state.parties)
        return state

    def put(self, state: _State) -> Put:
        return Put(self.name, msgspec.json.encode(state))


class DoubleBarrier:
    """`async with` goes in with all parties, and out when all of them are done.  `timeout` is for each of the
    two.  A body that ends with an exception goes out at once.

        async with double as generation: ...
        async with double.once(timeout=60.0) as generation: ...

    The body is not cancelled when its session ends: it protects nothing.  But the others do not wait for it
    any more, and it hears of that when it goes out (SessionExpired)."""

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        parties: int,
        *,
        timeout: float | None = None,
        ttl: float | None = None,
    ) -> None:
        self.barrier = Barrier(sessions, name, parties, ttl=ttl)
        self.timeout_s = timeout
        self._passages: dict[object, list[Passage]] = {}

    def once(self, timeout: float | None = None) -> Passage:
        return Passage(self.barrier, self.timeout_s if timeout is None else timeout)

    async def __aenter__(self) -> int:
        passage = self.once()
        generation = await passage.__aenter__()
        self._passages.setdefault(caller(), []).append(passage)
        return generation

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mine = self._passages[caller()]
        passage = mine.pop()
        if not mine:
            del self._passages[caller()]
        await passage.__aexit__(kind, error, trace)


class Passage:
    """Through a double barrier, once.  `timeout_s` is looked at when it is gone in, and out."""

    def __init__(self, barrier: Barrier, timeout_s: float | None) -> None:
        self._barrier = barrier
        self.timeout_s = timeout_s
        self._party: _Party | None = None

    async def __aenter__(self) -> int:
        """As `Barrier.wait`."""
        self._party = await self._barrier.pass_through(self.timeout_s)
        assert self._party.generation is not None
        return self._party.generation

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises WaitTimeout: this party is out, and others are not.  SessionExpired: they did not wait."""
        party = self._party
        assert party is not None
        if error is not None:
            self._barrier.tidy(party, party.leave)
            return
        if party.session.ended:
            raise SessionExpired("the session ended within the double barrier", maybe=False)
        limit = asyncio.timeout(self.timeout_s)
        try:
            async with limit:
                await party.leave()
                await party.alone()
        except BaseException as failure:
            self._barrier.tidy(party, party.leave)
            if isinstance(failure, TimeoutError) and limit.expired():
                message = f"{self._barrier.name}: not all are done within {self.timeout_s} s"
                raise WaitTimeout(message) from failure
            raise
