"""What a node does before its first step, and after its last.

    recover        the data directory: identity, log, newest snapshot (or a clear refusal)
    found          a fresh node: hear all founders, or be told by a member; nothing is promised before
    serve          consensus, store and clients, until SIGTERM or a failed disk

Exit codes: 0 after SIGTERM or SIGINT; 74 (EX_IOERR) when the disk failed; 78 (EX_CONFIG) for a data directory
or configuration that must not be started.
"""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from agreed.consensus import protocols
from agreed.consensus.machine import SnapshotMark
from agreed.consensus.members import Member, Members, decode_members, encode_members
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.vr.config import VrConfig
from agreed.consensus.zab.config import ZabConfig
from agreed.disk.files import RealFiles, RealLock
from agreed.disk.identity import write_identity
from agreed.disk.recovery import Recovered, recover
from agreed.disk.wal import SEGMENT_SIZE
from agreed.errors import AgreedError, ConfigurationError, DiskFailed
from agreed.node import clock, telemetry
from agreed.node.atomic_recovery import atomic_recovery
from agreed.node.config import Config
from agreed.node.descriptors import as_many_as_allowed, as_many_as_there_are, for_clients
from agreed.node.dial import Peers
from agreed.node.etcd_knobs import client_urls, etcd_settings
from agreed.node.listen import ClientProtocol, EtcdProtocol, PeerProtocol, listen_at, with_its_port
from agreed.node.shell import Shell
from agreed.node.tls import ALPN_ETCD, CertificateFiles, PeerTls, of_peers, of_server
from agreed.node.values import split_address
from agreed.replica.etcd import gateway  # noqa: F401 - a leader does not load it while others wait
from agreed.replica.founding import Founding
from agreed.replica.reconfiguration import server_number
from agreed.replica.replica import Replica
from agreed.replica.settings import Settings
from agreed.replica.words import Surroundings
from agreed.store.machine import Restorer, Store
from agreed.types import NodeId
from agreed.wire.peer.messages import PROTOCOL_VERSION, Hello, HelloReply
from agreed.wire.zookeeper.jaas import digest_users

EXIT_DISK_FAILED = 74
EXIT_REFUSED = 78

NO_MEMBERS = Members(())


def serve(config: Config) -> int:
    """Runs a node until it is told to stop; returns the exit code."""
    log = telemetry.log("node")
    # A million records must not be looked at again and again: what lives long is untracked or frozen, and
    # the collector's full runs, which would stop the node for tens of milliseconds, become rare.
    gc.set_threshold(50_000, 20, 1_000)
    try:
        recovered = recovered_by(config)
    except DiskFailed as error:
        log.error(str(error))
        return EXIT_DISK_FAILED
    except AgreedError as error:
        log.error(str(error))
        return EXIT_REFUSED
    try:
        for repair in recovered.repairs:
            log.warning(repair)
        return uvloop.run(_until_signalled(Server(config, recovered, log)))
    except AgreedError as error:
        log.error(str(error))
        return EXIT_REFUSED
    finally:
        recovered.close()


def recovered_by(config: Config, segment_bytes: int = SEGMENT_SIZE) -> Recovered:
    return recover(
        Path(config.data),
        RealFiles(),
        name=config.name,
        fresh_identity=int.from_bytes(os.urandom(8), "big") >> 1 or 1,
        consensus=config.consensus,
        segment_size=segment_bytes,
    )


async def _until_signalled(server: Server) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.request_stop)
    return await server.run()


