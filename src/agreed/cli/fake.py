"""`agreed serve --fake`: the servers of `agreed.testing` for tests in other languages.

The first line of its output is the address.  After that it is told what to do by lines of its input, one
command each, and answers each with one line: `ok`, perhaps with what was asked for, or `error` and why.

    advance SECONDS                             time passes
    reset                                       empty, without clients and faults
    drop|lose-reply|fail|delay REQUEST [KEY]    the next such request (`*`: whichever)
    release                                     what is delayed goes on; no fault waits any more
    expire|silence [SESSION]                    a session or lease is over; its client renews nothing any more
    sessions                                    their numbers
    disconnect, pause, resume                   connections break; the server stands still
    contents                                    all keys and their values, as JSON (values in base64)
    assert-no-leaked-watches, assert-no-ephemerals-left, assert-linearizable

It ends with its input, or as any program does.  So a test that dies leaves no server behind.
"""

from __future__ import annotations

import base64
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from agreed.errors import AgreedError

if TYPE_CHECKING:
    from agreed.testing import Fault, Server

KINDS: Final = ("zookeeper", "etcd")


def serve_fake(kind: str, port: int) -> None:
    """Until the end of the input.  Raises ConfigurationError where the port is taken."""
    # Imported here: a node that serves has no use for them.
    from agreed.testing.server import EtcdServer, ZooKeeperServer

    server = (EtcdServer if kind == "etcd" else ZooKeeperServer)(port=port)
    try:
        print(server.address, flush=True)
        for answer in Dialogue(server).answers(sys.stdin):
            print(answer, flush=True)
    finally:
        server.close()


class Dialogue:
    """What is said to one server, and what it answers."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting: list[Fault] = []
        faults = server.faults
        self._commands: Mapping[str, Callable[..., object]] = {
            "advance": lambda seconds: server.clock.advance(float(seconds)),
            "reset": server.reset,
            "drop": self._meeting(faults.drop),
            "lose-reply": self._meeting(faults.lose_reply),
            "fail": self._meeting(faults.fail),
            "delay": self._meeting(faults.delay),
            "release": self._release,
            "expire": lambda session=None: faults.expire(_session(session)),
            "silence": lambda session=None: faults.silence(_session(session)),
            "sessions": lambda: " ".join(map(str, server.sessions())),
            "disconnect": faults.disconnect,
            "pause": faults.pause,
            "resume": faults.resume,
            "contents": self._contents,
            "assert-no-leaked-watches": lambda: server.assert_no_leaked_watches(),
            "assert-no-ephemerals-left": server.assert_no_ephemerals_left,
            "assert-linearizable": server.assert_linearizable,
        }

    def answers(self, lines: Iterable[str]) -> Iterable[str]:
        for line in lines:
            if words := line.split():
                yield self.answer(words)

    def answer(self, words: list[str]) -> str:
        name, *arguments = words
        command = self._commands.get(name)
        if command is None:
            return f"error no command is called {name!r}: {' '.join(sorted(self._commands))}"
        try:
            inspect.signature(command).bind(*arguments)
        except TypeError as error:
            return f"error {name}: {error}"
        try:
            told = command(*arguments)
        except (AgreedError, AssertionError, ValueError) as error:
            return f"error {' '.join(str(error).split())}"
        return f"ok {told}" if told else "ok"

    def _meeting(self, fault: Callable[..., Fault]) -> Callable[..., None]:
        def ask_for(request: str, key: str | None = None) -> None:
            asked = None if request == "*" else request.replace("-", "_")
            self._waiting.append(fault(asked, key=key))

        return ask_for

    def _release(self) -> None:
        waiting, self._waiting = self._waiting, []
        for fault in waiting:
            fault.release()

    def _contents(self) -> str:
        values = self._server.contents().items()
        return json.dumps(
            {key: None if value is None else base64.b64encode(value).decode() for key, value in values}
        )


def _session(session: str | None) -> int | None:
    return None if session is None else int(session, 0)
