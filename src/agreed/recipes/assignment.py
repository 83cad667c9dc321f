"""Who does which part of the work: items divided among the members of a group, each owned by one at most.

    async with group.assign(membership, ["shard-1", "shard-2", ...]) as shares:
        async for mine in shares:               dict: item -> Grant
            await stop_all_but(mine)
            await start(mine)                   mine["shard-1"].token is for the fence
                                                asking for the next share: I have left what was taken from me

Which member an item belongs to, everybody reckons for himself (rendezvous hashing: the highest of the hashes
of member and item wins), so that few items move when somebody comes or goes.  But members see each other come
and go at different moments, and two may well think for a while that an item is theirs.  So reckoning only
says who *asks* for it.  Each item is a lock, and who has the lock owns it.

What is promised: no two members own an item, that is, pass `mine[item].check()`, at the same time; its token
grows from owner to owner.  An item that goes from one member to another is given back when the one asks for
his next share, and not before: until then he may finish what he has begun, and `check` still passes.
Whoever does not ask keeps it.  What a dead member owned is free when his `ttl` is over.  Meanwhile an item is
nobody's for some moments.  Once nobody comes or goes any more, each item is its own member's.

Each item costs an entry in the store for its owner, and one for whoever waits for it.  It is meant for up to
some thousands; of a million keys, assign the buckets into which they hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self, TypeAlias
from urllib.parse import quote

from agreed.errors import AgreedError
from agreed.recipes.errors import MembershipLost
from agreed.recipes.following import Following
from agreed.recipes.grant import Grant
from agreed.recipes.obtaining import Obtainable
from agreed.recipes.sessions import Sessions
from agreed.recipes.waiting import Exclusive

LOG: Final = logging.getLogger("agreed.recipes")

AGAIN_AFTER_S: Final = 1.0
"""An item that could not be asked for is asked for again after so long; the service is away."""

SETTLE_S: Final = 0.05
"""A share is told when it has not changed for so long, or is complete: items come one after the other."""

Share: TypeAlias = dict[str, Grant]


def owner_of(item: str, members: Iterable[str]) -> str:
    """The one of the members (ids) who is to own it.  The same on every machine and in every version."""

    def weight(member: str) -> tuple[bytes, str]:
        return hashlib.blake2b(f"{member}/{item}".encode(), digest_size=8).digest(), member

    return max(members, key=weight)


class _Ownership(Obtainable[Grant]):
    granted = Grant
    loss = MembershipLost


class Assignment:
    """An asynchronous iterator and a context manager, for one reader."""

    def __init__(
        self,
        sessions: Sessions,
        name: str,
        items: Iterable[str],
        membership: Grant,
        *,
        ttl_s: float | None,
        members: Callable[[], Following[list[str]]],
    ) -> None:
        self._sessions = sessions
        self._name = name
        self._items = sorted(set(items))
        self._membership = membership
        self._me = membership.key.rpartition("/")[2]
        self._ttl_s = ttl_s
        self._members = members
        self._wanted: set[str] | None = None
        self._held: Share = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._told: Share | None = None
        self._leaving: set[str] = set()
        """Held, and not in the share that was told last: the program may still be at work on them."""
        self._news = asyncio.Event()
        self._balancing: asyncio.Task[None] | None = None
        if "" in self._items:
            raise ValueError("an item has a name")

    async def __aenter__(self) -> Self:
        self._balancing = asyncio.create_task(self._balance())
        self._balancing.add_done_callback(lambda task: self._news.set())
        self._off = self._membership.on_lost(self._news.set)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was owned is given back."""
        self._off()
        try:
            await self._sessions.in_any_case(self._close())
        except AgreedError:
            if error is None:
                raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Share:
        return await self.next()

    async def next(self, timeout: float | None = None) -> Share:
        """What is owned now, once that is something else than what was told last.  What was taken away by
        then is given back first.

        Raises TimeoutError; MembershipLost; what the backend does where nobody can be followed, or nothing
        given back, any more: what is held then goes with the session."""
        leaving, self._leaving = self._leaving, set()
        async with asyncio.timeout(timeout):
            await self._give_back([item for item in leaving if item not in (self._wanted or ())])
            while True:
                self._news.clear()
                self._raise_what_went_wrong()
                share = self._share()
                if share is not None and share != self._told and await self._is_settled(share):
                    self._told = share
                    self._leaving = self._held.keys() - share.keys()
                    return dict(share)
                if not self._news.is_set():
                    await self._news.wait()

    # --- inside -----------------------------------------------------------------------------------------

    async def _close(self) -> None:
        assert self._balancing is not None
        tasks = [self._balancing, *self._waiting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await self._give_back(list(self._held))

    def _raise_what_went_wrong(self) -> None:
        if not self._membership.held:
            self._membership.check()
        assert self._balancing is not None
        if self._balancing.done():
            self._balancing.result()

    def _share(self) -> Share | None:
        """None: it is not known yet who is there."""
        if self._wanted is None:
            return None
        return {item: grant for item, grant in sorted(self._held.items()) if item in self._wanted}

    async def _is_settled(self, share: Share) -> bool:
        if len(share) < len(self._wanted or ()):
            await asyncio.sleep(SETTLE_S)
        return self._share() == share

    async def _balance(self) -> None:
        async with self._members() as states:
            async for members in states:
                if self._me in members:  # if we are gone ourselves, we hear of it by the membership
                    self._wanted = {item for item in self._items if owner_of(item, members) == self._me}
                    self._ask_for_what_is_ours()

    def _ask_for_what_is_ours(self) -> None:
        """And for no more than that.  What is not ours and nobody here has heard of is given back at once."""
        if self._closing or self._wanted is None or not self._membership.held:
            return
        for item in self._wanted - self._held.keys() - self._waiting.keys():
            self._waiting[item] = asyncio.create_task(self._obtain(item))
        for item in self._waiting.keys() - self._wanted:
            self._waiting[item].cancel()
        told = self._told or {}
        unknown = [
            item for item in self._held.keys() - self._wanted if told.get(item) is not self._held[item]
        ]
        for grant in [self._held.pop(item) for item in unknown if item not in self._leaving]:
            self._sessions.tidy(grant.release())
        self._news.set()

    @property
    def _closing(self) -> bool:
        return self._balancing is None or self._balancing.done() or self._balancing.cancelling() > 0

    async def _obtain(self, item: str) -> None:
        key = f"{self._name}/items/{_as_a_name(item)}"
        wanted = _Ownership(self._sessions, key, Exclusive(), ttl=self._ttl_s, value=self._me.encode())
        try:
            grant = self._held[item] = await wanted.acquire()
            grant.on_lost(lambda: self._lost(item, grant))
        except AgreedError as error:
            LOG.warning("%s could not be asked for, and will be again: %s", key, error)
            await asyncio.sleep(AGAIN_AFTER_S)
        finally:
            del self._waiting[item]
            self._ask_for_what_is_ours()

    def _lost(self, item: str, grant: Grant) -> None:
        """Its key was deleted; or the session is over, and the membership with it."""
        if self._held.get(item) is grant:
            del self._held[item]
            self._sessions.tidy(grant.release())
            self._ask_for_what_is_ours()

    async def _give_back(self, items: Iterable[str]) -> None:
        grants = [self._held.pop(item) for item in items if item in self._held]
        failed = await asyncio.gather(*(grant.release() for grant in grants), return_exceptions=True)
        self._ask_for_what_is_ours()  # if it has become so meanwhile
        for error in failed:
            if error is not None:
                raise error


def _as_a_name(item: str) -> str:
    """One name of a key, whatever the item is called."""
    name = quote(item, safe=" !$&'()*+,:;=@")
    return name.replace(".", "%2E") if name in (".", "..") else name
