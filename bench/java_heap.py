"""What a Java process really holds: its heap after a full collection.

A JVM's resident memory says how much it was allowed to take, not how much it needs, so both are reported.
The JDK's `jcmd` would tell, but a server has only the runtime; so this speaks the few bytes of HotSpot's
attach protocol itself: a file `.attach_pidN` and SIGQUIT make the JVM listen on `/tmp/.java_pidN`, and each
connection there carries one command.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

from bench.generator import CannotMeasure

PROTOCOL_VERSION = b"1"
ARGUMENTS = 3
PATIENCE_S = 10.0


def live_heap_kib(pid: int) -> int:
    """Collects all garbage first, which stops the process for a moment.  Raises CannotMeasure."""
    command(pid, "GC.run")
    text = command(pid, "GC.heap_info")
    used = re.search(r"total \d+K, used (\d+)K", text)
    if used is None:
        raise CannotMeasure(f"cannot read the heap of the JVM {pid} in: {text[:200]}")
    return int(used[1])


def command(pid: int, name: str) -> str:
    """One diagnostic command, as `jcmd PID NAME` would give it.  Raises CannotMeasure."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(_listening(pid)))
            words = [PROTOCOL_VERSION, b"jcmd", name.encode(), *[b""] * (ARGUMENTS - 1)]
            connection.sendall(b"".join(word + b"\0" for word in words))
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
    except OSError as error:
        raise CannotMeasure(f"the JVM {pid} does not answer: {error}") from error
    code, _, text = answer.decode(errors="replace").partition("\n")
    if code != "0":
        raise CannotMeasure(f"the JVM {pid} refused {name}: {text[:200]}")
    return text


def _listening(pid: int) -> Path:
    path = Path(f"/tmp/.java_pid{pid}")
    if path.is_socket():
        return path
    request = Path(f"/tmp/.attach_pid{pid}")
    request.touch(mode=0o600)
    try:
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + PATIENCE_S
        while not path.is_socket():
            if time.monotonic() > deadline:
                raise CannotMeasure(f"the JVM {pid} does not open its attach socket")
            time.sleep(0.05)
    finally:
        request.unlink(missing_ok=True)
    return path
