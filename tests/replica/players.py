"""The clients of a world: bytes over a connection to one node at a time, as a ZooKeeper client has it.

A player pipelines requests, pings, notices when its server is silent, comes again at another node with its
session and its watches, gives up and vanishes, or closes its session.  All that it is told goes to the judge.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agreed.replica import events
from agreed.replica.upkeep import EXPIRY_GRACE_MS
from agreed.store.records import OPEN_ACL
from agreed.wire.zookeeper.connection import Answer, ClientConnection, Notification
from agreed.wire.zookeeper.messages import (
    XID_PING,
    CloseSessionRequest,
    ConnectRequest,
    ConnectResponse,
    CreateMode,
    CreateRequest,
    DeleteRequest,
    ErrorCode,
    EventType,
    ExistsRequest,
    GetChildrenRequest,
    GetDataRequest,
    MultiRequest,
    PingRequest,
    Request,
    SetDataRequest,
    SetWatchesRequest,
    SyncRequest,
)
from agreed.wire.zookeeper.replies import ErrorReply

if TYPE_CHECKING:
    from tests.replica.world import Node, World

REGISTERS = [b"/r/0", b"/r/1", b"/r/2"]
PARENTS = [b"/r", b"/d", b"/s", b"/e"]
SESSION_OVER = {ErrorCode.SESSION_EXPIRED, ErrorCode.SESSION_MOVED, ErrorCode.CONNECTION_LOSS}
WISHES = {
    "create": 12, "sequence": 8, "ephemeral": 5, "set": 20, "delete": 6, "multi": 5,
    "get": 25, "list": 5, "exists": 5, "sync": 8, "away": 0.3, "sleep": 0.5,
}  # fmt: skip
"""What a player asks for, and how often."""
REPLY_WITHIN_MS = 1_200
TIMEOUTS_MS = [1_500, 2_400, 4_000]
NO_PASSWORD = bytes(16)


class Link:
    """One connection: bytes in both directions, in order, until it breaks somewhere."""

    def __init__(self, world: World, node: Node, player: Player) -> None:
        self.world, self.node, self.player = world, node, player
        self.id = node.next_client
        node.next_client += 1
        node.links[self.id] = self
        self._boot = node.boots
        self._up_at = self._down_at = world.now
        self._held = False
        self._kept: list[bytes] = []
        self._deaf = False
        """What is still on its way to the client is lost."""
        self.client_gone = False
        self._up(events.ClientOpened(self.id, "10.0.0.1", 1_000 + self.id))

    def _up(self, event: object, player_speaks: bool = False) -> None:
        world = self.world
        self._up_at = max(self._up_at, world.now + world.dice.randint(0, 3))
        world.at(self._up_at - world.now, lambda: self._arrived(event, player_speaks))

    def _arrived(self, event: object, player_speaks: bool) -> None:
        node = self.node
        if not node.up or node.boots != self._boot or self.id not in node.links:
            return
        if isinstance(event, events.ClientBytes):
            if self._held:
                self._kept.append(event.data)
                return
            if player_speaks and self.player.link is self and self.player.established:
                self.world.judge.heard[self.player.session] = (self.world.now, node.name)
        if isinstance(event, events.ClientClosed):
            del node.links[self.id]
        self.world.turn(node, event)

    def hold(self, held: bool) -> None:
        self._held = held
        if not held:
            kept, self._kept = self._kept, []
            for data in kept:
                self._arrived(events.ClientBytes(self.id, data), False)

    def send(self, data: bytes) -> None:
        dice = self.world.dice
        cut = dice.randint(0, len(data)) if dice.random() < 0.2 else 0
        for piece in (data[:cut], data[cut:]):
            if piece:
                self._up(events.ClientBytes(self.id, piece), True)

    def to_client(self, data: bytes) -> None:
        world = self.world
        self._down_at = max(self._down_at, world.now + world.dice.randint(0, 3))
        world.at(self._down_at - world.now, lambda: self._received(data))

    def _received(self, data: bytes) -> None:
        if not self.client_gone and not self._deaf:
            self.player.received(self, data)

    def closed_by_server(self) -> None:
        """After all that was written to it."""
        del self.node.links[self.id]
        self.world.later(1, self.node, lambda: self.world.turn(self.node, events.ClientClosed(self.id)))
        self._down_at = max(self._down_at, self.world.now + 1)
        self.world.at(self._down_at - self.world.now, self._lost)

    def server_died(self) -> None:
        self.node.links.pop(self.id, None)
        self._deaf = self.world.dice.random() < 0.5
        self.world.at(max(0, self._down_at - self.world.now) + self.world.dice.randint(0, 20), self._lost)

    def _lost(self) -> None:
        if not self.client_gone:
            self.client_gone = True
            self.player.lost(self)

    def abort(self) -> None:
        """The client goes; what it has sent may still arrive."""
        self.client_gone = True
        if self.world.dice.random() < 0.5:
            self._up_at = self.world.now
            self.node.links.pop(self.id, None)
            self.world.later(
                0, self.node, lambda: self.world.turn(self.node, events.ClientClosed(self.id))
            )
        else:
            self._up(events.ClientClosed(self.id))


@dataclass
class Ask:
    """One request under way, and what its answer must be held against."""

    request: Request
    at_least: int = 0
    """The revision that the answer must show at least (0: no promise)."""
    data: tuple[bytes, ...] = ()


@dataclass
class Player:
    world: World
    name: str
    session: int = 0
    password: bytes = NO_PASSWORD
    ttl_ms: int = 0
    zxid: int = 0
    link: Link | None = None
    established: bool = False
    retired: bool = False
    vanished: bool = False
    asked: deque[tuple[int, Ask]] = field(default_factory=deque)
    armed: dict[tuple[bytes, str], int] = field(default_factory=dict)
    """(path, kind) -> as of which revision the watch was set."""
    ephemerals: list[bytes] = field(default_factory=list)
    mine: list[bytes] = field(default_factory=list)
    _connection: ClientConnection = field(default_factory=ClientConnection)
    _heard_at: int = 0
    _pinged_at: int = 0
    _numbers: int = 0
    _awake_at: int = 0
    _founded: bool = False

    def __post_init__(self) -> None:
        self.dice = random.Random(f"player {self.world.seed} {self.name}")
        self._wanted_ms = self.dice.choice(TIMEOUTS_MS)

    # --- the connection -------------------------------------------------------------------------------

    def begin(self) -> None:
        self._connect()
        self._look_after()

    def _connect(self) -> None:
        if self.vanished or self.link is not None:
            return
        if self.world.now < self._awake_at:
            self.world.at(self._awake_at - self.world.now, self._connect)
            return
        node = self.world.nodes[self.dice.choice(sorted(self.world.nodes))]
        if not node.up:
            self.world.at(self.dice.randint(5, 60), self._connect)
            return
        self._connection = ClientConnection()
        self.link = Link(self.world, node, self)
        self._heard_at = self.world.now
        hello = ConnectRequest(0, self.zxid, self._wanted_ms, self.session, self.password, False)
        self.link.send(self._connection.connect(hello))

    def lost(self, link: Link) -> None:
        if link is self.link:
            self.link, self.established = None, False
            self.asked.clear()
            self.world.at(self.dice.randint(0, 40), self._connect)

    def break_link(self) -> None:
        link = self.link
        if link is not None:
            link.abort()
            self.lost(link)

    def _look_after(self) -> None:
        """Pings, and gives up a server that says nothing."""
        if self.vanished:
            return
        world = self.world
        patience_ms = self.ttl_ms * 2 // 3 if self.established else REPLY_WITHIN_MS
        if self.link is not None and world.now - self._heard_at > patience_ms:
            self.break_link()
        elif self.established and world.now - self._pinged_at >= self.ttl_ms // 3:
            self._pinged_at = world.now
            self._send(Ask(PingRequest()))
        world.at(self.dice.randint(60, 140), self._look_after)

    # --- what it asks ---------------------------------------------------------------------------------

    def _send(self, ask: Ask) -> None:
        assert self.link is not None
        xid, data = self._connection.send(ask.request)
        if xid != XID_PING:
            self.asked.append((xid, ask))
        self.link.send(data)

    def _act(self) -> None:
        if self.retired or self.vanished or not self.established:
            return
        if len(self.asked) < 8:
            for _ in range(self.dice.choice([1, 1, 1, 2, 5])):
                self._one()
                if not self.established:
                    return
        self.world.at(self.dice.randint(2, 60), self._act)

    def _fresh(self) -> bytes:
        self._numbers += 1
        return f"{self.name}-{self._numbers}".encode()

    def _one(self) -> None:
        dice, judge = self.dice, self.world.judge
        data = self._fresh()
        [what] = dice.choices(list(WISHES), list(WISHES.values()))
        at_least = judge.at_least if self.world.settings.linearizable_reads else 0
        watch = dice.random() < 0.3
        register = dice.choice(REGISTERS)
        if what == "create":
            self._send(Ask(CreateRequest(b"/d/" + data, data, OPEN_ACL, CreateMode.PERSISTENT), data=(data,)))
        elif what == "sequence":
            mode = CreateMode.PERSISTENT_SEQUENTIAL
            self._send(Ask(CreateRequest(b"/s/x", data, OPEN_ACL, mode), data=(data,)))
        elif what == "ephemeral":
            self._send(Ask(CreateRequest(b"/e/" + data, data, OPEN_ACL, CreateMode.EPHEMERAL), data=(data,)))
        elif what == "set":
            self._send(Ask(SetDataRequest(register, data, -1), data=(data,)))
        elif what == "delete" and self.mine:
            path = self.mine.pop()
            judge.deleted.setdefault(path, False)
            self._send(Ask(DeleteRequest(path, -1)))
        elif what == "multi":
            pair = (data, self._fresh())
            creates = [CreateRequest(b"/d/" + d, d, OPEN_ACL, CreateMode.PERSISTENT) for d in pair]
            self._send(Ask(MultiRequest((*creates, SetDataRequest(register, data, -1))), data=pair))
        elif what == "get":
            self._send(Ask(GetDataRequest(register, watch), at_least))
        elif what == "list":
            self._send(Ask(GetChildrenRequest(b"/s", watch), at_least))
        elif what == "exists":
            other = self.world.dice.choice(self.world.players)
            path = b"/d/%b-%d" % (other.name.encode(), other._numbers + dice.randint(1, 6))
            self._send(Ask(ExistsRequest(path, watch), at_least))
        elif what == "sync":
            self._send(Ask(SyncRequest(b"/"), judge.at_least))
            self._send(Ask(GetDataRequest(register, False), judge.at_least))
        elif what == "away":
            self._abandon()
        elif what == "sleep":
            self._sleep()

    def _abandon(self) -> None:
        """The process dies and is started anew: it knows nothing of its session, which has to expire."""
        self._forget_session()
        self.break_link()

    def _sleep(self) -> None:
        """Says nothing until about the moment at which its session expires, and then comes back for it."""
        self._awake_at = self.world.now + self.ttl_ms + EXPIRY_GRACE_MS + self.dice.randint(-300, 500)
        self.break_link()

    def _forget_session(self) -> None:
        self.session, self.password = 0, NO_PASSWORD
        self.armed.clear()
        self.ephemerals.clear()

    def retire(self) -> None:
        self.retired = True
        choice = self.dice.choice(["stay", "stay", "close", "vanish"])
        if choice == "vanish":
            self.break_link()
            self.vanished = True
            self._forget_session()
        elif choice == "close" and self.established:
            self._send(Ask(CloseSessionRequest()))

    @property
    def at_rest(self) -> bool:
        return self.vanished or (self.established and not self.asked)

    # --- what it is told ------------------------------------------------------------------------------

    def received(self, link: Link, data: bytes) -> None:
        if link is not self.link:
            return
        self._heard_at = self.world.now
        for message in self._connection.receive_data(data):
            if isinstance(message, ConnectResponse):
                self._connected(message)
            elif isinstance(message, Notification):
                self._notified(message)
            else:
                self._answered(message)
            if self.link is not link:
                return

    def _connected(self, response: ConnectResponse) -> None:
        if response.timeout_ms == 0:
            self.world.judge.session_refused(self, self.session)
            self._forget_session()
            return
        assert self.session in (0, response.session_id), "another session than was asked for"
        self.session, self.password, self.ttl_ms = response.session_id, response.password, response.timeout_ms
        self.established = True
        self.world.judge.count("connected")
        self._pinged_at = self.world.now
        if self.armed:
            self._rearm()
        if self.name == "p1" and not self._founded:
            self._found()
        self.world.at(self.dice.randint(0, 30), self._act)

    def _found(self) -> None:
        """The nodes which everybody works on; again after a failure, until all are there."""
        for path in (*PARENTS, *REGISTERS):
            self._send(Ask(CreateRequest(path, b"", OPEN_ACL, CreateMode.PERSISTENT)))

    def _rearm(self) -> None:
        kinds = {
            kind: tuple(path for path, k in self.armed if k == kind) for kind in ("data", "exist", "child")
        }
        self._send(Ask(SetWatchesRequest(self.zxid, kinds["data"], kinds["exist"], kinds["child"])))

    def _saw(self, zxid: int) -> None:
        assert zxid >= self.zxid, f"{self.name} saw revision {self.zxid} and now {zxid}"
        self.zxid = zxid
        self.world.judge.told(zxid)

    def _notified(self, notification: Notification) -> None:
        event, zxid = notification.event, notification.zxid
        kinds = ("child",) if event.kind is EventType.NODE_CHILDREN_CHANGED else ("data", "exist")
        held = [(event.path, kind) for kind in kinds if (event.path, kind) in self.armed]
        assert held, f"{self.name} is told of {event}, which it does not watch"
        self.world.judge.count("watch")
        for key in held:
            since = self.armed.pop(key)
            if zxid != -1:
                first = self.world.judge.truth.next_change(*key, since)
                assert zxid == first, f"{self.name} is told of {key} at {zxid}, it changed at {first}"
        if zxid != -1:
            self._saw(zxid)

    def _answered(self, answer: Answer) -> None:
        zxid, reply = answer.zxid, answer.reply
        if answer.xid == XID_PING:
            self._checked(zxid)
            return
        xid, ask = self.asked.popleft()
        assert xid == answer.xid
        if isinstance(reply, ErrorReply) and reply.error in SESSION_OVER:
            return
        assert zxid >= ask.at_least, f"stale: {ask} was answered as of {zxid}"
        if isinstance(reply, ErrorReply):
            self._refused(ask, ErrorCode(reply.error), zxid)
        else:
            self._done(ask, reply, zxid)
        self._checked(zxid)

    def _checked(self, zxid: int) -> None:
        self._saw(zxid)
        truth = self.world.judge.truth
        for (path, kind), since in self.armed.items():
            change = truth.next_change(path, kind, since)
            told = f"{self.name} was not told that {path!r} ({kind}) changed at {change}, but of {zxid}"
            assert change is None or change > zxid, told

    def _refused(self, ask: Ask, error: ErrorCode, zxid: int) -> None:
        """Only what can be refused may be: nothing is created twice, or where there is no parent."""
        request, truth = ask.request, self.world.judge.truth
        match request:
            case ExistsRequest(path, watch):
                assert error is ErrorCode.NO_NODE
                assert truth.value_at(path, zxid) is None
                if watch:
                    self.armed.setdefault((path, "exist"), zxid)
            case CreateRequest(path, b""):
                assert error is ErrorCode.NODE_EXISTS, f"{ask} was refused: {error.name}"
                assert truth.value_at(path, zxid) is not None
            case _:
                absent = self._absent(request, zxid)
                assert error is ErrorCode.NO_NODE, f"{ask} was refused: {error.name}"
                assert absent, f"{ask} was refused, though all it needs is there"

    def _absent(self, request: Request, zxid: int) -> bool:
        value_at = self.world.judge.truth.value_at
        if isinstance(request, CreateRequest):
            return value_at(request.path.rpartition(b"/")[0], zxid) is None
        path: bytes = getattr(request, "path", b"/")
        return value_at(path, zxid) is None

    def _done(self, ask: Ask, reply: Any, zxid: int) -> None:
        judge = self.world.judge
        truth = judge.truth
        match ask.request:
            case CreateRequest(path, b""):
                self._founded = path == REGISTERS[-1]
            case CreateRequest(path, data, _, mode):
                assert data is not None
                judge.created(ask, data, reply.path, zxid)
                if mode == CreateMode.EPHEMERAL:
                    self.ephemerals.append(path)
                elif mode == CreateMode.PERSISTENT:
                    self.mine.append(path)
            case SetDataRequest(path, data):
                assert data is not None
                judge.changed(path, data, reply.stat.modified_zxid)
            case DeleteRequest(path):
                judge.removed(path, zxid)
            case MultiRequest():
                self._multi_done(ask, reply, zxid)
            case GetDataRequest(path, watch):
                assert reply.data == truth.value_at(path, zxid), f"not what {path!r} was at {zxid}"
                judge.count("read")
                if watch:
                    self.armed.setdefault((path, "data"), zxid)
            case GetChildrenRequest(path, watch):
                assert set(reply.children) == truth.children_at(path, zxid)
                if watch:
                    self.armed.setdefault((path, "child"), zxid)
            case ExistsRequest(path, watch):
                assert truth.value_at(path, zxid) is not None
                if watch:
                    self.armed.setdefault((path, "data"), zxid)
            case SetWatchesRequest(_, _, exist):
                for path in exist:
                    if (path, "exist") in self.armed and truth.value_at(path, zxid) is None:
                        # What came and went meanwhile is told by no server.
                        self.armed[path, "exist"] = zxid
            case CloseSessionRequest():
                assert self.session not in judge.alive
                self.vanished = True
                self._forget_session()

    def _multi_done(self, ask: Ask, reply: Any, zxid: int) -> None:
        judge = self.world.judge
        if isinstance(reply.results[0], ErrorReply):
            assert judge.truth.value_at(REGISTERS[-1], zxid) is None, "refused, though all it needs is there"
            return
        revisions = {
            judge.created(ask, data, b"/d/" + data, zxid) for data in ask.data
        } | {reply.results[2].stat.modified_zxid}
        assert len(revisions) == 1, "a transaction has one revision"

    def standing(self) -> str:
        where = self.link.node.name if self.link else "nowhere"
        asked = [type(ask.request).__name__ for _, ask in self.asked]
        return f"{self.name} at {where}, session {self.session:#x}, stands={self.established}, {asked=}"
