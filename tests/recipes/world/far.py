"""A client of a stage behind a network that loses, delays and cuts, as loosely as the contract allows.

A request takes effect at some moment after it was asked, and its answer comes later, or does not.  Who is
cancelled meanwhile has sent it, or has not.  A client that is cut off for longer than its sessions live finds
them over when it comes back; what is certain of them (`remaining_s`) is counted as real clients do.  Watches
tell late, but in order.

    request lost        it is not done, and nobody can know
    answer lost         it is done, and nobody can know
    late                it fails, and is done a while later
    silent              one of these, and it fails only when the time for a request is over
    refused             it is not done, and everybody knows
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple, Self, TypeVar

import msgspec

from agreed.backends.contract import (
    Change,
    Delete,
    Entry,
    Event,
    Guard,
    Kind,
    Layout,
    Place,
    Put,
    Session,
    Standing,
    Subtree,
    Touched,
)
from agreed.backends.errors import TooMuchBelow, Unsupported
from agreed.client.errors import (
    ConnectionLost,
    QuotaExceeded,
    ReadOnly,
    SessionExpired,
    Throttled,
    TimedOut,
)
from agreed.errors import AgreedError
from tests.recipes.stage import CAPABILITIES, Stage, StageChanges

Answer = TypeVar("Answer")

REQUEST_TIMEOUT_S: Final = 0.5
LATE_S: Final = 0.05
"""When all is well nothing comes later, so that sessions are renewed in time."""
SURE_PART: Final = 0.95
"""Of the life of a session: clocks differ."""


class Weather(msgspec.Struct, frozen=True):
    """How bad it is: probabilities, and times on the average."""

    latency_s: float
    lost: float
    cancelled: float
    out_of_time: float
    cut_every_s: float
    cut_s: float

    @classmethod
    def drawn(cls, dice: random.Random) -> Weather:
        """Bad in some respects, and not in all: else nothing is ever got done."""
        return cls(
            latency_s=dice.choice([0.004, 0.01, 0.03]),
            lost=dice.choice([0.0, 0.02, 0.1, 0.3]),
            cancelled=dice.choice([0.0, 0.1, 0.3]),
            out_of_time=dice.choice([0.1, 0.5, 0.9]),
            cut_every_s=dice.choice([0.4, 1.5, 1000.0]),
            cut_s=dice.choice([0.1, 0.6]),
        )


class Fate(Enum):
    ANSWERED = "answered"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    LATE = "late"
    REFUSED = "refused"


LOST: Final = (Fate.REQUEST_LOST, Fate.ANSWER_LOST, Fate.LATE, Fate.REFUSED)


class Version(NamedTuple):
    """What stood at a key from then on; None: nothing."""

    revision: int
    at_s: float
    key: str
    before: Entry | None
    after: Entry | None


class Recorded(Stage):
    """A stage that remembers all there ever was; `history` by key, `log` in order."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Version] = []
        self.history: dict[str, list[Version]] = {}
        self.left: set[str] = set()
        """Marks of those who have left: who comes by one of them later does not stand there."""

    def put(self, key: str, value: bytes, owner: int) -> Entry:
        before = self.entries.get(key)
        after = super().put(key, value, owner)
        self._remember(key, before, after)
        return after

    def delete(self, key: str) -> None:
        before = self.entries.get(key)
        super().delete(key)
        if before is not None:
            self._remember(key, before, None)

    def _remember(self, key: str, before: Entry | None, after: Entry | None) -> None:
        version = Version(self.revision, asyncio.get_running_loop().time(), key, before, after)
        self.log.append(version)
        self.history.setdefault(key, []).append(version)

    def line(self, directory: str, there: dict[str, Entry] | None = None) -> tuple[Place, ...]:
        entries = self.entries if there is None else there
        found = [entry for key, entry in entries.items() if key.startswith(f"{directory}/")]
        found.sort(key=lambda entry: entry.created)
        return tuple(
            Place(
                entry.key,
                entry.key.rpartition("/")[2],
                self.kinds.get(entry.key, Kind.WRITER),
                entry.created,
            )
            for entry in found
        )

    def some_time_ago(self, changes: int, not_before: int) -> dict[str, Entry]:
        """So many changes ago, but not before that revision."""
        there = dict(self.entries)
        cut = max(0, len(self.log) - changes)
        while cut and cut < len(self.log) and self.log[cut - 1].revision == self.log[cut].revision:
            cut += 1  # a revision is seen as a whole
        for version in reversed(self.log[cut:]):
            if version.revision <= not_before:
                break
            if version.before is None:
                there.pop(version.key, None)
            else:
                there[version.key] = version.before
        return there


