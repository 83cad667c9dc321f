"""A session with a cluster, without socket and clock: things that happen in, things to do out.

    machine.start(now)                                   -> [Dial]
    machine.dialed(now, connection)                      -> [Greet]
    machine.heard(now, connection, messages)             -> [Answered, Saw, Send, Became, ...]
    machine.lost(now, connection, why)                   -> [Failed, Became, Dial, ...]
    machine.ask(now, group)                              -> [Send]
    machine.time_passed(now)                             at `wake` -> [Failed, Send, HangUp, Dial, ...]
    machine.take()                                       the effects since the last `take`

`now` is in seconds of a clock that never goes back and does not stop while the machine sleeps.  What is
promised:

* A write is sent at most once.  `Failed` says whether it was sent.
* After a lost connection another server is asked, with the newest zxid that was seen, so that nothing older
  is ever read; the session is kept, its watches are set again before anything else is sent, and what waited
  is sent in the order in which it was asked.
* Exactly one of `Answered` and `Failed` comes of each group that was not abandoned, at its deadline at the
  latest.
* `remaining_s` is a lower bound: for so long this session surely lives (see there for what that rests on).

The phases of a connection:

    PAUSING --wake--> DIALING --dialed--> GREETING --ConnectResponse--> CONNECTED
       ^                 |                    |                             |
       +-----------------+-------lost---------+-----------------------------+        ENDED is final
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from agreed.client.certainty import SHORT_S, Certainty
from agreed.client.errors import (
    AuthenticationFailed,
    ClientError,
    ConnectionLost,
    SessionClosed,
    SessionExpired,
    TimedOut,
)
from agreed.client.requests import Group, Requests
from agreed.client.url import Server
from agreed.client.values import Change, SessionState, WatchKind
from agreed.client.watches import CHANGES, Watcher, Watches
from agreed.wire.zookeeper.connection import Answer, Notification
from agreed.wire.zookeeper.messages import (
    XID_AUTH,
    XID_PING,
    AddWatchRequest,
    AuthRequest,
    CloseSessionRequest,
    ConnectRequest,
    ConnectResponse,
    ErrorCode,
    PingRequest,
    RemoveWatchesRequest,
    Request,
    SyncRequest,
    WatcherType,
)
from agreed.wire.zookeeper.replies import ErrorReply

PING_AFTER: Final = 1 / 4
PING_AFTER_S: Final = 1.0
"""Of the session's time, and at most, without anything sent that proves something.  Often, because what is
certain of the session (`remaining_s`) is older by that much."""

SILENT_AFTER: Final = 2 / 3
"""Of the session's time without anything heard: the server is given up, while there is time for another."""

DIAL_WITHIN_S: Final = (1.0, 5.0)
"""A third of the session's time, within these bounds, for a connection and its handshake: the handshake goes
through the log, and there may be an election just now."""

PAUSE_S: Final = (0.05, 1.0)
"""After all servers were tried in vain: the first pause and the longest; it doubles."""

PING: Final = PingRequest()

NO_PASSWORD: Final = bytes(16)


# --- what is to be done ------------------------------------------------------------------------------------


class Dial(msgspec.Struct, frozen=True):
    """Connect; then say `dialed`, or `lost`.  `connection` names it from now on."""

    connection: int
    server: Server


class Greet(msgspec.Struct, frozen=True):
    connection: int
    request: ConnectRequest


class Send(msgspec.Struct, frozen=True):
    connection: int
    requests: Sequence[Request]


class HangUp(msgspec.Struct, frozen=True):
    connection: int
    why: str


class Answered(msgspec.Struct, frozen=True):
    """One answer for each request of the group, with their errors in them."""

    ticket: Hashable
    answers: Sequence[Answer]


class Failed(msgspec.Struct, frozen=True):
    ticket: Hashable
    error: ClientError


class Saw(msgspec.Struct, frozen=True):
    """Tell this watcher."""

    watcher: Watcher
    change: Change
    path: bytes


class Became(msgspec.Struct, frozen=True):
    state: SessionState


Effect: TypeAlias = Dial | Greet | Send | HangUp | Answered | Failed | Saw | Became


class Phase(Enum):
    PAUSING = 0
    DIALING = 1
    GREETING = 2
    CONNECTED = 3
    ENDED = 4


def _closed(maybe: bool) -> ClientError:
    return SessionClosed("the session was closed", maybe=maybe)


