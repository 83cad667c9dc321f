"""memory://NAME: a node in this process, for everybody in it who uses the name.

    memory://jobs               memory://jobs/app          the same node, below /app          memory://

It begins, empty, when the name is first used, and ends with the process.  What it says is what a server would
say; what it cannot is to be shared with other processes, and to survive.

The nodes live on the thread on which all synchronous clients of this process live already.  On the event loop
of whoever asked first they would end with that loop, as each `asyncio.run` does, and the locks of everybody
else with them.  So a synchronous client speaks with its node on one loop, and one on another loop pays for a
change of threads each way.

A process that was forked has none of the threads, and begins anew; but not with a name that its parent has
used.  Two processes would else each hold "the" lock, and nobody would ever tell them.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl as tls
import threading
import time
from typing import Final

from agreed.backends.zookeeper.backend import ZooKeeperBackend
from agreed.client import loop_thread
from agreed.client.url import Server
from agreed.embedded import transport
from agreed.embedded.dialled import backend_by, refuse_what_is_for_servers
from agreed.embedded.lone_node import LoneNode
from agreed.errors import ConfigurationError

_URL: Final = re.compile(r"memory://(?P<name>[^/?#]*)(?P<root>(/[^/?#]+)*)/?")


class MemoryNode:
    """One name.  The node begins with its first client."""

    def __init__(self, thread: loop_thread.LoopThread) -> None:
        self._thread = thread
        self._node: LoneNode | None = None
        self._cut = False

    async def dial(self, protocol: asyncio.Protocol, _: Server) -> None:
        if self._cut:
            raise ConnectionRefusedError("it was cut off")
        transport.connect(protocol, self._accept, self._thread.loop)

    def _accept(self) -> asyncio.Protocol:
        """On the thread of the nodes."""
        if self._node is None:
            self._node = LoneNode()
        return self._node.accept()

    # --- for whoever wants to see what its users do then ------------------------------------------------

    def cut(self) -> None:
        """Every connection breaks, and nobody reaches it before `mend`: sessions end with their time."""
        self._cut = True
        if self._node is not None:
            self._thread.loop.call_soon_threadsafe(self._node.drop_clients)

    def mend(self) -> None:
        self._cut = False

    def stand_still(self, seconds: float) -> None:
        """It does nothing for that long, nor do the synchronous clients of this process."""
        self._thread.loop.call_soon_threadsafe(time.sleep, seconds)


class MemoryNodes:
    """All names of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, MemoryNode] = {}
        self._of_parent: set[str] = set()

    def named(self, name: str) -> MemoryNode:
        """Raises ConfigurationError where it is that of another process."""
        with self._lock:
            if name in self._of_parent:
                raise ConfigurationError(
                    f"memory://{name} belongs to the process of which this one is a fork: nothing of it is "
                    f"shared; use file:// for that, or another name for a store of its own"
                )
            if name not in self._nodes:
                self._nodes[name] = MemoryNode(loop_thread.shared())
            return self._nodes[name]

    def forked(self) -> None:
        """In the child; another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._of_parent |= self._nodes.keys()
        self._nodes.clear()


_of_this_process: Final = MemoryNodes()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_of_this_process.forked)


def node_named(name: str) -> MemoryNode:
    """That of memory://NAME in this process."""
    return _of_this_process.named(name)


async def connect(
    url: str,
    *,
    session_timeout_s: float = 10.0,
    connect_timeout_s: float = 15.0,
    request_timeout_s: float = 15.0,
    user: str | None = None,
    password: str | None = None,
    ssl: tls.SSLContext | None = None,
) -> ZooKeeperBackend:
    """Raises ConfigurationError for a URL that is none, for a name of the parent process, and for `user`,
    `password` and `ssl`."""
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigurationError(f"{url!r} is not memory://NAME or memory://NAME/ROOT")
    refuse_what_is_for_servers(url, user=user, password=password, ssl=ssl)
    name = match["name"]
    return await backend_by(
        _of_this_process.named(name).dial,
        f"memory://{name}",
        root=match["root"],
        name="memory",
        durable=False,
        shared=False,
        alone=True,
        session_timeout_s=session_timeout_s,
        connect_timeout_s=connect_timeout_s,
        request_timeout_s=request_timeout_s,
    )
