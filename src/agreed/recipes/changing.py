"""A key that is changed as a function of what is in it, and what has become of a change that nobody answered.

    look, think, commit "if it is still as I saw it"; when somebody was faster, again

A commit may be done though its answer is lost, and may even be done later than that.  So nobody may simply
try again: a counter would count twice.  What helps is that each attempt holds for one version of the key:

    the key is as it was        the lost attempt was not done yet; the next one holds for the same version, so
                                one of the two is done at most
    the key is another          the lost attempt cannot be done any more; if it was, its traces are looked for

`change` does that, and asks the recipe (`fate`) what it makes of the traces.  A `Register` leaves traces that
can be told: beside its state stand the last operations of the clients that have changed it last.  With them a
change is made exactly once, however many answers are lost, unless more clients than `REMEMBERED` were faster
before one could look; then, and when the service stays out of reach, the error says `maybe`.

Why not by `certain.py`: that knows of any commit, whatever it changes, as long as a session lives.  A single
key tells by itself: without a session and a key beside it, and also after a partition that no session has
outlived.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from agreed.backends.contract import Absent, At, Backend, Change, Entry, Put
from agreed.client.errors import ClientError, Unanswered
from agreed.errors import AgreedError
from agreed.recipes.errors import CodecError

State = TypeVar("State")

REMEMBERED: Final = 32
"""Clients whose last operation stands beside the state of a register."""

LOST_ANSWERS_MOST: Final = 8
"""In one change.  A service that takes so many requests and answers none will not answer the next."""

PAUSE_S: Final = 0.002
"""After the third attempt; a random part of it, and of more each time, so that many do not meet again."""


class Fate(Enum):
    """Of a commit without an answer that cannot be done any more."""

    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"


class Changed(msgspec.Struct, frozen=True):
    """`before` is what was there.  `revision` is None where there was nothing to change, and where the answer
    was lost and the change found done (`after` is what was found then)."""

    before: Entry | None
    revision: int | None
    after: Entry | None = None


Plan: TypeAlias = Callable[[Entry | None], Sequence[Change] | None]
"""What is to be done about what is there, the key itself among it; None: nothing."""


async def change(
    backend: Backend,
    key: str,
    plan: Plan,
    fate: Callable[[Entry | None], Fate],
    *,
    comes_and_goes: bool = False,
) -> Changed:
    """`comes_and_goes`: others delete the key as well.  Then a key that was not there and is not there tells
    nothing: it may have been made by us and deleted by them.

    Raises what the backend does; with `maybe` only where it cannot be told."""
    doubt: Unanswered | None = None
    asked_about: Entry | None = None
    lost = 0
    for attempt in itertools.count():
        if attempt > 2:
            await asyncio.sleep(random.random() * PAUSE_S * attempt)
        try:
            found = await backend.get(key)
            if doubt is not None and not _is_as_it_was(asked_about, found, comes_and_goes):
                became = fate(found)
                if became is Fate.DONE:
                    return Changed(asked_about, None, found)
                if became is Fate.UNKNOWN:
                    raise doubt
                doubt = None
            changes = plan(found)
            if changes is None:
                if doubt is not None:
                    raise doubt
                return Changed(found, None, found)
        except AgreedError as error:
            raise _what_is_certain(error, doubt) from None
        try:
            guard = Absent(key) if found is None else At(key, found.version)
            revision = await backend.commit([guard], changes)
        except Unanswered as error:
            lost += 1
            if error.surely_not_done or lost == LOST_ANSWERS_MOST:
                raise _what_is_certain(error, doubt) from None
            doubt, asked_about = error, found
        except ClientError as error:
            raise _what_is_certain(error, doubt) from None
        else:
            if revision is not None:
                return Changed(found, revision)
    raise AssertionError("it counts for ever")


def _is_as_it_was(before: Entry | None, after: Entry | None, comes_and_goes: bool) -> bool:
    if before is None or after is None:
        return before is after and not comes_and_goes
    return before.version == after.version


def _what_is_certain(error: AgreedError, doubt: Unanswered | None) -> AgreedError:
    """An attempt that surely failed says nothing about the one before it, nor does it that something else
    stands there now."""
    return error if doubt is None else doubt


def put(key: str, value: bytes) -> list[Change]:
    return [Put(key, value)]


class Done(msgspec.Struct, frozen=True, array_like=True):
    """The last operation of a client."""

    client: str
    operation: int


class Record(msgspec.Struct, Generic[State], frozen=True):
    """What stands at the key of a register.  `last`: who changed it last is the last."""

    state: State
    last: tuple[Done, ...] = ()
    format: int = 1


Step: TypeAlias = Callable[[State | None], tuple[State | None, int]]
"""From the state (None: there is none yet) to the next one and what is to be answered; None: leave it."""


class Register(Generic[State]):
    """A state that each change changes exactly once.  That needs a key which nobody deletes.
    `change` returns what `step` answered when its change was made.

    Changes of one object are made one after the other, in the order in which they were asked for."""

    def __init__(self, backend: Backend, key: str, kind: type[State]) -> None:
        self.key = key
        self._backend = backend
        self._decoder: msgspec.json.Decoder[Record[State]] = msgspec.json.Decoder(_record_of(kind))
        self._client = uuid.uuid4().hex[:16]
        self._operations = 0
        self._one_by_one = asyncio.Lock()

    async def read(self) -> State | None:
        record = self._record(await self._backend.get(self.key))
        return None if record is None else record.state

    async def change(self, step: Step[State]) -> int:
        async with self._one_by_one:
            self._operations += 1
            mine = self._operations
            answer = 0
            seen: tuple[Done, ...] = ()

            def plan(found: Entry | None) -> Sequence[Change] | None:
                nonlocal answer, seen
                record = self._record(found)
                seen = () if record is None else record.last
                state, answer = step(None if record is None else record.state)
                if state is None:
                    return None
                last = (*self._others(seen)[1 - REMEMBERED :], Done(self._client, mine))
                return put(self.key, msgspec.json.encode(Record(state, last)))

            await change(self._backend, self.key, plan, lambda found: self._fate(found, seen, mine))
            return answer

    def _others(self, last: tuple[Done, ...]) -> tuple[Done, ...]:
        return tuple(each for each in last if each.client != self._client)

    def _fate(self, found: Entry | None, seen: tuple[Done, ...], operation: int) -> Fate:
        record = self._record(found)
        if record is None:
            return Fate.UNKNOWN
        for done in record.last:
            if done.client == self._client:
                return Fate.DONE if done.operation == operation else Fate.NOT_DONE
        # Ours would have come behind all that was seen: it has not gone before they have.
        none_has_gone = len(record.last) < REMEMBERED or any(each in seen for each in record.last)
        return Fate.NOT_DONE if none_has_gone else Fate.UNKNOWN

    def _record(self, found: Entry | None) -> Record[State] | None:
        if found is None:
            return None
        try:
            return self._decoder.decode(found.value)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CodecError(
                f"what stands at {self.key} was not put there by this recipe: {error}"
            ) from error


def _record_of(kind: Any) -> Any:
    return Record[kind]
