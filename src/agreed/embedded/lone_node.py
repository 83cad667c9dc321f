"""A cluster of one that lives in memory: a real replica, Raft and store, without disk and without peers.

    node = LoneNode()                                       on the running event loop; it serves at once
    address = await node.listen_to_zookeeper()              "127.0.0.1:40123": for any client of ZooKeeper
    address = await node.listen_to_etcd()                   for any client of etcd
    node.connect(protocol)                                  a client of this process, without a socket
    node.reset()                                            empty, without connections; the ports stay
    node.close()

It is made of what a server is made of, and answers the same.  What it saves is saved at once, which is to
say: kept until the end of the process.  With a `VirtualClock` its time stands still until it is told to move:

    clock = VirtualClock()
    node = LoneNode(clock=clock)
    clock.advance(30)                                       sessions and leases that nobody renews are over

(A lease ends with its time; a session, as on a server, one or two seconds later.)
A session whose client is connected is renewed on the way, as its client would have done (libraries do that
by themselves, in real time, and cannot know); one that is in `node.silent` is not.  Leases of etcd's clients
have no connection: they are over unless somebody renews them.

Everything here is to be called on the event loop on which the node was made.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Final

import msgspec

from agreed.consensus.machine import Ballot, SnapshotMark
from agreed.consensus.members import Member, Members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.raft import Raft
from agreed.embedded import transport
from agreed.embedded.clock import VirtualClock
from agreed.errors import AgreedError
from agreed.node.clock import Clock, SystemClock, SystemDice, entropy
from agreed.node.listen import ClientProtocol, EtcdProtocol, listen_at, with_its_port
from agreed.node.passwords import work
from agreed.node.turns import Turns
from agreed.replica import events
from agreed.replica.replica import Replica
from agreed.replica.settings import Settings
from agreed.replica.upkeep import STOOD_STILL_MS
from agreed.replica.words import Surroundings
from agreed.store.machine import Store
from agreed.types import Instant, LeaseId

LOG: Final = logging.getLogger("agreed.embedded")

NAME: Final = "n1"

ANY_PORT: Final = "127.0.0.1:0"

ANY_TIME_MS: Final = (1, 2**31 - 1)
"""Of sessions: what the protocol can say."""

FOUR_LETTER_WORDS: Final = frozenset({"ruok", "srvr", "stat", "mntr"})

ALL_WHO_ARE_TO: Final = (0, 0)
"""May connect."""

CREEP_MS: Final = 1
"""Work that is done over several turns asks for the next one so much later.  A clock that stands still goes
on by as much: it would else wait for its test, and the test for it."""


STRIDE_MS: Final = STOOD_STILL_MS * 9 // 10
"""The longest step of a clock that is told to move, where no lease ends before: ten rounds of upkeep in one,
and not so long that the node would think it had slept."""

NOBODY_TO_CONVINCE: Final = RaftConfig(heartbeat_ms=60_000, election_timeout_ms=(600_000, 600_000))
"""That it leads: a heartbeat goes nowhere."""


def usual_settings() -> Settings:
    return Settings(session_timeout_ms=ANY_TIME_MS, four_letter_words=FOUR_LETTER_WORDS, etcd_bcrypt_cost=4)


def write_log(level: str, sentence: str) -> None:
    LOG.log(logging.getLevelNamesMapping()[level.upper()], sentence)


class NodeFailed(AgreedError):
    """A mistake of ours has ended the node; the log has it.  What was asked last may have been done."""

    surely_not_done = False


class LoneNode(Turns):
    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        log: Callable[[str, str], None] = write_log,
    ) -> None:
        """Without `settings` sessions may have any time, and passwords are hashed quickly and not well."""
        self.settings = usual_settings() if settings is None else settings
        self.silent: set[LeaseId] = set()
        """Sessions whose clients are connected and say nothing while a virtual clock advances."""
        self.failed = False
        self._unsaved: list[int] = []
        self._servers: list[asyncio.Server] = []
        self._virtual = clock if isinstance(clock, VirtualClock) else None
        used = SystemClock() if clock is None else clock
        super().__init__(self._new_replica(used), used, ALL_WHO_ARE_TO, False, log)
        self._begin()

    def _new_replica(self, clock: Clock) -> Replica:
        """With an identity of its own: what was said to the one before means nothing to it."""
        identity = int.from_bytes(entropy(8), "big") >> 1 or 1
        members = Members((Member(NAME, identity, ANY_PORT),))
        now = clock.now()
        mark = SnapshotMark(0, 0, members)
        raft = Raft(NAME, members, Ballot(0, None), mark, [], NOBODY_TO_CONVINCE, SystemDice(), now, identity)
        settings = msgspec.structs.replace(self.settings, cluster=identity)
        return Replica(
            NAME, identity, 1, settings, raft, Store(), 0, entropy, Surroundings, now, clock.wall_ms()
        )

    def _begin(self) -> None:
        """Returns when it leads: there is nobody whose vote it waits for."""
        self.start()
        self._turn()
        assert self.failed or self.replica.serving

    # --- the loop -------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """And those that the saving brings about."""
        super()._turn()
        while self._unsaved and not self._ended:
            saved, self._unsaved = self._unsaved, []
            for serial in saved:
                self.happened(events.Saved(serial))
            super()._turn()

    def _do(self, effects: events.Effects) -> None:
        self._unsaved += [save.serial for save in effects.saves]
        self._tell_clients(effects)
        for effect in effects.snapshot:
            self._take_snapshot(effect)
        for job in effects.passwords:
            self._answer(work(job))
        for level, sentence in effects.logs:
            self.log(level, sentence)

    def _take_snapshot(self, effect: events.StartSnapshot | events.SnapshotPiece) -> None:
        """Nobody will ever read one: it only lets the log forget what came before."""
        if isinstance(effect, events.StartSnapshot):
            self._snapshot_mark = effect.mark
        elif effect.last:
            self._answer(events.SnapshotWritten(self._snapshot_mark, b""))
        else:
            self._answer(events.SnapshotPieceWritten())

    def _answer(self, event: object) -> None:
        """To this replica, and not to one that has come in its place until then."""
        replica = self.replica

        def answer() -> None:
            if self.replica is replica:
                self.happened(event)

        self._loop.call_soon(answer)

    def _next_wake(self) -> Instant | None:
        wake = super()._next_wake()
        if self._virtual is None or wake is None:
            return wake
        now = self._virtual.now_ms
        if wake <= now + CREEP_MS:
            self._loop.call_soon(self._virtual.advance, CREEP_MS / 1000)
            return wake
        deadline = self.replica.expiry.next_deadline
        return now + STRIDE_MS if deadline is None else min(max(deadline, wake), now + STRIDE_MS)

    def _wake(self) -> None:
        if self._virtual is not None:
            for lease, client in self.replica.zookeeper.sessions.clients.items():
                if lease not in self.silent:
                    client.heard_at = self._virtual.now_ms
        super()._wake()
        self._turn()

    def _crash(self) -> None:
        """The program goes on, and nobody hears of this node again."""
        self.failed = True
        self.log("critical", f"this is a bug; the node stops before it does harm\n{traceback.format_exc()}")
        self.close()

    # --- clients --------------------------------------------------------------------------------------

    def zookeeper_client(self) -> ClientProtocol:
        """What hears one client of ZooKeeper's protocol."""
        return ClientProtocol(self)

    def etcd_client(self) -> ClientProtocol:
        return EtcdProtocol(self)

    def connect(self, protocol: asyncio.Protocol) -> None:
        """A client of ZooKeeper's protocol, on this loop (`transport.connect` for those on others)."""
        transport.connect(protocol, self.accept, self._loop)

    def accept(self) -> asyncio.Protocol:
        """What speaks with one client of ZooKeeper's protocol.  Raises NodeFailed."""
        if self.failed:
            raise NodeFailed()
        return self.zookeeper_client()

    def may_connect(self, address: str) -> bool:
        return not self._ended and super().may_connect(address)

    async def listen_to_zookeeper(self, address: str = ANY_PORT) -> str:
        """Returns host:port.  Raises ConfigurationError where that cannot be had."""
        return await self._listen(self.zookeeper_client, address)

    async def listen_to_etcd(self, address: str = ANY_PORT) -> str:
        address = await self._listen(self.etcd_client, address)
        urls = (*(self.settings.etcd_client_urls or ()), f"http://{address}")
        self.settings = msgspec.structs.replace(self.settings, etcd_client_urls=urls)
        self.replica.settings = msgspec.structs.replace(self.replica.settings, etcd_client_urls=urls)
        return address

    async def _listen(self, protocol: Callable[[], asyncio.Protocol], address: str) -> str:
        server = await listen_at(protocol, address)
        self._servers.append(server)
        return with_its_port(address, server)

    # --- what a test asks for -------------------------------------------------------------------------

    def expire(self, session: LeaseId) -> None:
        """It is over now, as if its time had passed; a lease of etcd's clients as well."""
        self.replica.expire(session)
        self.start()
        self._turn()

    def drop_clients(self) -> None:
        """Every connection is cut; sessions live on, and clients may come back."""
        for client in list(self._clients.values()):
            if client.transport is not None:
                client.transport.abort()

    def reset(self) -> None:
        """To an empty store, that of another cluster: no session of before is known any more."""
        self._forget_clients()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.silent.clear()
        self._unsaved.clear()
        self._turn_due = False
        self.replica = self._new_replica(self._clock)
        self._begin()

    def _forget_clients(self) -> None:
        clients, self._clients, self._per_address = self._clients, {}, {}
        for client in clients.values():
            client.cut()

    def close(self) -> None:
        """Nothing is left of it."""
        self._end()
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._forget_clients()