class FarChanges(StageChanges):
    def __init__(self, far: Far, key: str, below: bool) -> None:
        super().__init__(far.stage, key, below)
        self._far = far
        self._under_way: list[tuple[int, str]] = []

    def hear(self, key: str) -> None:
        """It is told later, and not before what was changed before it."""
        if not self._under_way:
            asyncio.get_running_loop().call_later(self._far.delay_s(), self._told)
        self._under_way.append((self._stage.revision, key))

    def _told(self) -> None:
        if self._far.cut_off:
            asyncio.get_running_loop().call_later(self._far.delay_s() + 0.1, self._told)
            return
        under_way, self._under_way = self._under_way, []
        for _, key in under_way:
            super().hear(key)

    def touched(self) -> Touched:
        found = super().touched()
        if self._under_way:
            return msgspec.structs.replace(found, revision=self._under_way[0][0] - 1)
        return found

    async def __aenter__(self) -> Self:
        await self._far.ask(lambda: self._stage.watching.append(self), writes=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self in self._stage.watching:
            self._stage.watching.remove(self)


class FarSession:
    """`over`: at the stage.  `ended`: here, a while later, or earlier where a client gives it up itself."""

    def __init__(self, far: Far, number: int, ttl_s: float, asked_at_s: float) -> None:
        self.id = number
        self.ttl_s = ttl_s
        self.over = self.ended = False
        self._far = far
        self._loop = asyncio.get_running_loop()
        self._heard_at_s = self._loop.time()
        self._sure_at_s = asked_at_s
        self._callbacks: list[Callable[[], None]] = []
        self._gives_up = far.dice.random() < 0.3
        self._loop.call_later(ttl_s / 4, self._renew)
        self._loop.call_later(ttl_s, self._look_whether_it_lives)

    def remaining_s(self) -> float:
        if self.ended:
            return 0.0
        return max(0.0, self._sure_at_s + SURE_PART * self.ttl_s - self._loop.time())

    def on_end(self, callback: Callable[[], None]) -> Callable[[], None]:
        if self.ended:
            callback()
            return lambda: None
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    async def close(self) -> None:
        self._end()
        self._expire()

    def _renew(self) -> None:
        if self.ended:
            return
        sent_at_s = self._loop.time()
        self._loop.call_later(self.ttl_s / 4, self._renew)
        if self._gives_up and sent_at_s > self._sure_at_s + self.ttl_s:
            self._end()
            return

        def arrived() -> None:
            if not self._far.cut_off:
                if not self.over:
                    self._heard_at_s = self._loop.time()
                self._loop.call_later(self._far.delay_s(), answered)

        def answered() -> None:
            if not self._far.cut_off:
                if self.over:
                    self._end()
                else:
                    self._sure_at_s = max(self._sure_at_s, sent_at_s)

        self._loop.call_later(self._far.delay_s(), arrived)

    def _look_whether_it_lives(self) -> None:
        left_s = self._heard_at_s + self.ttl_s - self._loop.time()
        if left_s > 1e-6:
            self._loop.call_later(left_s + self._far.dice.random() * 0.1, self._look_whether_it_lives)
        else:
            self._expire()

    def _expire(self) -> None:
        if not self.over:
            self.over = True
            stage = self._far.stage
            stage.revision += 1
            for entry in [entry for entry in stage.entries.values() if entry.owner == self.id]:
                stage.delete(entry.key)

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()


class Far:
    """One client.  `cut_off`: nothing comes through."""

    def __init__(self, stage: Recorded, dice: random.Random, weather: Weather) -> None:
        self.stage = stage
        self.dice = dice
        self.weather = weather
        self.cut_off = self.healed = False
        self.capabilities = CAPABILITIES
        self.opened: list[FarSession] = []
        self._seen = 0
        """Nothing older than this revision is shown."""

    # --- the network ------------------------------------------------------------------------------------

    def delay_s(self) -> float:
        delay_s = self.dice.expovariate(1 / self.weather.latency_s)
        return min(delay_s, LATE_S) if self.healed else delay_s

    def _fate(self) -> tuple[Fate, bool]:
        """And whether nobody says so until the time for a request is over."""
        if self.cut_off:
            return self.dice.choice((Fate.REQUEST_LOST, Fate.LATE, Fate.REFUSED)), self.dice.random() < 0.7
        if self.healed or self.dice.random() >= self.weather.lost:
            return Fate.ANSWERED, False
        return self.dice.choice(LOST), self.dice.random() < 0.2

    async def ask(self, do: Callable[[], Answer], *, writes: bool) -> Answer:
        loop = asyncio.get_running_loop()
        fate, silent = self._fate()
        told: asyncio.Future[Answer] = loop.create_future()

        def arrive() -> None:
            if told.cancelled() and self.dice.random() < 0.5:
                return  # it was not sent yet
            try:
                result = do()
            except AgreedError as error:
                loop.call_later(self.delay_s(), tell, error)
            else:
                if fate is Fate.ANSWERED:
                    loop.call_later(self.delay_s(), answer, result)

        def answer(result: Answer) -> None:
            if not told.done():
                told.set_result(result)

        def tell(error: AgreedError) -> None:
            if not told.done():
                told.set_exception(error)

        there_s = self.delay_s()
        if fate in (Fate.ANSWERED, Fate.ANSWER_LOST):
            loop.call_later(there_s, arrive)
        if fate is Fate.LATE:
            loop.call_later(there_s + self.dice.expovariate(2.0), arrive)
        if fate is not Fate.ANSWERED:
            error = self._error(writes and fate is not Fate.REFUSED, silent)
            loop.call_later(REQUEST_TIMEOUT_S if silent else there_s + self.delay_s(), tell, error)
        return await told

    def _error(self, maybe: bool, silent: bool) -> AgreedError:
        if silent:
            return TimedOut("no answer in time", maybe=maybe)
        if not maybe and self.dice.random() < 0.2:
            return self.dice.choice((Throttled, ReadOnly, QuotaExceeded))("a")
        return ConnectionLost("the connection broke", maybe=maybe)

    # --- the contract -----------------------------------------------------------------------------------

    async def get(self, key: str) -> Entry | None:
        return await self.ask(lambda: self.stage.entries.get(key), writes=False)

    async def entries(self, directory: str) -> list[Entry]:
        below = f"{directory}/" if directory else ""

        def look() -> list[Entry]:
            there = [
                entry
                for key, entry in self.stage.entries.items()
                if key.startswith(below) and "/" not in key.removeprefix(below)
            ]
            return sorted(there, key=lambda entry: entry.key)

        return await self.ask(look, writes=False)

    async def names(self, directory: str) -> list[str]:
        below = f"{directory}/" if directory else ""

        def look() -> list[str]:
            there = (key for key in self.stage.entries if key.startswith(below))
            return sorted({key.removeprefix(below).split("/")[0] for key in there})

        return await self.ask(look, writes=False)

    async def subtree(self, key: str, *, most: int, most_bytes: int) -> Subtree:
        def look() -> Subtree:
            found = [
                entry
                for name, entry in sorted(self.stage.entries.items())
                if not key or name == key or name.startswith(f"{key}/")
            ]
            if len(found) > most or sum(len(each.key) + len(each.value) for each in found) > most_bytes:
                raise TooMuchBelow(key, most, most_bytes)
            return Subtree(self.stage.revision, tuple(found))

        return await self.ask(look, writes=False)

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        given = [each.session for each in changes if isinstance(each, Put) and each.session is not None]
        if any(session.ended for session in given):
            raise SessionExpired("the session is over", maybe=False)

        def do() -> int | None:
            stage = self.stage
            if not all(map(stage.holds, guards)):
                return None
            _raise_if_over(given)
            if not changes:
                return stage.revision
            stage.revision += 1
            for change in changes:
                if isinstance(change, Delete):
                    stage.delete(change.key)
                else:
                    stage.put(change.key, change.value, 0 if change.session is None else change.session.id)
            return stage.revision

        return await self.ask(do, writes=bool(changes))

    async def enter(
        self, directory: str, session: Session, mark: str, value: bytes, kind: Kind, layout: Layout
    ) -> Standing:
        stage, key = self.stage, f"{directory}/{mark}"

        def do() -> Standing:
            _raise_if_over([session])
            if mark in stage.left:
                raise ConnectionLost("whoever stood there has left meanwhile", maybe=False)
            if key not in stage.entries:
                stage.revision += 1
                stage.kinds[key] = kind
                stage.put(key, value, session.id)
            return Standing(stage.entries[key], stage.line(directory))

        return await self.ask(do, writes=False)

    async def leave(self, directory: str, session: Session, mark: str) -> None:
        def do() -> None:
            self.stage.left.add(mark)
            self.stage.revision += 1
            self.stage.delete(f"{directory}/{mark}")

        if not session.ended:
            await self.ask(do, writes=True)

    async def line(self, directory: str, layout: Layout) -> tuple[Place, ...]:
        return await self.ask(lambda: self.stage.line(directory), writes=False)

    async def line_before(
        self, directory: str, layout: Layout, mine: Entry, session: Session
    ) -> tuple[Place, ...]:
        def look() -> tuple[Place, ...]:
            not_before = max(mine.created, self._seen)
            there = self.stage.some_time_ago(self.dice.randrange(8), not_before)
            line = self.stage.line(directory, there)
            return tuple(place for place in line if place.created <= mine.created)

        return await self.ask(look, writes=False)

    async def until_gone(self, place: Place, mine: Entry, session: Session) -> None:
        async with self.changes(place.key, below=False) as changes:
            take_off = session.on_end(changes.wake.set)
            try:
                while (there := self.stage.entries.get(place.key)) and there.created == place.created:
                    if session.ended:
                        raise SessionExpired("the session ended while it stood in line", maybe=False)
                    await changes.wait()
            finally:
                take_off()
        gone = (each.revision for each in self.stage.history[place.key] if each.after is None)
        self._seen = max(gone, default=self._seen)

    def changes(self, key: str, *, below: bool) -> FarChanges:
        return FarChanges(self, key, below)

    def history(self, key: str, *, below: bool, since: int | None) -> AsyncIterator[Event]:
        raise Unsupported("a stage keeps no history")

    async def open_session(self, ttl_s: float) -> FarSession:
        asked_at_s = asyncio.get_running_loop().time()

        def do() -> FarSession:
            session = FarSession(self, len(self.stage.opened) + 1, ttl_s, asked_at_s)
            self.stage.opened.append(session)  # type: ignore[arg-type]
            self.opened.append(session)
            return session

        return await self.ask(do, writes=False)

    async def close(self) -> None:
        for session in self.opened:
            await session.close()


def _raise_if_over(sessions: Sequence[Any]) -> None:
    if any(session.over for session in sessions):
        raise SessionExpired("the session is over", maybe=False)
