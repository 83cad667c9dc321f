"""A member of a cluster in a Python program: what `agreed serve` runs, on a thread of its own.

    peers = {"n1": "10.0.0.1:7421", "n2": "10.0.0.2:7421", "n3": "10.0.0.3:7421"}
    with agreed.Node("n1", data="/var/lib/app", peers=peers) as node:
        with agreed.connect(node.url) as client:
            ...

and as a URL, for programs that are told by one where their locks are:

    node://n1/var/lib/app?peers=n1=10.0.0.1:7421,n2=10.0.0.2:7421,n3=10.0.0.3:7421&root=jobs

Everything that `agreed serve` has a flag for can be given, under the flag's name with underscores; what is
not given has the flag's default, but for the port of ZooKeeper's clients: that is any free one on loopback
(`Node`), or none (`node://`, whose clients need no socket).  Variables of the environment do not count.
`root` stands before every key of this client.

A member votes as long as its process lives: one that does something else for seconds without giving way to
other threads is taken for dead by the others, and one whose processes come and go is no good member.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl as tls
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from agreed.backends.zookeeper.backend import ZooKeeperBackend
from agreed.client.errors import TimedOut
from agreed.client.url import Server as Address
from agreed.embedded import transport
from agreed.embedded.dialled import backend_by, refuse_what_is_for_servers, root_of
from agreed.embedded.lone_node import ANY_PORT
from agreed.embedded.server_thread import ServerThread
from agreed.errors import ConfigurationError
from agreed.node.config import Config
from agreed.node.listen import ClientProtocol
from agreed.node.loading import load
from agreed.node.start import Server

_URL: Final = re.compile(r"node://(?P<name>[^/?#]+)(?P<data>/[^?#]+)(\?(?P<knobs>[^#]*))?")


class Node:
    """`peers` are all members, with the addresses at which they reach each other; none: a cluster of one.

    Raises ConfigurationError for knobs that there are not, or that contradict each other."""

    def __init__(
        self,
        name: str = "n1",
        *,
        data: str | os.PathLike[str],
        peers: Mapping[str, str] | str | None = None,
        listen: str | None = None,
        zookeeper: str = ANY_PORT,
        **knobs: object,
    ) -> None:
        given = {"name": name, "data": os.fspath(data), "peers": peers, "listen": listen}
        self._config = load({**given, "zookeeper": zookeeper, **knobs}, {})
        self._thread: ServerThread | None = None
        self._server: Server | None = None

    def start(self, timeout: float | None = None) -> None:
        """Returns when it accepts clients: those of a new cluster wait for each other before.  Raises
        TimeoutError, and what is wrong with the directory or an address (`agreed.errors`)."""
        if self._thread is not None and self._thread.runs:
            return
        thread = ServerThread(self._config)
        try:
            self._server = thread.start(timeout)
        except TimeoutError:
            others = ", ".join(name for name in self._config.peers if name != self._config.name)
            raise TimeoutError(
                f"{self._config.name} was not a member within {timeout:g} s; a new cluster begins when all "
                f"of {others or 'it'} are there"
            ) from None
        self._thread = thread

    def stop(self) -> None:
        """Leadership is handed over, what was asked is answered, and it ends.  It may start again."""
        if self._thread is not None:
            self._thread.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def runs(self) -> bool:
        return self._thread is not None and self._thread.runs

    @property
    def failure(self) -> str | None:
        """Why it has ended without `stop`: a disk that failed, say.  None where it has not."""
        return None if self._thread is None else self._thread.failure

    @property
    def url(self) -> str:
        """Of this member, for `agreed.connect`.  Raises ConfigurationError where it does not listen."""
        return f"agreed://{self._address(self._server.of_zookeeper if self._server else [])}"

    @property
    def etcd_address(self) -> str:
        """host:port.  Raises ConfigurationError where it does not listen to clients of etcd."""
        return self._address(self._server.of_etcd if self._server else [])

    def _address(self, addresses: list[str]) -> str:
        if not addresses:
            raise ConfigurationError(f"{self._config.name} does not run, or does not listen there")
        return addresses[0]

    # --- clients of this process ----------------------------------------------------------------------

    async def dial(self, protocol: asyncio.Protocol, _: Address) -> None:
        if self._thread is None or not self._thread.runs:
            raise ConnectionRefusedError(
                f"{self._config.name} does not run: {self.failure or 'it was stopped'}"
            )
        transport.connect(protocol, self._accept, self._thread.loop)

    def _accept(self) -> asyncio.Protocol:
        """On the thread of the node."""
        if self._server is None or self._server.shell is None:
            raise ConnectionRefusedError("it has not begun to serve")
        return ClientProtocol(self._server.shell)

    @property
    def config(self) -> Config:
        return self._config


class SharedNode:
    """That of a URL: one for all in this process who name its directory, while one of them lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._node: Node | None = None
        self._users = 0

    def begin_use(self, wanted: Node, timeout_s: float) -> Node:
        """The one that runs, or `wanted`.  Raises ConfigurationError where one runs that is another."""
        with self._lock:
            node = self._node if self._users and self._node is not None else wanted
            if node.config != wanted.config:
                raise ConfigurationError(
                    f"a node with other settings runs in this process in {wanted.config.data}"
                )
            node.start(timeout_s)
            self._node = node
            self._users += 1
            return node

    def end_use(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._node is not None:
                self._node.stop()


class SharedNodes:
    """Each has its own lock: the founders of a cluster, which wait for each other, may be in one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, SharedNode] = {}

    def at(self, directory: Path) -> SharedNode:
        with self._lock:
            return self._nodes.setdefault(os.path.realpath(directory), SharedNode())

    def forked(self) -> None:
        """In the child: its parent is the member."""
        self._lock = threading.Lock()
        self._nodes.clear()


_of_this_process: Final = SharedNodes()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_of_this_process.forked)


def node_of(url: str) -> tuple[Node, str]:
    """The node, and the root of its client.  Raises ConfigurationError."""
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigurationError(f"{url!r} is not node://NAME/DIRECTORY?KNOB=VALUE&...")
    knobs: dict[str, object] = {"zookeeper": "off"}
    root = ""
    for part in filter(None, (match["knobs"] or "").split("&")):
        knob, _, value = part.partition("=")
        if knob == "root":
            root = root_of(url, unquote(value))
        elif knob in ("name", "data"):
            raise ConfigurationError(f"{url!r}: {knob} stands before the question mark")
        else:
            knobs[knob] = unquote(value)
    node = Node(unquote(match["name"]), data=unquote(match["data"]), **knobs)  # type: ignore[arg-type]
    return node, root


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
    """The member starts with the first client, and ends with the last.  Raises ConfigurationError for a URL
    that is none and for `user`, `password` and `ssl`; TimedOut where the other members are not there;
    CorruptData, DiskFailed."""
    wanted, root = node_of(url)
    refuse_what_is_for_servers(url, user=user, password=password, ssl=ssl)
    shared = _of_this_process.at(wanted.config.data)
    try:
        node = await asyncio.to_thread(shared.begin_use, wanted, connect_timeout_s)
    except TimeoutError as error:
        raise TimedOut(str(error), maybe=False) from error
    return await backend_by(
        node.dial,
        wanted.config.name,
        root=root,
        name="node",
        durable=True,
        shared=True,
        alone=False,
        session_timeout_s=session_timeout_s,
        connect_timeout_s=connect_timeout_s,
        request_timeout_s=request_timeout_s,
        at_end=shared.end_use,
    )
