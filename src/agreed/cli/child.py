"""A command as a child: it and what it starts are one process group, which is signalled and ended as one.

The group is a session of its own.  A terminal then sends Ctrl-C to us alone, we pass it on, and the command
may read from the terminal all the same.  What the command leaves behind when it ends is ended too: it was
started under the lock, and is not to run without.  (A daemon that makes itself a session of its own leaves
the group, and nobody here knows of it.)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

from agreed.cli.warden import POLL_S, signal_group
from agreed.torture.launch import end_with_parent

KILLED: Final = 128
"""What shells say of a command that was ended by a signal: this and its number."""


class Child:
    """Made by `start`.  `group` is the number of its process group."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.group = process.pid

    @classmethod
    async def start(
        cls,
        words: Sequence[str],
        environment: Mapping[str, str],
        given: bytes | None,
        born: Callable[[int], None],
    ) -> Self:
        """`given` is its standard input; None: it has ours.  `born` is called with the number of the group in
        the new process, before that becomes the command: if we told it ourselves, afterwards, and were killed
        in between, nobody would ever end the command.  Raises OSError, or SubprocessError where `born` does.

        To be called on the main thread: when that ends the kernel ends the child (Linux)."""

        def prepare() -> None:
            end_with_parent(signal.SIGTERM)
            born(os.getpid())

        with contextlib.ExitStack() as opened:
            source = None
            if given is not None:
                source = opened.enter_context(tempfile.TemporaryFile())
                source.write(given)
                source.seek(0)
            process = await asyncio.create_subprocess_exec(
                *words,
                env=environment,
                stdin=source,
                start_new_session=True,
                preexec_fn=prepare,
            )
        return cls(process)

    async def ended(self) -> int:
        """Its exit code, as a shell says it."""
        code = await self._process.wait()
        return code if code >= 0 else KILLED - code

    def signal(self, number: int) -> None:
        signal_group(self.group, number)

    async def end(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after `grace_s`; returns when nobody of the group is left."""
        if self._gone():
            return
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # who stands still would not hear the other one
        try:
            async with asyncio.timeout(grace_s):
                await self._until_gone()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._until_gone()

    async def _until_gone(self) -> None:
        while not self._gone():
            await asyncio.sleep(POLL_S)

    def _gone(self) -> bool:
        if self._process.returncode is None:
            return False
        with contextlib.suppress(ChildProcessError):
            # As the first process of a container we inherit what the command has left; a process that has
            # ended is there until its parent asks.
            os.waitpid(-self.group, os.WNOHANG)
        return not signal_group(self.group, 0)
