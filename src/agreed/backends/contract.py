"""What recipes need of a coordination service; each backend says it in its own protocol.

    entry = await backend.get("orders/42")                         what was acknowledged, to anybody, is seen
    revision = await backend.commit([At("orders/42", entry.version)], [Put("orders/42", b"paid")])
    async with backend.changes("orders", below=True) as changes:   look, wait until it may have changed, look
        ...
    session = await backend.open_session(ttl_s=10.0)
    standing = await backend.enter("locks/a", session, mark, b"", Kind.WRITER, Layout.KAZOO)

A recipe is written once, against this file, and runs on all of them.  What is promised here is what every
backend can keep; what only some can is said in `Capabilities`, and a recipe that needs it refuses to be made
on the others (`Unsupported`).

Keys are text: names between slashes, none of them empty, "." or "..", no slash at either end.  They are
relative to the path of the URL.  Values are bytes.  `Entry.created` is the fencing token: it grows with every
creation on the cluster, and no two creations share one.

Time is in seconds.  Each call takes as long as the backend's `request_timeout_s` at most and then fails; a
call that is cancelled may have been done all the same.  Errors are those of `agreed.client.errors`, whichever
protocol is spoken, and tell by `surely_not_done` and `maybe` what has become of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from enum import Enum
from types import TracebackType
from typing import Protocol, Self, TypeAlias

import msgspec


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend is good for, beyond what all of them are.

    name                what a user calls it: "ZooKeeper", "etcd", "agreed", "memory"
    durable             what was acknowledged survives the end of every process
    shared              other processes, other machines see the same
    history             `history` tells every change since a revision
    deletes_parents     a key that has others below it can be deleted
    value_bytes         the longest value
    changes             how many changes one commit takes
    ttl_s               the shortest and the longest life of a session without a word from us"""

    name: str
    durable: bool
    shared: bool
    history: bool
    deletes_parents: bool
    value_bytes: int
    changes: int
    ttl_s: tuple[float, float]


class Entry(msgspec.Struct, frozen=True):
    """`version` means nothing but equality; `owner` is the id of the session it goes with, 0 without one."""

    key: str
    value: bytes
    version: int
    created: int
    modified: int
    owner: int


class Subtree(msgspec.Struct, frozen=True):
    """A key and all that is below it, at any depth, by key.  All that was changed up to `revision` is in it;
    of what was changed later some may be."""

    revision: int
    entries: tuple[Entry, ...]


# --- a commit: all of it or nothing ------------------------------------------------------------------------


class Absent(msgspec.Struct, frozen=True):
    key: str


class At(msgspec.Struct, frozen=True):
    """It is there, and its last change is the one that is known (`Entry.version`)."""

    key: str
    version: int


class Stands(msgspec.Struct, frozen=True):
    """It is the one that was created then, whatever was put into it since: its owner has not lost it."""

    key: str
    created: int


Guard: TypeAlias = Absent | At | Stands


class Put(msgspec.Struct, frozen=True):
    """Make it or change it.  With a session it goes with that session (only where it is made; a change keeps
    what it is)."""

    key: str
    value: bytes
    session: Session | None = None


class Delete(msgspec.Struct, frozen=True):
    """If it is there."""

    key: str


Change: TypeAlias = Put | Delete


# --- standing in line --------------------------------------------------------------------------------------


class Kind(Enum):
    """What one stands in line for: alone, or together with other readers.  Only read-write locks have
    readers; who does not know of them (the locks of others) takes them for what their protocol says."""

    WRITER = "writer"
    READER = "reader"


class Layout(Enum):
    """Whose locks and elections are to exclude ours.  On etcd there is one layout, that of its concurrency
    package; on ZooKeeper kazoo and the recipes of Curator number their nodes under different names and do not
    see each other: all users of one name use one of them.

    KAZOO                   Lock, ReadLock, WriteLock, Election
    CURATOR                 InterProcessMutex, LeaderSelector
    CURATOR_LATCH           LeaderLatch
    CURATOR_READ_WRITE      InterProcessReadWriteLock

    Others see readers as such in KAZOO and in CURATOR_READ_WRITE."""

    KAZOO = "kazoo"
    CURATOR = "curator"
    CURATOR_LATCH = "curator-latch"
    CURATOR_READ_WRITE = "curator-read-write"


class Place(msgspec.Struct, frozen=True):
    """Where somebody stands.  `mark` is what `enter` was given, or what a stranger's key is called.

    `created` is that of the entry, or 0 where a key is never used twice.  On etcd it is used again by a
    client that leaves and comes back: who waited for the key to go would wait for somebody who waits for
    him."""

    key: str
    mark: str
    kind: Kind
    created: int = 0


class Standing(msgspec.Struct, frozen=True):
    """One's own entry, and the line as it was at some moment after it was made: one is in it, and who came
    before can only be fewer from then on."""

    mine: Entry
    line: tuple[Place, ...]


# --- sessions ----------------------------------------------------------------------------------------------


