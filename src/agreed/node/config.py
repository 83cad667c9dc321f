"""Every knob of a node: its unit, its default, and the reason for it, in one place.

`loading.py` reads them from flags, variables and files; `reference.py` draws the table of the documentation
from the same declarations.

Nothing listens beyond this machine unless told to: an address without a host, `2181`, means 127.0.0.1:2181.
Addresses are kept as `host:port` (an IPv6 host in brackets) and taken apart by `split_address`.

What must be *consistent* (a heartbeat shorter than the election timeout) stands in `contradictions.py`;
whether a port is free or a file readable is found out by whoever opens it.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TypeVar

from agreed.consensus import protocols
from agreed.errors import ConfigurationError
from agreed.node.contradictions import contradictions
from agreed.node.values import (
    FOUR_LETTER_WORDS,
    PeerAddress,
    a_directory,
    a_fraction,
    a_name,
    a_number,
    a_number_or_none,
    a_path,
    a_range,
    a_switch,
    a_text,
    an_address_or_off,
    one_of,
    some_peers,
    some_urls,
    some_words,
)
from agreed.types import NodeId

# ruff: noqa: RUF009
# A call in a dataclass default is usually one shared mutable; `knob` is `field` with words around it.

Value = TypeVar("Value")
Default = TypeVar("Default")

def knob(
    parse: Callable[[object], Value], default: Default, unit: str, reason: str, *, secret: bool = False
) -> Value | Default:
    """A field of `Config`: how it is read, and what the documentation says of it."""
    about = {"parse": parse, "unit": unit, "reason": reason, "secret": secret}
    if isinstance(default, dict):
        return field(default_factory=lambda: default, metadata=about)
    return field(default=default, metadata=about)


# --- the knobs --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Config:
    """How one node runs.  Made by `load`; a test may construct it directly and call `check`."""

    name: NodeId = knob(
        a_name,
        "n1",
        "name",
        "Which member this node is; unique in the cluster.",
    )
    data: Path = knob(
        a_directory,
        Path("agreed-data"),
        "directory",
        "Where the log and the snapshots lie. Belongs to one node for life: never copy it to another "
        "one.",
    )
    peers: Mapping[NodeId, PeerAddress] = knob(
        some_peers,
        {},
        "name=host:port[;host:port],...",
        "All members with the address their peers dial and, after the semicolon, the address clients "
        "are told. Read when the cluster is founded or joined; later changes go through `agreed "
        "member`. Empty: a cluster of one.",
    )
    listen: str | None = knob(
        an_address_or_off,
        None,
        "host:port",
        "Where to listen for peers, if not at this node's own address in `peers` (behind a container's "
        "or a router's translation). Without `peer_tls_certificate` the peer port is neither encrypted nor "
        "authenticated: keep it in a private network.",
    )
    peer_tls_certificate: Path | None = knob(
        a_path,
        None,
        "PEM file",
        "This node's certificate chain for its peers, who dial it and whom it dials: good for both sides of "
        "TLS, and for the host of its address in `peers`. Given: the peer port speaks TLS only, to peers and "
        "operators with a certificate. The same on all nodes.",
    )
    peer_tls_key: Path | None = knob(
        a_path,
        None,
        "PEM file",
        "The private key of `peer_tls_certificate`.",
    )
    peer_tls_ca: Path | None = knob(
        a_path,
        None,
        "PEM file",
        "Who signs the certificates of peers and operators. Whoever has one may speak as a node: never the "
        "authority that signs clients.",
    )
    join: bool = knob(
        a_switch,
        False,
        "switch",
        "Start as a new node of an existing cluster: do not found one, wait for `agreed member add` or "
        "`replace`.",
    )

    consensus: str = knob(
        one_of(*protocols.NAMES),
        protocols.RAFT,
        "word",
        "The protocol by which the nodes agree: raft, multipaxos, vr or zab; the same on all of them, for "
        "the life of the cluster. Members can be changed with raft alone.",
    )

    zookeeper: str | None = knob(
        an_address_or_off,
        "127.0.0.1:2181",
        "host:port",
        "Where ZooKeeper clients connect; `off` for nowhere. On loopback until you decide who may reach "
        "it.",
    )
    zookeeper_tls: str | None = knob(
        an_address_or_off,
        None,
        "host:port",
        "Where ZooKeeper clients connect over TLS; needs a certificate and its key.",
    )
    etcd: str | None = knob(
        an_address_or_off,
        None,
        "host:port",
        "Where etcd clients connect, by gRPC or HTTP/JSON (`2379`: only from this machine). `off` or none: "
        "nowhere.",
    )
    etcd_tls: str | None = knob(
        an_address_or_off,
        None,
        "host:port",
        "The same over TLS; needs a certificate and its key. With `tls_ca`, the common name of a client's "
        "certificate is its user where it shows no token.",
    )
    znode_view: bool = knob(
        a_switch,
        False,
        "switch",
        "Let etcd clients read and watch znodes, as keys under `/.znodes`. The same on all nodes.",
    )
    etcd_advertise: tuple[str, ...] = knob(
        some_urls,
        (),
        "URLs",
        "Where etcd clients are told to find this node (`http://10.0.0.1:2379`, ...); else where it listens.",
    )
    etcd_quota_bytes: int = knob(
        a_number(0, 2**50),
        2 * 1024 * 1024 * 1024,
        "bytes",
        "How much etcd's keys and their history may take; then an alarm stands, and only deletions and "
        "compactions are taken until there is space. 0: no quota.",
    )
    etcd_max_request_bytes: int = knob(
        a_number(1024, 10 * 1024 * 1024),
        1_572_864,
        "bytes",
        "Largest request of an etcd client; the same on all nodes.",
    )
    etcd_max_txn_ops: int = knob(
        a_number(1, 10_000),
        128,
        "operations",
        "How many a transaction of an etcd client may have in each of its lists; the same on all nodes.",
    )
    etcd_watch_progress_s: int = knob(
        a_number(1, 86_400),
        600,
        "s",
        "How long a watcher of etcd that asks for it hears nothing before it is told that there was nothing.",
    )
    etcd_watch_backlog_bytes: int = knob(
        a_number(0, 2**30),
        1024 * 1024,
        "bytes",
        "How much a watching client of etcd may leave unread before it is told out of the history later.",
    )
    etcd_auto_compaction_mode: str = knob(
        one_of("periodic", "revision"),
        "periodic",
        "word",
        "Whether old versions of etcd's keys are forgotten by age or by number.",
    )
    etcd_auto_compaction_retention: str = knob(
        str,
        "0",
        "span or number",
        "How much of the history is kept: `8h`, `30m` (periodic; a bare number is hours), or so many "
        "revisions. 0: all of it, until somebody compacts.",
    )
    etcd_auth_token: str = knob(
        str,
        "simple",
        "words",
        "Tokens of etcd users: `simple`, or `jwt,sign-method=RS256,pub-key=FILE,priv-key=FILE,ttl=5m`.",
    )
    etcd_auth_token_ttl_s: int = knob(
        a_number(1, 10**8), 300, "s", "How long a simple token is good without being used."
    )
    etcd_bcrypt_cost: int = knob(
        a_number(4, 31), 10, "number", "Of the hashes of etcd users' passwords; one more takes twice as long."
    )
    tls_certificate: Path | None = knob(
        a_path,
        None,
        "PEM file",
        "The server's certificate chain.",
    )
    tls_key: Path | None = knob(
        a_path,
        None,
        "PEM file",
        "The private key of the certificate.",
    )
    tls_ca: Path | None = knob(
        a_path,
        None,
        "PEM file",
        "Who may sign client certificates. Given: a client without a valid one is refused, and the "
        "subject of its certificate is its x509 identity for ZooKeeper's access lists.",
    )
    super_digest: str | None = knob(
        a_text,
        None,
        "user:base64(sha1(user:password))",
        "Whoever proves to be this user passes every access list. None: nobody does. Set it by "
        "environment or file: flags are visible to every user of the machine.",
        secret=True,
    )
    jaas: Path | None = knob(
        a_path,
        None,
        "JAAS file",
        "Users of SASL DIGEST-MD5, in the form ZooKeeper uses. None: SASL is refused.",
    )
    read_only_mode: bool = knob(
        a_switch,
        False,
        "switch",
        "Without a majority, go on serving (stale) reads to clients that said they can live with it.",
    )
    linearizable_reads: bool = knob(
        a_switch,
        False,
        "switch",
        "Confirm every read with the leader, so that it sees all writes acknowledged before it began. "
        "Off, as in ZooKeeper: reads are answered locally, in order, and may be stale; `sync` first "
        "where it matters.",
    )

    tick_ms: int = knob(
        a_number(10),
        2000,
        "ms",
        "ZooKeeper's tick: sessions last between 2 and 20 of them unless set below.",
    )
    min_session_timeout_ms: int | None = knob(
        a_number_or_none(1),
        None,
        "ms",
        "Shortest session a client can ask for. Default: 2 ticks.",
    )
    max_session_timeout_ms: int | None = knob(
        a_number_or_none(1),
        None,
        "ms",
        "Longest session a client can ask for. Default: 20 ticks.",
    )
    max_frame_bytes: int = knob(
        # Twice as much fits into a message between nodes, and as a command a request may grow a little.
        a_number(1024, 32 * 1024 * 1024),
        1048575,
        "bytes",
        "Largest request (ZooKeeper's jute.maxbuffer); a larger one closes the connection. This is a "
        "store for small critical data, all of it in memory.",
    )
    max_connections: int = knob(
        a_number(0),
        0,
        "connections",
        "Of clients, on this node; 0: as many as the system allows.",
    )
    max_connections_per_ip: int = knob(
        a_number(0),
        0,
        "connections",
        "0: no cap. ZooKeeper's 60 hits whoever sits behind one address: a router, a pod, a proxy.",
    )
    four_letter_words: tuple[str, ...] = knob(
        some_words,
        FOUR_LETTER_WORDS,
        "words",
        "Which of the plain-text questions (`ruok`, `srvr`, `mntr`, ...) are answered on the client "
        "port; `*`: all.",
    )

    election_timeout_ms: tuple[int, int] = knob(
        a_range,
        (500, 1000),
        "ms-ms",
        "A follower that hears no leader for a random time in this range stands for election. Ten "
        "heartbeats, so that a busy machine is not taken for a dead one; random, so that two candidates "
        "do not tie again and again.",
    )
    heartbeat_ms: int = knob(
        a_number(1),
        100,
        "ms",
        "How often an idle leader tells its followers that it lives.",
    )
    spare_delay_ms: int = knob(
        a_number(0, 100),
        4,
        "ms",
        "Followers that a majority can do without are sent entries after this time, several at once, "
        "which spares the cluster a third of its work. If a follower that is needed stops, writes wait "
        "this much longer for a moment. 0: everybody is sent everything at once.",
    )
    busy_poll_us: int = knob(
        a_number(0, 10_000),
        500,
        "µs",
        "For how long after a lone small write the node looks again and again before it sleeps, offering "
        "the processor to others each time: such a write takes a third less. It costs this much processor "
        "time per lone write at most. 0: sleep at once.",
    )
    lease_reads: bool = knob(
        a_switch,
        False,
        "switch",
        "The leader may answer linearizable reads without asking around while a majority has heard it "
        "recently. Relies on `clock_rate_bound`; off: every batch of such reads costs a round trip to a "
        "majority.",
    )
    clock_rate_bound: float = knob(
        a_fraction,
        0.05,
        "fraction",
        "How much faster or slower one node's monotonic clock may run than another's. Only rates are "
        "compared, never times of day.",
    )

    atomic_databases: Path | None = knob(
        a_path,
        None,
        "TOML file",
        "Databases in which this node finishes what dead programs have left prepared (`agreed.atomic`), each "
        "as `name = \"postgresql://...\"`; one node at a time does it. None: not here.",
    )

    snapshot_entries: int = knob(
        a_number(100),
        200_000,
        "commands",
        "After how many commands a snapshot is taken and the log is cut.",
    )
    snapshot_bytes: int = knob(
        a_number(64 * 1024, 2**40),
        64 * 1024 * 1024,
        "bytes",
        "The same by size. The uncut log is kept in memory, so this bounds it; old files are purged by "
        "themselves.",
    )

    sweep_every_ms: int = knob(
        a_number(10),
        60_000,
        "ms",
        "How often the leader removes containers that lost their last child and keys whose time to live is "
        "over (ZooKeeper's znode.container.checkIntervalMs). Not much oftener: lock recipes keep their nodes "
        "in containers, and would have to make them anew between two users.",
    )
    log_level: str = knob(
        one_of("debug", "info", "warning", "error"),
        "info",
        "level",
        "How much is told on standard error.",
    )
    log_format: str = knob(
        one_of("text", "json"),
        "text",
        "format",
        "`text` for people (key=value), `json` for collectors.",
    )

    @property
    def session_timeout_ms(self) -> tuple[int, int]:
        """The shortest and the longest session timeout that is granted."""
        low, high = self.min_session_timeout_ms, self.max_session_timeout_ms
        return (2 * self.tick_ms if low is None else low, 20 * self.tick_ms if high is None else high)

    @property
    def listen_address(self) -> str:
        """Where to bind the peer port."""
        return self.listen or self.peers[self.name].address

    @property
    def peer_tls(self) -> tuple[Path | None, Path | None, Path | None]:
        """The certificate, its key and the authority between nodes."""
        return self.peer_tls_certificate, self.peer_tls_key, self.peer_tls_ca

    def public(self) -> dict[str, object]:
        """Name and value of each knob, secrets left out: fit for a log or a status page."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        secrets = {each.name for each in fields(self) if each.metadata["secret"]}
        return {name: "(set)" if value and name in secrets else value for name, value in values.items()}

    def check(self) -> Config:
        """No peers given: a cluster of one.  Raises `ConfigurationError` for what contradicts itself."""
        config = self
        if not config.peers:
            if config.join:
                raise ConfigurationError("join: needs peers, which name the cluster to join and this node")
            config = replace(config, peers={config.name: PeerAddress(config.listen or "127.0.0.1:7421")})
        for wrong, message in contradictions(config):
            if wrong:
                raise ConfigurationError(message)
        return config
