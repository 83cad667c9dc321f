"""Sessions are leases, renewed over one stream for all of them.

    session = await keeper.open(10.0)           a lease is granted
    session.remaining_s()                       so long it lives for certain

What is certain is counted from when the last renewal that was answered was *sent*: the server has given the
lease its whole time later than that.  Its clock may run faster than ours, by `CLOCK_RATE_BOUND` at most.
Nothing is added up by timers: a process that was stopped for a minute finds, when it goes on, that the time
is over, before any timer has run.  Once it is over the session has ended, even if an answer came after all:
whoever asked in between was told so.

Every quarter of its time a session is renewed; where the renewal before has not been answered by then, the
server is left for another and all sessions are renewed there at once, which leaves time to try two more.

No etcd ends a lease before its time, and a new leader gives each its whole time again.  A leader that was
deposed and does not know could answer renewals which the new one knows nothing of (etcd before 3.4.29 and
3.5.11 does not ask its followers first); it stops to lead within an election timeout, and by so much more the
new leader lets leases live.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final

from agreed.backends.etcd.calls import Calls, failure
from agreed.client.certainty import CLOCK_RATE_BOUND
from agreed.client.driver import seconds
from agreed.client.errors import AuthenticationFailed, ClientError, Unanswered
from agreed.client.etcd_channel import CallFailed, EtcdStream
from agreed.errors import ConfigurationError
from agreed.wire.etcd.messages import (
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseRevokeRequest,
)

LOG: Final = logging.getLogger("agreed.backends")

TTL_S: Final = (2.0, 9_000_000_000.0)
"""The shortest that an etcd with its usual election timeout grants, and the longest that any does."""

RENEW_AFTER: Final = 1 / 4
"""Of the session's time."""

PAUSE_S: Final = (0.02, 0.5)
"""After a stream was lost: the first pause and the longest; it doubles."""

_GRANT: Final = "/etcdserverpb.Lease/LeaseGrant"
_REVOKE: Final = "/etcdserverpb.Lease/LeaseRevoke"
_KEEP_ALIVE: Final = "/etcdserverpb.Lease/LeaseKeepAlive"

NEEDS_A_LEADER: Final = {"hasleader": "true"}
"""A server that is cut off from the others ends the stream, rather than say nothing on it."""


