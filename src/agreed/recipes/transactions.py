"""Several keys at once: looked at and changed as if nobody else were there.

    async def move(t: Transaction) -> int:
        left = int(await t.get("stock/a") or b"0")
        t.put("stock/a", b"%d" % (left - 1))
        t.put("stock/b", b"%d" % (int(await t.get("stock/b") or b"0") + 1))
        return left - 1

    left = await transact(sessions, move, timeout=5.0)

What is read is remembered with its version, what is written is kept back, and at the end one commit does all
of the writing, if everything that was read is still as it was.  If not, it begins again: the function is run
as often as needed, so it does nothing but read and write through `t`, and wait for nothing else.

Why that is serializable, and strictly so: at the revision of the commit each value that was read is still the
newest, so the function would have read the same and written the same had it run in that moment alone.  The
transactions stand in the order of their revisions, which is that of time.  One that only reads is checked in
the same way, by a commit without changes.  There is no reading of whole directories here, since no service
can check that nothing was added to one meanwhile: keep what belongs together in one key that says what there
is.

A run that meets others halfway may see what never was there together.  It is not committed; and if it raises
something, that is raised only if what it had read was true, else it is run again.

An answer that is lost does not make it done twice, nor `maybe` done, except where the session ends before one
could know (`certain.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from agreed.backends.contract import Absent, At, Change, Delete, Entry, Guard, Put
from agreed.client.errors import ClientError, TooLarge
from agreed.recipes.errors import Conflict, TransactionTimeout
from agreed.recipes.sessions import Sessions

Result = TypeVar("Result")

PAUSE_S: Final = 0.002
"""After the first attempt; a random part of it, and of more each time, so that many do not meet again."""

PAUSE_MOST_S: Final = 0.1


class Transaction:
    """One attempt.  By hand: read and write, then `commit`, and a new one where that returns False."""

    def __init__(self, sessions: Sessions) -> None:
        self._backend = sessions.backend
        self._certain = sessions.certain
        self._read: dict[str, Entry | None] = {}
        self._written: dict[str, bytes | None] = {}
        self._guards: list[Guard] = []
        self.committing = False
        """What is asked for may be done from now on."""

    async def get(self, key: str) -> bytes | None:
        """None where it is not there; what was written here before, if anything was."""
        if key in self._written:
            return self._written[key]
        if key not in self._read:
            self._read[key] = await self._backend.get(key)
        entry = self._read[key]
        return None if entry is None else entry.value

    def put(self, key: str, value: bytes) -> None:
        self._written[key] = value

    def delete(self, key: str) -> None:
        """If it is there."""
        self._written[key] = None

    def require(self, guard: Guard) -> None:
        """Commit only if this holds as well, such as `held.condition()` of a lock."""
        self._guards.append(guard)

    async def commit(self) -> bool:
        """False: something that was read is another by now, or a guard does not hold; nothing was done.
        Raises what the backend does, TooLarge for more changes than it takes at once."""
        changes: list[Change] = [
            Delete(key) if value is None else Put(key, value) for key, value in self._written.items()
        ]
        if len(changes) > self._certain.changes:
            raise TooLarge(f"{len(changes)} changes in one transaction")
        guards = self._all_guards()
        if not guards and not changes:
            return True
        self.committing = True
        done = await self._certain.commit(guards, changes) is not None
        self.committing = False
        return done

    async def raise_if_hopeless(self, hopeless: set[Guard]) -> None:
        """For who begins again: `hopeless` are guards of earlier attempts that never hold any more, and is
        added to.  What was made or changed once has that revision, and what comes after it another.  Raises
        Conflict where one is required again: a lock, say, that was lost."""
        for guard in self._guards:
            if guard in hopeless:
                raise Conflict(f"{guard.key} is not the one that was required, and will not be again")
            if not isinstance(guard, Absent) and await self._backend.commit([guard], []) is None:
                hopeless.add(guard)

    async def is_true(self) -> bool:
        """What was read is still there, all of it at one moment."""
        guards = self._all_guards()
        return not guards or await self._backend.commit(guards, []) is not None

    def _all_guards(self) -> list[Guard]:
        return [
            *self._guards,
            *(Absent(key) if entry is None else At(key, entry.version) for key, entry in self._read.items()),
        ]


async def transact(
    sessions: Sessions, work: Callable[[Transaction], Awaitable[Result]], *, timeout: float | None = None
) -> Result:
    """Run it until it is committed; what it returned then.

    Raises what `work` raises, nothing of it being done; TransactionTimeout after `timeout` seconds in all;
    what the backend does.  Where a guard of one's own (`require`) does not hold, it is tried until then, or
    until it is known that it never will (Conflict)."""
    limit = asyncio.timeout(timeout)
    hopeless: set[Guard] = set()
    transaction = Transaction(sessions)
    try:
        async with limit:
            for attempt in itertools.count():
                if attempt:
                    await asyncio.sleep(pause_s(attempt))
                transaction = Transaction(sessions)
                try:
                    result = await work(transaction)
                except ClientError:
                    raise
                except Exception:
                    if await transaction.is_true():
                        raise
                    continue
                if await transaction.commit():
                    return result
                await transaction.raise_if_hopeless(hopeless)
    except TimeoutError as error:
        if not limit.expired():
            raise  # of somebody else
        raise TransactionTimeout(f"not committed within {timeout} s", maybe=transaction.committing) from error
    raise AssertionError("it counts for ever")


def pause_s(attempt: int) -> float:
    return random.random() * min(PAUSE_S * attempt, PAUSE_MOST_S)


async def commit_if(sessions: Sessions, when: Sequence[Guard], then: Sequence[Change]) -> int | None:
    """All of `then` if all of `when` holds: the revision at which it was done, or None."""
    return await sessions.certain.commit(when, then)
