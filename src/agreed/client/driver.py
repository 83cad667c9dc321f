"""What carries out what a session's machine wants: one socket at a time, one timer, futures and callbacks.

    answers = await driver.ask(request, timeout_s=5.0)

Nothing is decided here.  All that is asked in one turn of the event loop leaves in one packet.
"""
from __future__ import annotations

import asyncio
import logging
import os
import random
import ssl as tls
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from agreed.client.connection import Connection, FromServer
from agreed.client.errors import ClientError, Forked, TimedOut
from agreed.client.machine import (
    Answered,
    Became,
    Dial,
    Effect,
    Failed,
    Greet,
    HangUp,
    Saw,
    Send,
    SessionMachine,
)
from agreed.client.requests import Group
from agreed.client.url import Server
from agreed.client.values import Change, SessionState, WatchKind
from agreed.client.watches import Watcher
from agreed.wire.zookeeper.connection import Answer
from agreed.wire.zookeeper.messages import AuthRequest, Request

LOG: Final = logging.getLogger("agreed.client")

OnState = Callable[[SessionState], None]

Dialer: TypeAlias = Callable[[asyncio.Protocol, Server], Awaitable[None]]
"""Connects this protocol, on the running event loop; raises OSError where nobody is there."""


def seconds() -> float:
    """A clock that goes on while the machine sleeps: so do sessions."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Driver:
    """Starts to connect at once.  `saw` is told which watcher has seen what, at which path of the wire.
    `dial` is another way to a server than by a socket to its host and port."""

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        session_timeout_s: float,
        credentials: Sequence[AuthRequest],
        ssl: tls.SSLContext | None,
        saw: Callable[[Watcher, Change, bytes], None],
        dial: Dialer | None = None,
        by_sync: bool = False,
        alone: bool = False,
    ) -> None:
        order = list(servers)
        random.shuffle(order)  # so that a thousand clients with the same URL do not all go to the first
        self.machine = SessionMachine(order, session_timeout_s, random.random, credentials, by_sync, alone)
        self._ssl = ssl
        self._connect = self._by_socket if dial is None else dial
        self._saw = saw
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._listeners: dict[int, OnState] = {}
        self._listeners_made = 0
        self._changed = asyncio.Event()
        self._connection: tuple[int, Connection] | None = None
        self._dialing: tuple[int, asyncio.Task[None]] | None = None
        self._outgoing: list[Request] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.machine.start(seconds())
        self._carry_out()

    @property
    def is_ours(self) -> bool:
        """This process made it."""
        return os.getpid() == self._process

    def on_state(self, callback: OnState) -> Callable[[], None]:
        """Returns what takes the callback off again."""
        self._listeners_made += 1
        number = self._listeners_made
        self._listeners[number] = callback

        def take_off() -> None:
            self._listeners.pop(number, None)

        return take_off

    async def connected(self, timeout_s: float | None) -> None:
        """Raises TimedOut, and what the end of the session was, if it ends."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.machine.state is not SessionState.CONNECTED:
                    if self.machine.state.final:
                        raise self.machine.ending()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            if isinstance(error, ClientError):
                raise
            raise TimedOut(f"no connection in time: {self.machine.why_lost}", maybe=False) from None

    async def ask(
        self,
        *requests: Request,
        timeout_s: float,
        watcher: Watcher | None = None,
        repeatable: bool = False,
    ) -> Sequence[Answer]:
        """The answers, with their errors in them.  Raises `Unanswered`.  Who is cancelled stops waiting."""
        if not self.is_ours:
            raise Forked()
        now = seconds()
        ticket: asyncio.Future[Sequence[Answer]] = self._loop.create_future()
        group = Group(ticket, requests, now + timeout_s, repeatable=repeatable, watcher=watcher)
        self.machine.ask(now, group)
        self._carry_out()
        try:
            return await ticket
        except asyncio.CancelledError:
            self.machine.abandon(group)
            raise

    def stop_watching(self, watcher: Watcher, path: bytes, kind: WatchKind) -> None:
        self.machine.stop_watching(seconds(), watcher, path, kind)
        self._carry_out()

    def prove(self, request: AuthRequest) -> None:
        self.machine.prove(seconds(), request)
        self._carry_out()

    def abandon(self) -> None:
        """Stop, without a word to the cluster."""
        if self.is_ours:
            self.machine.close()
            self._carry_out()

    # --- what the machine wants -------------------------------------------------------------------------

    def _carry_out(self) -> None:
        for effect in self.machine.take():
            self._do(effect)
        self._set_timer()

    def _do(self, effect: Effect) -> None:
        match effect:
            case Answered(ticket, answers):
                assert isinstance(ticket, asyncio.Future)
                if not ticket.done():
                    ticket.set_result(answers)
            case Send(connection, requests):
                if self._connection is not None and self._connection[0] == connection:
                    if not self._outgoing:
                        self._loop.call_soon(self._flush)
                    self._outgoing += requests
            case Failed(ticket, error):
                assert isinstance(ticket, asyncio.Future)
                if not ticket.done():
                    ticket.set_exception(error)
            case Saw(watcher, change, path):
                self._tell(self._saw, watcher, change, path)
            case Became(state):
                LOG.info("session %#x: %s", self.machine.session_id, state.value)
                self._changed.set()
                for listener in list(self._listeners.values()):
                    self._tell(listener, state)
            case Dial(connection, server):
                self._dialing = connection, self._loop.create_task(self._dial(connection, server))
            case Greet(connection, request):
                if self._connection is not None and self._connection[0] == connection:
                    self._connection[1].greet(request)
            case HangUp(connection, why):
                self._hang_up(connection, why)

    def _tell(self, callback: Callable[..., None], *what: object) -> None:
        """A callback that raises is its own affair, and not that of whoever waits for an answer."""
        try:
            callback(*what)
        except Exception:
            LOG.exception("a callback of a session failed")

    def _flush(self) -> None:
        """One packet for all that was asked in this turn of the loop."""
        outgoing, self._outgoing = self._outgoing, []
        if outgoing and self._connection is not None:
            self._connection[1].send(outgoing)

    async def _dial(self, connection: int, server: Server) -> None:
        def heard(messages: Sequence[FromServer]) -> None:
            self.machine.heard(seconds(), connection, messages)
            self._carry_out()

        def lost(why: str) -> None:
            self.machine.lost(seconds(), connection, f"{server}: {why}")
            self._carry_out()

        made = Connection(heard, lost)
        try:
            await self._connect(made, server)
        except (OSError, UnicodeError) as error:  # the latter: of names that no resolver takes
            self._dialing = None
            lost(str(error))
        except asyncio.CancelledError:
            made.break_off("nobody wants it any more")
            raise
        else:
            self._dialing = None
            self._connection = (connection, made)
            self.machine.dialed(seconds(), connection)
            self._carry_out()

    async def _by_socket(self, made: asyncio.Protocol, server: Server) -> None:
        await self._loop.create_connection(lambda: made, server.host, server.port, ssl=self._ssl)

    def _hang_up(self, connection: int, why: str) -> None:
        if self._connection is not None and self._connection[0] == connection:
            _, made = self._connection
            self._connection = None
            self._outgoing = []
            made.break_off(why)
        elif self._dialing is not None and self._dialing[0] == connection:
            self._dialing[1].cancel()
            self._dialing = None

    def _set_timer(self) -> None:
        """Only ever earlier: a timer that comes too early looks at the time and is set again, which is
        cheaper than a new one for every request."""
        wake = self.machine.wake
        if wake is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        if self._timer is None or wake < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = wake
            self._timer = self._loop.call_later(max(0.0, wake - seconds()), self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        self.machine.time_passed(seconds())
        self._carry_out()
