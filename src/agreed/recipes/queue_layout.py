"""Where the jobs of a queue stand.  Pure.

    NAME/state                              how many buckets there are, and which minutes have delayed jobs
    NAME/jobs/{priority}-{bucket}/{job}     a job: its value, as it was put
    NAME/claims/{priority}-{bucket}/{job}   who works on it; goes with his session
    NAME/later/{minute}/{due}-{priority}-{mark}     a job before its time

Not every service can tell the first of ten thousand, so nobody looks at ten thousand.  Jobs go into buckets
of some dozens; only the last bucket of a priority is open.  Each `put` holds only if the state is as it was
seen, but does not change it: those who put are not in each other's way, and still all that is in one bucket
was put before all that is in the next.  Every now and then (by chance, one of `PUTS_OF_BUCKET`)
somebody closes the bucket with his `put`.  Who takes looks at the first bucket alone, and moves the beginning
on when it is closed and empty.  Within a bucket the order is that in which the jobs were made.

Delayed jobs stand in the minute in which they are due, and whoever takes brings them over when it has come.
A minute is forgotten in two steps (closed, then found empty, then gone), for a job may be put into it between
looking and forgetting.
"""

from __future__ import annotations

from typing import Final

import msgspec

from agreed.recipes.errors import CodecError

PRIORITIES: Final = range(10)
"""0 first."""

PUTS_OF_BUCKET: Final = 32
"""So many jobs are in a bucket, on the average."""

MINUTE_MS: Final = 60_000


class Level(msgspec.Struct, frozen=True, array_like=True):
    """The buckets of one priority that may have jobs; `last` is open."""

    first: int = 0
    last: int = 0


class State(msgspec.Struct, frozen=True):
    """`most` jobs are in the queue at once, 0: any number; they are counted in `jobs` only where there is
    such a bound.  `later`: minute -> jobs may be put into it."""

    most: int = 0
    jobs: int = 0
    levels: dict[int, Level] = {}
    later: dict[int, bool] = {}
    format: int = 1

    def with_level(self, priority: int) -> State:
        if priority in self.levels:
            return self
        return self._with_level(priority, Level())

    def open_bucket(self, priority: int) -> str:
        return bucket_name(priority, self.levels[priority].last)

    def bucket_closed(self, priority: int) -> State:
        level = self.levels[priority]
        return self._with_level(priority, Level(level.first, level.last + 1))

    def without_bucket(self, priority: int, number: int) -> State:
        """It is closed and empty, and no job comes into it any more."""
        level = self.levels[priority]
        return self._with_level(priority, Level(number + 1, level.last)) if level.first == number else self

    def _with_level(self, priority: int, level: Level) -> State:
        return msgspec.structs.replace(self, levels=self.levels | {priority: level})

    def with_minute(self, minute: int) -> State:
        if self.later.get(minute):
            return self
        return msgspec.structs.replace(self, later=self.later | {minute: True})

    def minute_closed(self, minute: int) -> State:
        return msgspec.structs.replace(self, later=self.later | {minute: False})

    def without_minute(self, minute: int) -> State:
        later = {each: is_open for each, is_open in self.later.items() if each != minute}
        return msgspec.structs.replace(self, later=later)

    def counted(self, more: int) -> State:
        return msgspec.structs.replace(self, jobs=self.jobs + more) if self.most else self

    @property
    def buckets(self) -> list[str]:
        return [
            bucket_name(priority, number)
            for priority, level in sorted(self.levels.items())
            for number in range(level.first, level.last + 1)
        ]


_DECODER: Final = msgspec.json.Decoder(State)


def encode(state: State) -> bytes:
    return msgspec.json.encode(state)


def decode(key: str, raw: bytes) -> State:
    try:
        return _DECODER.decode(raw)
    except (ValueError, msgspec.MsgspecError) as error:
        raise CodecError(f"what stands at {key} is no queue: {error}") from error


def bucket_name(priority: int, number: int) -> str:
    return f"{priority}-{number}"


class Delayed(msgspec.Struct, frozen=True):
    """What the name of a delayed job says: in the order of the names they are due."""

    due_ms: int
    priority: int
    mark: str

    @property
    def name(self) -> str:
        return f"{self.due_ms:015}-{self.priority}-{self.mark}"

    @property
    def minute(self) -> int:
        return self.due_ms // MINUTE_MS

    @classmethod
    def of(cls, name: str) -> Delayed | None:
        due, _, rest = name.partition("-")
        priority, _, mark = rest.partition("-")
        if not (due.isdecimal() and priority.isdecimal() and int(priority) in PRIORITIES and mark):
            return None
        return cls(int(due), int(priority), mark)