class Session(Protocol):
    """A claim to life: renewed by itself, over when the cluster has not heard of us for `ttl_s`."""

    @property
    def id(self) -> int: ...

    @property
    def ttl_s(self) -> float:
        """What the cluster granted."""
        ...

    @property
    def ended(self) -> bool:
        """It is over, for all we know or by our own wish."""
        ...

    def remaining_s(self) -> float:
        """For so long it lives for certain: counted from when the last renewal that was answered was *sent*,
        by a clock that goes on while the machine sleeps; 0 where that is not known."""
        ...

    def on_end(self, callback: Callable[[], None]) -> Callable[[], None]:
        """`callback()` on the event loop, once, when it is over; at once if it is.  Returns what takes the
        callback off."""
        ...

    async def close(self) -> None:
        """What goes with it goes now, as far as the cluster can be told; else when its time is over."""
        ...


# --- changes -----------------------------------------------------------------------------------------------


class Touched(msgspec.Struct, frozen=True):
    """`keys`: those that may be others than before; None: each of those that are watched may be, and
    `revision` means nothing.  All that was changed up to `revision` is among what was told so far."""

    revision: int
    keys: frozenset[str] | None


class Changes(Protocol):
    """Levels, not events: after `wait` returned, something may be another than it was when `wait` was called
    last (or when this was opened).  What is read after it was opened and before `wait` misses nothing."""

    async def wait(self, timeout_s: float | None = None) -> bool:
        """False: the time is over.  Raises what `agreed.client.errors` says where nobody watches any more."""
        ...

    def touched(self) -> Touched:
        """What has been heard of since this was asked last, or since it was opened; for who watches all below
        a key, and does not want to read all of it again.  A key that is read after this is as new as that."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class EventKind(Enum):
    PUT = "put"
    DELETED = "deleted"
    GAP = "gap"


class Event(msgspec.Struct, frozen=True):
    """Of a GAP: what happened between is not known any more; `entry` is None, and everything is to be looked
    at again as of `revision`.  Of a deletion `entry` has the key, and `before` what was there, if known."""

    kind: EventKind
    revision: int
    entry: Entry | None
    before: Entry | None


# --- the service -------------------------------------------------------------------------------------------


class Backend(Protocol):
    @property
    def capabilities(self) -> Capabilities: ...

    async def get(self, key: str) -> Entry | None:
        """Linearizable."""
        ...

    async def entries(self, directory: str) -> list[Entry]:
        """Those directly below it, by name.  Each is as it was at some moment of the call, and nothing that
        was acknowledged before the call is missed; all of one moment where `Capabilities.history`."""
        ...

    async def names(self, directory: str) -> list[str]:
        """The names directly below it, sorted; a name that is only a parent is among them."""
        ...

    async def subtree(self, key: str, *, most: int, most_bytes: int) -> Subtree:
        """The key and all below it; "" is all that there is.  As `entries`: nothing that was acknowledged
        before the call is missed, and all of it is of one moment where `Capabilities.history`.  Raises
        TooMuchBelow for more than so many keys, or so many bytes of keys and values."""
        ...

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        """The revision at which all the changes were made, or None: a guard did not hold, and nothing was
        done.  A key is named by one change at most.  The revision is `version` and `modified` of what was
        put, and `created` of what was made."""
        ...

    async def enter(
        self, directory: str, session: Session, mark: str, value: bytes, kind: Kind, layout: Layout
    ) -> Standing:
        """Stand in line, behind all who do already.  `mark` is 32 hexadecimal digits that nobody else uses:
        by it what was perhaps done is found again, which is why this is safe to repeat and never `maybe`."""
        ...

    async def leave(self, directory: str, session: Session, mark: str) -> None:
        """Whoever stands there by this mark does not any more, also where an `enter` is under way whose
        answer nobody waits for.  Returns when that is certain or the session is over."""
        ...

    async def line(self, directory: str, layout: Layout) -> tuple[Place, ...]:
        """In the order in which they came; `get` tells more of each."""
        ...

    async def line_before(
        self, directory: str, layout: Layout, mine: Entry, session: Session
    ) -> tuple[Place, ...]:
        """Who stands before `mine`, and himself at its end, as of some moment after he came by this session:
        those before him can only become fewer, so it costs no question to the leader.  Where he is not in it
        himself, it means nothing."""
        ...

    async def until_gone(self, place: Place, mine: Entry, session: Session) -> None:
        """Returns when whoever stood at `place`, in the line in which `mine` was behind him by this session,
        has left it; what `line_before` says from then on does not have him.  Raises SessionExpired
        where the session ends before."""
        ...

    def changes(self, key: str, *, below: bool) -> Changes:
        """Of this key; with `below`, of all below it as well."""
        ...

    def history(self, key: str, *, below: bool, since: int | None) -> AsyncIterator[Event]:
        """Every change behind revision `since` (None: from now on), in order.  Raises Unsupported."""
        ...

    async def open_session(self, ttl_s: float) -> Session:
        """Raises `agreed.client.errors`; ConfigurationError for a time outside `Capabilities.ttl_s`."""
        ...

    async def close(self) -> None:
        """All sessions of this backend are closed."""
        ...
