"""One copy of a replicated object.

    async with client.replicated(Stock, "stock") as stock:
        left = await stock.call(Stock.take, "chairs", 2)        a command: on every copy, in one order
        level = await stock.call(Stock.level, "chairs")         a query: not older than any answer so far
        level = stock.local(Stock.level, "chairs")              asks nobody: as of `stock.position`

A command is run here first, on the state after all commands that are in the log.  What it makes of it is
appended as "this command, with this time and these dice, which led to the state with this digest", on the
condition that nobody was faster; if somebody was, his commands are run here, and then it begins again.  So
what the caller is told is true of its place in the one order, and linearizable.  Commands that are asked for
here at the same time go into one commit; of several clients one gets through at a time.

    it raises           nothing is written; it is asked whether the log was still that long, so that the error
                        is true of a moment of the call, and the caller gets it as it was raised
    the answer is lost  the same commit again, on the same condition: one of the two at most is done.  If it
                        does not hold any more, the record that stands there has our mark or has not.  `maybe`
                        only where the service stays out of reach, or so much has happened meanwhile that the
                        record is not kept any more

Every other replica runs the command as well, and compares.  One that gets another digest raises Diverged, and
answers nothing any more; so does one that meets what a newer version has written (NewerVersion).  A program
that is restarted begins with the newest snapshot.

A replica that is far behind takes the newest snapshot and goes on from there.  Every `SNAPSHOT_EVERY`
commands and every `SNAPSHOT_BYTES` the one whose command that was writes one.

`compatible=1` on a replica of version 2: for as long as programs of version 1 run as well, it writes only
what they know, and no snapshots.  What only version 2 has is refused (NewerVersion).

Commands run on the event loop, and keep it from everything else meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, cast

import msgspec

from agreed.backends.contract import Absent, At, Change, Changes, Guard, Put
from agreed.client.errors import ClientError, ConnectionLost, TooLarge, Unanswered
from agreed.errors import AgreedError, ConfigurationError
from agreed.recipes.errors import CodecError, Diverged, NewerVersion, TransactionTimeout
from agreed.recipes.follower import Follower
from agreed.recipes.replicated.declaring import Command, Query, said_of
from agreed.recipes.replicated.layout import Extent, Record, read
from agreed.recipes.replicated.schema import Method, Object, Schema
from agreed.recipes.replicated.snapshots import Snapshots
from agreed.recipes.replicated.state import State
from agreed.recipes.segments import Segments
from agreed.recipes.sessions import Sessions
from agreed.recipes.transactions import pause_s

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

LOG: Final = logging.getLogger("agreed.recipes")

SNAPSHOT_EVERY: Final = 256
"""Commands; a replica that is so far behind looks for a snapshot first."""

SNAPSHOT_BYTES: Final = 4 << 20
"""Of commands."""

STATE_BYTES_MOST: Final = 16 << 20
"""A command that would make it larger is refused."""

AROUND_A_COMMAND_BYTES: Final = 1024
"""What a record has besides its arguments, at most."""

LOST_ANSWERS_MOST: Final = 8
"""Of one commit.  A service that answers nothing for so long will not answer the next one either."""


class _Asked:
    """A command, and in the end what has become of it: whether it raised, and what."""

    def __init__(self, said: Command, since: int, command: Method, arguments: bytes) -> None:
        self.said = said
        self.since = since
        self.command = command
        self.arguments = arguments
        self.raised = False
        self.returned: Any = None
        self.committing = False
        """It may be done; from then on it stays so, unless it is known that it was not done."""
        self.told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def returns(self, result: Any) -> None:
        self.raised, self.returned = False, result

    def raises(self, error: BaseException) -> None:
        self.raised, self.returned = True, error

    def tell(self) -> None:
        if not self.told.done():
            self.told.set_result(None)


class _Seen(msgspec.Struct, frozen=True):
    """`created`: when the key was made, which no two objects of one name share; 0: it is not there."""

    extent: Extent
    guard: Guard
    created: int


class Replica(Generic[Object]):
    """`timeout`: how long a call may take in all.  `compatible`: the oldest version that others run.

    `async with` keeps it up to date by itself; without, it is as new as its last call.  For any number of
    tasks.  Raises ConfigurationError for a class that cannot be replicated."""

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        kind: type[Object],
        *,
        compatible: int | None = None,
        timeout: float | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self._schema = Schema(kind)
        self._speaks = self._schema.version if compatible is None else compatible
        if not 1 <= self._speaks <= self._schema.version:
            raise ConfigurationError(f"{kind.__name__} has version {self._schema.version}, not {compatible}")
        self._timeout_s = timeout
        self._backend = sessions.backend
        self._extent_key = f"{name}/extent"
        self._records = Segments(self._backend, name)
        self._snapshots = Snapshots(self._backend, name, self._records)
        self._state = State(self._schema, 0, self._schema.initial, 0)
        self._seen: _Seen | None = None
        self._created = 0
        self._turn = asyncio.Lock()
        self._marks = (f"{uuid.uuid4().hex[:16]}-{number}" for number in itertools.count())
        self._asked: dict[_Asked, None] = {}
        self._writing: asyncio.Task[None] | None = None
        self._next_sync: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._stopped: AgreedError | None = None
        for_good = (Diverged, NewerVersion, CodecError)
        self._follower = Follower(
            self._backend, self._extent_key, self._keep_up, below=False, for_good=for_good
        )

    @property
    def position(self) -> int:
        """So many commands have been run here."""
        return self._state.position

    @property
    def digest(self) -> str:
        """Of the state after them: the same on every replica of this version."""
        return self._state.digest

    @property
    def error(self) -> AgreedError | None:
        """Why this replica has stopped, or is not kept up to date at present."""
        return self._stopped or self._follower.error

    async def call(
        self,
        method: Callable[Concatenate[Object, Arguments], Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """A command or a query of the class, named as `Stock.take`; both linearizable.  Who is cancelled does
        not know whether his command was done.

        Raises what the method raises, nothing of it being done; TypeError and CodecError for arguments and
        results that are not of its types, TooLarge; TransactionTimeout; Diverged and NewerVersion for ever;
        what the backend does."""
        asked: _Asked | None = None
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                said = said_of(method)
                if isinstance(said, Query):
                    await self.sync()
                    return self.local(method, *arguments, **named)
                asked = self._ask(said, method, arguments, named)
                await asked.told
        except TimeoutError as error:
            if not limit.expired():
                raise  # of somebody else
            if asked is None or asked.told.cancelled() or not asked.told.done():
                maybe = asked is not None and asked.committing
                raise TransactionTimeout(f"no answer within {self._timeout_s} s", maybe=maybe) from error
        finally:
            if asked is not None:
                self._asked.pop(asked, None)  # also of those who gave up while nothing could be asked for
        if asked.raised:
            raise asked.returned
        return cast(Result, asked.returned)

    def local(
        self,
        method: Callable[Concatenate[Object, Arguments], Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """A query, answered at once by what is known here; `position` tells how old that is.

        Raises as `call`."""
        self._check()
        said = said_of(method)
        if not isinstance(said, Query) or said.name not in self._schema.queries:
            raise TypeError(f"{method.__name__} is no query of {self._schema.name}")
        query = self._schema.queries[said.name]
        return cast(Result, self._state.ask(query, query.encode(arguments, named)))

    async def sync(self) -> int:
        """Every command that was answered before this was called has been run here.  The position."""
        if self._next_sync is None or self._next_sync.done():
            self._next_sync = asyncio.get_running_loop().create_task(self._sync())
            self._next_sync.add_done_callback(_heard)
        await asyncio.shield(self._next_sync)
        return self.position

    async def __aenter__(self) -> Self:
        """Returns when it is up to date.  Any number of tasks may have entered it at once."""
        await self.sync()
        await self._follower.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._follower.end()
        if self._follower.entered:
            return
        tasks = [task for task in (self._writing, self._keeping) if task is not None]
        if tasks:
            await asyncio.wait(tasks)

    # --- reading along ------------------------------------------------------------------------------------

    async def _keep_up(self, changes: Changes | None) -> None:
        await self.sync()

    async def _sync(self) -> None:
        async with self._turn:
            self._next_sync = None  # who asks from now on wants to know of what is answered until now
            self._check()
            await self._newest()

    async def _newest(self) -> _Seen:
        """How long the log is, as soon as exactly so much of it has been run here.  It may be longer by the
        time at which a snapshot was read, and then what was seen before is of no use any more."""
        try:
            while True:
                seen = await self._look()
                if self._created and seen.created != self._created:
                    raise CodecError(f"{self.name} was deleted; what is there now, if anything, is another")
                self._created = seen.created
                await self._catch_up(seen.extent.next)
                if seen.extent.next == self.position:
                    self._seen = seen
                    return seen
        except (Diverged, NewerVersion, CodecError) as error:
            LOG.error("this replica stops: %s", error)
            self._stopped = error
            raise

    async def _look(self) -> _Seen:
        entry = await self._backend.get(self._extent_key)
        if entry is None:
            return _Seen(Extent(), Absent(self._extent_key), 0)
        return _Seen(read(entry.key, entry.value, Extent), At(entry.key, entry.version), entry.created)

    async def _catch_up(self, end: int) -> None:
        """Run what others have appended; as far as that goes, where something goes wrong."""
        if end < self.position:
            raise CodecError(f"{self.name} has {end} commands, and had {self.position} before")
        if end - self.position >= SNAPSHOT_EVERY:
            await self._jump(must=False)
        while self.position < end:
            entries = await self._records.some(self.position, end)
            if entries is None:
                await self._jump(must=True)
                continue
            for entry in entries:
                self._state = self._state.applied(self.name, read(entry.key, entry.value, Record))
                await asyncio.sleep(0)  # whoever else is on this loop has waited for long enough

    async def _jump(self, *, must: bool) -> None:
        """To the newest snapshot.  `must`: there are no commands that would lead there."""
        snapshot = await self._snapshots.newest()
        if snapshot is None or snapshot.position <= self.position:
            if must:
                raise CodecError(f"{self.name}: not all commands from {self.position} on are there")
            return
        if snapshot.version > self._schema.version:
            if must:
                where = f"{self.name}: the snapshot at {snapshot.position}"
                raise NewerVersion(where, snapshot.version, self._schema.version)
            return
        raw = await self._snapshots.read(snapshot)
        if raw is None:
            return  # there is a newer one
        if snapshot.version < self._schema.version:
            raw = self._schema.upgraded(snapshot.version, raw)
        fresh = self._schema.decode(raw)
        self._state = State(self._schema, snapshot.position, raw, snapshot.now_ms, fresh)

    def _check(self) -> None:
        if self._stopped is not None:
            raise self._stopped.with_traceback(None)

    # --- commands -----------------------------------------------------------------------------------------

    def _ask(self, said: Command | None, method: Any, arguments: Any, named: Any) -> _Asked:
        self._check()
        if said is None:
            raise TypeError(f"{method.__name__} is no command and no query of {self._schema.name}")
        since, command = self._schema.command_of(said, self._speaks)
        asked = _Asked(said, since, command, command.encode(arguments, named))
        if len(asked.arguments) + AROUND_A_COMMAND_BYTES > self._most_bytes:
            raise TooLarge(f"{self.name}: {said.name} with {len(asked.arguments)} bytes")
        self._asked[asked] = None
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())
        return asked

    @property
    def _most_bytes(self) -> int:
        """Of one commit."""
        return self._backend.capabilities.value_bytes // 2

    async def _write(self) -> None:
        """All that is asked for, in the order in which it was, as much as one commit takes at a time."""
        try:
            while self._asked:
                await asyncio.sleep(0)  # who asks in the same moment goes with it
                async with self._turn:
                    batch = self._next_batch()
                    try:
                        await self._append(batch)
                    except Exception as error:
                        for asked in batch:
                            asked.raises(error)
                    except BaseException:
                        for asked in batch:
                            asked.told.cancel()  # nobody knows what has become of it
                        raise
                    finally:
                        for asked in batch:
                            asked.tell()
        finally:
            self._writing = None

    def _next_batch(self) -> list[_Asked]:
        most = self._backend.capabilities.changes - 1
        batch: list[_Asked] = []
        size = 0
        for asked in self._asked:
            size += len(asked.arguments) + AROUND_A_COMMAND_BYTES
            if len(batch) == most or (batch and size > self._most_bytes):
                break
            batch.append(asked)
        for asked in batch:
            del self._asked[asked]
        return batch

    async def _append(self, batch: Sequence[_Asked]) -> None:
        for attempt in itertools.count(1):
            self._check()
            if all(asked.told.done() for asked in batch):
                return
            is_known = self._seen is not None and self._seen.extent.next == self.position
            seen = self._seen if self._seen is not None and is_known else await self._newest()
            waiting = [asked for asked in batch if not asked.told.done()]
            if not waiting or await self._appended(seen, *self._run(waiting), batch=waiting):
                return
            await asyncio.sleep(pause_s(attempt))

    def _run(self, batch: Sequence[_Asked]) -> tuple[State[Object], list[Record]]:
        """What they make of the state, and what is to be said of those that did not raise."""
        state = self._state
        records = []
        for asked in batch:
            now_ms = max(state.now_ms, time.time_ns() // 1_000_000)
            seed = secrets.randbits(63)
            try:
                after, returned = state.run(asked.command, asked.arguments, now_ms, seed)
                asked.returns(asked.command.result(returned))
                if len(after.raw) > STATE_BYTES_MOST:
                    raise TooLarge(f"{self.name}: a state of {len(after.raw)} bytes")
            except BaseException as error:
                asked.raises(error)
                continue
            raw = msgspec.Raw(asked.arguments)
            version, mark = self._schema.version, next(self._marks)
            said = (asked.said.name, raw, asked.since, version, after.digest, mark, now_ms, seed)
            records.append(Record(*said))
            state = after
        return state, records

    async def _appended(
        self, seen: _Seen, after: State[Object], records: Sequence[Record], batch: Sequence[_Asked]
    ) -> bool:
        """False: somebody was faster, and it surely was not done."""
        self._seen = None
        if not records:
            if await self._is_still(seen):
                self._seen = seen
                return True
            return False
        raws = [msgspec.json.encode(record) for record in records]
        length = seen.extent.bytes + sum(map(len, raws))
        extent = msgspec.structs.replace(seen.extent, next=after.position, bytes=length)
        puts = [Put(self._records.key(number), raw) for number, raw in enumerate(raws, self.position)]
        changes = [Put(self._extent_key, msgspec.json.encode(extent)), *puts]
        for asked in batch:
            asked.committing = True
        revision = await self._commit(seen.guard, changes, records[0].mark)
        if revision is None:
            for asked in batch:
                asked.committing = False
            return False
        self._state = after
        self._created = seen.created or revision
        self._seen = _Seen(extent, At(self._extent_key, revision), self._created)
        if _crosses(seen.extent, extent) and self._speaks == self._schema.version:
            self._keep(after)
        return True

    async def _is_still(self, seen: _Seen) -> bool:
        """Of commands that have all raised: they did so on the newest state."""
        try:
            return await self._backend.commit([seen.guard], []) is not None
        except Unanswered as error:
            raise ConnectionLost(str(error), maybe=False) from error

    async def _commit(self, guard: Guard, changes: Sequence[Change], mark: str) -> int | None:
        """The revision at which it was done; None: it was not, and will not be."""
        doubt: Unanswered | None = None
        for attempt in range(LOST_ANSWERS_MOST):
            if attempt:
                await asyncio.sleep(pause_s(attempt))
            try:
                revision = await self._backend.commit([guard], changes)
                if revision is not None or doubt is None:
                    return revision
                there = await self._backend.get(self._records.key(self.position))
                if there is None:
                    break
                return there.created if read(there.key, there.value, Record).mark == mark else None
            except Unanswered as error:
                if doubt is None and error.surely_not_done:
                    raise
                doubt = doubt or error
            except (ClientError, CodecError):
                if doubt is None:
                    raise
                break
        assert doubt is not None, "only what is in doubt is asked for again"
        raise doubt

    # --- keeping the log short ----------------------------------------------------------------------------

    def _keep(self, state: State[Object]) -> None:
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.get_running_loop().create_task(self._write_snapshot(state))

    async def _write_snapshot(self, state: State[Object]) -> None:
        """Where it fails, whoever comes to the next bound tries again."""
        try:
            await self._snapshots.write(state)
        except AgreedError as error:
            LOG.warning("%s: no snapshot at %s: %s", self.name, state.position, error)


def _crosses(before: Extent, after: Extent) -> bool:
    return (
        before.next // SNAPSHOT_EVERY != after.next // SNAPSHOT_EVERY
        or before.bytes // SNAPSHOT_BYTES != after.bytes // SNAPSHOT_BYTES
    )


def _heard(task: Awaitable[None]) -> None:
    """What it raised is told to whoever waits; if nobody does, to nobody."""
    if isinstance(task, asyncio.Task) and not task.cancelled():
        task.exception()
