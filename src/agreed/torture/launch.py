"""A process that ends with the one that started it: run as a program, it asks the kernel for that and becomes
the command it was given.

    Popen(ends_with_us(["agreed", "serve", ...]))

Why a program and not a function that is run in the new process before it becomes the command (`preexec_fn`):
such a process is a copy of ours with one thread only, and what libraries do in it when a copy is made may
meet what their other threads had just begun.  The copy of a process in which grpcio was at work ended by
SIGABRT, without a word, once in some thousand starts.  Without a function no copy is made (vfork), which is
also quicker where ours is large.

It imports nothing of ours, so that it starts within ten milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from typing import Final

_PARENT_DEATH_SIGNAL: Final = 1
"""`PR_SET_PDEATHSIG` of prctl(2)."""

CANNOT_BE_RUN: Final = 127
"""What shells say of such a command."""


def ends_with_us(command: Sequence[str], last_signal: signal.Signals = signal.SIGKILL) -> list[str]:
    """The command to start instead of `command`: it becomes that, in the same process, and the kernel sends
    it `last_signal` when the thread that has started it is gone (Linux; elsewhere it is the same command,
    and whoever started it must end it).  Raises FileNotFoundError where there is no such program."""
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"there is no program {command[0]!r}")
    if sys.platform != "linux":
        return [program, *command[1:]]
    launcher = [sys.executable, "-I", "-S", os.path.abspath(__file__)]
    return [*launcher, str(os.getpid()), str(int(last_signal)), program, *command[1:]]


def end_with_parent(last_signal: signal.Signals = signal.SIGKILL) -> None:
    """The kernel is to send us that signal when the thread that started us is gone (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, last_signal)


def main(parent: str, last_signal: str, *command: str) -> int:
    end_with_parent(signal.Signals(int(last_signal)))
    if os.getppid() != int(parent):
        return CANNOT_BE_RUN  # it was gone before the kernel knew
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return CANNOT_BE_RUN


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
