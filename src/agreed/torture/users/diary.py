"""What a user writes down, line by line, so that it can be judged also when the user was killed.

Each line is one write to the end of a file, which the kernel keeps whoever dies.  What is dangerous is
written down *before* it is begun (a job is about to be put, a grant is about to be given back): if no line
follows that says how it ended, nobody knows how it ended.

    Granted     a grant is in hand; `asked` is when it began to be asked for
    Certain     `check` has passed and `remaining` said r: nobody else has it until (before asking) + r
    Ending      it is about to be given back or, with `acknowledges`, a job is about to be done
    Acknowledged, Putting, Kept     jobs
    Looked      who leads
    Failed      an attempt, and why
    Finished    the last thing that was to be done is done

Times are nanoseconds of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from agreed.check.history import Status
from agreed.errors import AgreedError


class Granted(msgspec.Struct, frozen=True, tag=True):
    recipe: str
    number: int
    name: str
    token: int
    asked: int
    at: int


class Certain(msgspec.Struct, frozen=True, tag=True):
    number: int
    until: int


class Ending(msgspec.Struct, frozen=True, tag=True):
    number: int
    at: int
    acknowledges: bool = False


class Acknowledged(msgspec.Struct, frozen=True, tag=True):
    number: int
    status: Status


class Putting(msgspec.Struct, frozen=True, tag=True):
    job: str


class Kept(msgspec.Struct, frozen=True, tag=True):
    """How putting it ended."""

    job: str
    status: Status


class Looked(msgspec.Struct, frozen=True, tag=True):
    name: str
    asked: int
    answered: int
    token: int | None


class Failed(msgspec.Struct, frozen=True, tag=True):
    recipe: str
    error: str


class Finished(msgspec.Struct, frozen=True, tag=True):
    recipe: str
    at: int


Line: TypeAlias = Granted | Certain | Ending | Acknowledged | Putting | Kept | Looked | Failed | Finished

_DECODER = msgspec.json.Decoder(Line)


class Believes(Protocol):
    """A grant of either face."""

    @property
    def token(self) -> int: ...

    def check(self) -> None: ...

    def remaining(self) -> float: ...


def now() -> int:
    return time.monotonic_ns()


class Diary:
    """Of one life of one user process; for any number of threads and tasks.  Grants are numbered."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._numbers = 0

    def write(self, line: Line) -> None:
        os.write(self._file, msgspec.json.encode(line) + b"\n")

    def granted(self, recipe: str, name: str, grant: Believes, asked: int) -> int:
        """Its number, for the lines that follow."""
        at = now()
        with self._lock:
            self._numbers += 1
            number = self._numbers
        self.write(Granted(recipe, number, name, grant.token, asked, at))
        return number

    def is_certain(self, number: int, grant: Believes) -> None:
        """Raises what `check` does."""
        before = now()
        grant.check()
        remaining_s = grant.remaining()
        if remaining_s > 0:
            self.write(Certain(number, before + int(remaining_s * 1e9)))

    def ending(self, number: int, *, acknowledges: bool = False) -> None:
        self.write(Ending(number, now(), acknowledges))


def status_of(error: BaseException | None) -> Status:
    """What is known of something that ended like this."""
    if error is None:
        return Status.OK
    return Status.FAIL if isinstance(error, AgreedError) and error.surely_not_done else Status.INFO


def read(file: Path) -> list[Line]:
    """What the kernel got; the last line may have been cut off."""
    whole = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [_DECODER.decode(line) for line in whole]
