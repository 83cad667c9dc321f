"""A server around a replica: its disk, its peers, its operators, and its end; `turns.py` is the loop.

The shell's whole duty towards safety is to say `Saved` only when it is true, and in order.

What waits for a disk does not wait here: saves go to `writer.py`, snapshots to a thread (`jobs.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import ssl
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import msgspec

from agreed.consensus.machine import ChunkSaved, SnapshotMark, SnapshotRejected
from agreed.consensus.members import Member, Members
from agreed.disk.kernel_sync import KernelSync
from agreed.disk.recovery import Recovered
from agreed.disk.snapshot_work import SnapshotWork
from agreed.disk.snapshots import SnapshotFile
from agreed.errors import CorruptData, DiskFailed
from agreed.node import clock, passwords
from agreed.node.busy_poll import BusyPoll
from agreed.node.dial import Peers
from agreed.node.jobs import JobThread
from agreed.node.listen import PeerProtocol
from agreed.node.turns import Turns
from agreed.node.writer import STOP_WITHIN_S, Writer
from agreed.replica import events
from agreed.replica.acquaintances import Acquaintances
from agreed.replica.founding import Admission, Holders
from agreed.replica.replica import Replica
from agreed.types import Identity, NodeId
from agreed.version import VERSION
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


class Shell(Turns):
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
        peer_tls: ssl.SSLContext | None,
        log: Callable[[str, str], None],
        *,
        owns_process: bool = True,
    ) -> None:
        """`owns_process`: nothing else is done in it."""
        super().__init__(replica, clock.SystemClock(), connection_limits, lease_reads, log)
        self.stopped = asyncio.Event()
        self.exit_code = 0
        self._owns_process = owns_process
        self.peer_protocols: set[PeerProtocol] = set()
        self._recovered = recovered
        self._me = me
        self._founders = founders
        self._boot = boot
        self._admission = Admission()
        self._known_members: Members | None = None
        self._holders = Holders()
        self._acquaintances = Acquaintances(me.name, addresses)
        self._operators: dict[int, PeerProtocol] = {}
        self._told: dict[NodeId, str] = {}
        self._next_operator = 1
        self._busy_poll = BusyPoll(self._loop.call_soon, busy_poll_us)
        self._peers = Peers(self, log, peer_tls)
        self._writer = Writer(
            recovered.wal, self._saved, self._disk_failed, self._crash, KernelSync.make()
        )
        surroundings = replica.surroundings
        replica.surroundings = lambda: msgspec.structs.replace(
            surroundings(), syncs=self._writer.syncs.spread()
        )
        self._snapshot_thread = JobThread("agreed-snapshots")
        self._password_thread = JobThread("agreed-passwords")
        self._snapshots = SnapshotWork(recovered.snapshots, self._complain)

    def _crash(self) -> None:
        """The process ends at once, as with SIGKILL: that is a case which everything is made for, while going
        on from half a step is none.  A process of others is not ours to end: there the node falls silent, and
        that is the same to everybody else."""
        self.log("critical", f"this is a bug; the node stops before it does harm\n{traceback.format_exc()}")
        if self._owns_process:
            logging.shutdown()
            os._exit(EXIT_BUG)
        self._ended = True
        self.exit_code = EXIT_BUG
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._fall_silent)

    def _fall_silent(self) -> None:
        for client in list(self._clients.values()):
            client.cut()
        self._peers.close()
        for protocol in list(self.peer_protocols):
            if protocol.transport is not None:
                protocol.transport.abort()
        self.stopped.set()

    def _do(self, effects: events.Effects) -> None:
        send = self._peers.send
        for target, message in effects.send:
            send(target, message)
        for save in effects.saves:
            self._writer.submit(save)
            if sum([len(entry.payload) for entry in save.entries]) <= LONE_BYTES:
                self._busy_poll.expect()
        self._tell_clients(effects)
        if effects.snapshot:
            self._write_snapshot(effects.snapshot)
        for load in effects.load_chunks:
            self._in_snapshot_thread(partial(self._snapshots.load, load), self.happened)
        for chunk in effects.save_chunks:
            self._in_snapshot_thread(partial(self._snapshots.save, chunk), self._chunk_saved)
        for job in effects.passwords:
            self._password_thread.submit(partial(self._work_on_password, job))
        for ticket, reply in effects.operator_replies:
            self._operator_reply(ticket, reply)
        for level, sentence in effects.logs:
            self.log(level, sentence)
        if effects.stopped:
            self.stopped.set()
        if self.replica.members is not self._known_members:
            self._members_changed()

    def request_stop(self) -> None:
        self.happened(events.StopRequested())

    async def close(self) -> None:
        """After `stopped`: nothing acknowledged is left in a buffer, and nothing happens any more."""
        self._end()
        for client in list(self._clients.values()):
            client.close()
        self._peers.close()
        for protocol in list(self.peer_protocols):
            if protocol.transport is not None:
                protocol.transport.close()
        await self._writer.stop()
        await self._snapshot_thread.stop(STOP_WITHIN_S)
        await self._password_thread.stop(STOP_WITHIN_S)

    # --- the disk -------------------------------------------------------------------------------------

    def _saved(self, serials: list[int]) -> None:
        for serial in serials:
            self.happened(events.Saved(serial))
        self._turn()

    def _disk_failed(self, reason: str) -> None:
        self.exit_code = 74  # EX_IOERR
        self.happened(events.DiskStopped(reason))

    def _work_on_password(self, job: events.HashPassword | events.CheckPassword) -> None:
        """In a thread of its own."""
        done = passwords.work(job)
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.happened, done)

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
                version=VERSION,
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
