"""ZooKeeper clients, byte for byte: what they send and read goes through their end of the wire protocol.

A client has a session and one connection at a time.  It pipelines what it is after (`workload.py`), pings,
leaves a server that says nothing, comes again elsewhere with its session and its watches, tries again what
was not answered, and sometimes dies and comes back without its session.

All that it is told is held against the truth at once, and written down as a history for the judge at the end.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from agreed.check.history import Status
from agreed.errors import MalformedInput
from agreed.sim.client_link import ClientLink
from agreed.sim.history import Call
from agreed.sim.outcome import Broken
from agreed.sim.plan import Ask
from agreed.sim.task import Task
from agreed.sim.workload import AWAY, Failed, Pause, Told
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


class Client:
    """`only`: it never speaks with another node than this."""

    def __init__(
        self, cluster: Cluster, name: str, number: int, asks: Iterable[Ask], only: Node | None = None
    ) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.name, self.number = name, 1_000 + number
        self.dice = cluster.world.stream("client", name)
        self.link_bits = cluster.world.stream("client link", name).bits
        self.session = 0
        self.password = NO_PASSWORD
        self.ttl_ms = 0
        self.zxid = 0
        self.link: ClientLink | None = None
        self.established = False
        self.gone = False
        self.owned: set[bytes] = set()
        """Paths that live as long as its session: those it was told of and has not begun to give up."""
        self.places: set[bytes] = set()
        """Where it stands in rows for locks."""
        low, high = cluster.plan.conditions.session_ms
        self._wanted_ms = self.dice.between(low, high)
        self._connection = ClientConnection()
        self._asked: deque[tuple[int, Task | None, Request, int]] = deque()
        self._only = only
        self._asks = deque(asks)
        self._again: deque[tuple[Ask, int]] = deque()
        self._running: list[Task] = []
        self._most = cluster.plan.conditions.pipelined
        self._armed: dict[tuple[bytes, str], int] = {}
        self._heard_at = self._pinged_at = 0
        self._asleep_until = 0
        self._stalled_until = 0
        self._unread: list[bytes] = []
        """What has come in while it stood still."""
        self._processes: list[str] = []
        self._process_count = 0
        self._preparing = number == 1
        self._look_due = False

    # --- the connection -----------------------------------------------------------------------------------

    def begin(self) -> None:
        self.world.later(self.dice.below(50 * MS), self._connect)
        self.world.later(self.dice.below(100 * MS), self._look_after)

    def _connect(self, _: object = None, __: object = None) -> None:
        if self.gone or self.link is not None:
            return
        if self.world.now < self._asleep_until:
            self.world.at(self._asleep_until, self._connect)
            return
        meeting = self.cluster.meetings.get(self.name)
        if meeting is not None and meeting.serving:
            node = meeting
        else:
            node = self._only or self.dice.pick(list(self.cluster.nodes.values()))
        if not node.serving:
            self.world.later(self.dice.between(5, 60) * MS, self._connect)
            return
        self._connection = ClientConnection()
        self.link = ClientLink(self.cluster, node, self)
        self._heard_at = self.world.now
        hello = ConnectRequest(0, self.zxid, self._wanted_ms, self.session, self.password, False)
        self.link.send(self._connection.connect(hello))

    def lost(self, link: ClientLink) -> None:
        if link is not self.link:
            return
        self.link, self.established = None, False
        self._unread.clear()
        self._asked.clear()
        running, self._running = self._running, []
        for task in running:
            self._unknown(task)
        self.world.later(self.dice.below(40 * MS), self._connect)

    def leave(self) -> None:
        """Break the connection."""
        link = self.link
        if link is not None:
            link.abort()
            self.lost(link)

    def _look_after(self, _: object, __: object) -> None:
        """Pings, and gives up a server that says nothing or does not answer."""
        if self.gone:
            return
        now = self.world.now
        if now < self._stalled_until:
            self.world.at(self._stalled_until, self._look_after)
            return
        if self._unread:
            self._read_on()
        patience_ms = self.ttl_ms * 2 // 3 if self.established else REPLY_WITHIN_MS
        if self.link is not None and now - self._heard_at > patience_ms * MS:
            self.world.mark("client left a silent server")
            self.leave()
        elif any(task.missing and now > task.deadline for task in self._running):
            self.world.mark("client timed out")
            self.leave()
        elif self.established and now - self._pinged_at >= self.ttl_ms // 3 * MS:
            self._pinged_at = now
            self._request(None, PingRequest())
        for task in list(self._running):
            if task.told_path is not None and now > task.deadline:
                self._go_on(task, None)
        self._look(None, None)
        self.world.later(self.dice.between(60, 140) * MS, self._look_after)

    def heard_by(self, node: Node, link: ClientLink) -> None:
        """A server has got something of ours."""
        if link is self.link and self.established:
            self.cluster.judge.sessions.heard(self.session, node)

    # --- what it is after ---------------------------------------------------------------------------------

    def _look(self, _: object = None, __: object = None) -> None:
        """Begin what is due, as much as may be under way at a time."""
        self._look_due = False
        if not self.established or self.gone or self.world.now < self._stalled_until:
            return
        if self._preparing:
            if not self._running:
                self._start(Ask(0, 0, self.name, "prepare"), 0)
            return
        if not self.cluster.ready:
            return
        now_ms = self.world.now // MS
        while self.established and len(self._running) < self._most:
            if self._again:
                ask, attempt = self._again.popleft()
            elif self._asks and self._asks[0].at_ms <= now_ms:
                ask, attempt = self._asks.popleft(), 0
                if ask.function in AWAY:
                    if self._running:
                        self._asks.appendleft(ask)
                        return
                    self._go_away(ask.function)
                    return
            else:
                break
            self._start(ask, attempt)
        if self._asks and self._asks[0].at_ms > now_ms and not self._look_due:
            self._look_due = True
            self.world.at(self._asks[0].at_ms * MS, self._look)

    def _start(self, ask: Ask, attempt: int) -> None:
        task = Task(self, ask, attempt)
        self._running.append(task)
        if self.world.trace.telling:
            self.world.trace.tell(
                self.world.now, "call", self.name, f"{ask.function} {ask.key}", number=ask.number
            )
        self._go_on(task, None)

    def _go_on(self, task: Task, answer: object) -> None:
        """Give the conversation what it has waited for, and see what it wants next."""
        task.told_path = None
        try:
            step = task.conversation.send(answer)
        except StopIteration as done:
            self._ended(task, Status.OK, done.value)
            return
        except Failed as failed:
            self._ended(task, Status.FAIL, None, str(failed))
            return
        if isinstance(step, Pause):
            self.world.later(step.pause_ms * MS, self._after_pause, task)
        elif isinstance(step, Told):
            task.told_path = step.path
            task.deadline = self.world.now + step.within_ms * MS
            if (step.path, "data") not in self._armed and (step.path, "child") not in self._armed:
                # It has told already, while the answer to something else was on its way.
                self.world.later(0, self._after_pause, task)
        else:
            requests = step if isinstance(step, tuple) else (step,)
            task.awaited = []
            task.missing = len(requests)
            task.deadline = self.world.now + task.ask.patience_ms * MS
            for request in requests:
                if self.link is None:
                    return
                self._request(task, request)

    def _after_pause(self, task: Task, _: object) -> None:
        if task in self._running:
            self._go_on(task, None)

    def _request(self, task: Task | None, request: Request) -> None:
        assert self.link is not None
        if task is not None and not isinstance(request, READS):
            task.wrote = True
        xid, data = self._connection.send(request)
        if xid != XID_PING:
            fresh = isinstance(request, SyncRequest) or self.cluster.plan.conditions.linearizable_reads
            if task is not None and self._asked and isinstance(self._asked[-1][2], SyncRequest):
                fresh = fresh or self._asked[-1][1] is task
            fresh = fresh or not isinstance(request, SILENT)
            self._asked.append((xid, task, request, self.cluster.judge.newest_told if fresh else 0))
        self.link.send(data)

    def _ended(self, task: Task, status: Status, result: object, error: str | None = None) -> None:
        if task in self._running:
            self._running.remove(task)
        self._account(task, status, result, error)
        ask = task.ask
        if ask.function == "prepare":
            if status is Status.OK:
                self.cluster.ready = True
                self._preparing = False
                for client in self.cluster.clients:
                    self.world.later(0, client._look)
        elif status is Status.FAIL and task.attempt + 1 < ask.attempts:
            self._again.append((ask, task.attempt + 1))
        if not self._look_due:
            self._look_due = True
            self.world.later(0, self._look)

    def _unknown(self, task: Task) -> None:
        """The connection broke before the answer came."""
        task.conversation.close()
        self._account(task, Status.INFO if task.wrote else Status.FAIL, None, "connection lost")
        if task.attempt + 1 < task.ask.attempts:
            self._again.append((task.ask, task.attempt + 1))
            self.world.mark("client tried again")

    def _account(self, task: Task, status: Status, result: object, error: str | None) -> None:
        if task.place is not None:
            self.places.discard(task.place)
            self.owned.discard(task.place)
        if task.call is not None:
            self.end_call(task.call, status, result, self.zxid if status is Status.OK else None, error)
        if self.world.trace.telling:
            text = f"{task.ask.function} {task.ask.key}: {status.value} {result if error is None else error}"
            self.world.trace.tell(self.world.now, "return", self.name, text, number=task.ask.number)

    # --- its history --------------------------------------------------------------------------------------

    def begin_call(self, function: str, key: tuple[str, str | None]) -> Call:
        if self._processes:
            process = self._processes.pop()
        else:
            self._process_count += 1
            process = f"{self.name}.{self._process_count}"
        return self.cluster.recorder.call(process, function, key, self.world.now)

    def end_call(
        self, call: Call, status: Status, result: object, revision: int | None, error: str | None = None
    ) -> None:
        self.cluster.recorder.end(call, status, self.world.now, result, revision, error)
        if status is not Status.INFO:
            self._processes.append(call.process)

    # --- to go away ---------------------------------------------------------------------------------------

    def _go_away(self, how: str) -> None:
        self.world.mark(f"client: {how}")
        if how == "move":
            self.leave()
        elif how == "sleep":
            self._asleep_until = self.world.now + (self.ttl_ms + self.dice.between(-300, 1_500)) * MS
            self.leave()
        elif how == "stall":
            # The process stands still, and its connection stays: a long pause of its garbage collector.
            self._stalled_until = self.world.now + self.dice.between(self.ttl_ms // 2, self.ttl_ms + 300) * MS
        elif how == "vanish":
            self._forget_session()
            self.leave()
        elif how == "close":
            self.cluster.judge.sessions.closing(self.session)
            self._request(None, CloseSessionRequest())

    def _forget_session(self) -> None:
        self.session, self.password = 0, NO_PASSWORD
        self._armed.clear()
        self.owned.clear()
        self.places.clear()

    def retire(self) -> None:
        """Ask for nothing new."""
        self._asks.clear()

    @property
    def at_rest(self) -> bool:
        busy = self._running or self._asked or self._again or self._asks
        if self._unread or self.world.now < self._stalled_until:
            return False  # who stands still has not seen yet whether its session is over
        # Nor has who waits for a machine that lost power: nobody there knows of the connection.
        heard = self.link is not None and self.link.stands
        return self.gone or (self.established and heard and not busy)

    def standing(self) -> str:
        where = self.link.node.name if self.link else "nowhere"
        tasks = [task.ask.function for task in self._running]
        return f"{self.name} at {where}, session {self.session:#x}, stands {self.established}, after {tasks}"

    # --- what it is told ----------------------------------------------------------------------------------

    def received(self, link: ClientLink, data: bytes) -> None:
        if link is not self.link:
            return
        if self.world.now < self._stalled_until:
            self._unread.append(data)
            return
        self._heard_at = self.world.now
        try:
            messages = self._connection.receive_data(data)
        except MalformedInput as error:
            where = f"{self.name} at {link.node.name}"
            raise Broken("an answer that makes no sense", f"{where}: {error}") from error
        for message in messages:
            if isinstance(message, ConnectResponse):
                self._connected(message)
            elif isinstance(message, Notification):
                self._notified(message)
            else:
                self._answered(message)
            if self.link is not link:
                return

    def _read_on(self) -> None:
        """It stands still no longer."""
        unread, self._unread = self._unread, []
        link = self.link
        for data in unread:
            if link is not None:
                self.received(link, data)
        self._heard_at = self.world.now

    def _connected(self, response: ConnectResponse) -> None:
        if response.timeout_ms == 0:
            self.cluster.judge.sessions.refused(self.session, self.name)
            self._forget_session()
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
            self._request(None, SetWatchesRequest(self.zxid, kinds["data"], kinds["exist"], kinds["child"]))
        self._look()

    def _saw(self, zxid: int) -> None:
        if zxid < self.zxid:
            raise Broken("time goes back", f"{self.name} has seen revision {self.zxid}, and now {zxid}")
        self.zxid = zxid
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
            self._saw(max(answer.zxid, self.zxid))
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
            self._forget_session()
            self.leave()
            return
        if task is not None and task in self._running:
            task.awaited.append(reply)
            task.missing -= 1
            if not task.missing:
                awaited = task.awaited
                self._go_on(task, awaited[0] if len(awaited) == 1 else awaited)

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
