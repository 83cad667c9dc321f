"""Who is there: each member for as long as his session lives.

    group = Group(sessions, "workers")
    async with group.join(b"pod-7") as membership:      the body is cancelled when the membership is lost
        for member in await group.members(): ...
        async with group.assign(membership, items) as shares:
            async for mine in shares: ...               which of the items are mine now (`assignment.py`)
    async with group.follow() as states:
        async for members in states: ...

Members are told in the order in which they came, with what each says of himself (`info`).  One who ends is
gone at once, one who dies when his `ttl` is over.  That somebody is a member in the store does not mean that
he knows it: `membership.check()` asks for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from agreed.backends.contract import Change, Entry, Kind, Layout, Place
from agreed.recipes.assignment import Assignment
from agreed.recipes.changing import Fate, change, put
from agreed.recipes.errors import MembershipLost
from agreed.recipes.following import Following
from agreed.recipes.grant import Grant
from agreed.recipes.obtaining import Obtainable
from agreed.recipes.sessions import Sessions
from agreed.recipes.waiting import Awaited


class Everybody:
    """Nobody waits: it is a line only because one's place in it is cleaned away by the same means."""

    kind = Kind.WRITER

    def before(self, directory: str, line: tuple[Place, ...], index: int) -> Awaited | None:
        return None


class Member(msgspec.Struct, frozen=True):
    """`id` is nobody else's, ever; `token` grows from one who joins to the next."""

    id: str
    info: bytes
    token: int
    session: int


class Membership(Grant):
    """From joining to leaving; a `Grant`."""

    @property
    def id(self) -> str:
        return self.key.rpartition("/")[2]

    async def inform(self, info: bytes) -> None:
        """Say something else of oneself than before.  Nobody else writes there, so that a lost answer can be
        told, and what is said first is never what stands there last.  Raises MembershipLost."""

        def is_ours(found: Entry | None) -> bool:
            return found is not None and found.created == self.token

        def plan(found: Entry | None) -> Sequence[Change] | None:
            return put(self.key, info) if is_ours(found) else None

        def fate(found: Entry | None) -> Fate:
            return Fate.NOT_DONE if found is None or found.value != info else Fate.DONE

        changed = await change(self._backend, self.key, plan, fate)
        if not is_ours(changed.before):
            self.lose("its key was deleted by somebody else")
        self.check()

    async def leave(self) -> None:
        await self.release()


class Joining(Obtainable[Membership]):
    """`async with`, or `await joining.acquire()`; each makes another member."""

    granted = Membership
    loss = MembershipLost


class Group:
    def __init__(self, sessions: Sessions, name: str, *, ttl: float | None = None) -> None:
        self.name = name
        self._sessions = sessions
        self._ttl_s = ttl
        self._places = f"{name}/members"

    def join(self, info: bytes = b"") -> Joining:
        return Joining(self._sessions, self._places, Everybody(), ttl=self._ttl_s, value=info)

    async def members(self) -> list[Member]:
        return [
            Member(holder.key.rpartition("/")[2], holder.value, holder.token, holder.session)
            for holder in await self.join().holders()
        ]

    def follow(self) -> Following[list[Member]]:
        """The members, then each newer state of them."""
        return Following(self._sessions.backend, self._places, self.members, below=True)

    def assign(self, membership: Membership, items: Iterable[str]) -> Assignment:
        """Divide `items` among all members; each of them says the same ones."""
        return Assignment(
            self._sessions, self.name, items, membership, ttl_s=self._ttl_s, members=self._followed_ids
        )

    def _followed_ids(self) -> Following[list[str]]:
        return Following(self._sessions.backend, self._places, self._ids, below=True)

    async def _ids(self) -> list[str]:
        line = await self._sessions.backend.line(self._places, Layout.KAZOO)
        return sorted(place.key.rpartition("/")[2] for place in line)
