"""A server that says what the test tells it, for a session's machine: no socket, no clock, no dice.

    world = World()
    world.connect()                         dials, greets, is given session 7 with 10 s
    group = world.ask(GetDataRequest(b"/a", False))
    world.answer(ErrorReply(-101))          to the oldest request without an answer
    world.answered[group], world.failed[group]
"""
from __future__ import annotations

from collections import deque

from agreed.client.errors import ClientError
from agreed.client.machine import Answered, Became, Dial, Failed, Greet, HangUp, Saw, Send, SessionMachine
from agreed.client.requests import Group
from agreed.client.url import Server
from agreed.client.values import Change, SessionState
from agreed.wire.zookeeper.connection import Answer, Notification
from agreed.wire.zookeeper.messages import (
    XID_PING,
    AuthRequest,
    ConnectRequest,
    ConnectResponse,
    EventType,
    PingRequest,
    Request,
)
from agreed.wire.zookeeper.replies import ErrorReply, HeaderReply, Reply, WatchEvent

SERVERS = [Server("a", 1), Server("b", 2), Server("c", 3)]


class World:
    def __init__(
        self, timeout_s: float = 10.0, credentials: tuple[AuthRequest, ...] = (), by_sync: bool = False
    ) -> None:
        self.now = 1000.0
        self.machine = SessionMachine(SERVERS, timeout_s, lambda: 0.5, credentials, by_sync)
        self.dials: list[Dial] = []
        self.greetings: list[ConnectRequest] = []
        self.sent: list[Request] = []
        """Everything, over all connections, without pings."""
        self.unanswered: deque[Request] = deque()
        self.pings = 0
        self.answered: dict[object, list[Reply]] = {}
        self.failed: dict[object, ClientError] = {}
        self.seen: list[tuple[object, Change, bytes]] = []
        self.states: list[SessionState] = []
        self.connection = 0
        self._tickets = 0
        self.machine.start(self.now)
        self.settle()

    def settle(self) -> None:
        for effect in self.machine.take():
            match effect:
                case Dial(connection, _):
                    self.dials.append(effect)
                    self.connection = connection
                case Greet(_, request):
                    self.greetings.append(request)
                case Send(connection, requests):
                    assert connection == self.connection, "said on a connection that is gone"
                    self.pings += sum(isinstance(each, PingRequest) for each in requests)
                    told = [each for each in requests if not isinstance(each, PingRequest)]
                    self.sent += told
                    self.unanswered += [each for each in told if not isinstance(each, AuthRequest)]
                case HangUp():
                    self.unanswered.clear()
                    self.pings = 0
                case Answered(ticket, answers):
                    assert ticket not in self.answered
                    assert ticket not in self.failed
                    self.answered[ticket] = [each.reply for each in answers]
                case Failed(ticket, error):
                    assert ticket not in self.answered
                    assert ticket not in self.failed
                    self.failed[ticket] = error
                case Saw(watcher, change, path):
                    self.seen.append((watcher, change, path))
                case Became(state):
                    self.states.append(state)

    # --- the server -------------------------------------------------------------------------------------

    def accept(self, session: int = 7, timeout_s: float = 10.0) -> None:
        self.machine.dialed(self.now, self.connection)
        self.settle()
        self.hear(ConnectResponse(0, round(timeout_s * 1000), session, b"p" * 16, False))

    connect = accept

    def hear(self, *messages: ConnectResponse | Answer | Notification) -> None:
        self.machine.heard(self.now, self.connection, messages)
        self.settle()

    def answer(self, reply: Reply, zxid: int = 1) -> None:
        self.unanswered.popleft()
        self.hear(Answer(1, zxid, reply))

    def pong(self) -> None:
        self.pings -= 1
        self.hear(Answer(XID_PING, 1, HeaderReply(op=11)))  # type: ignore[arg-type]

    def event(self, kind: EventType, path: bytes, zxid: int = 1) -> None:
        self.hear(Notification(zxid, WatchEvent(kind, path)))

    def lose(self, why: str = "it broke") -> None:
        self.machine.lost(self.now, self.connection, why)
        self.settle()

    # --- the program ------------------------------------------------------------------------------------

    def ask(
        self, *requests: Request, within_s: float = 60.0, repeatable: bool = False, watcher: object = None
    ) -> int:
        self._tickets += 1
        group = Group(
            self._tickets, requests, self.now + within_s, repeatable=repeatable, watcher=watcher
        )
        self.machine.ask(self.now, group)
        self.settle()
        return self._tickets

    def pass_time(self, seconds: float) -> None:
        """Step by step, waking the machine exactly when it wants to be."""
        end = self.now + seconds
        for _ in range(10_000):
            wake = self.machine.wake
            if wake is None or wake > end:
                break
            self.now = max(self.now, wake)
            self.machine.time_passed(self.now)
            self.settle()
        else:
            raise AssertionError("it wakes and wakes, and does nothing")
        self.now = end

    def pass_time_answering(self, seconds: float) -> None:
        """The same with a server that answers pings at once."""
        end = self.now + seconds
        while (wake := self.machine.wake) is not None and wake <= end:
            self.pass_time(max(0.0, wake - self.now))
            while self.pings:
                self.pong()
        self.now = end


REFUSED = ErrorReply(-101)
