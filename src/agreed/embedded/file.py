"""file:///DIRECTORY: one durable node, shared by the processes of one machine.

The first process that opens the directory serves it, on a thread of its own, at a Unix socket in there; all
others, and it itself, connect to that.  When it ends, in whatever way, one of those who are connected serves
in its place: the kernel has let go of the lock, the log is on the disk, and sessions are in the log, so that
clients go on with theirs, and what they hold is still theirs.  Nobody decides who that is; the lock does.

    file:///var/lib/app/locks               the directory is made, for its owner alone
    file:///var/lib/app/locks?root=jobs     the same node; `jobs` stands before every key

A process that is stopped (SIGSTOP, a debugger) while it serves stops everybody.  A directory on a network
file system has no lock that can be trusted: keep it on a local disk.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl as tls
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from agreed.backends.zookeeper.backend import ZooKeeperBackend
from agreed.client.url import Server as Address
from agreed.consensus.members import decode_members
from agreed.disk.identity import DirectoryInUse
from agreed.disk.recovery import Recovered
from agreed.embedded.dialled import backend_by, refuse_what_is_for_servers, root_of
from agreed.embedded.lone_node import ANY_TIME_MS
from agreed.embedded.server_thread import LOG, ServerThread
from agreed.errors import AgreedError, ConfigurationError
from agreed.node.config import Config
from agreed.node.listen import ClientProtocol
from agreed.node.shell import Shell
from agreed.node.start import Server

SOCKET: Final = "socket"

LONGEST_SOCKET_PATH: Final = 100
"""Bytes; a little less than any system takes."""

SEGMENT_BYTES: Final = 4 << 20
"""Of a file of the log, which takes its place on the disk when it is made: there may be many such
directories, and most hold a few locks."""

SNAPSHOT_ENTRIES: Final = 20_000
SNAPSHOT_BYTES: Final = 8 << 20
"""Of log between snapshots, and so the most that is read back when another process takes over: everybody
waits for that."""

WAITING: Final = 128
"""How many connections wait to be accepted."""

_URL: Final = re.compile(r"file://(localhost)?(?P<path>/[^?#]*)(\?root=(?P<root>[^?#&]*))?")


@contextmanager
def socket_path(directory: Path) -> Iterator[str]:
    """A name for the socket that is short enough.  Raises ConfigurationError where there is none."""
    path = str(directory / SOCKET)
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        yield path
        return
    if sys.platform != "linux":
        raise ConfigurationError(f"{path}: this system takes no socket with so long a name")
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


class FileServer(Server):
    """A server without peers, whose clients come by the Unix socket of its directory.  The directory is
    locked as long as it lives: nobody else listens there."""

    def __init__(self, config: Config, recovered: Recovered) -> None:
        super().__init__(config, recovered, LOG, owns_process=False)
        identity = recovered.identity
        if identity.cluster and len(decode_members(identity.initial_members).voters) > 1:
            raise ConfigurationError(f"{config.data} belongs to a member of a cluster, which has others")

    async def listen_to_peers(self) -> asyncio.Server | None:
        return None

    async def listen_to_clients(self, shell: Shell, servers: list[asyncio.Server]) -> None:
        directory = Path(self._config.data)
        with socket_path(directory) as path:
            with suppress(FileNotFoundError):
                os.unlink(path)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            os.chmod(path, 0o600)
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        servers.append(
            await loop.create_unix_server(lambda: ClientProtocol(shell), sock=listener, backlog=WAITING)
        )


class FileNode:
    """One directory, as this process sees it.  To be used on any thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        low, high = ANY_TIME_MS
        self._config = Config(
            data=directory,
            zookeeper=None,
            min_session_timeout_ms=low,
            max_session_timeout_ms=high,
            busy_poll_us=0,
            snapshot_entries=SNAPSHOT_ENTRIES,
            snapshot_bytes=SNAPSHOT_BYTES,
        ).check()
        self._lock = threading.Lock()
        self._thread: ServerThread | None = None
        self._users = 0

    def begin_use(self) -> None:
        """Serve, if nobody does.  Raises AgreedError where the directory is not fit for that."""
        with self._lock:
            self._users += 1
        try:
            with suppress(DirectoryInUse):
                self._serve()
        except BaseException:
            self.end_use()
            raise

    def end_use(self) -> None:
        """Whoever is the last in this process lets others serve."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._thread is not None:
                self._thread.stop()
                self._thread = None

    def _serve(self) -> None:
        """Raises AgreedError; DirectoryInUse where another process does."""
        with self._lock:
            if self._users == 0 or (self._thread is not None and self._thread.runs):
                return
            self._thread = None
            thread = ServerThread(self._config, FileServer, SEGMENT_BYTES)
            thread.start()
            self._thread = thread

    async def dial(self, protocol: asyncio.Protocol, _: Address) -> None:
        try:
            await self._connect(protocol)
        except (FileNotFoundError, ConnectionRefusedError):
            try:
                await asyncio.to_thread(self._serve)
            except AgreedError as error:
                raise ConnectionRefusedError(f"nobody serves it: {error}") from error
            await self._connect(protocol)

    async def _connect(self, protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        ours = socket.socket(socket.AF_UNIX)
        try:
            ours.setblocking(False)
            with socket_path(self.directory) as path:
                await loop.sock_connect(ours, path)
            await loop.create_unix_connection(lambda: protocol, sock=ours)
        except BaseException:
            ours.close()
            raise


class FileNodes:
    """All directories of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, FileNode] = {}

    def at(self, directory: Path) -> FileNode:
        """However it is written."""
        real = os.path.realpath(directory)
        with self._lock:
            if real not in self._nodes:
                self._nodes[real] = FileNode(Path(real))
            return self._nodes[real]

    def forked(self) -> None:
        """In the child: its parent serves, and it connects as any other process."""
        self._lock = threading.Lock()
        self._nodes.clear()


_of_this_process: Final = FileNodes()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_of_this_process.forked)


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
    """Raises ConfigurationError for a URL that is none, for a directory of another kind, and for `user`,
    `password` and `ssl`; CorruptData, DiskFailed; TimedOut where the process that serves does not answer."""
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigurationError(f"{url!r} is not file:///DIRECTORY")
    root = root_of(url, unquote(match["root"] or ""))
    refuse_what_is_for_servers(url, user=user, password=password, ssl=ssl)
    node = _of_this_process.at(Path(unquote(match["path"])))
    await asyncio.to_thread(node.begin_use)
    return await backend_by(
        node.dial,
        str(node.directory),
        root=root,
        name="file",
        durable=True,
        shared=True,
        alone=True,
        session_timeout_s=session_timeout_s,
        connect_timeout_s=connect_timeout_s,
        request_timeout_s=request_timeout_s,
        at_end=node.end_use,
    )
