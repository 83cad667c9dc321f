"""Where a service can be reached, for as long as who runs it lives.

    registry = Registry(sessions)
    async with registry.register("mail", "10.0.0.7:25", healthy=looks_well) as registration: ...
    for instance in await registry.resolve("mail"): connect(instance.address)
    async with registry.follow("mail") as states:
        async for instances in states: ...

An instance goes with its session: at once when it ends, `ttl` later when it dies.  `healthy` is asked every
`every_s` seconds; while it says no, fails or takes longer than that, the instance is registered and not told
to anybody (`resolve(unhealthy=True)` tells).  It is the instance that asks itself: nobody else finds out that
it cannot be reached from where he is, so whoever connects has to be ready for that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from agreed.backends.contract import Entry, Layout, Session
from agreed.errors import AgreedError
from agreed.recipes.errors import CodecError, MembershipLost
from agreed.recipes.following import Following
from agreed.recipes.group import Everybody, Membership
from agreed.recipes.obtaining import Obtainable
from agreed.recipes.sessions import Sessions
from agreed.recipes.waiting import Turn

LOG: Final = logging.getLogger("agreed.recipes")

ASKED_EVERY_S: Final = 5.0

Health: TypeAlias = Callable[[], Awaitable[bool]]


class _Record(msgspec.Struct, frozen=True):
    address: str
    meta: dict[str, str]
    healthy: bool
    format: int = 1


class Instance(msgspec.Struct, frozen=True):
    """`id` is nobody else's, ever; `token` grows with every registration."""

    id: str
    address: str
    meta: dict[str, str]
    healthy: bool
    token: int


class Registration(Membership):
    """From `register` to its end; a `Grant`."""

    _record: _Record
    _saying: asyncio.Lock
    _asking: asyncio.Task[None] | None = None

    async def update(self, address: str | None = None, meta: Mapping[str, str] | None = None) -> None:
        """Say something else of oneself than before.  Raises MembershipLost."""
        if address is not None:
            self._record = msgspec.structs.replace(self._record, address=address)
        if meta is not None:
            self._record = msgspec.structs.replace(self._record, meta=dict(meta))
        await self._say()

    async def _say(self) -> None:
        async with self._saying:
            await self.inform(msgspec.json.encode(self._record))

    def begin(self, record: _Record, health: Health | None, every_s: float) -> None:
        self._record = record
        self._saying = asyncio.Lock()
        if health is not None:
            self._asking = asyncio.get_running_loop().create_task(self._ask(health, every_s))

    async def _ask(self, health: Health, every_s: float) -> None:
        told: bool | None = self._record.healthy
        while self.held:
            healthy = await self._is_healthy(health, every_s)
            try:
                if healthy is not told:
                    told = None  # until it is certain
                    self._record = msgspec.structs.replace(self._record, healthy=healthy)
                    await self._say()
                    told = healthy
            except AgreedError as error:
                LOG.warning("%s: its health is not told at present: %s", self.name, error)
            try:
                async with asyncio.timeout(every_s):
                    await self.wait_lost()
            except TimeoutError:
                pass

    async def _is_healthy(self, health: Health, every_s: float) -> bool:
        try:
            async with asyncio.timeout(every_s):
                return bool(await health())
        except Exception as error:
            LOG.warning("%s: the question for its health failed: %r", self.name, error)
            return False

    async def release(self) -> None:
        asking, self._asking = self._asking, None
        try:
            if asking is not None:
                asking.cancel()
                await asyncio.wait((asking,))
        finally:
            await super().release()


class Registering(Obtainable[Registration]):
    """`async with`, or `await registering.acquire()`; each makes another instance."""

    granted = Registration
    loss = MembershipLost

    def __init__(
        self,
        sessions: Sessions,
        directory: str,
        record: _Record,
        health: Health | None,
        every_s: float,
        ttl: float | None,
    ) -> None:
        super().__init__(sessions, directory, Everybody(), ttl=ttl, value=msgspec.json.encode(record))
        self._begin = record, health, every_s

    def _grant(self, turn: Turn, mine: Entry, session: Session) -> Registration:
        registration = super()._grant(turn, mine, session)
        registration.begin(*self._begin)
        return registration


class Registry:
    """`root`: where all services stand."""

    def __init__(self, sessions: Sessions, root: str = "services") -> None:
        self.root = root
        self._sessions = sessions
        self._decoder = msgspec.json.Decoder(_Record)

    def register(
        self,
        name: str,
        address: str,
        meta: Mapping[str, str] | None = None,
        *,
        ttl: float | None = None,
        healthy: Health | None = None,
        every_s: float = ASKED_EVERY_S,
    ) -> Registering:
        """With `healthy`, nobody is told of it before that has said yes."""
        record = _Record(address, dict(meta or {}), healthy is None)
        return Registering(self._sessions, self._directory(name), record, healthy, every_s, ttl)

    async def resolve(self, name: str, *, unhealthy: bool = False) -> list[Instance]:
        """All that are healthy, in the order in which they came; none is no error.  Raises CodecError."""
        backend = self._sessions.backend
        line = await backend.line(self._directory(name), Layout.KAZOO)
        entries = await asyncio.gather(*(backend.get(place.key) for place in line))
        instances = [self._instance(entry) for entry in entries if entry is not None]
        return [instance for instance in instances if instance.healthy or unhealthy]

    async def pick(self, name: str) -> Instance | None:
        """One of them by chance; None: there is none."""
        instances = await self.resolve(name)
        return random.choice(instances) if instances else None

    async def services(self) -> list[str]:
        """The names under which anything is registered."""
        return await self._sessions.backend.names(self.root)

    def follow(self, name: str) -> Following[list[Instance]]:
        """The instances that are healthy, then each newer state of them."""
        directory = self._directory(name)
        return Following(self._sessions.backend, directory, lambda: self.resolve(name), below=True)

    def _directory(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _instance(self, entry: Entry) -> Instance:
        try:
            record = self._decoder.decode(entry.value)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CodecError(f"what stands at {entry.key} is no instance of a service: {error}") from error
        identity = entry.key.rpartition("/")[2]
        return Instance(identity, record.address, record.meta, record.healthy, entry.created)
