"""A real node without its event loop: recovered from its disk, assembled, and driven as the shell drives it.

    start     recover the data directory; found or rejoin the cluster; Raft, store, replica (`node.start`)
    turn      time, what happened, take, do (`node.shell`)
    end       killed, without power, failed, removed; what is left is the disk

What stands here is what `agreed.node` does with sockets, threads and an event loop, done with the queue of
the world.  The machine (name, disk, clock) outlives its processes; everything else is of one life.
"""
from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from agreed.consensus.machine import SnapshotMark
from agreed.consensus.members import Member, Members, decode_members, encode_members
from agreed.disk.identity import write_identity
from agreed.disk.recovery import Recovered
from agreed.errors import AgreedError, DiskFailed
from agreed.replica import events
from agreed.replica.founding import Founding
from agreed.replica.replica import Replica
from agreed.replica.words import Surroundings
from agreed.sim.clock import Clock
from agreed.sim.configuration import consensus_config, settings
from agreed.sim.disk import DIRECTORY, Disk
from agreed.sim.durability import check_kept, check_refused
from agreed.sim.elections import VOTES
from agreed.sim.marks import repaired
from agreed.sim.outcome import Broken
from agreed.sim.parts import Parts
from agreed.sim.peers import NO_MEMBERS, Peers
from agreed.sim.storage import Storage
from agreed.sim.trace import ALARM, START, STOP
from agreed.sim.world import MS
from agreed.store.machine import Store
from agreed.wire.peer.messages import Hello, OperatorReply, StatusReply

if TYPE_CHECKING:
    from agreed.sim.client_link import ClientLink
    from agreed.sim.cluster import Cluster

RESTARTED_AFTER_MS = 300
"""A process that ended by itself is started again, as by a supervisor."""


