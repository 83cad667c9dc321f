"""The four-letter words: what an operator or a monitor may ask on the client port in plain text.

Each word is a function from what the node knows to the bytes of the answer, after which the server closes.
Monitors take these texts apart with regular expressions, so their shape is that of ZooKeeper 3.9, byte by
byte: the dash behind the version (aiozk will not connect without it), the decimal point of the average
latency, the tabs of `mntr`, the newline that `ruok` does not have.

Not served are `hash` (digests of a tree that is not ours), `gtmk` and `stmk` (the trace mask of a Java
logger); like any word that is not on the whitelist they get a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

IMITATED_VERSION: Final = "3.9.3"
"""Clients compare this with what they need: from 3.5 on they use create2 and reconfig."""

SERVED: Final = frozenset(
    b"conf cons crst dirs dump envi isro mntr ruok srst srvr stat wchc wchp wchs".split()
)
WHITELIST: Final = frozenset({b"srvr"})
"""ZooKeeper's default; `isro` joins it where read-only mode is enabled, and `*` stands for `SERVED`."""

ALWAYS_ANSWERED: Final = frozenset({b"ruok", b"envi", b"isro"})
"""All others answer `not_serving()` while the node has no quorum to serve with."""


class Mode(StrEnum):
    """What this node is at present."""

    LEADER = "leader"
    FOLLOWER = "follower"
    OBSERVER = "observer"
    STANDALONE = "standalone"
    READ_ONLY = "read-only"


class LatencyStatus(msgspec.Struct, frozen=True):
    """Milliseconds from receiving a request to its answer, since the last reset."""

    min_ms: int = 0
    average_ms: float = 0.0
    max_ms: int = 0


class ProposalSizes(msgspec.Struct, frozen=True):
    """Bytes; -1 where nothing was proposed yet."""

    last: int = -1
    min: int = -1
    max: int = -1


class LeaderStatus(msgspec.Struct, frozen=True):
    """What only a leader knows."""

    learners: int
    synced_followers: int
    synced_observers: int
    pending_syncs: int
    uptime_ms: int
    proposal_sizes: ProposalSizes = ProposalSizes()


class ServerStatus(msgspec.Struct, frozen=True):
    """Of the whole node.  `leader` is None on all others; `quorum_size` None on a standalone server."""

    version: str
    mode: Mode
    latency: LatencyStatus
    packets_received: int
    packets_sent: int
    connections: int
    outstanding_requests: int
    zxid: int
    node_count: int
    watch_count: int
    ephemerals_count: int
    approximate_data_size: int
    open_file_descriptors: int
    max_file_descriptors: int
    global_sessions: int
    uptime_ms: int
    quorum_size: int | None = None
    leader: LeaderStatus | None = None
    more: tuple[tuple[str, int | float | str], ...] = ()
    """Other measurements for `mntr`: key without `zk_`, value."""


class ConnectionStatus(msgspec.Struct, frozen=True):
    """Of one client; `address` is `ip:port`; times are milliseconds since 1970, latencies milliseconds.

    `session_id` is 0 as long as there is no session; `last_xid` -1 as long as nothing was asked."""

    address: str
    queued: int
    received: int
    sent: int
    session_id: int = 0
    last_operation: str = "NA"
    established_ms: int = 0
    timeout_ms: int = 0
    last_xid: int = -1
    last_zxid: int = -1
    last_response_ms: int = 0
    last_latency_ms: int = 0
    latency: LatencyStatus = LatencyStatus()


class ConfigurationStatus(msgspec.Struct, frozen=True):
    """Of `conf`; the fields from `init_limit` on are told of a member of an ensemble only."""

    client_port: int | None
    secure_client_port: int | None
    data_directory: str
    data_bytes: int
    log_directory: str
    log_bytes: int
    tick_ms: int
    connections_per_address_max: int
    session_timeout_ms_min: int
    session_timeout_ms_max: int
    listen_backlog: int
    server_number: int
    init_limit: int | None = None
    sync_limit: int = 0
    election_port: int = 0
    quorum_port: int = 0
    is_observer: bool = False
    membership: str = ""
    """The text of /zookeeper/config (`config_text.py`)."""


def version_text(package_version: str, built_on: str) -> str:
    """What we call ourselves: the version which we imitate, then who we are, then the date of the release."""
    return f"{IMITATED_VERSION}-agreed-{package_version}, built on {built_on}"


def not_whitelisted(word: bytes) -> bytes:
    return word + b" is not executed because it is not in the whitelist.\n"


def not_serving() -> bytes:
    return b"This ZooKeeper instance is not currently serving requests\n"


