"""What an etcd client is to this node: connections that speak gRPC or HTTP/1.1, and calls that end.

The first bytes decide what a connection speaks: the preface of HTTP/2 begins gRPC (by prior knowledge, or as
ALPN has agreed), anything else is HTTP/1.1 and goes to the gateway.  Both make a `Call` of what they hear and
say `dispatch`; a service (`services.py`) answers it, now or from a callback.

A service asks the cluster in two ways:

    submit           a command: proposed, agreed upon, applied here, and then answered
    read             what has to see all that was acknowledged before, also of who may see it
    after_barrier    the same, whoever asks

Unlike a ZooKeeper client, which is dropped when nobody leads, an etcd client stays: what it asks waits for
a leader until its own deadline, or `GIVE_UP_AFTER_MS`, and then fails with a status that says whose fault it
is.  Who says `hasleader` in its metadata does not want to wait; whose stream says so is told when the leader
is lost, and stays lost for longer than an election takes.

All writes to one connection in one turn are one piece, made at its end (`flush`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from agreed.errors import MalformedInput
from agreed.replica import events
from agreed.replica.etcd.callers import Callers
from agreed.replica.etcd.calls import LATER, Call
from agreed.replica.etcd.compaction import AutoCompaction
from agreed.replica.etcd.connections import PREFACE, Connection, Unknown
from agreed.replica.etcd.forwarding import Forwarding
from agreed.replica.etcd.grpc_connection import GrpcConnection
from agreed.replica.etcd.metrics import Counters
from agreed.replica.etcd.passwords import Passwords
from agreed.replica.etcd.renewals import Renewals
from agreed.replica.etcd.services import SERVICES
from agreed.replica.etcd.space import Space
from agreed.replica.etcd.waiting import CommandTicket, Deadlines, ReadTicket, Waiting, overdue
from agreed.replica.zookeeper import MAX_TICKETS, MAX_WAITING_BYTES
from agreed.store.commands import Command
from agreed.store.events import Event
from agreed.store.results import Refusal, Result
from agreed.store.znode_view import is_refused
from agreed.wire.etcd import errors, translate
from agreed.wire.etcd.messages import ResponseHeader
from agreed.wire.etcd.services import Kind
from agreed.wire.grpc.status import Status

if TYPE_CHECKING:
    from agreed.replica.replica import Replica

GIVE_UP_AFTER_MS = 7_000
"""As etcd: five seconds, and twice the time of an election."""

_OF_THE_NODE = frozenset(
    {
        "/etcdserverpb.Maintenance/Status",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    }
)
"""What is asked about the node itself."""


class EtcdClients:
    """All etcd connections of this node.

    `on_change`    called with what each command changed in the flat space (and in the tree, where it is
                   shown), before anybody is told its result
    `on_restored`  called when the store was replaced by a snapshot of the leader
    `on_expired`   called for each lease that this node, as the leader, has let expire
    `on_round`     called every tenth of a second or so
    `on_turn`      called at the end of each turn; says whether it has more to do as soon as others had theirs
    `admit`        who calls: sets `call.user`, or refuses
    `on_behalf`    the command with the name of the caller, where callers have names
    `may_read`     whether this caller may read a range of keys (None as its end: one key)
    """

    def __init__(self, replica: Replica) -> None:
        self.replica: Replica = replica
        self.on_change: list[Callable[[Sequence[Event]], None]] = []
        self.on_restored: list[Callable[[], None]] = []
        self.on_round: list[Callable[[], None]] = []
        self.on_expired: list[Callable[[], None]] = []
        self.on_turn: list[Callable[[], bool]] = []
        self.busy = False
        """Whether somebody has more to do in the next turn."""
        self.member_id = replica.identity
        """As clients know this node (`cluster.py`)."""
        self.stopping = False
        self._unknown: dict[int, Unknown] = {}
        self._connections: dict[int, Connection] = {}
        self._marked: dict[Connection, None] = {}
        self._paused: dict[Connection, None] = {}
        self._deadlines = Deadlines()
        self._waiting: Waiting = {}
        self._unfounded: dict[CommandTicket, Command] = {}
        """Who asked for what before anything was agreed upon."""
        self._founding = False
        """Whether they will hear of the first that is."""
        self._need_leader: dict[Call, None] = {}
        self._header = ResponseHeader()
        self._behind = replica.machine.last_index if replica.machine.last_index > replica.applied else 0
        """Up to where this node has to apply before it answers; 0: it may."""
        self.renewals = Renewals(replica)
        self.forward = Forwarding(self)
        self.space = Space(self)
        self.compaction = AutoCompaction(self)
        self.callers = Callers(self)
        self.passwords = Passwords(replica)
        self.admit = self.callers.admit
        self.on_behalf = self.callers.on_behalf
        self.may_read = self.callers.may_read
        self.counters = Counters(self)
        self.services = [service(self) for service in SERVICES]
        self._handlers: dict[str, Callable[[Call, Any], None]] = {}
        for service in self.services:
            self._handlers.update(service.handlers())

    def __len__(self) -> int:
        return len(self._connections) + len(self._unknown)

    # --- connections --------------------------------------------------------------------------------------

    def opened(self, event: events.EtcdOpened) -> None:
        if self.replica.problem is not None:
            # A real server would not be there any more, and its clients would look for another one.
            self.replica.effects.close.append(event.client)
            return
        self._unknown[event.client] = Unknown(event)

    def received(self, event: events.EtcdBytes) -> None:
        connection = self._connections.get(event.client)
        data = event.data
        if connection is None:
            unknown = self._unknown.get(event.client)
            if unknown is None:
                return
            data = unknown.heard = unknown.heard + data
            if len(data) < len(PREFACE) and PREFACE.startswith(data):
                return
            connection = self._made(event.client, unknown, data)
        replica = self.replica
        requests = replica.requests
        self.counters.received_bytes += len(data)
        self._marked[connection] = None
        try:
            connection.received(data)
        except MalformedInput as error:
            self._drop(connection, str(error))
            return
        asked_for_too_much = len(requests.tickets) > MAX_TICKETS or requests.waiting_bytes > MAX_WAITING_BYTES
        if asked_for_too_much and connection not in self._paused:
            self._paused[connection] = None
            replica.effects.pause.append(event.client)

    def _made(self, client: int, unknown: Unknown, data: bytes) -> Connection:
        del self._unknown[client]
        kind: Callable[..., Connection] = GrpcConnection if data.startswith(PREFACE) else _gateway()
        connection = kind(self, client, unknown.address, unknown.port, unknown.certificate)
        self._connections[client] = connection
        if self.stopping:
            connection.shut_down()
        return connection

    def reads(self, event: events.EtcdReads) -> None:
        connection = self._connections.get(event.client)
        if connection is not None:
            connection.client_reads(event.reads)

    def closed(self, event: events.EtcdClosed) -> None:
        self._unknown.pop(event.client, None)
        connection = self._connections.pop(event.client, None)
        if connection is not None:
            self._marked.pop(connection, None)
            self._paused.pop(connection, None)
            connection.gone()

    def mark(self, connection: Connection) -> None:
        """It has something to write, or is over."""
        self._marked[connection] = None

    def flush(self) -> None:
        """At the end of a turn: one write per connection."""
        effects = self.replica.effects
        self.renewals.flush()
        self.busy = False
        for work in self.on_turn:
            self.busy |= work()
        if self._marked:
            marked, self._marked = self._marked, {}
            write = effects.write
            for connection in marked:
                data = connection.take()
                if data:
                    write.append((connection.client, data))
                    self.counters.sent_bytes += len(data)
                if connection.over:
                    self._close(connection)
        if self._paused and self.replica.requests.relaxed(MAX_TICKETS // 2, MAX_WAITING_BYTES // 2):
            effects.resume += [connection.client for connection in self._paused]
            self._paused.clear()

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection.client, None) is not None:
            self._paused.pop(connection, None)
            connection.gone()
            self.replica.effects.close.append(connection.client)

    def _drop(self, connection: Connection, reason: str) -> None:
        self.replica.log("warning", f"an etcd client is dropped: {reason}")
        data = connection.take()
        if data:
            self.replica.effects.write.append((connection.client, data))
        self._close(connection)
        self._marked.pop(connection, None)

    def drop_all(self) -> None:
        """This node has nothing more to say: every connection ends, and its calls with it."""
        for client in list(self._unknown):
            self.replica.effects.close.append(client)
        self._unknown.clear()
        for connection in list(self._connections.values()):
            connection.shut_down()
            if isinstance(connection, GrpcConnection):
                connection.end()
            data = connection.take()
            if data:
                self.replica.effects.write.append((connection.client, data))
            self._close(connection)
        self._marked.clear()

    def stop(self) -> None:
        """Clients are asked to go elsewhere; what is under way may end, but for streams."""
        self.stopping = True
        for connection in list(self._connections.values()):
            connection.shut_down()
            self._marked[connection] = None

    # --- calls --------------------------------------------------------------------------------------------

    def dispatch(self, call: Call, request: Any) -> None:
        """The hot path: a call with its first request."""
        path = call.method.path
        self.counters.started[path] += 1
        if path not in self._handlers:
            call.fail(errors.unknown_method(*_names(path)))
            return
        if call.deadline is not None:
            self._deadlines.add(call, call.deadline, self.replica.now)
        if self._behind and path not in _OF_THE_NODE:
            self._wait_for_the_log(call, request)
        else:
            self.handle(call, request)

    def _wait_for_the_log(self, call: Call, request: Any) -> None:
        """A node that was started again has on its disk what it has not applied yet: perhaps agreed upon,
        which only a leader can tell.  Until then it knows less than what it has told its clients before, even
        who may read; a real etcd, which keeps what was agreed on its disk, never goes back so far."""
        if self.replica.applied >= self._behind:
            self._behind = 0
            self.handle(call, request)
        else:
            self.after_barrier(call, lambda: self._caught_up(call, request))

    def _caught_up(self, call: Call, request: Any) -> None:
        self._behind = 0
        self.handle(call, request)

    def handle(self, call: Call, request: Any) -> None:
        """Of whoever it is, here or on another node."""
        refusal = self.admit(call, request)
        if refusal is None:
            self.admitted(call, request)
        elif refusal is not LATER:
            call.fail(refusal)

    def admitted(self, call: Call, request: Any) -> None:
        """It is known who calls."""
        refusal = self._refusal(call)
        if refusal is not None:
            call.fail(refusal)
        else:
            self._handlers[call.method.path](call, request)
            if call.early is not None:
                call.catch_up()

    def _refusal(self, call: Call) -> Status | None:
        replica = self.replica
        if replica.problem is not None:
            return errors.STOPPED
        if call.metadata.get("hasleader") == "true":
            # Streams of a node that led come to the others at once, who have no leader just then.  Go's
            # client takes a watch that is refused so for over; so an election is waited for here as well.
            is_unary = call.method.kind is Kind.UNARY
            if replica.machine.leader is None and (is_unary or not replica.serving):
                return errors.NO_LEADER
            if not is_unary:
                self._need_leader[call] = None
        return None

    def submit(self, call: Call, command: Command, then: Callable[[Result], None]) -> None:
        self.submit_ticket(command, CommandTicket(call, then))

    def submit_for_reply(self, call: Call, command: Command, reply: Callable[[Any], msgspec.Struct]) -> None:
        """A command whose result is the answer; where it is refused, the call fails with the reason."""

        def applied(result: Result) -> None:
            if isinstance(result, Refusal):
                call.fail(translate.status_of(result))
            else:
                call.reply(reply(result))

        self.submit(call, command, applied)

    def submit_ticket(self, command: Command, ticket: CommandTicket) -> None:
        replica = self.replica
        if replica.settings.znode_view and is_refused(command):
            ticket.call.fail(errors.PERMISSION_DENIED)
            return
        self._wait(ticket)
        if self.space.has_none(command, lambda: ticket.done(Refusal.NO_SPACE)):
            return
        command = self.on_behalf(ticket.call, command)
        if replica.store.revision:
            self._submit(command, ticket)
            return
        # Clients are told of revision 1 where nothing was agreed upon yet, so nobody's key may be put at it:
        # who begins to watch behind it would miss that.  It is that of the members, agreed upon first.
        if not self._founding:
            self._founding = True
            replica.when_applied(1, self._founded)
        self._unfounded[ticket] = command

    def _founded(self) -> None:
        self._founding = False
        unfounded, self._unfounded = self._unfounded, {}
        for ticket, command in unfounded.items():
            if not ticket.closed:
                self._submit(command, ticket)

    def _submit(self, command: Command, ticket: CommandTicket) -> None:
        """Only what is to be proposed counts as waiting for it: where nobody leads and somebody has asked for
        a write, reads without a leader, and questions about the node's health, must go on for ever."""
        requests = self.replica.requests
        requests.waiting_bytes += ticket.call.request_bytes
        requests.submit(command, ticket)

    def after_barrier(self, call: Call, then: Callable[[], None]) -> None:
        self.behind_barrier(ReadTicket(call, then))

    def read(self, call: Call, then: Callable[[], None]) -> None:
        """Behind a barrier, and only if the caller still may."""

        def opened() -> None:
            refusal = self.callers.again(call)
            if refusal is None:
                then()
            else:
                call.fail(refusal)

        self.after_barrier(call, opened)

    def behind_barrier(self, ticket: ReadTicket) -> None:
        self._wait(ticket)
        self.replica.reads.wait(ticket)

    def _wait(self, ticket: CommandTicket | ReadTicket) -> None:
        ticket.waiting = self._waiting
        self._waiting[ticket] = self.replica.now + GIVE_UP_AFTER_MS

    def may_see(self, call: Call, keys: Iterable[bytes]) -> Status | None:
        """Whether the caller may read all of these; asked only where callers have names."""
        if not self.replica.store.users.enabled:
            return None
        return next((refusal for key in keys if (refusal := self.may_read(call, key, None))), None)

    def header(self) -> ResponseHeader:
        """Of a reply that speaks of the store as it is now."""
        replica = self.replica
        header = self._header
        # Where nothing was ever agreed upon a real etcd says 1.
        revision, term = replica.store.revision or 1, replica.machine.term
        if header.revision != revision or header.raft_term != term:
            header = self._header = self.header_at(revision)
        return header

    def header_at(self, revision: int) -> ResponseHeader:
        replica = self.replica
        return ResponseHeader(replica.settings.cluster, self.member_id, revision, replica.machine.term)

    # --- what the replica tells ---------------------------------------------------------------------------

    def notify(self, fresh: Sequence[Event]) -> None:
        """Before anybody is told the result of the command that did this."""
        for notify in self.on_change:
            notify(fresh)

    def restored(self) -> None:
        """The store is another one."""
        for restored in self.on_restored:
            restored()

    def expiry_decided(self, carried_out: bool) -> None:
        """What came of the leader's decision that a lease expires is known."""
        if carried_out:
            for ended in self.on_expired:
                ended()
        self.renewals.expiry_decided()

    def leader_changed(self) -> None:
        """Another one, or none."""
        self.renewals.leader_changed()
        self.forward.leader_changed()

    def leader_lost(self) -> None:
        """For longer than an election takes."""
        need_leader, self._need_leader = self._need_leader, {}
        for call in need_leader:
            call.abandon(errors.NO_LEADER)

    def round(self) -> None:
        """Of upkeep."""
        now = self.replica.now
        for call in self._deadlines.overdue(now):
            call.abandon(errors.DEADLINE_EXCEEDED)
        self._give_up(overdue(self._waiting, now))
        if len(self._need_leader) > 1_000:
            self._need_leader = {call: None for call in self._need_leader if not call.closed}
        if not self.replica.serving:
            self.leader_lost()
        self.renewals.round()
        for look in self.on_round:
            look()

    def _give_up(self, late: list[CommandTicket | ReadTicket]) -> None:
        """A command that has not left this node yet never will.  The story: a node is cut off for an hour,
        and its clients, who were told that they were too late, ask others.  Then it comes back, and an hour's
        old writes are done over the new ones; or they do not fit into its memory before."""
        requests = self.replica.requests
        commands = {each for each in late if isinstance(each, CommandTicket) and each.may_be_withdrawn}
        if commands:
            for withdrawn in requests.withdraw(commands):
                requests.waiting_bytes = max(0, requests.waiting_bytes - withdrawn.call.request_bytes)
            for ticket in commands:
                self._unfounded.pop(ticket, None)
        for each in late:
            if not each.closed:
                each.over = True
                self.counters.proposals_failed += isinstance(each, CommandTicket)
                each.call.abandon(self._too_late(each))

    def _too_late(self, waiting: CommandTicket | ReadTicket) -> Status:
        if isinstance(waiting, CommandTicket) and self.replica.machine.leader is None:
            return errors.WRITE_TIMEOUT
        return errors.TIMEOUT


def _names(path: str) -> tuple[str, str]:
    service, _, method = path.removeprefix("/").rpartition("/")
    return service, method


def _gateway() -> Callable[..., Connection]:
    """Loaded when it is needed: what it stands on takes a quarter of the time in which a test loads a node,
    and few tests ask in JSON.  (`agreed serve` has it loaded before it serves.)"""
    from agreed.replica.etcd.gateway import GatewayConnection

    return GatewayConnection
