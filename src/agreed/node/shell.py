"""One loop around a replica: wait, step, take, do.  It has never heard of Raft.

Whatever happens is given to the replica at once (`happened`); the effects of all that happened in one turn of
the event loop are done together at its end (`_turn`).  The shell's whole duty towards safety is to say
`Saved` only when it is true, and in order.

What waits for a disk does not wait here: saves go to `writer.py`, snapshots to a thread (`jobs.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NoReturn, TypeVar

import msgspec

from agreed import __version__
from agreed.consensus.machine import ChunkSaved, SnapshotMark, SnapshotRejected
from agreed.consensus.members import Member, Members
from agreed.disk.kernel_sync import KernelSync
from agreed.disk.recovery import Recovered
from agreed.disk.snapshot_work import SnapshotWork
from agreed.disk.snapshots import SnapshotFile
from agreed.errors import CorruptData, DiskFailed
from agreed.node import clock
from agreed.node.busy_poll import BusyPoll
from agreed.node.dial import Peers
from agreed.node.jobs import JobThread
from agreed.node.listen import ClientProtocol, PeerProtocol
from agreed.node.writer import STOP_WITHIN_S, Writer
from agreed.replica import events
from agreed.replica.acquaintances import Acquaintances
from agreed.replica.founding import Admission, Holders
from agreed.replica.replica import Replica
from agreed.types import Identity, Instant, NodeId
from agreed.wire.peer.messages import PROTOCOL_VERSION, Hello, HelloReply, StatusReply

EXIT_BUG = 70
"""EX_SOFTWARE."""

FAREWELL_S = 5.0
"""How long one still speaks with a member that was removed (`replica/acquaintances.py` tells why)."""

LONE_BYTES = 1_000
"""Of the entries of a save that is taken for a lone write: those of many clients at once are longer."""

RESTORE_PAUSE_S = 0.0005
"""Between two pieces of a snapshot that is taken over: heartbeats are answered meanwhile."""

SNAPSHOT_PAUSE_S = 0.002
"""Between two pieces of a snapshot that is written: most of the time belongs to requests."""


Result = TypeVar("Result")


class Shell:
    def __init__(
        self,
        replica: Replica,
        recovered: Recovered,
        me: Member,
        founders: Members,
        boot: int,
        addresses: dict[NodeId, str],
        connection_limits: tuple[int, int],
        busy_poll_us: int,
        lease_reads: bool,
        log: Callable[[str, str], None],
    ) -> None:
        self.replica = replica
        self.log = log
        self.stopped = asyncio.Event()
        self.exit_code = 0
        self.peer_protocols: set[PeerProtocol] = set()
        self._recovered = recovered
        self._me = me
        self._founders = founders
        self._boot = boot
        self._limits = connection_limits
        self._lease_reads = lease_reads
        self._loop = asyncio.get_running_loop()
        self._admission = Admission()
        self._known_members: Members | None = None
        self._holders = Holders()
        self._acquaintances = Acquaintances(me.name, addresses)
        self._clients: dict[int, ClientProtocol] = {}
        self._per_address: dict[str, int] = {}
        self._next_client = 1
        self._operators: dict[int, PeerProtocol] = {}
        self._told: dict[NodeId, str] = {}
        self._next_operator = 1
        self._turn_due = self._ended = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: Instant = 0
        self._busy_poll = BusyPoll(self._loop.call_soon, busy_poll_us)
        self._peers = Peers(self, log)
        self._writer = Writer(
            recovered.wal, self._saved, self._disk_failed, self._crash, KernelSync.make()
        )
        self._snapshot_thread = JobThread("agreed-snapshots")
        self._snapshots = SnapshotWork(recovered.snapshots, self._complain)

    # --- the loop -------------------------------------------------------------------------------------

    def start(self) -> None:
        self.happened(events.TimePassed(clock.now(), clock.wall_ms()))

    def happened(self, event: object) -> None:
        """The only door to the replica.

        The time is told once a turn, but with leases before each event.  Else a leader that is stopped in the
        middle of a turn, until its lease is over and somebody else leads, would answer from it what it was
        asked only afterwards, and did not see what was acknowledged meanwhile."""
        if self._ended:
            return
        try:
            first, self._turn_due = not self._turn_due, True
            if first:
                self._loop.call_soon(self._turn)
            if first or self._lease_reads:
                self.replica.step(events.TimePassed(clock.now(), clock.wall_ms()))
            self.replica.step(event)
        except Exception:
            self._crash()

    def happened_now(self, event: object) -> None:
        """For what seldom comes in crowds (a peer's message, the disk): its turn ends at once.

        Otherwise each of them would take the event loop another round, and somebody waits for each."""
        self.happened(event)
        self._turn()

    def _turn(self) -> None:
        if self._ended or not self._turn_due:
            return
        self._turn_due = False
        try:
            effects = self.replica.take()
            while effects.more:
                self._do(effects)
                effects = self.replica.take()
            self._do(effects)
            self._set_alarm()
        except Exception:
            # Also where only an effect could not be done: a save that is lost is a promise that never comes
            # true.
            self._crash()

    def _crash(self) -> NoReturn:
        """A mistake of ours.  What the replica is now nobody knows, and it must not tell anybody anything.

        The process ends at once, as with SIGKILL: that is a case which everything is made for, while going on
        from half a step is none."""
        self.log("critical", f"this is a bug; the node stops before it does harm\n{traceback.format_exc()}")
        logging.shutdown()
        os._exit(EXIT_BUG)

    def _do(self, effects: events.Effects) -> None:
        send = self._peers.send
        for target, message in effects.send:
            send(target, message)
        for save in effects.saves:
            self._writer.submit(save)
            if sum([len(entry.payload) for entry in save.entries]) <= LONE_BYTES:
                self._busy_poll.expect()
        clients = self._clients
        for identifier, data in effects.write:
            client = clients.get(identifier)
            if client is not None:
                client.write(data)
        if effects.close or effects.pause or effects.resume:
            self._connections(effects)
        if effects.snapshot:
            self._write_snapshot(effects.snapshot)
        for load in effects.load_chunks:
            self._in_snapshot_thread(partial(self._snapshots.load, load), self.happened)
        for chunk in effects.save_chunks:
            self._in_snapshot_thread(partial(self._snapshots.save, chunk), self._chunk_saved)
        for ticket, reply in effects.operator_replies:
            self._operator_reply(ticket, reply)
        for level, sentence in effects.logs:
            self.log(level, sentence)
        if effects.stopped:
            self.stopped.set()
        if self.replica.members is not self._known_members:
            self._members_changed()

    def _set_alarm(self) -> None:
        """One that rings too early is left: it is set anew then, and not at every turn."""
        wake = self.replica.wake
        if wake is None or (self._alarm is not None and self._alarm_at <= wake):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = wake
        self._alarm = self._loop.call_later(max(0, wake - clock.now()) / 1000, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self.happened(events.TimePassed(clock.now(), clock.wall_ms()))

    def request_stop(self) -> None:
        self.happened(events.StopRequested())

    async def close(self) -> None:
        """After `stopped`: nothing acknowledged is left in a buffer, and nothing happens any more."""
        self._ended = True
        if self._alarm is not None:
            self._alarm.cancel()
        for client in list(self._clients.values()):
            client.close()
        self._peers.close()
        for protocol in list(self.peer_protocols):
            if protocol.transport is not None:
                protocol.transport.close()
        await self._writer.stop()
        await self._snapshot_thread.stop(STOP_WITHIN_S)

    # --- the disk -------------------------------------------------------------------------------------

    def _saved(self, serials: list[int]) -> None:
        for serial in serials:
            self.happened(events.Saved(serial))
        self._turn()

    def _disk_failed(self, reason: str) -> None:
        self.exit_code = 74  # EX_IOERR
        self.happened(events.DiskStopped(reason))

    def _in_snapshot_thread(self, job: Callable[[], Result], then: Callable[[Result], object]) -> None:
        """Whatever the job raises must be told, or the node would wait for its answer for ever."""

        def run() -> None:
            try:
                answer: Callable[[], object] = partial(then, job())
            except DiskFailed as error:
                answer = partial(self._disk_failed, str(error))
            except Exception:
                if not self._ended:
                    self._crash()
                return
            with suppress(RuntimeError):
                # It has hung until after the loop was closed: nobody waits for its answer any more.
                self._loop.call_soon_threadsafe(answer)

        self._snapshot_thread.submit(run)

    def _complain(self, sentence: str) -> None:
        """In the snapshot thread."""
        self._loop.call_soon_threadsafe(self.log, "error", sentence)

    def _write_snapshot(self, effects: list[events.StartSnapshot | events.SnapshotPiece]) -> None:
        for effect in effects:
            if isinstance(effect, events.StartSnapshot):
                self._snapshots.start(effect.mark)
            else:
                write = partial(self._snapshots.write, effect.data, effect.last)
                self._in_snapshot_thread(write, self._piece_written)

    def _piece_written(self, written: SnapshotFile | None) -> None:
        if written is None:
            self._loop.call_later(SNAPSHOT_PAUSE_S, self.happened, events.SnapshotPieceWritten())
            return
        self.happened(events.SnapshotWritten(written.mark, written.digest))
        self._writer.call(
            lambda: self._recovered.wal.forget_before(self._recovered.snapshots.log_needed_from)
        )

    def _chunk_saved(self, answer: ChunkSaved | SnapshotRejected | SnapshotFile) -> None:
        if not isinstance(answer, SnapshotFile):
            self.happened(answer)
            return
        mark = answer.mark
        self._writer.call(lambda: self._recovered.wal.start_after(mark.index, mark.term))
        self._loop.create_task(self._restore(mark))

    async def _restore(self, mark: SnapshotMark) -> None:
        """Piece by piece: a node that restores for seconds without a word would be taken for dead."""
        try:
            for piece in self._recovered.snapshots.pieces(mark.index):
                self.happened(events.RestorePiece(piece))
                await asyncio.sleep(RESTORE_PAUSE_S)
        except (CorruptData, DiskFailed) as error:
            self._disk_failed(str(error))
            return
        self.happened(events.RestoreEnded(mark))

    # --- clients --------------------------------------------------------------------------------------

    def may_connect(self, address: str) -> bool:
        total, per_address = self._limits
        if total and len(self._clients) >= total:
            self.log("warning", f"a client from {address} is refused: {total} connections are the limit")
            return False
        if per_address and self._per_address.get(address, 0) >= per_address:
            self.log(
                "warning", f"a client from {address} is refused: {per_address} from one address are the limit"
            )
            return False
        return True

    def client_opened(self, client: ClientProtocol) -> int:
        identifier = self._next_client
        self._next_client += 1
        self._clients[identifier] = client
        self._per_address[client.address] = self._per_address.get(client.address, 0) + 1
        return identifier

    def client_closed(self, client: ClientProtocol) -> None:
        self._clients.pop(client.id, None)
        left = self._per_address.get(client.address, 1) - 1
        if left:
            self._per_address[client.address] = left
        else:
            self._per_address.pop(client.address, None)

    def _connections(self, effects: events.Effects) -> None:
        for identifier in effects.close:
            if client := self._clients.get(identifier):
                client.close()
        for identifier in effects.pause:
            if client := self._clients.get(identifier):
                client.hold(True)
        for identifier in effects.resume:
            if client := self._clients.get(identifier):
                client.hold(False)

    # --- peers and operators --------------------------------------------------------------------------

    def hello(self) -> Hello:
        members = self.replica.members
        return Hello(
            PROTOCOL_VERSION,
            self._recovered.identity.cluster,
            self._me,
            self._recovered.identity.life,
            self._boot,
            self._founders,
            members,
            *self.replica.log_end,
            self._recovered.identity.consensus,
        )

    def refuse(self, hello: Hello) -> str | None:
        refusal = self._admission.refuse(self.hello(), hello)
        if refusal is None and self.is_member(hello):
            self._acquaintances.called(hello.member)
            self._peers.know(self._acquaintances.addresses)
        else:
            # Whoever lost its disk, or is new, may be made a member under this identity.
            self.happened(
                events.StrangerSeen(
                    hello.member.name,
                    hello.member.identity,
                    hello.member.address,
                    hello.member.client_address,
                )
            )
        return refusal

    def holder_of(self, name: NodeId) -> Identity:
        """Whose disk has this name; 0: nobody's."""
        return self._holders.of(name, self.replica.members)

    def log_once(self, peer: NodeId, sentence: str) -> None:
        """A peer that is refused comes again twice a second: it is told of when something has changed."""
        if self._told.get(peer) != sentence:
            self._told[peer] = sentence
            self.log("warning", sentence)

    def is_member(self, hello: Hello) -> bool:
        return hello.cluster == self._recovered.identity.cluster

    def greeted(self, peer: NodeId, reply: HelloReply) -> bool:
        if reply.refusal is not None:
            self.log_once(peer, f"{peer} refuses this node: {reply.refusal}")
            return False
        if reply.hello.member.name != peer:
            self.log_once(peer, f"at the address of {peer} answers {reply.hello.member.name}")
            return False
        return reply.hello.cluster in (0, self._recovered.identity.cluster)

    def peer_opened(self, peer: NodeId) -> None:
        self._told.pop(peer, None)
        self.happened(events.PeerOpened(peer))

    def peer_closed(self, peer: NodeId) -> None:
        self.happened(events.PeerClosed(peer))

    def peer_hung_up(self, peer: NodeId) -> None:
        """A connection that it had opened is gone."""
        self._acquaintances.hung_up(peer)
        self._peers.know(self._acquaintances.addresses)
        self.happened(events.PeerClosed(peer))

    def _members_changed(self) -> None:
        self._known_members = self.replica.members
        leaving = self._acquaintances.members_changed(self._known_members)
        self._peers.know(self._acquaintances.addresses)
        if leaving:
            self._loop.call_later(FAREWELL_S, self._forget, leaving)

    def _forget(self, leaving: frozenset[NodeId]) -> None:
        self._acquaintances.forget(leaving)
        self._peers.know(self._acquaintances.addresses)

    def operator_asked(self, protocol: PeerProtocol, request: object) -> None:
        ticket = self._next_operator
        self._next_operator += 1
        self._operators[ticket] = protocol
        self.happened(events.OperatorAsked(ticket, request))

    def _operator_reply(self, ticket: int, reply: object) -> None:
        protocol = self._operators.pop(ticket, None)
        if isinstance(reply, StatusReply):
            reply = msgspec.structs.replace(
                reply,
                identity=self._recovered.identity.identity,
                cluster=self._recovered.identity.cluster,
                resident_bytes=resident_bytes(),
                version=__version__,
            )
        if protocol is not None:
            protocol.answer(reply)


def resident_bytes() -> int:
    """Of this process, now; where the system does not tell, the most it ever was."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