class Node:
    """A machine with a name, and the process on it, if there is one (`up`)."""

    def __init__(self, cluster: Cluster, name: str, number: int, *, joining: bool = False) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.name, self.number = name, number
        self.parts: Parts = cluster.parts
        self.joining = joining
        self.machines = 0
        """How many this name has had: a wiped one is another one."""
        self.disk = self._new_disk()
        self.clock = self._new_clock()
        self.boot = 0
        """Counts starts *and* ends of processes: what was planned in one life does nothing in the next."""
        self.up = self.serving = False
        self.paused_until = 0
        self.refused: str | None = None
        """Why no process can be started on this disk, ever."""
        self.damaged = False
        """Something on the disk is not what was written there, and nobody has found out."""
        self.identity = 0
        """Of the data directory; 0 as long as nobody has looked."""
        self.replica: Replica
        self.recovered: Recovered
        self.peers: Peers
        self.storage: Storage
        self._storages: dict[int, Storage] = {}
        """Identity -> the last storage of that data directory."""
        self.founders: Members = NO_MEMBERS
        self.boot_number = 0
        self.links: dict[int, ClientLink] = {}
        self._founding: Founding | None = None
        self._backlog: deque[tuple[object, ...]] = deque()
        self._alarm_at: int | None = None
        self._alarm_for: int | None = None
        """The wish that this alarm was set for."""
        self._next_client = 1
        self._take_due = False
        self._lazy = cluster.plan.conditions.lazy_permille
        self._lazy_bits = self.world.stream("lazy", name).bits
        self.replies: dict[int, OperatorReply] = {}

    def _new_disk(self) -> Disk:
        self.machines += 1
        return self.parts.disk(self.world.stream("disk", self.name, self.machines))

    def _new_clock(self) -> Clock:
        stream = self.world.stream("clock", self.name)
        drift = self.cluster.plan.conditions.drift_millionths
        return Clock(stream.below(1_000_000), stream.between(-drift, drift))

    def member(self) -> Member:
        identity = self.recovered.identity.identity
        return Member(self.name, identity, f"{self.name}:2888", f"{self.name}:2181")

    def holds(self, identity: int, index: int, term: int) -> bool:
        """Whether this entry is durable under this name and identity (or was, until that disk was lost)."""
        storage = self._storages.get(identity)
        return storage is not None and storage.holds(index, term)

    @property
    def has_served(self) -> bool:
        """In this life or an earlier one."""
        return hasattr(self, "replica")

    @property
    def leads(self) -> bool:
        return self.serving and self.replica.leads

    # --- a life begins ------------------------------------------------------------------------------------

    def start(self) -> None:
        if self.up or self.refused is not None:
            return
        self.boot += 1
        world = self.world
        world.trace.event(world.now, START, self.number, self.boot)
        stream = world.stream("start", self.name, self.boot)
        # What is written at a start may go astray as well, and is read only at the next one.
        astray = self.disk.writes_to_misdirect > 0
        try:
            self.recovered = self.parts.recover(
                DIRECTORY,
                self.disk,
                name=self.name,
                fresh_identity=stream.bits(62) + 1,
                segment_size=self.cluster.plan.conditions.segment_bytes,
            )
            store = self._restored_store()
        except DiskFailed as error:
            self._not_started(str(error))
            return
        except AgreedError as error:
            self._refuse(str(error))
            return
        self.identity = self.recovered.identity.identity
        self.damaged = astray
        if world.trace.telling:
            world.trace.tell(world.now, "up", self.name, "; ".join(self.recovered.repairs) or "starts")
        for repair in self.recovered.repairs:
            world.mark(repaired(repair))
        self.up, self.serving, self.paused_until = True, False, 0
        self.boot_number = stream.bits(62)
        self.peers = Peers(self, self.cluster.network)
        self._backlog.clear()
        self._alarm_at = None
        self._take_due = False
        self.links = {}
        self.replies = {}
        identity = self.recovered.identity
        if identity.cluster:
            self._serve(decode_members(identity.initial_members), store)
        else:
            self._found()

    def _not_started(self, reason: str) -> None:
        """The disk fails at the moment; somebody will try again."""
        self.disk.interrupt()
        if self.world.trace.telling:
            self.world.trace.tell(self.world.now, "down", self.name, f"cannot start: {reason}")
        self.world.later(RESTARTED_AFTER_MS * MS, self._start_again, self.boot)

    def _refuse(self, reason: str) -> None:
        self.disk.interrupt()
        self.refused = reason
        check_refused(self, reason)
        self.world.mark("data directory refused")
        if self.world.trace.telling:
            self.world.trace.tell(self.world.now, "down", self.name, f"refuses to start: {reason}")

    def _restored_store(self) -> Store:
        recovered = self.recovered
        if recovered.snapshot is None:
            return self.parts.store()
        restorer = self.parts.restorer()
        for piece in recovered.snapshots.pieces(recovered.snapshot.mark.index):
            restorer.feed(piece)
        return restorer.finish()

    def _found(self) -> None:
        names = frozenset(self.cluster.founder_names)
        self._founding = self.parts.founding(self.member(), names, self.joining)
        if self._founding.result is not None:
            self._founded()
        else:
            # Whoever starts it names the peers there are by now.
            self.peers.know(set(self.cluster.nodes))

    def founding_heard(self, hello: Hello) -> None:
        """Before the node knows its cluster: another one has told who it is."""
        founding = self._founding
        assert founding is not None
        founding.heard(hello)
        if founding.result is not None and not self.serving:
            self.world.later(0, self._founded_later, self.boot)

    def _founded_later(self, boot: int, _: object) -> None:
        if self.boot == boot and not self.serving:
            self._founded()

    def _founded(self) -> None:
        """Durable before the first vote: a node that has promised anything knows to whom."""
        assert self._founding is not None
        assert self._founding.result is not None
        cluster, founders = self._founding.result
        identity = msgspec.structs.replace(
            self.recovered.identity, cluster=cluster, initial_members=encode_members(founders)
        )
        try:
            write_identity(DIRECTORY, self.disk, identity)
        except DiskFailed as error:
            self.end(f"cannot keep its identity: {error}")
            self.world.later(RESTARTED_AFTER_MS * MS, self._start_again, self.boot)
            return
        self.recovered.identity = identity
        self._serve(founders, self._restored_store())

    def _serve(self, founders: Members, store: Store) -> None:
        recovered, now = self.recovered, self.world.now
        conditions = self.cluster.plan.conditions
        self.founders = founders
        mark = recovered.snapshot.mark if recovered.snapshot else SnapshotMark(0, 0, founders)
        local_ms = self.clock.monotonic_ms(now)
        consensus = self.cluster.plan.consensus
        machine = getattr(self.parts, consensus)(
            self.name, founders, recovered.ballot, mark, recovered.entries,
            consensus_config(conditions, consensus), self.world.stream("dice", self.name, self.boot),
            local_ms, recovered.identity.identity,
        )  # fmt: skip
        machine = self.cluster.judge.protocol.made(self, machine)
        self.replica = self.parts.replica(
            self.name, recovered.identity.identity, recovered.identity.life, settings(conditions), machine,
            store, mark.index, self.world.stream("entropy", self.name, self.boot).bytes, Surroundings,
            local_ms, self.clock.wall_ms(now),
        )  # fmt: skip
        before = self._storages.get(self.identity)
        self.storage = self._storages[self.identity] = Storage(self, recovered)
        if before is not None:
            check_kept(self, before, self.storage)
        self._founding = None
        self.serving = True
        self.cluster.judge.started(self)
        self.happened()

    # --- a life ends --------------------------------------------------------------------------------------

    def end(self, reason: str, *, silently: bool = False) -> None:
        """The process is gone.  `silently`: and nothing tells the others so."""
        if not self.up:
            return
        world = self.world
        world.trace.event(world.now, STOP, self.number, self.boot)
        if world.trace.telling:
            world.trace.tell(world.now, "down", self.name, reason)
        self.boot += 1
        self.up = self.serving = False
        self.paused_until = 0
        self.disk.interrupt()
        if self.disk.lost_without_a_trace:
            # No single disk can know; whoever runs it has read the news about that model, and replaces it.
            self.refused = "the disk has lost a write that it had acknowledged"
            world.mark("lost write at the end of the log")
        self.cluster.network.died(self, silently)
        for link in list(self.links.values()):
            link.server_died(silently)
        self.links = {}
        self.cluster.disturbed()

    def power_off(self) -> None:
        self.end("power is lost", silently=True)
        self.disk.lose_power()

    def restart_after(self, delay_ms: int) -> None:
        """Unless it is started before."""
        self.world.later(delay_ms * MS, self._start_again, self.boot)

    def _start_again(self, boot: int, _: object) -> None:
        if self.boot == boot:
            self.start()

    def wipe(self) -> None:
        """Another machine with the same name, and nothing on its disk.

        It is started with `--join`, as the manual has it: a node that once founded a cluster on its own and
        starts empty would found another one, and nobody would be there to contradict."""
        self.end("the machine is replaced", silently=True)
        self.joining = True
        self.boot += 1
        self.disk = self._new_disk()
        self.refused = None
        self.identity = 0
        self.damaged = False
        self.cluster.judge.wiped(self)

    def disk_failed(self, problem: str) -> None:
        """The process tells its clients and peers, and ends."""
        self.world.mark("disk failed while " + ("leading" if self.leads else "following"))
        self.happened(events.DiskStopped(problem))

    # --- turns --------------------------------------------------------------------------------------------

    def pause(self, until: int) -> None:
        """The process stands still; what comes in waits."""
        if self.up and until > self.paused_until:
            self.paused_until = until
            self.cluster.disturbed()
            self.world.at(until, self._resume, self.boot)

    def wake_up(self) -> None:
        """The pause is over."""
        if self.up and self.paused_until > self.world.now:
            self.paused_until = self.world.now
            self._resume(self.boot)

    def _resume(self, boot: int, _: object = None) -> None:
        if self.boot != boot or self.world.now < self.paused_until:
            return
        self.cluster.disturbed()
        backlog, self._backlog = self._backlog, deque()
        self.happened()
        for happened in backlog:
            if self.boot == boot:
                self.happened(*happened)

    def heard(self, peer: str, message: object) -> None:
        """A peer that was let in says something."""
        judge = self.cluster.judge
        if self.world.now < self.paused_until or not self.serving:
            judge.protocol.heard(self, peer, message)
            self.happened(events.PeerMessage(peer, message))
            return
        before = judge.before(self)
        if type(message) in VOTES:
            judge.protocol.heard(self, peer, message)
        self.happened(events.PeerMessage(peer, message))
        judge.came_of(self, before, peer, message)

    def happened(self, *happened: object) -> None:
        """The only door to the replica: a turn, as the shell has it."""
        if not self.serving:
            return
        now = self.world.now
        if now < self.paused_until:
            self._backlog.append(happened)
            return
        cluster = self.cluster
        cluster.acting = self
        replica = self.replica
        replica.step(events.TimePassed(self.clock.monotonic_ms(now), self.clock.wall_ms(now)))
        for event in happened:
            replica.step(event)
        if self._lazy and happened and (self._lazy_bits(16) * 1000 >> 16) < self._lazy:
            if not self._take_due:
                self._take_due = True
                self.world.later(self._lazy_bits(11), self._take_late, self.boot)
        else:
            self._take()

    def _take_late(self, boot: int, _: object) -> None:
        if self.boot != boot or not self._take_due:
            return
        if self.world.now < self.paused_until:
            self.world.at(self.paused_until, self._take_late, boot)
            return
        self.cluster.acting = self
        self._take()

    def _take(self) -> None:
        self._take_due = False
        replica = self.replica
        boot = self.boot
        more = True
        while more and self.boot == boot:
            effects = replica.take()
            more = effects.more
            self._do(effects)
        if self.boot == boot:
            self._set_alarm()
            self.cluster.judge.after_turn(self)

    def _do(self, effects: events.Effects) -> None:
        storage = self.storage
        for save in effects.saves:
            storage.save(save)
        send = self.peers.send
        for target, message in effects.send:
            if type(message) in VOTES:
                self.cluster.judge.protocol.said(self, target, message)
            send(target, message)
        links = self.links
        for identifier, data in effects.write:
            link = links.get(identifier)
            if link is not None:
                link.to_client(data)
        if effects.close or effects.pause or effects.resume:
            self._connections(effects)
        if effects.snapshot:
            storage.write_snapshot(effects.snapshot)
        for load in effects.load_chunks:
            storage.load(load)
        for chunk in effects.save_chunks:
            storage.save_chunk(chunk)
        for ticket, reply in effects.operator_replies:
            self._operator_reply(ticket, reply)
        for level, sentence in effects.logs:
            self._log(level, sentence)
        self.peers.follow_members(self.replica.members)
        if effects.stopped:
            self._stopped()

    def _connections(self, effects: events.Effects) -> None:
        for identifier in effects.close:
            if link := self.links.get(identifier):
                link.closed_by_server()
        for identifier in effects.pause:
            if link := self.links.get(identifier):
                link.hold(True)
        for identifier in effects.resume:
            if link := self.links.get(identifier):
                link.hold(False)

    def _operator_reply(self, ticket: int, reply: object) -> None:
        if isinstance(reply, OperatorReply):
            self.replies[ticket] = reply
        else:
            assert isinstance(reply, StatusReply)

    def complain(self, sentence: str) -> None:
        self._log("error", sentence)

    def _log(self, level: str, sentence: str) -> None:
        if self.world.trace.telling:
            self.world.trace.tell(self.world.now, "log", self.name, sentence)
        if level == "critical" and "the disk failed" not in sentence and "was removed" not in sentence:
            raise Broken("a node stops itself", f"{self.name}: {sentence}")

    def _stopped(self) -> None:
        """The process has nothing more to do.  A supervisor starts it again, unless it was removed."""
        problem = self.replica.problem or ""
        self.end(problem)
        if "was removed" not in problem:
            self.restart_after(RESTARTED_AFTER_MS)

    def restored(self, mark: SnapshotMark) -> None:
        self.happened(events.RestoreEnded(mark))

    # --- alarms -------------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        """One alarm at a time is in the queue; a later wish is looked at when it rings."""
        wake = self.replica.wake
        if wake is None or (wake == self._alarm_for and self._alarm_at is not None):
            return
        at = max(self.clock.when(wake), self.world.now)
        if self._alarm_at is None or at < self._alarm_at:
            self._alarm_at, self._alarm_for = at, wake
            self.world.at(at, self._ring, self.boot, at)

    def _ring(self, boot: int, at: int) -> None:
        if self.boot != boot or self._alarm_at != at:
            return
        self._alarm_at = None
        now = self.world.now
        if now < self.paused_until:
            return  # it wakes up by itself
        wake = self.replica.wake
        if wake is not None and self.clock.monotonic_ms(now) < wake:
            self._set_alarm()
            return
        self.world.trace.event(now, ALARM, self.number)
        self.happened()

    def clock_changed(self) -> None:
        """Alarms were set by the clock as it was."""
        if self.serving:
            self._alarm_at = None
            self._set_alarm()

    # --- clients ------------------------------------------------------------------------------------------

    def accept(self, link: ClientLink) -> int:
        identifier = self._next_client
        self._next_client += 1
        self.links[identifier] = link
        return identifier