def ruok() -> bytes:
    """Alive, which is not the same as ready: it is said without a quorum too."""
    return b"imok"


def isro(mode: Mode | None) -> bytes:
    """None: not serving at all.  Read-only clients look for a server that says `rw`."""
    if mode is None:
        return b"null"
    return b"ro" if mode is Mode.READ_ONLY else b"rw"


def srvr(status: ServerStatus) -> bytes:
    return _text([*_version_lines(status), *_server_lines(status)])


def stat(status: ServerStatus, connections: Iterable[ConnectionStatus]) -> bytes:
    clients = [_brief(connection) + ")" for connection in connections]
    return _text([*_version_lines(status), "Clients:", *clients, "", *_server_lines(status)])


def cons(connections: Iterable[ConnectionStatus]) -> bytes:
    return _text([*[_full(connection) for connection in connections], ""])


def mntr(status: ServerStatus) -> bytes:
    """A line for each measurement.  Keys which a node cannot know of itself are left out, not made up."""
    lines = [("version", status.version), ("server_state", status.mode.value)]
    values: list[tuple[str, int | float | str]] = [
        *lines,
        ("peer_state", _peer_state(status.mode)),
        ("avg_latency", float(status.latency.average_ms)),
        ("min_latency", status.latency.min_ms),
        ("max_latency", status.latency.max_ms),
        ("packets_received", status.packets_received),
        ("packets_sent", status.packets_sent),
        ("num_alive_connections", status.connections),
        ("outstanding_requests", status.outstanding_requests),
        ("znode_count", status.node_count),
        ("watch_count", status.watch_count),
        ("ephemerals_count", status.ephemerals_count),
        ("approximate_data_size", status.approximate_data_size),
        ("open_file_descriptor_count", status.open_file_descriptors),
        ("max_file_descriptor_count", status.max_file_descriptors),
        ("global_sessions", status.global_sessions),
        ("local_sessions", 0),
        ("uptime", status.uptime_ms),
    ]
    if status.quorum_size is not None:
        values.append(("quorum_size", status.quorum_size))
    if status.leader is not None:
        values += _leader_values(status.leader)
    values += status.more
    return _text([f"zk_{key}\t{value}" for key, value in values])


def conf(status: ConfigurationStatus) -> bytes:
    lines = [
        f"dataDir={status.data_directory}",
        f"dataDirSize={status.data_bytes}",
        f"dataLogDir={status.log_directory}",
        f"dataLogSize={status.log_bytes}",
        f"tickTime={status.tick_ms}",
        f"maxClientCnxns={status.connections_per_address_max}",
        f"minSessionTimeout={status.session_timeout_ms_min}",
        f"maxSessionTimeout={status.session_timeout_ms_max}",
        f"clientPortListenBacklog={status.listen_backlog}",
        f"serverId={status.server_number}",
    ]
    if status.secure_client_port is not None:
        lines.insert(0, f"secureClientPort={status.secure_client_port}")
    if status.client_port is not None:
        lines.insert(0, f"clientPort={status.client_port}")
    if status.init_limit is not None:
        lines += [
            f"initLimit={status.init_limit}",
            f"syncLimit={status.sync_limit}",
            "electionAlg=3",
            f"electionPort={status.election_port}",
            f"quorumPort={status.quorum_port}",
            f"peerType={1 if status.is_observer else 0}",
            "membership: ",
            status.membership,
        ]
    return _text(lines)


def envi(version: str, entries: Iterable[tuple[str, str]]) -> bytes:
    """`entries`: `host.name`, `os.name`, `user.dir`, ...  Kazoo wants the version in the first 8192 bytes."""
    lines = [f"{key}={value}".replace("\n", " ") for key, value in [("zookeeper.version", version), *entries]]
    return _text(["Environment:", *lines])


def dump(sessions: Iterable[tuple[int, int]], ephemerals: Iterable[tuple[int, Iterable[bytes]]]) -> bytes:
    """`sessions`: id and timeout in ms; `ephemerals`: the id of a session and the paths that go with it."""
    told = [f"{_hex(session)}\t{timeout_ms}ms" for session, timeout_ms in sessions]
    owned = [(session, list(paths)) for session, paths in ephemerals]
    lines = ["SessionTracker dump:", f"Global Sessions({len(told)}):", *told, "ephemeral nodes dump:"]
    lines.append(f"Sessions with Ephemerals ({len(owned)}):")
    for session, paths in owned:
        lines.append(f"{_hex(session)}:")
        lines += [f"\t{_path(path)}" for path in paths]
    lines.append("Connections dump:")
    return _text(lines)


