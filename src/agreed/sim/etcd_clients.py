"""Clients of the etcd API, byte for byte: our own end of HTTP/2, gRPC and protobuf on a simulated network.

Beside what every client does (`clients.py`) this one has, on its connection, a stream of watches
(`etcd_watching.py`) and one that renews its lease (`etcd_holding.py`).  It gives up calls that take too long
(`etcd_workload.py`) one by one, begins and ends watches, and sometimes revokes its lease.

All that it is told is held against the truth at once.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from agreed.replica import events
from agreed.sim.clients import Client
from agreed.sim.etcd_holding import Holding
from agreed.sim.etcd_watching import Watchers
from agreed.sim.etcd_workload import AT_ONCE, FUNCTIONS, JUDGED, Say
from agreed.sim.outcome import Broken
from agreed.sim.plan import Ask
from agreed.sim.task import Task
from agreed.sim.world import MS
from agreed.wire.etcd import protobuf
from agreed.wire.etcd.messages import (
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseRevokeRequest,
    RangeRequest,
    TxnRequest,
    WatchResponse,
)
from agreed.wire.etcd.services import METHODS
from agreed.wire.grpc.client import ClientConnection
from agreed.wire.grpc.events import Answer, Finished
from agreed.wire.grpc.status import OK, Code, Status
from agreed.wire.http2.limits import Limits

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node

PATHS = {path.rpartition(".")[2]: path for path in METHODS}
"""`KV/Put` -> `/etcdserverpb.KV/Put`."""

LIMITS = Limits(stream_window_bytes=65_535, connection_window_bytes=65_535)
"""As small as may be: who stands still shall be a slow reader soon."""

SILENT_AFTER_MS = 1_200
IDLE_MS = 600
GIVEN_UP = Status(Code.DEADLINE_EXCEEDED, "given up")


class _Under:
    """A call under way.  `place`: which answer of its task it is."""

    __slots__ = ("at_least", "method", "place", "reply", "request", "sent_at", "task")

    def __init__(
        self, method: str, request: Any, task: Task | None, place: int, sent_at: int, at_least: int
    ) -> None:
        self.method, self.request, self.task = method, request, task
        self.place, self.sent_at, self.at_least = place, sent_at, at_least
        self.reply: Any = None


class EtcdClient(Client):
    says = (events.EtcdOpened, events.EtcdBytes, events.EtcdClosed)
    functions = FUNCTIONS
    judged = JUDGED
    acts = AT_ONCE
    space = "flat"

    def __init__(
        self, cluster: Cluster, name: str, number: int, asks: Iterable[Ask], only: Node | None = None
    ) -> None:
        super().__init__(cluster, name, number, asks, only)
        self.places: set[tuple[int, bytes]] = set()
        """Lease and lock: where it stands in a row, or perhaps does."""
        self.watchers = Watchers(self)
        self.lease = Holding(cluster, self.dice.between(2, 4))
        self.ttl_ms = self.lease.ttl_ms
        self._grpc = ClientConnection(LIMITS, "n")
        self._under: dict[int, _Under] = {}
        self._streams: dict[str, int] = {}
        self._asked_progress_at = 0
        self._on_link = (0, 0)
        """The newest revision and term that this connection told of."""
        self._retired = False

    @property
    def holder(self) -> int:
        return self.lease.id

    # --- the connection -----------------------------------------------------------------------------------

    def _greet(self, node: Node) -> None:
        self._grpc = ClientConnection(LIMITS, node.name)
        self._on_link = (0, 0)
        if self.watchers.wanted:
            self._open_watches()
        self._renew()
        self._flush()
        self.look()

    def _cut_off(self) -> None:
        self._under.clear()
        self._streams.clear()
        self.lease.lost()
        self.watchers.lost()

    def _flush(self) -> None:
        data = self._grpc.take()
        if data and self.link is not None:
            self.link.send(data)

    def _keep_alive(self) -> None:
        if self._under:
            self._left_silent(SILENT_AFTER_MS)
        if self._retired and self.watchers.wanted and not self.watchers.told_up_to and self.dice.chance(50):
            # A node that belongs to no cluster (yet) answers, and tells nothing: try another one.
            self.leave()
        now = self.world.now
        for task in [task for task in self._running if task.missing and now > task.deadline]:
            self.world.mark("client timed out")
            self._give_up(task)
        self._keep_up()

    def _keep_up(self) -> None:
        """What it does besides: the lease, and how far its watches are."""
        now = self.world.now
        if self.link is None:
            return
        lease = self.lease
        if not lease.id and not lease.granting and not self._retired and self._only is None:
            lease.granting = True
            self._call("Lease/LeaseGrant", LeaseGrantRequest(lease.ttl_s), None, 0)
        elif lease.renewal_is_due:
            self._renew()
        if now - self._heard_at > IDLE_MS * MS and not self._under:
            # Nobody else would notice that the machine at the other end has lost its power.
            self._call("KV/Range", RangeRequest(b"/", serializable=True), None, 0)
        if self.watchers.wanted and now - self._asked_progress_at > 150 * MS:
            self._asked_progress_at = now
            if self._retired:
                self.watchers.end_future(self.seen)
            self.watchers.ask_progress()
        self._flush()

    # --- calls --------------------------------------------------------------------------------------------

    def _call(self, method: str, request: Any, task: Task | None, place: int) -> None:
        if not self._grpc.can_call:
            return
        fresh = not (isinstance(request, RangeRequest) and request.serializable)
        at_least = self.cluster.judge.newest_told if fresh else 0
        timeout_ms = None
        if task is not None and self.number % 2:
            # Half of the clients tell the server how long they wait; it is to say so a little later.
            timeout_ms = task.ask.patience_ms + 100
        stream = self._grpc.call(PATHS[method], {}, protobuf.encode(request), timeout_ms)
        self._under[stream] = _Under(method, request, task, place, self.world.now, at_least)

    def _stream(self, method: str, request: Any) -> None:
        """On a stream that stays open."""
        data = protobuf.encode(request)
        if method in self._streams:
            self._grpc.send(self._streams[method], data)
        elif self._grpc.can_call:
            self._streams[method] = self._grpc.call(PATHS[method], {}, data, None, end=False)

    def _open_watches(self) -> None:
        def send(request: Any) -> None:
            self._stream("Watch/Watch", request)
            self._flush()

        self.watchers.connected(send)

    def _renew(self) -> None:
        if self.lease.id:
            self.lease.renewing()
            self._stream("Lease/LeaseKeepAlive", LeaseKeepAliveRequest(self.lease.id))

    def _give_up(self, task: Task) -> None:
        """Its calls are cancelled; sometimes the whole connection is given up."""
        if self.dice.chance(300):
            self.leave()
            return
        for stream in [stream for stream, under in self._under.items() if under.task is task]:
            del self._under[stream]
            self._grpc.cancel(stream)
        if task in self._running:
            self._running.remove(task)
            self._unknown(task, "given up")
        self._flush()

    # --- what it is after ---------------------------------------------------------------------------------

    @property
    def _may_ask(self) -> bool:
        return self.link is not None

    def _ask(self, task: Task, place: int, request: Say) -> None:
        task.wrote |= not isinstance(request.request, RangeRequest)
        self._call(request.method, request.request, task, place)

    # --- what it does by itself ---------------------------------------------------------------------------

    def _act(self, what: str) -> None:
        super()._act(what)
        if what == "watch":
            if "Watch/Watch" not in self._streams and not self.watchers.wanted:
                self._open_watches()
            self.watchers.begin()
        elif what == "unwatch":
            self.watchers.end_one()
        elif what == "revoke" and self.holder:
            self.cluster.judge.leases.revoking(self.holder)
            self._call("Lease/LeaseRevoke", LeaseRevokeRequest(self.holder), None, 0)
            self._forget_lease()

    def _forget(self) -> None:
        self._forget_lease()
        self.watchers.forget()

    def _forget_lease(self) -> None:
        self.lease.forget()
        self.places.clear()

    def retire(self) -> None:
        super().retire()
        self._retired = True

    @property
    def _awaits_nothing(self) -> bool:
        if self._under or self.lease.granting:
            return False
        leader = self.cluster.leader()
        newest = 0 if leader is None else leader.replica.store.revision
        return not self.watchers.wanted or self.watchers.told_up_to >= newest

    def _details(self) -> str:
        calls = [under.method for under in self._under.values()]
        return f"calls {calls}, told up to {self.watchers.told_up_to}"

    # --- what it is told ----------------------------------------------------------------------------------

    def _read(self, data: bytes) -> Iterable[Any]:
        return self._grpc.receive_data(data, self.world.now // MS)

    def _told(self, message: Any) -> None:
        if isinstance(message, Answer):
            self._answered(message)
        elif isinstance(message, Finished):
            self._finished(message)

    def _all_told(self) -> None:
        self._flush()
        if self._grpc.closed:
            self.leave()

    def _answered(self, event: Answer) -> None:
        stream = event.stream
        if stream == self._streams.get("Watch/Watch"):
            response = protobuf.decode(WatchResponse, event.message)
            self._saw(response, ordered=False)
            self.watchers.told(response)
        elif stream == self._streams.get("Lease/LeaseKeepAlive"):
            if not self.lease.renewed(protobuf.decode(LeaseKeepAliveResponse, event.message)):
                self._forget_lease()
        elif stream in self._under:
            under = self._under[stream]
            under.reply = protobuf.decode(METHODS[PATHS[under.method]].reply, event.message)

    def _finished(self, event: Finished) -> None:
        under = self._under.pop(event.stream, None)
        if under is None:
            if event.stream in self._streams.values():
                # Whoever ends a stream that was to stay says that it has no leader, or stops.
                self.world.mark("stream ended by its server")
                self.leave()
            return
        answer: Any = event.status
        if event.status == OK:
            answer = under.reply
            if answer is None:
                raise Broken("an answer that makes no sense", f"{self.name}: {under.method} has none")
            self._check(under)
        if under.method == "Lease/LeaseGrant":
            self.lease.granted(under.sent_at, answer)
        self._answer(under.task, under.place, answer)

    def _check(self, under: _Under) -> None:
        reply, request = under.reply, under.request
        self._saw(reply, ordered=True)
        if reply.header.revision < under.at_least:
            asked = f"{self.name} asked {under.method} when {under.at_least} was known"
            raise Broken("a stale answer", f"{asked}, and is told of {reply.header.revision}")
        if not (isinstance(request, TxnRequest) and not (request.success or request.failure)):
            self.cluster.judge.truth.flat.check(request, reply)

    def _saw(self, reply: Any, *, ordered: bool) -> None:
        header = reply.header
        revision, term = self._on_link
        if ordered and (header.revision < revision or header.raft_term < term):
            raise Broken("time goes back", f"{self.name} was told of {revision} in {term}, and now {header}")
        if ordered:
            self._on_link = header.revision, header.raft_term
        self.seen = max(self.seen, header.revision)
        if header.revision > 1:
            # 1 is also said where nothing was agreed upon yet, as etcd does.
            self.cluster.judge.told(header.revision)