class Server:
    """One node from its data directory on.  `owns_process`: nothing else is done in it."""

    def __init__(
        self, config: Config, recovered: Recovered, log: telemetry.Log, *, owns_process: bool = True
    ) -> None:
        self.serves = asyncio.Event()
        """It is a member, and accepts clients."""
        self.of_zookeeper: list[str] = []
        """Where their clients connect, without TLS."""
        self.of_etcd: list[str] = []
        self.shell: Shell | None = None
        self._owns_process = owns_process
        self._listeners: list[asyncio.Server] = []
        self._config = config
        self._recovered = recovered
        self._log = log
        self._boot = int.from_bytes(os.urandom(8), "big") >> 1
        self._front: _FoundingShell | Shell | None = None
        self._stop = asyncio.Event()
        # First of all: who cannot read a file, lacks a library, or was given a knob that makes no sense must
        # not have founded a cluster before.
        self._recovery = atomic_recovery(config)
        self._settings = settings(config)
        self._zookeeper_tls = self._tls_for_clients() if config.zookeeper_tls is not None else None
        self._etcd_tls = self._tls_for_clients(ALPN_ETCD) if config.etcd_tls is not None else None
        peer = config.peers.get(config.name)
        address = peer.address if peer else config.listen_address
        client_address = (peer.client_address if peer else "") or config.zookeeper or ""
        self._me = Member(config.name, recovered.identity.identity, address, client_address)
        certificate, key, authority = config.peer_tls
        self._peer_tls = PeerTls(None, None)
        if certificate is not None and key is not None:
            self._peer_tls = of_peers(CertificateFiles(certificate, key, authority), self._write_log)

    def _write_log(self, level: str, sentence: str) -> None:
        write: Callable[[str], None] = getattr(self._log, "error" if level == "critical" else level)
        write(sentence)

    async def run(self) -> int:
        """Until `request_stop`, or a failure of the disk; returns the exit code.  Raises AgreedError."""
        listener = await self.listen_to_peers()
        if listener is not None:
            self._listeners.append(listener)
        try:
            cluster, founders = await self._membership()
            if self._stop.is_set():
                return 0
            self._keep_identity(cluster, founders)
            return await self._serve(founders)
        finally:
            if listener is not None:
                listener.close()

    def request_stop(self) -> None:
        """On the event loop: leadership is handed over, what was asked is answered, and `run` returns."""
        self._stop.set()

    def descriptors(self) -> list[int]:
        """Numbers of the files that others could see if this process ended and a fork of it did not: the lock
        and the sockets."""
        lock = self._recovered.lock
        found = [lock.fileno()] if isinstance(lock, RealLock) else []
        for listener in self._listeners:
            found += [each.fileno() for each in listener.sockets]
        if self.shell is not None:
            transports = [client.transport for client in self.shell.clients]
            transports += [peer.transport for peer in self.shell.peer_protocols]
            found += [each.get_extra_info("socket").fileno() for each in transports if each is not None]
        return [number for number in found if number >= 0]

    async def listen_to_peers(self) -> asyncio.Server | None:
        return await listen_at(
            lambda: PeerProtocol(self._front),  # type: ignore[arg-type]
            self._config.listen_address,
            self._peer_tls.accepting,
        )

    async def _membership(self) -> tuple[int, Members]:
        identity = self._recovered.identity
        if identity.cluster:
            return identity.cluster, decode_members(identity.initial_members)
        names = frozenset(self._config.peers) or frozenset({self._config.name})
        founding = Founding(self._me, names, self._config.join, self._config.consensus)
        if founding.result is not None:
            return founding.result
        front = self._front = _FoundingShell(
            self._config, self._me, founding, self._boot, self._peer_tls.dialling, self._write_log
        )
        front.start()
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait(
            {stop, asyncio.ensure_future(front.done.wait())}, return_when=asyncio.FIRST_COMPLETED
        )
        front.close()
        if founding.result is None:
            return 0, NO_MEMBERS
        return founding.result

    def _keep_identity(self, cluster: int, founders: Members) -> None:
        """Durable before the first vote: a node that has promised anything knows to whom."""
        if self._recovered.identity.cluster == cluster:
            return
        identity = msgspec.structs.replace(
            self._recovered.identity, cluster=cluster, initial_members=encode_members(founders)
        )
        write_identity(Path(self._config.data), RealFiles(), identity)
        self._recovered.identity = identity
        self._log.info(f"belongs to the cluster {cluster:016x}")

    def _replica(self, founders: Members) -> Replica:
        config, recovered = self._config, self._recovered
        store = restored_store(recovered)
        now = clock.now()
        mark = recovered.snapshot.mark if recovered.snapshot else SnapshotMark(0, 0, founders)
        machine = protocols.make(
            consensus_config(config),
            config.name,
            founders,
            recovered.ballot,
            mark,
            recovered.entries,
            clock.SystemDice(),
            now,
            recovered.identity.identity,
        )
        return Replica(
            config.name,
            recovered.identity.identity,
            recovered.identity.life,
            msgspec.structs.replace(self._settings, cluster=recovered.identity.cluster),
            machine,
            store,
            mark.index,
            clock.entropy,
            surroundings(Path(config.data)),
            now,
            clock.wall_ms(),
        )

    async def _serve(self, founders: Members) -> int:
        config = self._config
        replica = self._replica(founders)
        addresses = {name: peer.address for name, peer in config.peers.items()}
        files = as_many_as_allowed() if self._owns_process else as_many_as_there_are()
        shell = Shell(
            replica,
            self._recovered,
            self._me,
            founders,
            self._boot,
            addresses,
            (for_clients(files, config.max_connections), config.max_connections_per_ip),
            config.busy_poll_us,
            config.lease_reads,
            self._peer_tls.dialling,
            self._write_log,
            owns_process=self._owns_process,
        )
        self._front = self.shell = shell
        if self._owns_process:
            gc.collect()
            gc.freeze()
        shell.start()
        servers: list[asyncio.Server] = []
        recovery = self._recovery
        try:
            await self.listen_to_clients(shell, servers)
            self._listeners += servers
            self.serves.set()
            if recovery is not None:
                recovery.start()
            stop = asyncio.ensure_future(self._stop.wait())
            stopped = asyncio.ensure_future(shell.stopped.wait())
            await asyncio.wait({stop, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if recovery is not None:
                recovery.stop()
            for server in servers:
                server.close()
            if not stopped.done():
                shell.request_stop()
                await stopped
        finally:
            await shell.close()
        return shell.exit_code

    async def listen_to_clients(self, shell: Shell, servers: list[asyncio.Server]) -> None:
        config = self._config

        async def listen(
            protocol: type[ClientProtocol], address: str | None, context: ssl.SSLContext | None = None
        ) -> list[str]:
            if address is None:
                return []
            servers.append(await listen_at(lambda: protocol(shell), address, context))
            return [with_its_port(address, servers[-1])]

        self.of_zookeeper = await listen(ClientProtocol, config.zookeeper)
        await listen(ClientProtocol, config.zookeeper_tls, self._zookeeper_tls)
        self.of_etcd = await listen(EtcdProtocol, config.etcd)
        of_etcd_tls = await listen(EtcdProtocol, config.etcd_tls, self._etcd_tls)
        if of_etcd := [*self.of_etcd, *of_etcd_tls]:
            there = replace(config, etcd="".join(self.of_etcd) or None, etcd_tls="".join(of_etcd_tls) or None)
            shell.replica.settings = msgspec.structs.replace(
                shell.replica.settings, etcd_client_urls=client_urls(there)
            )
            self._log.info(f"ready to serve client requests of etcd at {' and '.join(of_etcd)}")
        where = "".join(self.of_zookeeper) or "nowhere"
        self._log.info(f"{config.name} is up; ZooKeeper clients connect to {where}")

    def _tls_for_clients(self, alpn: Sequence[str] = ()) -> ssl.SSLContext:
        certificate, key = self._config.tls_certificate, self._config.tls_key
        assert certificate is not None
        assert key is not None
        return of_server(CertificateFiles(certificate, key, self._config.tls_ca), self._write_log, alpn)


class _FoundingShell:
    """Stands in the place of the shell while the node does not yet know its cluster: it only says hello."""

    def __init__(
        self,
        config: Config,
        me: Member,
        founding: Founding,
        boot: int,
        peer_tls: ssl.SSLContext | None,
        log: Callable[[str, str], None],
    ) -> None:
        self.log = log
        self.done = asyncio.Event()
        self.peer_protocols: set[PeerProtocol] = set()
        self._config = config
        self._me = me
        self._founding = founding
        self._boot = boot
        self._told: str | None = None
        self._peers = Peers(self, log, peer_tls)

    def start(self) -> None:
        addresses = {n: p.address for n, p in self._config.peers.items() if n != self._me.name}
        self._peers.know(addresses)
        self.log("info", f"waits for {', '.join(self._founding.missing) or 'a member of the cluster'}")

    def close(self) -> None:
        self._peers.close()
        for protocol in list(self.peer_protocols):
            if protocol.transport is not None:
                protocol.transport.close()

    def hello(self) -> Hello:
        consensus = self._config.consensus
        return Hello(PROTOCOL_VERSION, 0, self._me, 0, self._boot, NO_MEMBERS, NO_MEMBERS, 0, 0, consensus)

    def refuse(self, hello: Hello) -> str | None:
        self._heard(hello)
        return None

    def log_once(self, peer: NodeId, sentence: str) -> None:
        self.log("warning", sentence)

    def is_member(self, hello: Hello) -> bool:
        return False

    def greeted(self, peer: NodeId, reply: HelloReply) -> bool:
        self._heard(reply.hello)
        return reply.hello.cluster == 0

    def _heard(self, hello: Hello) -> None:
        self._founding.heard(hello)
        problem = self._founding.problem
        if problem is not None and problem != self._told:
            self._told = problem
            self.log("warning", problem)
        if self._founding.result is not None:
            self.done.set()

    def peer_opened(self, peer: NodeId) -> None:
        pass

    def peer_closed(self, peer: NodeId) -> None:
        pass

    def happened(self, event: object) -> None:
        pass

    def operator_asked(self, protocol: PeerProtocol, request: object) -> None:
        missing = ", ".join(self._founding.missing)
        protocol.refuse(self._founding.problem or f"{self._me.name} still waits for {missing}")


def restored_store(recovered: Recovered) -> Store:
    if recovered.snapshot is None:
        return Store()
    restorer = Restorer()
    for piece in recovered.snapshots.pieces(recovered.snapshot.mark.index):
        restorer.feed(piece)
    return restorer.finish()


def consensus_config(config: Config) -> protocols.ProtocolConfig:
    common: dict[str, Any] = {
        "heartbeat_ms": config.heartbeat_ms,
        "election_timeout_ms": config.election_timeout_ms,
        "spare_delay_ms": config.spare_delay_ms,
    }
    if config.consensus == protocols.RAFT:
        return RaftConfig(
            lease_reads=config.lease_reads, clock_rate_bound=config.clock_rate_bound, **common
        )
    if config.consensus == protocols.MULTIPAXOS:
        return MultiPaxosConfig(**common)
    if config.consensus == protocols.VR:
        return VrConfig(**common)
    return ZabConfig(**common)


def settings(config: Config) -> Settings:
    try:
        users = digest_users(Path(config.jaas).read_text()) if config.jaas is not None else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"jaas: {config.jaas} cannot be read: {error}") from error
    return Settings(
        tick_ms=config.tick_ms,
        session_timeout_ms=config.session_timeout_ms,
        max_frame_bytes=config.max_frame_bytes,
        four_letter_words=frozenset(config.four_letter_words),
        read_only_mode=config.read_only_mode,
        linearizable_reads=config.linearizable_reads,
        super_digest=config.super_digest,
        sasl_users=users,
        snapshot_entries=config.snapshot_entries,
        snapshot_bytes=config.snapshot_bytes,
        sweep_every_ms=config.sweep_every_ms,
        client_port=split_address(config.zookeeper)[1] if config.zookeeper else None,
        secure_client_port=split_address(config.zookeeper_tls)[1] if config.zookeeper_tls else None,
        peer_port=split_address(config.listen_address)[1],
        max_connections_per_ip=config.max_connections_per_ip,
        server_number=server_number(config.name, 0),
        leaderless_grace_ms=2 * config.election_timeout_ms[1] + 500,
        **etcd_settings(config),
    )


def surroundings(directory: Path) -> Callable[[], Surroundings]:
    """What the four-letter words tell of this machine, looked up when asked."""

    @lru_cache(maxsize=1)
    def environment() -> tuple[tuple[str, str], ...]:
        return (
            ("host.name", socket.gethostname()),
            ("python.version", platform.python_version()),
            ("python.implementation", platform.python_implementation()),
            ("python.executable", sys.executable),
            ("os.name", platform.system()),
            ("os.arch", platform.machine()),
            ("os.version", platform.release()),
            ("user.name", os.environ.get("USER", "")),
            ("user.home", os.path.expanduser("~")),
            ("user.dir", os.getcwd()),
        )

    def look() -> Surroundings:
        try:
            open_files = len(os.listdir("/proc/self/fd"))
        except OSError:
            open_files = 0
        size = 0
        with suppress(OSError):
            for entry in os.scandir(directory):
                # Meanwhile the file may get another name, or go: a snapshot that is finished, a log that is
                # not needed any more.
                with suppress(FileNotFoundError):
                    size += entry.stat().st_size if entry.is_file() else 0
        return Surroundings(
            open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[0], str(directory), size, environment()
        )

    return look
