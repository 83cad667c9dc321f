"""Every knob of a node: its unit, its default, and the reason for it, in one place.

    load(flags, environ, file) -> Config

A knob is set by a flag (`--heartbeat-ms 100`), else by an environment variable (`AGREED_HEARTBEAT_MS=100`),
else by a TOML file (`heartbeat_ms = 100`), else it has its default.  A key nobody knows is an error and names
its nearest relatives, in all three places: a misspelt timeout that is silently ignored is found on the day of
the outage.  `reference()` draws the table of the documentation from the same declarations.

Nothing listens beyond this machine unless told to: an address without a host, `2181`, means 127.0.0.1:2181.
Addresses are kept as `host:port` (an IPv6 host in brackets) and taken apart by `split_address`.

This module decides what is *consistent* (a heartbeat shorter than the election timeout); whether a port is
free or a file readable is found out by whoever opens it.
"""
from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TypeVar

from agreed.consensus import protocols
from agreed.errors import ConfigurationError
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
    some_words,
)
from agreed.types import NodeId

# ruff: noqa: RUF009
# A call in a dataclass default is usually one shared mutable; `knob` is `field` with words around it.

Value = TypeVar("Value")
Default = TypeVar("Default")

ENVIRONMENT_PREFIX = "AGREED_"

FILE_VARIABLE = "AGREED_CONFIG"
"""Names the TOML file, for those who cannot pass a flag; not a knob of its own."""

_OF_KUBERNETES = re.compile(r"AGREED_(SERVICE_(HOST|PORT(_.+)?)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)")
"""Kubernetes puts such variables into every pod that can see a Service called `agreed`.  They are no
misspelt knobs of ours, and a node must not refuse to start for them."""


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
        "or a router's translation). The peer port is neither encrypted nor authenticated: keep it in a "
        "private network.",
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
        "The same over TLS; needs a certificate and its key.",
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
        "subject of its certificate is its x509 identity.",
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
        for wrong, message in config._contradictions():
            if wrong:
                raise ConfigurationError(message)
        return config

    def _contradictions(self) -> list[tuple[bool, str]]:
        shortest, longest = self.session_timeout_ms
        low, _ = self.election_timeout_ms
        return [
            (
                self.name not in self.peers,
                f"name: {self.name!r} is not among the peers ({', '.join(self.peers)})",
            ),
            (self.join and len(self.peers) < 2, "join: peers must name the members of the cluster as well"),
            (
                self.lease_reads and self.consensus != protocols.RAFT,
                f"lease_reads: only with raft, not with {self.consensus}",
            ),
            (shortest > longest, f"min_session_timeout_ms: {shortest} is more than the maximum, {longest}"),
            (
                self.heartbeat_ms * 3 > low,
                f"heartbeat_ms: {self.heartbeat_ms} ms does not allow for a lost heartbeat or two before the "
                f"election timeout ({low} ms); at most a third of it",
            ),
            (
                (self.tls_certificate is None) != (self.tls_key is None),
                "tls_certificate, tls_key: one without the other",
            ),
            (
                self.zookeeper_tls is not None and self.tls_certificate is None,
                "zookeeper_tls: needs tls_certificate and tls_key",
            ),
            (
                self.super_digest is not None and ":" not in self.super_digest,
                "super_digest: not of the form user:base64(sha1(user:password))",
            ),
        ]


# --- where they are set -----------------------------------------------------------------------------------


def _unknown(key: str, where: str) -> ConfigurationError:
    near = difflib.get_close_matches(key, [each.name for each in fields(Config)], n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return ConfigurationError(f"{where}: no knob is called {key!r}{hint}")


def _read_file(file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: not TOML ({error})") from error


def load(flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None) -> Config:
    """Flag over variable over file over default, checked.

    `flags` are named like the fields of `Config`; those that are None were not given.  Raises
    `ConfigurationError`, which names the knob, where it was set, and what would do."""
    parsers: dict[str, Callable[[object], object]] = {
        each.name: each.metadata["parse"] for each in fields(Config)
    }
    found: dict[str, object] = {}

    def take(key: str, raw: object, where: str) -> None:
        try:
            found[key] = parsers[key](raw)
        except ValueError as error:
            raise ConfigurationError(f"{where}: {error}") from error

    if file is not None:
        for key, raw in _read_file(file).items():
            if key not in parsers:
                raise _unknown(key, str(file))
            take(key, raw, f"{file}: {key}")
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == FILE_VARIABLE:
            continue
        key = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if key in parsers:
            take(key, text, variable)
        elif not _OF_KUBERNETES.fullmatch(variable):
            raise _unknown(key, f"environment, {variable}")
    for key, raw in flags.items():
        if key not in parsers:
            raise _unknown(key, "flags")
        if raw is not None:
            take(key, raw, f"--{key.replace('_', '-')}")
    return Config(**found).check()  # type: ignore[arg-type]


# --- what the documentation says --------------------------------------------------------------------------


def describe_default(name: str, default: object) -> str:
    """A default in the words in which one would write it."""
    if name == "four_letter_words":
        return "`*`"
    if default is None or default == {}:
        return "none"
    if isinstance(default, bool):
        return "`on`" if default else "`off`"
    if isinstance(default, tuple):
        return f"`{'-'.join(map(str, default))}`"
    return f"`{default}`"


def reference() -> str:
    """The knobs as a table in Markdown, in the order of their declaration."""
    lines = ["| knob | unit | default | what for |", "| --- | --- | --- | --- |"]
    plain = Config()
    for each in fields(Config):
        default = describe_default(each.name, getattr(plain, each.name))
        lines.append(f"| `{each.name}` | {each.metadata['unit']} | {default} | {each.metadata['reason']} |")
    return "\n".join(lines) + "\n"
