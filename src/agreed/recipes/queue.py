"""Jobs that are each done by one, and by another one where that one dies.

    queue = Queue(sessions, "mail", codec_of(Mail))
    await queue.put(mail, priority=3, delay=60.0)
    async for job in queue:
        async with job:                         done at its end; given back where the body raises
            await send(job.value, fence=job.token)
            await job.ack(also=[Put("sent/42", b"")])       or done here, together with this

First in, first out, among those of one priority; 0 goes before 9.  (Of several who take at the same time one
may pass the other by a few places.)  A job is a grant like a lock: it has a
token, it hangs on a session, the body is cancelled when it is lost, and then somebody else gets it, with a
larger token.  No two have it with the same one.

What is promised: a job that was put is handed out until somebody acknowledged it (at least once).  Who lost
a job cannot acknowledge it (JobLost).  So what is done by the very commit of the acknowledgement (`also`) is
done exactly once; of everything else whatever receives it has to refuse the smaller token, or do it twice.

What it costs, however long the queue is:
    put         one commit; another one where a bucket was closed meanwhile (one of 32)
    take        a look at the state, at some dozens of jobs with their values, and at who works on them; one
                commit.  Each higher priority that was ever used is one more look
    ack         one commit
    waiting     whoever waits looks again at each change of the queue: rather few who wait than hundreds
    most=...    each put and each ack changes one key, one after the other

A delay is by the clocks of those who put and of those who take; it is as wrong as they differ.  What is given
back goes to its old place.  A job whose value cannot be read is handed out like others, and `job.value`
raises CodecError.  How often a job was tried is not counted here.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final, Generic, Self, TypeAlias, TypeVar

import msgspec

from agreed.backends.contract import Absent, At, Change, Delete, Entry, Guard, Put, Session, Stands
from agreed.client.errors import SessionClosed, SessionExpired, TimedOut
from agreed.errors import AgreedError
from agreed.recipes.codec import Codec
from agreed.recipes.errors import AcquireTimeout, Differs, QueueFull
from agreed.recipes.job import Claim, Job
from agreed.recipes.queue_layout import (
    MINUTE_MS,
    PRIORITIES,
    PUTS_OF_BUCKET,
    Delayed,
    State,
    bucket_name,
    decode,
    encode,
)
from agreed.recipes.sessions import PASSES, Sessions
from agreed.recipes.transactions import pause_s

Value = TypeVar("Value")

DELAY_MOST_S: Final = 7 * 24 * 3600.0
"""Each minute that has a delayed job stands in the state."""

MOVED_AT_ONCE: Final = 32
"""So many delayed jobs are brought over by one commit."""


def now_ms() -> int:
    return int(time.time() * 1000)


def _name(job: Entry) -> str:
    return job.key.rpartition("/")[2]


class _Seen(msgspec.Struct, frozen=True):
    state: State
    guard: Guard


Plan: TypeAlias = Callable[[State], tuple[State, Sequence[Guard], Sequence[Change]] | None]
"""From the state to the next one, and what else must hold and be done; None: nothing."""


class Queue(Generic[Value]):
    """`most`: so many jobs are in it at once, those that are worked on among them; whoever puts waits for a
    place.  All users of a name say the same (`Differs`).  `value`: what those who claim jobs call themselves.

    For any number of tasks at once."""

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        codec: Codec[Value],
        *,
        most: int | None = None,
        ttl: float | None = None,
        value: bytes = b"",
    ) -> None:
        if most is not None and most < 1:
            raise ValueError(f"a queue holds one job or more, and not {most}")
        self.name = name
        self.most = most
        self._sessions = sessions
        self._backend = sessions.backend
        self._codec = codec
        self._ttl_s = ttl
        self._value = value
        self._state_key = f"{name}/state"
        self._seen: _Seen | None = None
        self._claiming: dict[str, asyncio.Task[int | None]] = {}
        """What other tasks are about to claim; tried last."""

    # --- putting ----------------------------------------------------------------------------------------

    async def put(
        self, value: Value, *, priority: int = 5, delay: float = 0.0, timeout: float | None = None
    ) -> None:
        """`delay` seconds from now on it is handed out.  `timeout`: how long to wait for a place, and for an
        answer.

        Raises CodecError; QueueFull; TimedOut where the time was over while it was being put, which may be
        done; what the backend does."""
        raw = self._codec.encode(value)
        if priority not in PRIORITIES:
            raise ValueError(f"a priority is one of 0 to 9, and not {priority}")
        put = self._putting(raw, priority, delay)
        limit = asyncio.timeout(timeout)
        is_full = False
        try:
            async with limit:
                while not await self._commit(put):
                    is_full = True
                    await self._until_there_is_a_place()
                    is_full = False
        except TimeoutError as error:
            if not limit.expired():
                raise  # the backend's own
            if is_full:
                raise QueueFull(f"{self.name} has had {self.most} jobs for {timeout} s") from error
            raise TimedOut(f"{self.name}: no answer for {timeout} s", maybe=True) from error

    def _putting(self, raw: bytes, priority: int, delay: float) -> Plan:
        mark = uuid.uuid4().hex
        closes = not random.randrange(PUTS_OF_BUCKET)
        later = self._delayed(priority, delay, mark) if delay > 0 else None

        def plan(state: State) -> tuple[State, Sequence[Guard], Sequence[Change]] | None:
            if state.most and state.jobs >= state.most:
                return None
            state = state.counted(1)
            if later is not None:
                return state.with_minute(later.minute), [], [Put(self._later_key(later), raw)]
            state = state.with_level(priority)
            key = f"{self.name}/jobs/{state.open_bucket(priority)}/{mark}"
            return state.bucket_closed(priority) if closes else state, [], [Put(key, raw)]

        return plan

    def _delayed(self, priority: int, delay: float, mark: str) -> Delayed:
        if delay > DELAY_MOST_S:
            raise ValueError(f"a job is delayed by {DELAY_MOST_S:g} s at most, and not by {delay:g}")
        return Delayed(now_ms() + int(delay * 1000) + 1, priority, mark)

    def _later_key(self, later: Delayed) -> str:
        return f"{self.name}/later/{later.minute}/{later.name}"

    async def _until_there_is_a_place(self) -> None:
        async with self._backend.changes(self._state_key, below=False) as changes:
            while (seen := await self._look()).state.most and seen.state.jobs >= seen.state.most:
                await changes.wait()
            self._seen = seen

    # --- taking -----------------------------------------------------------------------------------------

    async def take(self, timeout: float | None = None) -> Job[Value]:
        """Wait for a job, and have it.

        Raises AcquireTimeout; what the backend does.  After each of them nothing is taken."""
        taken: list[Job[Value]] = []
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                await self._wait_for_one(taken)
        except BaseException as error:
            for job in taken:
                self._sessions.tidy(job.release())
            if isinstance(error, TimeoutError) and limit.expired():
                raise AcquireTimeout(f"{self.name} had no job for {timeout} s") from error
            raise
        return taken[0]

    async def try_take(self) -> Job[Value] | None:
        """None where there is none at present."""
        taken: list[Job[Value]] = []
        await self._scan(taken)
        return taken[0] if taken else None

    async def count(self) -> int:
        """How many jobs there are: free ones, those that are worked on, delayed ones.  All names are read."""
        state = (await self._look()).state
        directories = [f"{self.name}/jobs/{bucket}" for bucket in state.buckets]
        directories += [f"{self.name}/later/{minute}" for minute in state.later]
        return sum([len(await self._backend.names(directory)) for directory in directories])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Job[Value]:
        return await self.take()

    async def _wait_for_one(self, taken: list[Job[Value]]) -> None:
        await self._scan(taken)
        if taken:
            return
        async with self._backend.changes(self.name, below=True) as changes:
            while True:
                due_s = await self._scan(taken)
                if taken:
                    return
                await changes.wait(due_s)

    async def _scan(self, taken: list[Job[Value]]) -> float | None:
        """The first job that is free, if there is one; else in how many seconds the next one is due."""
        while True:
            seen = self._seen = await self._look()
            moved, due_s = await self._bring_what_is_due(seen)
            if moved:
                continue
            for priority, level in sorted(seen.state.levels.items()):
                for number in range(level.first, level.last + 1):
                    found = await self._first_of(priority, number, taken)
                    if taken:
                        return None
                    if not found and number < level.last:
                        await self._move_on(priority, number)
            return due_s

    async def _move_on(self, priority: int, number: int) -> None:
        """This bucket was closed, and then it was empty: it is so for ever."""

        def plan(state: State) -> tuple[State, Sequence[Guard], Sequence[Change]] | None:
            after = state.without_bucket(priority, number)
            return None if after == state else (after, [], [])

        await self._commit(plan)

    async def _first_of(self, priority: int, number: int, taken: list[Job[Value]]) -> bool:
        """False: there are no jobs in this bucket, free or not."""
        bucket = bucket_name(priority, number)
        jobs, claimed = await asyncio.gather(
            self._backend.entries(f"{self.name}/jobs/{bucket}"),
            self._backend.names(f"{self.name}/claims/{bucket}"),
        )
        if not jobs:
            return False
        jobs.sort(key=lambda job: (job.created, job.key))
        free = [job for job in jobs if _name(job) not in claimed]
        free.sort(key=lambda job: job.key in self._claiming)
        for races_lost in itertools.count():
            if not free or taken:
                return True
            # Whoever was faster for one is faster for the next one as well; a few places behind he is not.
            job = free.pop(random.randrange(min(len(free), 1 + 2 * races_lost)))
            await self._claim(job, priority, f"{self.name}/claims/{bucket}/{_name(job)}", taken)
        raise AssertionError("it counts for ever")

    async def _claim(self, job: Entry, priority: int, key: str, taken: list[Job[Value]]) -> None:
        session = await self._sessions.get(self._ttl_s)
        guards: list[Guard] = [Stands(job.key, job.created), Absent(key)]
        claiming = asyncio.get_running_loop().create_task(
            self._sessions.certain.commit(guards, [Put(key, self._value, session)])
        )
        self._claiming[job.key] = claiming
        claiming.add_done_callback(lambda _: self._claiming.pop(job.key, None))
        try:
            revision = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            self._sessions.tidy(self._unclaim(key, session, claiming))
            raise
        except SessionExpired:
            if session.ended:
                return  # what was claimed with it is free; the next one is claimed with another
            raise
        if revision is None:
            return
        claimed = self._job(job, priority, key, revision, session)
        if not claimed.lost_by_now():
            taken.append(claimed)
            return
        self._sessions.tidy(claimed.release())
        if not session.ended:
            raise claimed.loss()

    def _job(self, job: Entry, priority: int, key: str, revision: int, session: Session) -> Job[Value]:
        mine = Entry(key, self._value, revision, revision, revision, session.id)
        claim = Claim(job, mine, priority, session)
        return Job(
            self._backend,
            self.name,
            claim,
            self._codec,
            self._acknowledge,
            self._give_back,
            self._postpone,
            self._sessions.in_any_case,
        )

    async def _unclaim(self, key: str, session: Session, claiming: asyncio.Task[int | None]) -> None:
        try:
            revision = await claiming
        except AgreedError:
            return  # not done; or it goes with its session
        if revision is not None:
            await self._delete_claim(Stands(key, revision), session)

    # --- what becomes of a job --------------------------------------------------------------------------

    async def _acknowledge(self, claim: Claim, also: Sequence[Change]) -> bool:
        changes = [Delete(claim.mine.key), Delete(claim.job.key), *also]
        if self.most is None:
            done = await self._sessions.certain.commit([claim.condition], changes)
            return done is not None
        return await self._commit(lambda state: (state.counted(-1), [claim.condition], changes))

    async def _give_back(self, claim: Claim) -> None:
        await self._delete_claim(claim.condition, claim.session)

    async def _delete_claim(self, ours: Stands, session: Session) -> None:
        """Returns when that is certain or the session is over: else nobody had the job as long as we live."""
        for attempt in itertools.count(1):
            try:
                await self._sessions.certain.commit([ours], [Delete(ours.key)])
            except PASSES as error:
                if session.ended or isinstance(error, SessionClosed):
                    return
                await asyncio.sleep(pause_s(attempt))
            else:
                return

    async def _postpone(self, claim: Claim, delay: float) -> bool:
        later = self._delayed(claim.priority, delay, uuid.uuid4().hex)
        changes: list[Change] = [
            Delete(claim.mine.key),
            Delete(claim.job.key),
            Put(self._later_key(later), claim.job.value),
        ]
        return await self._commit(lambda state: (state.with_minute(later.minute), [claim.condition], changes))

    # --- delayed jobs -----------------------------------------------------------------------------------

    async def _bring_what_is_due(self, seen: _Seen) -> tuple[bool, float | None]:
        """Whether the state is another now; and in how many seconds to look again."""
        now = now_ms()
        for minute, is_open in sorted(seen.state.later.items()):
            begins_ms = minute * MINUTE_MS
            if begins_ms > now:
                return False, (begins_ms - now) / 1000
            directory = f"{self.name}/later/{minute}"
            names = await self._backend.names(directory)
            delayed = [each for each in map(Delayed.of, names) if each is not None]
            due = [each for each in delayed if each.due_ms <= now]
            if due:
                await self._bring(directory, due)
                return True, None
            if delayed:
                return False, (delayed[0].due_ms - now) / 1000
            if begins_ms + MINUTE_MS <= now:
                await self._forget(seen, minute, is_open)
                return True, None
        return False, None

    async def _bring(self, directory: str, due: Sequence[Delayed]) -> None:
        most = min(MOVED_AT_ONCE, (self._sessions.certain.changes - 1) // 2)
        found = await asyncio.gather(*(self._backend.get(f"{directory}/{each.name}") for each in due[:most]))
        there: list[tuple[Delayed, Entry]] = []
        size = 0
        for each, entry in zip(due, found, strict=False):
            size += 0 if entry is None else len(entry.value)
            if entry is not None and (not there or size <= self._backend.capabilities.value_bytes // 2):
                there.append((each, entry))

        def plan(state: State) -> tuple[State, Sequence[Guard], Sequence[Change]]:
            guards: list[Guard] = []
            changes: list[Change] = []
            for each, entry in there:
                state = state.with_level(each.priority)
                bucket = state.open_bucket(each.priority)
                guards.append(Stands(entry.key, entry.created))
                changes += [
                    Delete(entry.key),
                    Put(f"{self.name}/jobs/{bucket}/{each.name}", entry.value),
                ]
            return state, guards, changes

        if there:
            await self._commit(plan)

    async def _forget(self, seen: _Seen, minute: int, is_open: bool) -> None:
        """Not by `_commit`: what was found empty was so in this state, and in no later one."""
        state = seen.state.minute_closed(minute) if is_open else seen.state.without_minute(minute)
        await self._sessions.certain.commit([seen.guard], [Put(self._state_key, encode(state))])

    # --- the state --------------------------------------------------------------------------------------

    async def _look(self) -> _Seen:
        entry = await self._backend.get(self._state_key)
        if entry is None:
            return _Seen(State(most=self.most or 0), Absent(self._state_key))
        state = decode(self._state_key, entry.value)
        if state.most != (self.most or 0):
            raise Differs(self.name, "places", self.most or 0, state.most)
        return _Seen(state, At(self._state_key, entry.version))

    async def _commit(self, plan: Plan) -> bool:
        """Do it in the state for which it was planned.  False: what else must hold does not, or there is
        nothing to be done."""
        seen = self._seen or await self._look()
        for attempt in itertools.count(1):
            planned = plan(seen.state)
            if planned is None:
                return False
            state, guards, changes = planned
            if state != seen.state:
                changes = [*changes, Put(self._state_key, encode(state))]
            revision = await self._sessions.certain.commit([*guards, seen.guard], changes)
            if revision is not None:
                if state != seen.state:
                    seen = _Seen(state, At(self._state_key, revision))
                self._seen = seen
                return True
            before = seen
            if self._seen is not None and self._seen.guard != before.guard:
                seen = self._seen  # another task knows already what it is now
                continue
            seen = await self._look()
            if seen.guard == before.guard:
                return False
            self._seen = seen
            await asyncio.sleep(pause_s(attempt))
        raise AssertionError("it counts for ever")