def _expired(maybe: bool) -> ClientError:
    return SessionExpired("the cluster says that the session is over", maybe=maybe)


def _not_authenticated(maybe: bool) -> ClientError:
    return AuthenticationFailed("the server does not take the credentials")


class SessionMachine:
    """`dice` draws a number in [0, 1).  The servers are asked in the order in which they are given.
    `by_sync`: they are a ZooKeeper's; `alone`: it is a cluster of one (`certainty.py`)."""

    def __init__(
        self,
        servers: Sequence[Server],
        session_timeout_s: float,
        dice: Callable[[], float],
        credentials: Sequence[AuthRequest] = (),
        by_sync: bool = False,
        alone: bool = False,
    ) -> None:
        self.state = SessionState.CONNECTING
        self.session_id = 0
        self.timeout_s = session_timeout_s
        """What was wished for; once there is a session, what the server grants."""
        self.last_zxid = 0
        self.why_lost = "there was no connection yet"
        self.watches = Watches()
        self.requests = Requests()
        self._wished_ms = max(1, round(session_timeout_s * 1000))
        self._servers = list(servers)
        self._next_server = 0
        self._tried_in_vain = 0
        self._dice = dice
        self._credentials = list(credentials)
        self._password = NO_PASSWORD
        self._phase = Phase.PAUSING
        self._phase_until = 0.0
        self._connection = 0
        self._connected_at = 0.0
        self._greeted_at = 0.0
        self._heard_at = 0.0
        self._sent_at = 0.0
        self._certainty = Certainty(by_sync or session_timeout_s < SHORT_S, alone)
        self._pings: deque[float] = deque()
        self._ending: Callable[[bool], ClientError] = _closed
        self._effects: list[Effect] = []

    def take(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    def remaining_s(self, now: float) -> float:
        """For so many seconds from now this session surely lives, whatever the connection does; 0: unknown.
        (`certainty.py` tells what this rests on.)"""
        return 0.0 if self.state.final else self._certainty.remaining_s(now, self.timeout_s)

    # --- connections ------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        self._dial(now)

    def _dial(self, now: float) -> None:
        server = self._servers[self._next_server % len(self._servers)]
        self._next_server += 1
        self._connection += 1
        self._phase = Phase.DIALING
        low, high = DIAL_WITHIN_S
        self._phase_until = now + min(max(self.timeout_s / 3, low), high)
        self._effects.append(Dial(self._connection, server))

    def dialed(self, now: float, connection: int) -> None:
        if connection != self._connection or self._phase is not Phase.DIALING:
            return
        self._phase = Phase.GREETING
        self._greeted_at = now
        hello = ConnectRequest(0, self.last_zxid, self._wished_ms, self.session_id, self._password, False)
        self._effects.append(Greet(connection, hello))

    def _greeted(self, now: float, response: ConnectResponse) -> None:
        if self.session_id and response.session_id != self.session_id:
            # Timeout 0 says that it is over.  A server that gives another session instead says so, too.
            self._end(SessionState.EXPIRED, "the session has expired", _expired)
            return
        if response.timeout_ms <= 0 or response.read_only:
            self._connection_over(now, "the server gives no session")
            return
        again = self.session_id != 0
        self.session_id, self._password = response.session_id, response.password
        self.timeout_s = response.timeout_ms / 1000
        self._phase = Phase.CONNECTED
        self._tried_in_vain = 0
        self._connected_at = self._sent_at = now
        self._certainty.greeted(self._greeted_at)
        self._become(SessionState.CONNECTED)
        first: list[Request] = [*self._credentials, *(self.watches.again(self.last_zxid) if again else ())]
        for request in first[len(self._credentials) :]:
            self.requests.sent_unasked(request, now)
        if again:
            self._effects += [Saw(watcher, Change.GAP, path) for watcher, path in self.watches.staying()]
        self._send([*first, *self.requests.send(now)], now)

    def lost(self, now: float, connection: int, why: str) -> None:
        """The connection is gone, or could not be made."""
        if connection == self._connection and self._phase not in (Phase.PAUSING, Phase.ENDED):
            self._connection_over(now, why)

    def _connection_over(self, now: float, why: str) -> None:
        was, self._phase = self._phase, Phase.PAUSING
        self._effects.append(HangUp(self._connection, why))
        self._connection += 1
        self.why_lost = why
        self._pings.clear()
        for group in self.requests.connection_lost():
            self._fail(group, ConnectionLost(why, maybe=True))
        if was is Phase.CONNECTED:
            self._become(SessionState.SUSPENDED)
            # Not at once to the next, if this one lasted for a moment only: what we say may be what kills it.
            hurried = now - self._connected_at < PAUSE_S[1]
            pause = PAUSE_S[0] if hurried else 0.0
        else:
            self._tried_in_vain += 1
            rounds, rest = divmod(self._tried_in_vain, len(self._servers))
            pause = min(PAUSE_S[0] * 2.0 ** min(rounds, 10), PAUSE_S[1]) if rest == 0 else 0.0
        if pause:
            self._phase_until = now + pause * (0.5 + self._dice())
        else:
            self._dial(now)

    def _become(self, state: SessionState) -> None:
        if state is not self.state:
            self.state = state
            self._effects.append(Became(state))

    def _end(self, state: SessionState, why: str, ending: Callable[[bool], ClientError]) -> None:
        """For good: nobody waits any longer.  `ending`: from `maybe` to what those are told who did."""
        self._phase = Phase.ENDED
        self._ending = ending
        self.why_lost = why
        self._effects.append(HangUp(self._connection, why))
        self._connection += 1
        for group in self.requests.open_groups():
            self._fail(group, ending(group.sent and not group.repeatable))
        self._become(state)
        self._effects += [Saw(watcher, Change.ENDED, path) for watcher, path in self.watches.end()]

    def ending(self) -> ClientError:
        """Why the session ended, for those who ask for something only now."""
        return self._ending(False)

    # --- requests ---------------------------------------------------------------------------------------

    def ask(self, now: float, group: Group) -> None:
        if self._phase is Phase.ENDED:
            self._effects.append(Failed(group.ticket, self.ending()))
            group.is_open = False
            return
        self.requests.ask(group)
        if self._phase is Phase.CONNECTED:
            self._send(self.requests.send(now), now)

    def _send(self, requests: Sequence[Request], now: float) -> None:
        if requests:
            if any(map(self._certainty.proves, requests)):
                self._sent_at = now
            self._effects.append(Send(self._connection, requests))

    def abandon(self, group: Group) -> None:
        """Nobody waits for it any more; nothing more is heard of it here, but it may still be done."""
        self.requests.close(group)

    def _fail(self, group: Group, error: ClientError) -> None:
        if group.is_open:
            self.requests.close(group)
            self._effects.append(Failed(group.ticket, error))

    def close(self) -> None:
        """It is over for this program; a session that could not be closed in order runs out by itself."""
        if self._phase is not Phase.ENDED:
            self._end(SessionState.CLOSED, "it was closed", _closed)

    def stop_watching(self, now: float, watcher: Watcher, path: bytes, kind: WatchKind) -> None:
        """Of the watches that stay; the server is told if nobody else watches there."""
        if not self.watches.forget(watcher, path, kind) or self._phase is not Phase.CONNECTED:
            return
        asked = [each for group in self.requests.open_groups() for each in group.requests]
        if any(isinstance(each, AddWatchRequest) and each.path == path for each in asked):
            return  # somebody has just asked for the same: taking it away would take it from them
        persistent = kind is WatchKind.PERSISTENT
        watched = WatcherType.PERSISTENT if persistent else WatcherType.PERSISTENT_RECURSIVE
        request = RemoveWatchesRequest(path, watched)
        self.requests.sent_unasked(request, now)
        self._send([request], now)

    def _stop_watching_at(self, refused: RemoveWatchesRequest) -> None:
        """A server before 3.9 has no name for watches that stay; it can only end all of ours at this path."""
        path = refused.path
        asked = (each for group in self.requests.open_groups() for each in group.requests)
        if self.watches.are_at(path) or any(getattr(each, "path", None) == path for each in asked):
            return  # it goes on telling of what nobody hears, and somebody else is still told
        if refused.kind == WatcherType.ANY:
            return
        request = RemoveWatchesRequest(path, WatcherType.ANY)
        self.requests.sent_unasked(request, self._heard_at)
        self._send([request], self._heard_at)

    # --- what is heard ----------------------------------------------------------------------------------

    def heard(
        self, now: float, connection: int, messages: Sequence[ConnectResponse | Answer | Notification]
    ) -> None:
        for message in messages:
            if connection != self._connection:
                return  # it was given up in the middle of this
            self._heard_at = now
            if isinstance(message, Answer):
                self._answered(message)
            elif isinstance(message, Notification):
                self._notified(message)
            elif self._phase is Phase.GREETING:
                self._greeted(now, message)
        if self._phase is Phase.CONNECTED:
            self._send(self.requests.send(now), now)

    def _see(self, zxid: int) -> None:
        if zxid > self.last_zxid:
            self.last_zxid = zxid

    def _confirm(self, request: Request, sent_at: float) -> None:
        if self._certainty.proves(request):
            self._certainty.answered(sent_at)

    def _notified(self, notification: Notification) -> None:
        self._see(notification.zxid)
        event = notification.event
        change = CHANGES.get(event.kind)
        if change is not None:
            self._effects += [Saw(watcher, change, event.path) for watcher in self.watches.happened(event)]

    def _answered(self, answer: Answer) -> None:
        if answer.xid == XID_PING:
            self._confirm(PING, self._pings.popleft())
            return
        if answer.xid == XID_AUTH:
            self._authenticated(answer)
            return
        sent = self.requests.answered()
        self._see(answer.zxid)
        self._confirm(sent.request, sent.at)
        error = answer.reply.error if isinstance(answer.reply, ErrorReply) else 0
        group = sent.group
        if error == ErrorCode.SESSION_EXPIRED:
            if group is not None:
                self._fail(group, SessionExpired("the server says so", maybe=False))
            self._end(SessionState.EXPIRED, "the session has expired", _expired)
            return
        if isinstance(sent.request, RemoveWatchesRequest) and error == ErrorCode.MARSHALLING_ERROR:
            self._stop_watching_at(sent.request)
        if group is None or not group.is_open:
            return
        group.answers.append(answer)
        if group.watcher is not None:
            self.watches.answered(sent.request, answer.reply, group.watcher)
        if len(group.answers) == len(group.requests):
            self.requests.close(group)
            self._effects.append(Answered(group.ticket, group.answers))
            if isinstance(sent.request, CloseSessionRequest):
                self._end(SessionState.CLOSED, "it was closed", _closed)

    # --- who we are -------------------------------------------------------------------------------------

    def prove(self, now: float, request: AuthRequest) -> None:
        """One more credential, on this connection and on those to come.  It is no group: its answer may
        overtake others, and a server that does not take it ends the connection."""
        self._credentials.append(request)
        if self._phase is Phase.CONNECTED:
            self._send([request], now)

    def _authenticated(self, answer: Answer) -> None:
        if isinstance(answer.reply, ErrorReply):
            self._end(SessionState.CLOSED, "the server does not take the credentials", _not_authenticated)

    # --- time -------------------------------------------------------------------------------------------

    @property
    def _ping_after_s(self) -> float:
        share = PING_AFTER / 4 if self._certainty.by_sync else PING_AFTER
        return min(self.timeout_s * share, PING_AFTER_S)

    def _ping(self, now: float) -> None:
        """With a sync, where that alone proves something: the ping is answered also while nobody leads."""
        self._pings.append(now)
        questions: list[Request] = [PING]
        if self._certainty.by_sync:
            questions.append(SyncRequest(b"/"))
            self.requests.sent_unasked(questions[-1], now)
        self._send(questions, now)

    @property
    def wake(self) -> float | None:
        """When `time_passed` is to be called at the latest; None: not before something else happens."""
        if self._phase is Phase.ENDED:
            return None
        if self._phase is Phase.CONNECTED:
            silent = self._heard_at + self.timeout_s * SILENT_AFTER
            wake = min(silent, self._sent_at + self._ping_after_s)
        else:
            wake = self._phase_until
        deadline = self.requests.next_deadline
        return wake if deadline is None or wake < deadline else deadline

    def time_passed(self, now: float) -> None:
        if self._phase is Phase.ENDED:
            return
        for group in self.requests.overdue(now):
            why = "no answer in time" if group.sent else f"no connection in time: {self.why_lost}"
            self._fail(group, TimedOut(why, maybe=group.sent and not group.repeatable))
        if self._phase is Phase.CONNECTED:
            if now >= self._heard_at + self.timeout_s * SILENT_AFTER:
                self._connection_over(now, "the server is silent")
            elif now >= self._sent_at + self._ping_after_s:
                self._ping(now)
        elif now >= self._phase_until:
            if self._phase is Phase.PAUSING:
                self._dial(now)
            else:
                self._connection_over(now, "no answer to the handshake")

