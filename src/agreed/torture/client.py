"""What a workload may ask of a system, whichever it is, and what may come of it.

A `Client` is one session with one system: it does one thing at a time, keeps its session over lost
connections where the system has sessions, and never repeats anything by itself.  How an operation ended is
told so that it can be judged:

    it returns          it was done, and this is the answer
    Refused             surely not done, and the reason says something about the state (exists, version, ...)
    NotAsked            surely not done, and it says nothing: there was no connection
    Unanswered          may have been done, or may still be

Revisions are the system's own order of changes: zxids, etcd's revisions.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from agreed.errors import AgreedError


class Refused(AgreedError):
    """The system said no; `reason` is one of the words below."""

    surely_not_done = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


EXISTS, ABSENT, VERSION, NOT_EMPTY = "exists", "absent", "version", "not-empty"


class NotAsked(AgreedError):
    """It never left, or came to somebody who could not even begin."""

    surely_not_done = True


class Unanswered(AgreedError):
    """The connection was lost or time was over before there was an answer."""


class Stored(NamedTuple):
    """A value as it was read or written; `revision` is that of its last change, `version` counts them."""

    value: str
    version: int
    revision: int
    seen: int = 0
    """The newest revision that the server had applied when it answered; 0 where it does not tell."""


class Listing(NamedTuple):
    """The names directly below a path, and how many were ever made there (-1 where nobody counts)."""

    names: tuple[str, ...]
    created: int
    revision: int


class Created(NamedTuple):
    """The whole path, with a number at its end where one was asked for, and the revision of its creation."""

    path: str
    revision: int


class Client(Protocol):
    """Reads are `fresh` (they see every write that was acknowledged before they were asked) or local (as
    quick as possible; never older than what this session has seen).

    Every method raises `NotAsked` and `Unanswered`, and `Refused` with a reason where one is named."""

    name: str

    @property
    def session(self) -> str:
        """Names the present session; another name means that the one before has expired."""
        ...

    async def close(self) -> None:
        """End the session in order if that is possible, and the connection in any case.  Raises nothing."""
        ...

    def disconnect(self) -> None:
        """Break the connection off; another one follows, to any server."""
        ...

    async def vanish(self, seconds: float) -> None:
        """Be silent and unreachable for that long, as a client that was stopped; its session may expire."""
        ...

    async def create(
        self, path: str, value: str, *, ephemeral: bool = False, sequential: bool = False
    ) -> Created:
        """`Refused`: EXISTS, ABSENT (of the parent)."""
        ...

    async def read(self, path: str, *, fresh: bool) -> Stored | None:
        """None: it is not there."""
        ...

    async def write(self, path: str, value: str, version: int | None = None) -> Stored:
        """`version` None: whichever.  `Refused`: ABSENT, VERSION."""
        ...

    async def remove(self, path: str, version: int | None = None) -> int:
        """The revision, as far as it is told.  `Refused`: ABSENT, VERSION, NOT_EMPTY."""
        ...

    async def children(self, path: str, *, fresh: bool) -> Listing:
        """`Refused`: ABSENT."""
        ...

    async def read_many(self, paths: Sequence[str], *, fresh: bool) -> list[Stored | None]:
        """All at one moment."""
        ...

    async def transact(self, guards: dict[str, int], writes: dict[str, str]) -> int:
        """All of `writes` at one revision, which is returned, if each path of `guards` still has its version
        (0 of a path that is not there never matches).  `Refused`: VERSION, ABSENT."""
        ...
