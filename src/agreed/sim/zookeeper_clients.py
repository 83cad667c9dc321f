"""ZooKeeper clients, byte for byte: what they send and read goes through their end of the wire protocol.

Beside what every client does (`clients.py`) this one has a session.  It pipelines what it is after
(`workload.py`), pings, comes again elsewhere with its session and its watches, and sometimes ends it.

All that it is told is held against the truth at once.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from agreed.check.history import Status
from agreed.replica import events
from agreed.sim.client_link import ClientLink
from agreed.sim.clients import Client
from agreed.sim.outcome import Broken
from agreed.sim.plan import Ask
from agreed.sim.task import Task
from agreed.sim.workload import AWAY, FUNCTIONS, JUDGED, Told
from agreed.sim.world import MS
from agreed.wire.zookeeper.connection import Answer, ClientConnection, Notification
from agreed.wire.zookeeper.messages import (
    XID_PING,
    CloseSessionRequest,
    ConnectRequest,
    ConnectResponse,
    ErrorCode,
    EventType,
    ExistsRequest,
    GetChildrenRequest,
    GetDataRequest,
    MultiReadRequest,
    PingRequest,
    Request,
    SetWatchesRequest,
    SyncRequest,
)
from agreed.wire.zookeeper.replies import ErrorReply

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node

NO_PASSWORD = bytes(16)
READS = (GetDataRequest, GetChildrenRequest, ExistsRequest, SyncRequest, MultiReadRequest)
SILENT = (*READS, SetWatchesRequest)
"""Nothing is ordered for them, so the answer may be as old as the node is."""
REPLY_WITHIN_MS = 1_200
SESSION_OVER = {ErrorCode.SESSION_EXPIRED, ErrorCode.SESSION_MOVED, ErrorCode.CONNECTION_LOSS}


class ZooKeeperClient(Client):
    says = (events.ClientOpened, events.ClientBytes, events.ClientClosed)
    functions = FUNCTIONS
    judged = JUDGED
    acts = AWAY

    def __init__(
        self, cluster: Cluster, name: str, number: int, asks: Iterable[Ask], only: Node | None = None
    ) -> None:
        super().__init__(cluster, name, number, asks, only)
        self.session = 0
        self.password = NO_PASSWORD
        self.established = False
        self.owned: set[bytes] = set()
        """Paths that live as long as its session: those it was told of and has not begun to give up."""
        self.places: set[bytes] = set()
        """Where it stands in rows for locks."""
        low, high = cluster.plan.conditions.session_ms
        self._wanted_ms = self.dice.between(low, high)
        self._connection = ClientConnection()
        self._asked: deque[tuple[int, Task | None, Request, int]] = deque()
        self._armed: dict[tuple[bytes, str], int] = {}
        self._pinged_at = 0
        self._preparing = number == 1

    @property
    def holder(self) -> int:
        return self.session

    # --- the connection -----------------------------------------------------------------------------------

    def _greet(self, node: Node) -> None:
        self._connection = ClientConnection()
        hello = ConnectRequest(0, self.seen, self._wanted_ms, self.session, self.password, False)
        self._send(self._connection.connect(hello))

    def _send(self, data: bytes) -> None:
        assert self.link is not None
        self.link.send(data)

    def _cut_off(self) -> None:
        self.established = False
        self._asked.clear()

    def _keep_alive(self) -> None:
        now = self.world.now
        if self._left_silent(self.ttl_ms * 2 // 3 if self.established else REPLY_WITHIN_MS):
            return
        if any(task.missing and now > task.deadline for task in self._running):
            self.world.mark("client timed out")
            self.leave()
        elif self.established and now - self._pinged_at >= self.ttl_ms // 3 * MS:
            self._pinged_at = now
            self._request(None, PingRequest())
        for task in list(self._running):
            if task.told_path is not None and now > task.deadline:
                self._go_on(task, None)

    def heard_by(self, node: Node, link: ClientLink) -> None:
        if link is self.link and self.established:
            self.cluster.judge.sessions.heard(self.session, node)

    # --- what it is after ---------------------------------------------------------------------------------

    @property
    def _may_ask(self) -> bool:
        return self.established and self.cluster.ready

    def look(self, _: object = None, __: object = None) -> None:
        """The first client makes what all work on, before anything else."""
        if not self._preparing:
            super().look()
            return
        self._look_due = False
        if self.established and not self._stands_still and not self._running:
            self._start(Ask(0, 0, self.name, "prepare"), 0)

    def _go_on(self, task: Task, answer: object) -> None:
        task.told_path = None
        super()._go_on(task, answer)

    def _do(self, task: Task, step: Any) -> None:
        """Or to be told something by a watch."""
        if not isinstance(step, Told):
            super()._do(task, step)
            return
        task.told_path = step.path
        task.deadline = self.world.now + step.within_ms * MS
        if (step.path, "data") not in self._armed and (step.path, "child") not in self._armed:
            # It has told already, while the answer to something else was on its way.
            self.world.later(0, self._after_pause, task)

    def _ask(self, task: Task, place: int, request: Request) -> None:
        if self.link is not None:
            task.wrote |= not isinstance(request, READS)
            self._request(task, request)

    def _request(self, task: Task | None, request: Request) -> None:
        xid, data = self._connection.send(request)
        if xid != XID_PING:
            fresh = isinstance(request, SyncRequest) or self.cluster.plan.conditions.linearizable_reads
            if task is not None and self._asked and isinstance(self._asked[-1][2], SyncRequest):
                fresh = fresh or self._asked[-1][1] is task
            fresh = fresh or not isinstance(request, SILENT)
            self._asked.append((xid, task, request, self.cluster.judge.newest_told if fresh else 0))
        self._send(data)

    def _ended(self, task: Task, status: Status, result: object, error: str | None = None) -> None:
        if task.ask.function == "prepare" and status is Status.OK:
            self.cluster.ready = True
            self._preparing = False
            for client in self.cluster.clients:
                self.world.later(0, client.look)
        super()._ended(task, status, result, error)

    def _account(self, task: Task, status: Status, result: object, error: str | None) -> None:
        if task.place is not None:
            self.places.discard(task.place)
            self.owned.discard(task.place)
        super()._account(task, status, result, error)

    # --- to go away ---------------------------------------------------------------------------------------

    def _act_in_turn(self, ask: Ask) -> bool:
        """With nothing under way only; and who goes away begins nothing before it is back."""
        if self._running:
            self._asks.appendleft(ask)
        else:
            self._act(ask.function)
        return False

    def _act(self, what: str) -> None:
        super()._act(what)
        if what == "close":
            self.cluster.judge.sessions.closing(self.session)
            self._request(None, CloseSessionRequest())

    def _forget(self) -> None:
        self.session, self.password = 0, NO_PASSWORD
        self._armed.clear()
        self.owned.clear()
        self.places.clear()

    @property
    def _awaits_nothing(self) -> bool:
        return self.established and not self._asked

    def _details(self) -> str:
        return f"session {self.session:#x}, stands {self.established}"

    # --- what it is told ----------------------------------------------------------------------------------

    def _read(self, data: bytes) -> Iterable[ConnectResponse | Notification | Answer]:
        return self._connection.receive_data(data)

    def _told(self, message: ConnectResponse | Notification | Answer) -> None:
        if isinstance(message, ConnectResponse):
            self._connected(message)
        elif isinstance(message, Notification):
            self._notified(message)
        else:
            self._answered(message)

    def _connected(self, response: ConnectResponse) -> None:
        if response.timeout_ms == 0:
            self.cluster.judge.sessions.refused(self.session, self.name)
            self._forget()
            return
        if self.session not in (0, response.session_id):
            raise Broken("another session", f"{self.name} asked for {self.session:#x}")
        self.session, self.password, self.ttl_ms = response.session_id, response.password, response.timeout_ms
        self.established = True
        self._pinged_at = self.world.now
        if self._armed:
            kinds = {
                kind: tuple(path for path, its_kind in self._armed if its_kind == kind)
                for kind in ("data", "exist", "child")
            }
            self._request(None, SetWatchesRequest(self.seen, kinds["data"], kinds["exist"], kinds["child"]))
        self.look()

    def _saw(self, zxid: int) -> None:
        if zxid < self.seen:
            raise Broken("time goes back", f"{self.name} has seen revision {self.seen}, and now {zxid}")
        self.seen = zxid
        self.cluster.judge.told(zxid)

    def _notified(self, notification: Notification) -> None:
        event, zxid = notification.event, notification.zxid
        if event.kind is EventType.NODE_DELETED:
            kinds: tuple[str, ...] = ("data", "exist", "child")
        elif event.kind is EventType.NODE_CHILDREN_CHANGED:
            kinds = ("child",)
        else:
            kinds = ("data", "exist")
        held = [(event.path, kind) for kind in kinds if (event.path, kind) in self._armed]
        if not held:
            raise Broken("a watch nobody set", f"{self.name} is told of {event}")
        truth = self.cluster.judge.truth
        self.world.mark("watch told")
        for path, kind in held:
            since = self._armed.pop((path, kind))
            if zxid != -1:
                first = truth.next_change(path, kind, since)
                if first != zxid:
                    raise Broken(
                        "a watch that missed something",
                        f"{self.name} watched {path.decode()} since {since}; told of {zxid}, not of {first}",
                    )
        for task in list(self._running):
            if task.told_path == event.path:
                self._go_on(task, zxid)

    def _answered(self, answer: Answer) -> None:
        if answer.xid == XID_PING:
            self._saw(max(answer.zxid, self.seen))
            return
        xid, task, request, at_least = self._asked.popleft()
        assert xid == answer.xid
        reply, zxid = answer.reply, answer.zxid
        if isinstance(reply, ErrorReply) and reply.error in SESSION_OVER:
            self.world.mark("session over")
            self.leave()
            return
        if zxid < at_least:
            asked = f"{self.name} asked ({type(request).__name__}) when {at_least} was known"
            raise Broken("a stale answer", f"{asked}, and is told of {zxid}")
        self._saw(zxid)
        self._check_watches(zxid)
        self.cluster.judge.truth.check(request, reply, zxid)
        self._arm(request, reply, zxid)
        if isinstance(request, CloseSessionRequest):
            self.cluster.judge.sessions.closed(self.session)
            self._forget()
            self.leave()
            return
        if task is not None:
            # In the order in which it was asked.
            self._answer(task, len(task.awaited) - task.missing, reply)

    def _check_watches(self, zxid: int) -> None:
        """An event leaves before any answer that is as new."""
        truth = self.cluster.judge.truth
        for (path, kind), since in self._armed.items():
            change = truth.next_change(path, kind, since)
            if change is not None and change <= zxid:
                raise Broken(
                    "an answer before the event",
                    f"{self.name} watches {path.decode()}, which changed at {change}, and hears of {zxid}",
                )

    def _arm(self, request: object, reply: object, zxid: int) -> None:
        if isinstance(request, SetWatchesRequest):
            truth = self.cluster.judge.truth
            for path in request.exist:
                if (path, "exist") in self._armed and truth.record_at(path, zxid) is None:
                    # What came and went meanwhile is told by no server.
                    self._armed[path, "exist"] = zxid
        elif getattr(request, "watch", False):
            assert isinstance(request, GetDataRequest | GetChildrenRequest | ExistsRequest)
            kind = "child" if isinstance(request, GetChildrenRequest) else "data"
            if isinstance(reply, ErrorReply):
                if not isinstance(request, ExistsRequest):
                    return
                kind = "exist"
            self._armed.setdefault((request.path, kind), zxid)
