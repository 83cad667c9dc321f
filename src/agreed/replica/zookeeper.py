"""What a ZooKeeper client is to this node: handshake, order of replies, watches, farewell.

A connection is nobody until its session is granted or attached *through the log*: the reply to the handshake
leaves when the command is applied here.  So a session lives on one node at a time, every node knows which,
and a client that comes from another node finds a store at least as new as what it has seen there.

Until then nothing of what it sends is looked at (`_early`): else whoever guesses a session's number could
pipeline a write behind a handshake that is going to be refused.

What a session is and who a client has proven to be is told in `sessions.py`.  Requests that change something
become commands (`wire/zookeeper/translate.py`); the others are answered from
the store here and now, or, where this node reads linearizably, behind a barrier.  Each reply waits for those
before it (`clients.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from agreed.errors import MalformedInput
from agreed.replica import events
from agreed.replica.clients import READ, WRITE, Client
from agreed.replica.reconfiguration import Reconfiguration
from agreed.replica.sessions import Sessions
from agreed.replica.words import answer_word
from agreed.store.access import allowed
from agreed.store.events import Event
from agreed.store.records import READ as READ_PERMISSION
from agreed.store.records import Acl
from agreed.store.results import Refusal, Result
from agreed.wire.zookeeper import credentials, translate
from agreed.wire.zookeeper.connection import ServerConnection
from agreed.wire.zookeeper.messages import (
    AuthRequest,
    CloseSessionRequest,
    ConnectRequest,
    CreateRequest,
    DeleteRequest,
    ErrorCode,
    FourLetterWord,
    Malformed,
    MultiRequest,
    PingRequest,
    ReconfigRequest,
    SaslRequest,
    SetAclRequest,
    SetDataRequest,
    SyncRequest,
    UnknownOperation,
)
from agreed.wire.zookeeper.reads import READS, answer
from agreed.wire.zookeeper.reply_codec import header_reply
from agreed.wire.zookeeper.watches import TooManyWatches, Watches

if TYPE_CHECKING:
    from agreed.replica.replica import Replica

MAX_QUEUE = 2_000
"""Unanswered requests of one connection, above which it is not read from."""

MAX_TICKETS = 20_000
"""Unanswered commands of all connections, above which those that ask are not read from until half is
answered."""

MAX_EARLY = 100
"""Requests of one connection that are kept for after its handshake, above which it is not read from."""

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Of requests that are not yet on their way to the log, above which those that ask are not read from: without
a leader, twenty thousand requests of a megabyte would be a lot."""

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""Of replies to one connection in one turn: in a few hundred kilobytes somebody can ask ten thousand times
for a megabyte."""

HANDSHAKE_WITHIN_MS = 60_000
"""Longer than any client waits for the answer to its handshake."""


class ZooKeeperClients:
    """All ZooKeeper connections of this node."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._clients: dict[int, Client] = {}
        self._early: dict[int, list[tuple[int, object]]] = {}
        self._dirty: list[Client] = []
        self._paused: list[Client] = []
        self.suspended = False
        self._linearizable = replica.settings.linearizable_reads
        self.watches = Watches(self._may_read)
        self.sessions = sessions = Sessions(replica, self)
        reconfiguration = Reconfiguration(replica, self)
        self.received_total = 0
        self.sent_total = 0
        self._handlers: dict[type, Callable[[Client, int, Any], None]] = {
            ConnectRequest: sessions.connect,
            FourLetterWord: self._word,
            CreateRequest: self._write,
            DeleteRequest: self._write,
            SetDataRequest: self._write,
            SetAclRequest: self._write,
            MultiRequest: self._write,
            SyncRequest: self._sync,
            AuthRequest: sessions.authenticate,
            SaslRequest: sessions.sasl,
            CloseSessionRequest: sessions.close,
            ReconfigRequest: reconfiguration.asked,
            Malformed: self.in_turn,
            UnknownOperation: self.in_turn,
            PingRequest: self.in_turn,
        }
        for kind in READS:
            # Not those with a handler of their own: a `sync` that were answered like a read would promise
            # what only a confirmed read index can.
            self._handlers.setdefault(kind, self._read)
        self._results: dict[type, Callable[[Client, int, Any, Result], None]] = {
            ConnectRequest: sessions.connected,
            bytes: sessions.authenticated,
            CloseSessionRequest: sessions.closed,
        }

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._clients.values())

    # --- events ---------------------------------------------------------------------------------------

    def opened(self, event: events.ClientOpened) -> None:
        connection = ServerConnection(self._replica.settings.max_frame_bytes)
        client = Client(
            event.client, event.address, event.port, event.certificate, connection, self._replica.now
        )
        client.credentials = credentials.from_address(event.address)
        if event.certificate is not None:
            client.credentials += credentials.from_certificate(event.certificate, None)
        self._clients[event.client] = client

    def received(self, event: events.ClientBytes) -> None:
        """The hot path: bytes of a client."""
        client = self._clients.get(event.client)
        if client is None or client.closing:
            return
        data = event.data
        try:
            requests = client.connection.receive_data(data)
        except MalformedInput as error:
            # What came before the garbage in the same chunk was never answered: its outcome is unknown to the
            # client, as with any connection that breaks.
            self.drop(client, f"it sent garbage: {error}")
            return
        replica = self._replica
        client.heard_at = replica.now
        client.received += len(requests)
        self.received_total += len(requests)
        replica.requests.waiting_bytes += len(data)
        if client.ready:
            self._take_in(client, iter(requests))
        else:
            self._received_early(client, requests)
        waiting = replica.requests
        if (
            len(client.queue) > MAX_QUEUE
            or len(waiting.tickets) > MAX_TICKETS
            or waiting.waiting_bytes > MAX_WAITING_BYTES
        ):
            self._pause(client)

    def _take_in(self, client: Client, requests: Iterator[tuple[int, Any]]) -> None:
        handlers = self._handlers
        for xid, request in requests:
            handlers[type(request)](client, xid, request)
            if not client.ready:
                self._received_early(client, requests)
                return

    def _received_early(self, client: Client, requests: Iterable[tuple[int, object]]) -> None:
        """Before the session stands, the handshake or a word is answered and the rest is kept for later; so
        is what comes behind a reconfig."""
        for xid, request in requests:
            if client.closed:
                return
            early = self._early.get(client.id)
            if early is None:
                self._handlers[type(request)](client, xid, request)
            else:
                early.append((xid, request))
                if len(early) > MAX_EARLY:
                    self._pause(client)

    def closed(self, event: events.ClientClosed) -> None:
        client = self._clients.get(event.client)
        if client is not None:
            self._remove(client)

    def flush(self) -> None:
        """At the end of a turn: one write per client."""
        effects = self._replica.effects
        write = effects.write
        for client in self._dirty:
            out = client.out
            if out:
                client.sent += len(out)
                self.sent_total += len(out)
                write.append((client.id, out[0] if len(out) == 1 else b"".join(out)))
                client.out = []
                client.out_bytes = 0
        self._dirty.clear()
        if self._paused and self._replica.requests.relaxed(MAX_TICKETS // 2, MAX_WAITING_BYTES // 2):
            still: list[Client] = []
            for client in self._paused:
                if client.closed:
                    continue
                if len(client.queue) > MAX_QUEUE // 2 or client.id in self._early:
                    still.append(client)
                else:
                    client.paused = False
                    effects.resume.append(client.id)
            self._paused = still

    # --- sending, dropping ----------------------------------------------------------------------------

    def send(self, client: Client, data: bytes) -> None:
        if not client.out:
            self._dirty.append(client)
        client.out.append(data)

    def _pause(self, client: Client) -> None:
        if not client.paused:
            client.paused = True
            self._paused.append(client)
            self._replica.effects.pause.append(client.id)

    def _remove(self, client: Client) -> None:
        client.closed = client.closing = True
        client.ready = False
        self._clients.pop(client.id, None)
        self._early.pop(client.id, None)
        client.queue.clear()
        self.watches.drop(client.id)
        self.sessions.left_by(client)

    def drop(self, client: Client, reason: str | None) -> None:
        """Close the connection after what was already written to it; with a line in the log if it is a
        fault."""
        if client.closed:
            return
        if reason is not None:
            self._replica.log("warning", f"client {client.address}:{client.port} is dropped: {reason}")
        self._remove(client)
        self._replica.effects.close.append(client.id)

    def drop_all(self, reason: str) -> None:
        if self._clients:
            self._replica.log("warning", f"{len(self._clients)} client connections are closed: {reason}")
        for client in list(self._clients.values()):
            self.drop(client, None)

    def drop_unfinished(self) -> None:
        """Who connects and never says who it is has no session that could expire."""
        since = self._replica.now - HANDSHAKE_WITHIN_MS
        for client in [c for c in self._clients.values() if not c.lease and c.opened_at < since]:
            self.drop(client, "its handshake never came to an end")

    def suspend(self) -> None:
        """Nobody leads: a client that stayed could neither write nor learn that what it reads is old."""
        if not self.suspended:
            self.suspended = True
            self.drop_all("nobody leads: no quorum")

    def quorum_returned(self) -> None:
        """Clients that were served read-only meanwhile have to come again, as ZooKeeper has it."""
        if self.suspended:
            self.suspended = False
            for client in [c for c in self._clients.values() if c.read_only]:
                self.drop(client, None)

    @property
    def read_only(self) -> bool:
        return self.suspended and self._replica.settings.read_only_mode and self._replica.problem is None

    # --- the order of replies -------------------------------------------------------------------------

    def result(self, client: Client, result: Result) -> None:
        """The hot path: what came of the command at the head of this client's queue."""
        queue = client.queue
        xid, request, _ = queue.popleft()
        special = self._results.get(type(request))
        if special is not None:
            special(client, xid, request, result)
        elif result is Refusal.LEASE_MOVED:
            self.drop(client, "its session moved to another connection")
            return
        else:
            if not client.out:
                self._dirty.append(client)
            client.out.append(translate.reply_for(xid, request, result, self._replica.store.revision))
            if result is Refusal.NO_LEASE:
                self.drop(client, "its session expired")
                return
        if queue:
            self.drain(client)

    def drain(self, client: Client) -> None:
        """Answer what stands at the head of the queue and needs to wait no longer."""
        queue = client.queue
        while queue:
            xid, request, gate = queue[0]
            if not gate.is_open:
                return
            queue.popleft()
            self._answer(client, xid, request)

    def overtaken(self, client: Client) -> None:
        """A write of this client is about to be applied, and reads that it asked for before still wait for
        their barrier.  They need it no longer: whatever was acknowledged before they were asked for stands
        before the write in the log, so it is applied; and one moment later they would see the write."""
        queue = client.queue
        while queue and queue[0][2] is not WRITE:
            xid, request, _ = queue.popleft()
            self._answer(client, xid, request)

    def in_turn(self, client: Client, xid: int, request: object) -> None:
        """Answered without looking at the store's newest state, but in its turn."""
        if client.queue:
            client.queue.append((xid, request, READ))
        else:
            self._answer(client, xid, request)

    def _read(self, client: Client, xid: int, request: Any) -> None:
        """The hot path of reads: nothing to wait for, answered on the spot."""
        if self._linearizable and not client.read_only:
            client.queue.append((xid, request, self._replica.reads.gate(client)))
        elif client.queue:
            client.queue.append((xid, request, READ))
        else:
            self._answer_read(client, xid, request)

    def _answer_read(self, client: Client, xid: int, request: Any) -> None:
        if not client.out:
            self._dirty.append(client)
        try:
            frames = answer(self._replica.store, self.watches, client, xid, request)
        except TooManyWatches as error:
            self.drop(client, str(error))
            return
        client.out.append(frames)
        client.out_bytes += len(frames)
        if client.out_bytes > MAX_REPLY_BYTES:
            client.out.clear()
            self.drop(client, f"it asked for more than {MAX_REPLY_BYTES} bytes at once")

    def _answer(self, client: Client, xid: int, request: Any) -> None:
        """Whatever stood in the queue: a read, an error, a reply that was made before its turn came."""
        revision = self._replica.store.revision
        kind = type(request)
        if kind in READS:
            self._answer_read(client, xid, request)
        elif kind is bytes:
            self.send(client, request)
        elif kind is ErrorCode:
            self.send(client, header_reply(xid, revision, request))
        elif kind is Malformed:
            self.send(client, header_reply(xid, revision, ErrorCode.MARSHALLING_ERROR))
        else:
            assert kind is UnknownOperation
            self.send(client, header_reply(xid, -1, ErrorCode.UNIMPLEMENTED))
            self.drop(client, f"it asked for the unknown operation {request.op}")

    def notify(self, fresh: Sequence[Event]) -> None:
        """Watch events leave before any reply that is as new as they are."""
        for identifier, frame in self.watches.notify(fresh, self._replica.store.tree.get):
            client = self._clients.get(identifier)
            if client is not None:
                self.send(client, frame)

    def _may_read(self, connection: int, acl: Acl) -> bool:
        client = self._clients.get(connection)
        return client is not None and allowed(acl, READ_PERMISSION, client.credentials)

    # --- writes ---------------------------------------------------------------------------------------

    def _write(self, client: Client, xid: int, request: Any) -> None:
        """The hot path: a request becomes a command with a ticket."""
        command = translate.command_for(client.lease, request)
        if client.read_only:
            self.in_turn(client, xid, ErrorCode.NOT_READ_ONLY)
        elif isinstance(command, ErrorCode):
            self.in_turn(client, xid, command)
        else:
            client.queue.append((xid, request, WRITE))
            self._replica.requests.submit(command, client)

    def _sync(self, client: Client, xid: int, request: object) -> None:
        if client.read_only:
            self.in_turn(client, xid, ErrorCode.NOT_READ_ONLY)
        else:
            client.queue.append((xid, request, self._replica.reads.gate(client)))

    # --- what is not looked at yet --------------------------------------------------------------------

    def hold_back(self, client: Client) -> None:
        """What this client says from now on is kept until `begin`."""
        client.ready = False
        self._early[client.id] = []

    def begin(self, client: Client) -> None:
        """What came behind the handshake, or behind a reconfig, may be looked at now."""
        client.ready = True
        self._take_in(client, iter(self._early.pop(client.id, [])))

    # --- operators in plain text ----------------------------------------------------------------------

    def _word(self, client: Client, xid: int, request: object) -> None:
        assert isinstance(request, FourLetterWord)
        self.send(client, answer_word(self._replica, request.word))
        self.drop(client, None)
