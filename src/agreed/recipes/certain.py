"""A commit that is known to be done or not, also where its answer is lost.

    revision = await sessions.certain.commit(guards, changes)       None: a guard did not hold

Whoever gets no answer must not simply ask again: the first request may have been done, or may still be on its
way, and a transfer would be made twice.  So each commit writes a mark beside what it does, into a key of its
own (a slot), and holds only if that key is as it was:

    the answer is lost      write something else into the slot, if it is as it was
      that is done          the commit was not done, and can not be any more: its guard is gone.  Again
      that is refused       the slot has our mark: it was done, at the revision of the slot
      the slot is gone      it went with our session: nobody knows, and the error says `maybe`
      that is refused otherwise     the same; but where no majority or no time is there for it: again, and
                                    where no space is there, the slot is deleted instead

What is made with a session has its slot in the same one: where nobody knows, it is gone as well.

It costs one small write within the same commit, and no further request as long as nothing is lost.  A client
has as many slots as it makes commits at once; they go with its session, so nothing is left behind.

Who is cancelled while he waits for the answer does not know it; the commit itself goes on to its end, so that
the slot can be used again.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from agreed.backends.contract import At, Backend, Change, Delete, Guard, Put, Session
from agreed.client.errors import (
    ClientError,
    ConnectionLost,
    QuotaExceeded,
    ReadOnly,
    Refused,
    SessionExpired,
    Throttled,
    Unanswered,
)

SLOTS: Final = "agreed/slots"
"""Where they are; the names below "agreed" are no names of users."""

LOST_ANSWERS_MOST: Final = 8
"""Of one commit.  A service that answers nothing for so long will not answer the next one either."""

PAUSE_S: Final = 0.02
"""Between two questions; a random part of it, and of more each time."""


class _Slot:
    """`version` is that of its last change, which was ours: nobody else writes there."""

    def __init__(self, key: str, version: int, session: Session) -> None:
        self.key = key
        self.version = version
        self.session = session


class Certain:
    """`session` gives one that is not over, for all we know, for what is made without one."""

    def __init__(self, backend: Backend, session: Callable[[], Awaitable[Session]]) -> None:
        self._backend = backend
        self._session = session
        self._free: list[_Slot] = []
        self._under_way: set[asyncio.Task[int | None]] = set()

    @property
    def changes(self) -> int:
        """So many fit into one commit."""
        return self._backend.capabilities.changes - 1

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        """As `Backend.commit`; `maybe` only where the session was lost before it could be known.

        Raises what the backend does."""
        if not changes:
            return await self._backend.commit(guards, changes)  # what changes nothing can be asked again
        task = asyncio.get_running_loop().create_task(self._commit(guards, changes))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[int | None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # it is told to whoever waits; if nobody does, to nobody

    async def settled(self) -> None:
        """None is under way any more of those that were."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        for attempt in range(LOST_ANSWERS_MOST):
            if attempt:
                await _pause(attempt)
            slot = await self._slot(changes)
            mark = uuid.uuid4().hex.encode()
            try:
                revision = await self._backend.commit(
                    [*guards, At(slot.key, slot.version)], [*changes, Put(slot.key, mark)]
                )
            except Unanswered as error:
                if error.surely_not_done:
                    self._free.append(slot)
                    raise
                revision = await self._become(slot, mark, error)
                if revision is None:
                    self._free.append(slot)
                    continue
            except Refused:
                self._free.append(slot)
                raise
            if revision is None and await self._is_gone(slot):
                continue
            if revision is not None:
                slot.version = revision
            self._free.append(slot)
            return revision
        raise ConnectionLost("the answers to all attempts were lost", maybe=False)

    async def _become(self, slot: _Slot, mark: bytes, lost: Unanswered) -> int | None:
        """Of a commit without an answer: at which revision it was done; None: it is not, and will not be."""
        attempt = 0
        fencing: Change = Put(slot.key, b"")
        while not slot.session.ended:
            attempt += 1
            try:
                fence = await self._backend.commit([At(slot.key, slot.version)], [fencing])
                if fence is not None:
                    slot.version = fence
                    return None
                there = await self._backend.get(slot.key)
            except (Unanswered, Throttled, ReadOnly):
                await _pause(attempt)
                continue
            except ClientError as refused:
                if not isinstance(refused, QuotaExceeded) or isinstance(fencing, Delete):
                    break  # that this was refused says nothing about the first
                fencing = Delete(slot.key)  # there is always space for that, and its version is gone as well
                continue
            if there is None:
                break
            slot.version = there.version
            return there.modified if there.value == mark else None
        raise lost

    async def _is_gone(self, slot: _Slot) -> bool:
        """A commit that was refused was perhaps not refused for its guards, but because the slot is not there
        any more."""
        try:
            there = await self._backend.get(slot.key)
        except Unanswered as error:
            raise ConnectionLost(str(error), maybe=False) from error
        return there is None or there.version != slot.version

    async def _slot(self, changes: Sequence[Change]) -> _Slot:
        sessions = (each.session for each in changes if isinstance(each, Put) and each.session is not None)
        session = next(sessions, None) or await self._session()
        self._free = [slot for slot in self._free if not slot.session.ended]
        for slot in self._free:
            if slot.session is session:
                self._free.remove(slot)
                return slot
        for attempt in range(LOST_ANSWERS_MOST):
            if attempt:
                await _pause(attempt)
            key = f"{SLOTS}/{uuid.uuid4().hex}"
            try:
                made = await self._backend.commit([], [Put(key, b"", session)])
            except Unanswered as error:
                if error.surely_not_done:
                    raise
                if session.ended:
                    raise SessionExpired("it ended before a commit was begun", maybe=False) from error
                continue  # if it was made, it goes with the session
            assert made is not None, "nothing was asked for"
            return _Slot(key, made, session)
        raise ConnectionLost("no answer to who begins a commit", maybe=False)


async def _pause(attempt: int) -> None:
    await asyncio.sleep(random.random() * PAUSE_S * attempt)