def wchs(connections: int, paths: int, watches: int) -> bytes:
    return _text([f"{connections} connections watching {paths} paths", f"Total watches:{watches}"])


def wchc(watches: Iterable[tuple[int, Iterable[bytes]]]) -> bytes:
    """By session: its id, and the paths that it watches."""
    lines = []
    for session, paths in watches:
        lines.append(_hex(session))
        lines += [f"\t{_path(path)}" for path in paths]
    return _text([*lines, ""])


def wchp(watches: Iterable[tuple[bytes, Iterable[int]]]) -> bytes:
    """By path: the path, and the ids of the sessions that watch it."""
    lines = []
    for path, sessions in watches:
        lines.append(_path(path))
        lines += [f"\t{_hex(session)}" for session in sessions]
    return _text([*lines, ""])


def dirs(data_bytes: int, log_bytes: int) -> bytes:
    return _text([f"datadir_size: {data_bytes}", f"logdir_size: {log_bytes}"])


def crst() -> bytes:
    """The answer, after the statistics of all connections were reset."""
    return b"Connection stats reset.\n"


def srst() -> bytes:
    """The answer, after the statistics of the server were reset."""
    return b"Server stats reset.\n"


# --- the parts -------------------------------------------------------------------------------------------


def _text(lines: Iterable[str]) -> bytes:
    return "".join([f"{line}\n" for line in lines]).encode("utf-8", "replace")


def _hex(number: int) -> str:
    """A long as Java prints it: negative ones by their two's complement."""
    return f"0x{number & 0xFFFFFFFFFFFFFFFF:x}"


def _path(path: bytes) -> str:
    return path.decode("utf-8", "replace")


def _version_lines(status: ServerStatus) -> list[str]:
    lines = [f"Zookeeper version: {status.version}"]
    if status.mode is Mode.READ_ONLY:
        lines.append("READ-ONLY mode; serving only read-only clients")
    return lines


def _server_lines(status: ServerStatus) -> list[str]:
    latency = status.latency
    lines = [
        f"Latency min/avg/max: {latency.min_ms}/{float(latency.average_ms)}/{latency.max_ms}",
        f"Received: {status.packets_received}",
        f"Sent: {status.packets_sent}",
        f"Connections: {status.connections}",
        f"Outstanding: {status.outstanding_requests}",
        f"Zxid: {_hex(status.zxid)}",
        f"Mode: {status.mode.value}",
        f"Node count: {status.node_count}",
    ]
    if status.leader is not None:
        sizes = status.leader.proposal_sizes
        lines.append(f"Proposal sizes last/min/max: {sizes.last}/{sizes.min}/{sizes.max}")
    return lines


def _brief(connection: ConnectionStatus) -> str:
    """The number in brackets is what a Java server waits for on its socket: 1 is to read."""
    return (
        f" /{connection.address}[1](queued={connection.queued}"
        f",recved={connection.received},sent={connection.sent}"
    )


def _full(connection: ConnectionStatus) -> str:
    if connection.session_id == 0:
        return _brief(connection) + ")"
    latency = connection.latency
    last_xid = f",lcxid={_hex(connection.last_xid)}" if connection.last_xid >= 0 else ""
    return (
        f"{_brief(connection)},sid={_hex(connection.session_id)},lop={connection.last_operation}"
        f",est={connection.established_ms},to={connection.timeout_ms}{last_xid}"
        f",lzxid={_hex(connection.last_zxid)},lresp={connection.last_response_ms}"
        f",llat={connection.last_latency_ms},minlat={latency.min_ms}"
        f",avglat={int(latency.average_ms)},maxlat={latency.max_ms})"
    )


def _peer_state(mode: Mode) -> str:
    states = {
        Mode.LEADER: "leading - broadcast",
        Mode.FOLLOWER: "following - broadcast",
        Mode.OBSERVER: "observing - broadcast",
        Mode.READ_ONLY: "looking",
    }
    return states.get(mode, "standalone")


def _leader_values(leader: LeaderStatus) -> list[tuple[str, int | float | str]]:
    return [
        ("learners", leader.learners),
        ("synced_followers", leader.synced_followers),
        ("synced_observers", leader.synced_observers),
        ("synced_non_voting_followers", 0),
        ("pending_syncs", leader.pending_syncs),
        ("leader_uptime", leader.uptime_ms),
        ("last_proposal_size", leader.proposal_sizes.last),
        ("min_proposal_size", leader.proposal_sizes.min),
        ("max_proposal_size", leader.proposal_sizes.max),
    ]
