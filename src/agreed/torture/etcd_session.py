"""A client of etcd with a session: a lease that it renews by itself, and keys that go when the lease goes.

What ZooKeeper's clients have from their server is made here as etcd's users make it: an ephemeral node is a
key with the lease of the session, and the number of a sequential one is the version of the key above it,
which is counted up in the same transaction.  A client finds out that its session is over by asking for its
lease before it reads.
"""
from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Final

from agreed.torture import client as outcomes
from agreed.torture.address import Address
from agreed.torture.client import Created, NotAsked, Refused, Stored
from agreed.torture.etcd_client import EtcdClient, Json, ask, encoded

LEASE_S: Final = 4
RENEW_EVERY_S: Final = 1.0
RENEWED_WITHIN_S: Final = 1.0
ATTEMPTS_MOST: Final = 20
"""How often somebody else may have been quicker with a number."""


class EtcdSession(EtcdClient):
    def __init__(self, name: str, addresses: Sequence[Address], dice: random.Random) -> None:
        super().__init__(name, addresses, dice)
        self._lease: str | None = None
        self._lost = 0
        self._renewing: asyncio.Task[None] | None = None
        self._silent = False

    @property
    def session(self) -> str:
        return f"{self.name}/{self._lost}"

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewing
        await super().close()

    async def vanish(self, seconds: float) -> None:
        self._silent = True
        try:
            await super().vanish(seconds)
        finally:
            self._silent = False

    async def read(self, path: str, *, fresh: bool) -> Stored | None:
        await self._look_after_the_lease()
        return await super().read(path, fresh=fresh)

    async def create(
        self, path: str, value: str, *, ephemeral: bool = False, sequential: bool = False
    ) -> Created:
        if not ephemeral and not sequential:
            return await super().create(path, value)
        lease = await self._begun() if ephemeral else "0"
        if not sequential:
            return await self._make(path, value, lease, [], [])
        above = path.rpartition("/")[0]
        for _ in range(ATTEMPTS_MOST):
            stored = await super().read(above, fresh=True)
            if stored is None:
                raise Refused(outcomes.ABSENT)
            guard: Json = {
                "target": "VERSION", "result": "EQUAL", "key": encoded(above), "version": str(stored.version)
            }
            count: Json = {"request_put": {"key": encoded(above), "value": encoded(stored.value)}}
            with contextlib.suppress(Refused):
                return await self._make(f"{path}{stored.version:010d}", value, lease, [guard], [count])
        raise NotAsked("somebody else was always quicker")

    async def _make(
        self, path: str, value: str, lease: str, guards: list[Json], others: list[Json]
    ) -> Created:
        absent: Json = {"target": "VERSION", "result": "EQUAL", "key": encoded(path), "version": "0"}
        put: Json = {"request_put": {"key": encoded(path), "value": encoded(value), "lease": lease}}
        done = await self._transaction([*guards, absent], [*others, put], [])
        if not done.get("succeeded"):
            raise Refused(outcomes.EXISTS)
        return Created(path, int(done["header"]["revision"]))

    # --- the lease ---

    async def _begun(self) -> str:
        """The lease of this session; the first who needs one gets it."""
        if self._lease is None:
            granted = await self._post("/v3/lease/grant", {"TTL": str(LEASE_S)})
            self._lease = str(granted["ID"])
        if self._renewing is None:
            self._renewing = asyncio.ensure_future(self._renew())
        return self._lease

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            if self._lease is not None and not self._silent:
                address = self._dice.choice(self._addresses)
                await ask(address, "/v3/lease/keepalive", {"ID": self._lease}, RENEWED_WITHIN_S)

    async def _look_after_the_lease(self) -> None:
        """Whoever knows no such lease says that there is no time left, and of no grant."""
        lease = self._lease
        if lease is None:
            return
        told = await self._post("/v3/lease/timetolive", {"ID": lease})
        if "grantedTTL" not in told and self._lease == lease:
            self._lease = None
            self._lost += 1
