"""A second process that ends a command whose lock nobody vouches for any more.

    warden = Warden(grace_s=5.0)            before there are threads and an event loop: it is a fork
    warden.vouch(group, until)              the process group `group` may run until then (`seconds()`)
    warden.settle()                         it is gone, all of it

It ends when whoever made it has ended.

Whoever holds the lock ends the command himself, as long as he runs.  But he may be killed, by an operator or
for want of memory, and he may stand still (SIGSTOP, a debugger, a full swap) while the command does not; then
somebody else is given the lock.  This process knows until when the lock is certain, and needs nobody to tell
it that this is over: no word from the holder is a word as well.

It is in a session of its own, so that what a terminal sends to everybody in front of it does not stop both.
Against being killed itself at the same time as the holder it can do nothing; the direct child then gets
SIGTERM from the kernel (Linux), and what is fenced with the token is safe in any case.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import time
from typing import Final

from agreed.client.driver import seconds
from agreed.errors import AgreedError

LOOK_EVERY_S: Final = 0.25
"""A machine that slept wakes with its timers where they were: the clock has to be looked at."""

POLL_S: Final = 0.02

_WORD: Final = struct.Struct("!qd")
"""Process group and time; short enough to be written as a whole or not at all (`PIPE_BUF`)."""


class WardenGone(AgreedError):
    """Somebody has ended the process that would end the command."""


def signal_group(group: int, number: int) -> bool:
    """False: there is nobody in it any more.  Number 0 only asks."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody is there, and has become another user
    return True


class Warden:
    """`grace_s`: how long a group has between SIGTERM and SIGKILL."""

    def __init__(self, grace_s: float) -> None:
        reading, self._pipe = os.pipe()
        if not os.fork():
            try:
                os.close(self._pipe)
                _watch(reading, grace_s)
            finally:
                os._exit(0)
        os.close(reading)
        os.set_blocking(self._pipe, False)

    def vouch(self, group: int, until: float) -> None:
        """Raises WardenGone."""
        try:
            os.write(self._pipe, _WORD.pack(group, until))
        except BlockingIOError:
            pass  # it stands still, and will read all of this when it goes on
        except BrokenPipeError as error:
            raise WardenGone("the process that watches over the command is gone") from error

    def settle(self) -> None:
        self.vouch(0, 0.0)


def _watch(pipe: int, grace_s: float) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # its end is that of the pipe
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    group, until = 0, 0.0
    while True:
        ready, _, _ = select.select([pipe], [], [], LOOK_EVERY_S if group else None)
        if ready:
            words = os.read(pipe, 4096 * _WORD.size)
            if not words:
                break
            group, until = _WORD.unpack(words[-_WORD.size :])
        if group and seconds() >= until:
            _end(group, grace_s)
            group = 0
    if group:
        _end(group, grace_s)


def _end(group: int, grace_s: float) -> None:
    signal_group(group, signal.SIGTERM)
    signal_group(group, signal.SIGCONT)
    over = time.monotonic() + grace_s
    while signal_group(group, 0) and time.monotonic() < over:
        time.sleep(POLL_S)
    signal_group(group, signal.SIGKILL)
