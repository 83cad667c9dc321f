"""The four-letter words: what this node knows of itself, given to `wire/zookeeper/four_letter.py` to be
written.

What only the machine knows (open files, sizes of directories, the environment) comes in as `Surroundings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agreed import version
from agreed.replica.clients import Client
from agreed.store.leases import Lease
from agreed.wire.zookeeper import four_letter
from agreed.wire.zookeeper.four_letter import (
    ConfigurationStatus,
    ConnectionStatus,
    LatencyStatus,
    LeaderStatus,
    Mode,
    ServerStatus,
)

if TYPE_CHECKING:
    from agreed.replica.replica import Replica

BUILT_ON = "2026-11-22 00:00 UTC"

VERSION = four_letter.version_text(version.VERSION, BUILT_ON)


class Spread(msgspec.Struct, frozen=True):
    """How often something took how long: `counts` has one number for each bound, and one for what took
    longer than all of them."""

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    total_s: float


class Surroundings(msgspec.Struct, frozen=True):
    """What the driver tells of the machine this node runs on."""

    open_files: int = 0
    max_files: int = 0
    data_directory: str = ""
    data_bytes: int = 0
    environment: tuple[tuple[str, str], ...] = ()
    syncs: Spread | None = None
    """What it took to make batches of the log durable."""


def mode_of(replica: Replica) -> Mode | None:
    """None: not serving."""
    if replica.zookeeper.read_only:
        return Mode.READ_ONLY
    if not replica.serving or replica.machine.leader is None:
        return None
    voters = replica.members.voters
    if replica.machine.leads:
        return Mode.LEADER if len(voters) > 1 else Mode.STANDALONE
    return Mode.FOLLOWER if any(m.name == replica.name for m in voters) else Mode.OBSERVER


def answer_word(replica: Replica, word: bytes) -> bytes:
    """The whole answer; resets the counters where the word asks for that."""
    if word not in four_letter.SERVED or word.decode() not in replica.settings.four_letter_words:
        return four_letter.not_whitelisted(word)
    mode = mode_of(replica)
    if mode is None and word not in four_letter.ALWAYS_ANSWERED:
        return four_letter.not_serving()
    watches = replica.zookeeper.watches
    match word:
        case b"ruok":
            return four_letter.ruok()
        case b"isro":
            return four_letter.isro(mode)
        case b"envi":
            entries = (("zookeeper.version", VERSION), *replica.surroundings().environment)
            return four_letter.envi(entries[0][1], entries[1:])
        case b"srvr":
            return four_letter.srvr(_server_status(replica, mode))
        case b"stat":
            return four_letter.stat(_server_status(replica, mode), _connections(replica))
        case b"mntr":
            return four_letter.mntr(_server_status(replica, mode))
        case b"cons":
            return four_letter.cons(_connections(replica))
        case b"conf":
            return four_letter.conf(_configuration(replica))
        case b"dump":
            sessions_of_all = _sessions(replica)
            return four_letter.dump(
                [(lease.id, lease.ttl_ms) for lease in sessions_of_all],
                [(lease.id, list(lease.tree_keys)) for lease in sessions_of_all if lease.tree_keys],
            )
        case b"wchs":
            return four_letter.wchs(*watches.totals())
        case b"wchc":
            sessions = {client.id: client.lease for client in replica.zookeeper}
            return four_letter.wchc((sessions[number], paths) for number, paths in watches.by_connection())
        case b"wchp":
            sessions = {client.id: client.lease for client in replica.zookeeper}
            return four_letter.wchp(
                (path, [sessions[number] for number in numbers]) for path, numbers in watches.by_path()
            )
        case b"dirs":
            size = replica.surroundings().data_bytes
            return four_letter.dirs(size, size)
        case b"crst":
            for client in replica.zookeeper:
                client.received = client.sent = 0
            return four_letter.crst()
        case _:
            replica.zookeeper.received_total = replica.zookeeper.sent_total = 0
            replica.requests.reset_latency()
            return four_letter.srst()


def _server_status(replica: Replica, mode: Mode | None) -> ServerStatus:
    zookeeper, store, machine = replica.zookeeper, replica.store, replica.machine
    surroundings = replica.surroundings()
    leader = None
    if machine.leads:
        followers = machine.standing().followers
        synced = sum(1 for follower in followers if replica.now - follower.heard_at < 2_000)
        leader = LeaderStatus(
            learners=len(followers),
            synced_followers=synced,
            synced_observers=0,
            pending_syncs=0,
            uptime_ms=replica.now - replica.leads_since,
        )
    least, average, most = replica.requests.latency_ms()
    return ServerStatus(
        version=VERSION,
        mode=mode or Mode.FOLLOWER,
        latency=LatencyStatus(least, average, most),
        packets_received=zookeeper.received_total,
        packets_sent=zookeeper.sent_total,
        connections=len(zookeeper),
        outstanding_requests=len(replica.requests),
        zxid=store.revision,
        node_count=len(store.tree.records) + 1,
        watch_count=watches_of(replica),
        ephemerals_count=store.leases.ephemerals_count,
        approximate_data_size=store.tree.data_bytes,
        open_file_descriptors=surroundings.open_files,
        max_file_descriptors=surroundings.max_files,
        global_sessions=len(_sessions(replica)),
        uptime_ms=replica.now - replica.started_at,
        quorum_size=len(replica.members.voters) if len(replica.members.voters) > 1 else None,
        leader=leader,
        more=(
            ("term", machine.term),
            ("commit_index", machine.commit),
            ("applied_index", replica.applied),
            ("snapshot_index", replica.snapshot_index),
        ),
    )


def _sessions(replica: Replica) -> list[Lease]:
    """Which leases etcd's clients have is told to those only whom etcd's rules allow to know."""
    return [lease for lease in replica.store.leases if lease.owner is not None]


def watches_of(replica: Replica) -> int:
    return replica.zookeeper.watches.totals().watches


def _connections(replica: Replica) -> list[ConnectionStatus]:
    since_1970 = replica.wall_ms - replica.now
    return [_connection(client, since_1970) for client in replica.zookeeper]


def _connection(client: Client, since_1970: int) -> ConnectionStatus:
    return ConnectionStatus(
        address=f"{client.address}:{client.port}",
        queued=len(client.queue),
        received=client.received,
        sent=client.sent,
        session_id=client.lease,
        established_ms=client.opened_at + since_1970,
        timeout_ms=client.ttl_ms,
        last_response_ms=client.heard_at + since_1970,
    )


def _configuration(replica: Replica) -> ConfigurationStatus:
    settings = replica.settings
    surroundings = replica.surroundings()
    low, high = settings.session_timeout_ms
    return ConfigurationStatus(
        client_port=settings.client_port,
        secure_client_port=settings.secure_client_port,
        data_directory=surroundings.data_directory,
        data_bytes=surroundings.data_bytes,
        log_directory=surroundings.data_directory,
        log_bytes=surroundings.data_bytes,
        tick_ms=settings.tick_ms,
        connections_per_address_max=settings.max_connections_per_ip,
        session_timeout_ms_min=low,
        session_timeout_ms_max=high,
        listen_backlog=-1,
        server_number=settings.server_number,
        init_limit=10 if len(replica.members.voters) > 1 else None,
        sync_limit=5,
        election_port=settings.peer_port,
        quorum_port=settings.peer_port,
        membership=replica.store.configuration.decode(),
    )
