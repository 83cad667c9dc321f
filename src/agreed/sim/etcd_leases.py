"""Judges leases of etcd clients: what a client was promised, it has.

A grant or a renewal that was answered promises that the lease lives for its whole time from then on; from
when exactly only the leader knows, but not from before it was asked.  So a lease that nobody revoked must
not end before its time has passed since the newest request that was answered.  There is no upper bound while
somebody leads badly; at the end of a run leases that nobody has must end.

All times are the world's; clocks of nodes may run faster by `fast` millionths, so that much less is enough.
"""
from __future__ import annotations

from agreed.sim.outcome import Broken
from agreed.sim.streams import MILLION
from agreed.sim.world import MS, World
from agreed.store.machine import Store


class EtcdLeases:
    def __init__(self, world: World, fast_millionths: int) -> None:
        self._world = world
        self._fast = fast_millionths
        self._alive: set[int] = set()
        self._promised: dict[int, tuple[int, int]] = {}
        """Lease -> when the newest request that was answered was sent, and its time in ms."""
        self._gone: dict[int, int] = {}
        self._revoking: set[int] = set()

    # --- what clients are told ----------------------------------------------------------------------------

    def promised(self, lease: int, asked_at: int, ttl_ms: int) -> None:
        """It was granted or renewed, by a request that was sent then."""
        before = self._promised.get(lease)
        if before is None or before[0] < asked_at:
            self._promised[lease] = (asked_at, ttl_ms)
        if lease in self._gone:
            self._check(lease, self._gone[lease])

    def revoking(self, lease: int) -> None:
        """Its client has asked to revoke it."""
        self._revoking.add(lease)

    def refused(self, lease: int) -> None:
        """Its client was told that there is no such lease."""
        self._check(lease, self._world.now)

    # --- what nodes do ------------------------------------------------------------------------------------

    def applied(self, store: Store) -> list[int]:
        """By whoever was first to apply this.  The leases that are gone since the last time."""
        alive = {lease.id for lease in store.leases if lease.credentials is None}
        gone = self._alive - alive
        self._alive = alive
        for lease in gone:
            self._gone[lease] = self._world.now
            if lease not in self._revoking:
                self._world.mark("lease expired")
            self._check(lease, self._world.now)
        if gone:
            self._nothing_left_behind(store)
        return sorted(gone)

    def _check(self, lease: int, ended_at: int) -> None:
        promise = self._promised.get(lease)
        if promise is None or lease in self._revoking:
            return
        asked_at, ttl_ms = promise
        elapsed_ms = (ended_at - asked_at) * (MILLION + self._fast) // MILLION // MS + 2
        if elapsed_ms < ttl_ms:
            raise Broken(
                "a lease ends too early",
                f"{lease:#x} was to live for {ttl_ms} ms, and is gone {(ended_at - asked_at) // MS} ms after "
                "it was asked for",
            )

    def final(self, store: Store, held: dict[int, set[bytes]]) -> None:
        """`held`: the leases that clients have, and what they were told that hangs on them."""
        self._nothing_left_behind(store)
        for lease, keys in held.items():
            if store.leases.get(lease) is None:
                continue  # who stood still has not renewed it, and has not asked since
            for key in sorted(keys):
                record = store.flat.get(key)
                if record is None or record.lease != lease:
                    raise Broken("a key is lost while its lease lives", f"{key!r} of {lease:#x}")

    def _nothing_left_behind(self, store: Store) -> None:
        for record in store.flat.history.range(b"\0", b"\0"):
            if record.lease and record.lease not in store.leases.table:
                raise Broken("a key outlives its lease", f"{record.key!r} of {record.lease:#x}")
