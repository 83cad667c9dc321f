"""Recipes with one mistake each: what a world does not find in them, it would not find in ours.

    with mutant.at_work():
        play(PLAYS[mutant.play], seed)

Mistakes that were made, here or elsewhere, and such that each judge has something to refuse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple
from unittest import mock

from agreed.backends.contract import Change, Guard, Place, Put
from agreed.client.errors import Throttled, Unanswered
from agreed.recipes import cell, event, ids, queue
from agreed.recipes.barrier import Barrier, _Party
from agreed.recipes.cached_subtree import CachedSubtree
from agreed.recipes.certain import Certain
from agreed.recipes.changing import Fate, Register
from agreed.recipes.config import Config
from agreed.recipes.election import Term
from agreed.recipes.grant import Grant
from agreed.recipes.group import Membership
from agreed.recipes.latch import Latch
from agreed.recipes.log import Log
from agreed.recipes.rate_limiter import RateLimiter
from agreed.recipes.registry import Registration
from agreed.recipes.replicated.replica import Replica
from agreed.recipes.sessions import Sessions
from agreed.recipes.transactions import Transaction
from agreed.recipes.waiting import Among, Awaited, Exclusive, Shared


class Mutant(NamedTuple):
    """`broken` stands in the place of `part`.`name` while `play` is played."""

    play: str
    mistake: str
    part: object
    name: str
    broken: object

    def at_work(self) -> AbstractContextManager[object]:
        return mock.patch.object(self.part, self.name, self.broken)


def _two_at_a_time(rule: object, directory: str, line: tuple[Place, ...], index: int) -> Awaited | None:
    return Awaited(line[index - 1]) if index > 1 else None


def _whoever_is_there(rule: object, directory: str, line: tuple[Place, ...], index: int) -> Awaited | None:
    return None


def _one_too_many(rule: Among, directory: str, line: tuple[Place, ...], index: int) -> Awaited | None:
    return Awaited(None) if index > rule.permits else None


def _not_tidied(sessions: Sessions, work: Coroutine[Any, Any, None]) -> None:
    work.close()


async def _nothing(*_: object) -> None: ...


def _nothing_now(*_: object) -> None: ...


async def _no(*_: object) -> bool:
    return False


async def _said_again_and_again(membership: Membership, info: bytes) -> None:
    for _ in range(8):
        try:
            await membership._backend.commit([membership.condition()], [Put(membership.key, info)])
            return
        except Unanswered:
            continue


async def _stopped_and_no(barrier: Barrier, party: _Party, time_is_over: bool) -> bool:
    await barrier._stopped(party)
    return False


def _done(*_: object) -> Fate:
    return Fate.DONE


def _not_done(*_: object) -> Fate:
    return Fate.NOT_DONE


async def _asked_again(certain: Certain, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
    while True:
        try:
            return await certain._backend.commit(guards, changes)
        except (Unanswered, Throttled):
            await asyncio.sleep(0.01)


async def _told_not_done(certain: Certain, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
    try:
        return await certain._backend.commit(guards, changes)
    except Unanswered as error:
        raise type(error)("somebody says so", maybe=False) from error


async def _taken_for_another(
    replica: Replica[Any], guard: Guard, changes: Sequence[Change], mark: str
) -> int | None:
    try:
        return await replica._backend.commit([guard], changes)
    except Unanswered:
        return None


def _only_what_is_required(transaction: Transaction) -> list[Guard]:
    return list(transaction._guards)


def _ahead(now: Callable[..., float]) -> Callable[..., float]:
    return lambda *about: now(*about) + 0.5


async def _own_numbers(generator: ids.IdGenerator, count: int) -> range:
    given = await generator._register.read() or 0
    await generator._register.change(lambda last: (given + count, given + count))
    return range(given + 1, given + count + 1)


async def _offset_of_before(append: Any, log: Log[Any], raws: Sequence[bytes]) -> int:
    return max(0, int(await append(log, raws)) - 1)


def _once(keep_up: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def look(copy: Any, *changes: Any) -> None:
        if changes == (None,):
            await keep_up(copy, *changes)

    return look


def _off_by_one(append: Callable[..., Awaitable[int]]) -> Callable[..., Awaitable[int]]:
    return lambda log, raws: _offset_of_before(append, log, raws)




MUTANTS: Final = (
    Mutant("lock", "two have it", Exclusive, "before", _two_at_a_time),
    Mutant("lock", "a session that is over is not noticed", Grant, "check", _nothing_now),
    Mutant("reentrant lock", "given back at the first time", Grant, "taken_again", _nothing_now),
    Mutant("read-write lock", "readers do not wait", Shared, "before", _whoever_is_there),
    Mutant("multilock", "what was begun is not tidied away", Sessions, "tidy", _not_tidied),
    Mutant("semaphore", "one permit too many", Among, "before", _one_too_many),
    Mutant("election", "a proclamation is kept for oneself", Term, "proclaim", _nothing),
    Mutant("group", "said again, behind what was said later", Membership, "inform", _said_again_and_again),
    Mutant("assignment", "two own an item", Exclusive, "before", _two_at_a_time),
    Mutant("registry", "nobody is ever well", Registration, "_is_healthy", _no),
    Mutant("barrier", "an error is handed on as it is", Barrier, "_was_let_through", _stopped_and_no),
    Mutant("barrier", "nobody stops", _Party, "stop_waiting", _no),
    Mutant("double barrier", "out before the others", _Party, "alone", _nothing),
    Mutant("latch", "counted again", Register, "_fate", _not_done),
    Mutant("latch", "nobody waits", Latch, "wait", _nothing),
    Mutant("event", "nobody waits", event.Event, "wait", _nothing),
    Mutant("counter", "added again", Register, "_fate", _not_done),
    Mutant("counter", "taken for done", Register, "_fate", _done),
    Mutant("ids", "read, then written", ids.IdGenerator, "take", _own_numbers),
    Mutant("rate limiter", "a clock that is ahead", RateLimiter, "_now", _ahead(RateLimiter._now)),
    Mutant("rate limiter", "taken again", Register, "_fate", _not_done),
    Mutant("cell", "updated again", cell, "_nobody_knows", _not_done),
    Mutant("transaction", "what was read is not guarded", Transaction, "_all_guards", _only_what_is_required),
    Mutant("transaction", "done, and told that it is not", Certain, "commit", _told_not_done),
    Mutant("config", "the first state is kept", Config, "_keep_up", _once(Config._keep_up)),
    Mutant("log", "appended again", Certain, "commit", _asked_again),
    Mutant("log", "the offset of another one", Log, "_appended", _off_by_one(Log._appended)),
    Mutant("queue", "claimed or done again", Certain, "commit", _asked_again),
    Mutant("replicated object", "taken for another's", Replica, "_commit", _taken_for_another),
    Mutant("cached subtree", "the first is kept", CachedSubtree, "_keep_up", _once(CachedSubtree._keep_up)),
    Mutant("queue", "not given back", queue.Queue, "_delete_claim", _nothing),
)