class EtcdSession:
    """See `contract.Session`.  Made by `Keeper.open`."""

    def __init__(self, keeper: Keeper, lease: int, ttl_s: float, sent_at: float) -> None:
        self._keeper = keeper
        self._lease = lease
        self._ttl_s = ttl_s
        self._lives_until = sent_at + ttl_s * (1 - CLOCK_RATE_BOUND)
        self._renew_at = sent_at + ttl_s * RENEW_AFTER
        self._unanswered: deque[float] = deque()
        self._over = False
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._callbacks_made = 0
        self._timer: asyncio.TimerHandle | None = None
        self._set_timer()

    @property
    def id(self) -> int:
        return self._lease

    @property
    def ttl_s(self) -> float:
        return self._ttl_s

    @property
    def ended(self) -> bool:
        return self.remaining_s() <= 0

    def remaining_s(self) -> float:
        if self._over or not self._keeper.calls.is_ours:
            return 0.0
        return max(0.0, self._lives_until - seconds())

    def on_end(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks_made += 1
        number = self._callbacks_made
        self._callbacks[number] = callback
        if self.ended:
            self._end()

        def take_off() -> None:
            self._callbacks.pop(number, None)

        return take_off

    async def close(self) -> None:
        if self._over or not self._keeper.calls.is_ours:
            return
        self._end()
        await self._keeper.revoke(self._lease, self._ttl_s)

    # --- for the keeper alone ---------------------------------------------------------------------------

    def new_stream(self) -> None:
        """Nothing that was said on another one will be answered."""
        self._unanswered.clear()
        self._renew()

    def answered(self, ttl_s: float) -> None:
        """Answers come in the order of the questions; where one was left out, we count from an older one."""
        if not self._unanswered:
            return
        sent_at = self._unanswered.popleft()
        if ttl_s <= 0:
            self._end()
        if self.ended:
            return
        self._lives_until = max(self._lives_until, sent_at + ttl_s * (1 - CLOCK_RATE_BOUND))

    def _renew(self) -> None:
        now = seconds()
        self._renew_at = now + self._ttl_s * RENEW_AFTER
        if self._keeper.renew(self._lease):
            self._unanswered.append(now)

    # --- time -------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        wait_s = min(self._renew_at, self._lives_until) - seconds()
        # Its clock stands still while the machine sleeps, and ours does not: it looks again now and then.
        self._timer = asyncio.get_running_loop().call_later(min(max(0.0, wait_s), 60.0), self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        if self.ended:
            self._end()
            self._keeper.calls.in_background(self._keeper.revoke(self._lease, self._ttl_s))
            return
        if seconds() >= self._renew_at:
            if self._unanswered:
                self._renew_at = seconds() + self._ttl_s * RENEW_AFTER
                self._keeper.unanswered()
            else:
                self._renew()
        self._set_timer()

    def _end(self) -> None:
        """Once and for all; a callback that raises is its own affair."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._keeper.forget(self._lease)
        callbacks, self._callbacks = self._callbacks, {}
        for callback in callbacks.values():
            try:
                callback()
            except Exception:
                LOG.exception("a callback of a session failed")


class Keeper:
    """All sessions of a backend, and the stream that renews them."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._sessions: dict[int, EtcdSession] = {}
        self._stream: EtcdStream | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, ttl_s: float) -> EtcdSession:
        """See `contract.Backend.open_session`."""
        if not TTL_S[0] <= ttl_s <= TTL_S[1]:
            raise ConfigurationError(f"a session of an etcd lives {TTL_S[0]:g} to {TTL_S[1]:g} s: {ttl_s!r}")
        ends_at = seconds() + self.calls.request_timeout_s
        while True:
            self.calls.raise_if_unusable()
            # An id of our own: where no answer comes we know what to revoke, and try with another.
            lease = secrets.randbelow(2**63 - 1) + 1
            sent_at = seconds()
            request = LeaseGrantRequest(TTL=math.ceil(ttl_s), ID=lease)
            try:
                reply = await self.calls.once(_GRANT, request, "a session", timeout_s=ends_at - sent_at)
            except BaseException as error:
                if not isinstance(error, ClientError) or error.maybe:
                    self.calls.in_background(self.revoke(lease, ttl_s))
                if not isinstance(error, Unanswered) or seconds() + PAUSE_S[1] >= ends_at:
                    raise
                await asyncio.sleep(PAUSE_S[1])
                continue
            session = EtcdSession(self, lease, float(reply.TTL), sent_at)
            self._sessions[lease] = session
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._keep())
            return session

    async def revoke(self, lease: int, ttl_s: float) -> None:
        """As far as the server can be told, before it is over by itself.  Goes on when whoever waits is
        cancelled."""
        await asyncio.shield(self.calls.in_background(self._revoke(lease, ttl_s)))

    async def _revoke(self, lease: int, ttl_s: float) -> None:
        with contextlib.suppress(CallFailed):
            await self.calls.channel.call(
                _REVOKE,
                LeaseRevokeRequest(ID=lease),
                timeout_s=min(self.calls.request_timeout_s, ttl_s),
                repeatable=True,
            )

    async def close(self) -> None:
        await asyncio.gather(*[session.close() for session in list(self._sessions.values())])
        if self._task is not None:
            self._task.cancel()

    # --- for sessions alone -----------------------------------------------------------------------------

    def forget(self, lease: int) -> None:
        self._sessions.pop(lease, None)

    def renew(self, lease: int) -> bool:
        """False: there is no stream at present; on the next one every session is renewed at once."""
        if self._stream is None:
            return False
        self._stream.send(LeaseKeepAliveRequest(ID=lease))
        return True

    def unanswered(self) -> None:
        """The server of the stream says nothing, and there is still time for another."""
        if self._stream is not None:
            self.calls.channel.give_up(self._stream)

    # --- the stream -------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        pause_s = PAUSE_S[0]
        while True:
            stream = await self._begin()
            if stream is not None:
                self._stream = stream
                for session in list(self._sessions.values()):
                    session.new_stream()
                if await self._listen(stream):
                    pause_s = PAUSE_S[0]
                self._stream = None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S[1])

    async def _begin(self) -> EtcdStream | None:
        soonest_s = min((session.ttl_s for session in self._sessions.values()), default=10.0)
        try:
            return await self.calls.channel.stream(
                _KEEP_ALIVE, timeout_s=max(1.0, soonest_s * RENEW_AFTER), metadata=NEEDS_A_LEADER
            )
        except CallFailed as error:
            if isinstance(failure(error, "sessions", changes=False), AuthenticationFailed):
                LOG.warning("sessions cannot be renewed: %s", error)
            return None

    async def _listen(self, stream: EtcdStream) -> bool:
        """Until its end.  Whether there was any answer."""
        heard = False
        try:
            while (answer := await stream.receive()) is not None:
                assert isinstance(answer, LeaseKeepAliveResponse)
                heard = True
                session = self._sessions.get(answer.ID)
                if session is not None:
                    session.answered(answer.TTL)
        except CallFailed as error:
            self.calls.channel.give_up(stream, error)
        finally:
            stream.close()
        return heard
