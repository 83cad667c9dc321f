"""What collectors read at `/metrics`: this node in numbers, under the names that etcd has for them.

Dashboards made for etcd find what they look for where it means the same here, and only there: what this
store has no counterpart of (bolt's pages and freelists, Go's garbage) is left out, because a graph that
always shows 0 says something that is not true.  Where a number means nearly the same, its help text says
what it is here.

Numbers that the replica knows anyway are asked for when somebody looks.  What has to be counted as it happens
is in `Counters`: a few additions per call and per change.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec

from agreed.replica.words import Spread
from agreed.store.events import Event, EventKind, Space
from agreed.wire.etcd.services import METHODS, Kind, Method
from agreed.wire.etcd.version import CLUSTER_VERSION, SERVER_VERSION
from agreed.wire.grpc.status import Code

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients


class Counters:
    """What has happened since the start of this node.

    started, replied      calls by path; `replied` are unary calls with their one reply
    ended                 other calls, by path and code
    puts, deletes         changes of the flat space, whoever made them on whatever node
    put_bytes             of the keys and values that were put
    received_bytes, sent_bytes   of etcd clients, over gRPC or the gateway
    leader_changes        how often another leader was seen
    proposals_failed      commands that this node has given up
    health_successes, health_failures   answers of `/health`
    """

    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self.started: dict[str, int] = defaultdict(int)
        self.replied: dict[str, int] = defaultdict(int)
        self.ended: dict[tuple[str, Code], int] = defaultdict(int)
        self.puts = 0
        self.deletes = 0
        self.put_bytes = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.leader_changes = 0
        self.proposals_failed = 0
        self.health_successes = 0
        self.health_failures = 0
        self._leader: tuple[str, int] | None = None
        front.on_change.append(self._changed)
        front.on_round.append(self._round)

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.space is Space.FLAT:
                if event.kind is EventKind.DELETED:
                    self.deletes += 1
                else:
                    self.puts += 1
                    self.put_bytes += len(event.record.key) + len(event.record.value or b"")

    def _round(self) -> None:
        machine = self._front.replica.machine
        if machine.leader is not None and self._leader != (machine.leader, machine.term):
            self._leader = (machine.leader, machine.term)
            self.leader_changes += 1


# --- the text format ------------------------------------------------------------------------------------


class Family(msgspec.Struct, frozen=True):
    """One metric with all its samples: labels and value."""

    name: str
    kind: str
    """`counter`, `gauge`, `histogram`."""
    help: str
    samples: Sequence[tuple[Mapping[str, str], float]] = ()
    spread: Spread | None = None
    """Of a `histogram`."""


def counter(name: str, text: str, value: float) -> Family:
    return Family(name, "counter", text, (({}, value),))


def gauge(name: str, text: str, value: float) -> Family:
    return Family(name, "gauge", text, (({}, value),))


def labelled(name: str, text: str, **labels: str) -> Family:
    """A metric that says something in its labels, and is always 1."""
    return Family(name, "gauge", text, ((labels, 1),))


_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def text_of(families: Iterable[Family]) -> bytes:
    """The exposition format of Prometheus, version 0.0.4."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.help}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for labels, value in family.samples:
            named = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in sorted(labels.items()))
            lines.append(f"{family.name}{{{named}}} {value}" if named else f"{family.name} {value}")
        if family.spread is not None:
            lines += _histogram(family.name, family.spread)
    return ("\n".join(lines) + "\n").encode()


def _histogram(name: str, spread: Spread) -> Iterator[str]:
    """Buckets count all that took no longer, so that they can be thinned out."""
    bounds = [*map(str, spread.bounds_s), "+Inf"]
    for bound, count in zip(bounds, accumulate(spread.counts), strict=True):
        yield f'{name}_bucket{{le="{bound}"}} {count}'
    yield f"{name}_sum {spread.total_s}"
    yield f"{name}_count {sum(spread.counts)}"


def exposition(front: EtcdClients) -> bytes:
    counters = front.counters
    return text_of(
        [
            *_server(front, counters),
            *_proposals(front, counters),
            *_store(front, counters),
            *_clients(front, counters),
            *_calls(counters),
            *_process(front),
        ]
    )


def _server(front: EtcdClients, counters: Counters) -> Iterator[Family]:
    replica = front.replica
    machine = replica.machine
    learner = any(member.name == replica.name for member in replica.members.learners)
    yield labelled("etcd_cluster_version", "The version whose API all members speak.",
                   cluster_version=CLUSTER_VERSION.rpartition(".")[0])  # fmt: skip
    yield labelled("etcd_server_version", "What clients are told.", server_version=SERVER_VERSION)
    yield labelled("etcd_server_id", "This member, in hexadecimal.", server_id=f"{replica.identity:x}")
    yield gauge("etcd_server_has_leader", "Whether a leader is known.", int(machine.leader is not None))
    yield gauge("etcd_server_is_leader", "Whether this member leads.", int(machine.leads))
    yield gauge("etcd_server_is_learner", "Whether this member has no vote.", int(learner))
    yield counter("etcd_server_leader_changes_seen_total", "Leaders seen, one after the other.",
                  counters.leader_changes)  # fmt: skip
    yield gauge("etcd_server_quota_backend_bytes", "Bytes of keys and values, with their history, allowed.",
                replica.settings.etcd_quota_bytes)  # fmt: skip
    yield counter("etcd_server_health_success", "Times /health said yes.", counters.health_successes)
    yield counter("etcd_server_health_failures", "Times /health said no.", counters.health_failures)


def _proposals(front: EtcdClients, counters: Counters) -> Iterator[Family]:
    replica = front.replica
    yield gauge("etcd_server_proposals_committed_total",
                "Entries agreed upon; one may hold many commands.", replica.machine.commit)  # fmt: skip
    yield gauge("etcd_server_proposals_applied_total",
                "Entries applied; one may hold many commands.", replica.applied)  # fmt: skip
    yield gauge("etcd_server_proposals_pending", "Commands of clients of this node under way.",
                len(replica.requests))  # fmt: skip
    yield counter("etcd_server_proposals_failed_total", "Commands of clients of this node given up.",
                  counters.proposals_failed)  # fmt: skip


def _store(front: EtcdClients, counters: Counters) -> Iterator[Family]:
    store = front.replica.store
    history = store.flat.history
    keys = len(history.keys) - len(history.dead)
    yield counter("etcd_mvcc_put_total", "Puts seen by this member.", counters.puts)
    yield counter("etcd_mvcc_delete_total", "Keys deleted, as seen by this member.", counters.deletes)
    yield counter("etcd_mvcc_txn_total", "Transactions asked of this member.",
                  counters.started["/etcdserverpb.KV/Txn"])  # fmt: skip
    yield counter("etcd_mvcc_range_total", "Ranges asked of this member, outside of transactions.",
                  counters.started["/etcdserverpb.KV/Range"])  # fmt: skip
    yield gauge("etcd_mvcc_db_total_size_in_bytes", "Keys and values with their history, in memory.",
                history.size_bytes)  # fmt: skip
    yield gauge("etcd_mvcc_db_total_size_in_use_in_bytes",
                "The same: there is no space that is taken and not used.", history.size_bytes)  # fmt: skip
    yield gauge("etcd_debugging_mvcc_keys_total", "Keys.", keys)
    yield counter("etcd_debugging_mvcc_events_total", "Changes of keys.", counters.puts + counters.deletes)
    yield gauge("etcd_debugging_mvcc_total_put_size_in_bytes", "Of keys and values put.", counters.put_bytes)
    yield gauge("etcd_debugging_mvcc_current_revision", "The revision of the store.", store.revision)
    yield gauge("etcd_debugging_mvcc_compact_revision", "The oldest revision that can be read.",
                max(history.compacted, 0))  # fmt: skip


_ON_SERVICES: Final = (
    ("watchers", "etcd_debugging_mvcc_watcher_total", "gauge", "Watchers."),
    ("streams", "etcd_debugging_mvcc_watch_stream_total", "gauge", "Streams of watchers."),
    ("slow", "etcd_debugging_mvcc_slow_watcher_total", "gauge", "Watchers that are behind."),
    ("granted", "etcd_debugging_lease_granted_total", "counter", "Leases granted by this member."),
    ("revoked", "etcd_debugging_lease_revoked_total", "counter", "Leases revoked by this member."),
    ("renewed", "etcd_debugging_lease_renewed_total", "counter", "Renewals answered by this member."),
    ("expired", "etcd_debugging_server_lease_expired_total", "counter", "Leases whose time was over."),
)
"""What a service knows of itself: the attribute, and the metric it is."""


def _clients(front: EtcdClients, counters: Counters) -> Iterator[Family]:
    for attribute, name, kind, text in _ON_SERVICES:
        for service in front.services:
            value = getattr(service, attribute, None)
            if isinstance(value, int):
                yield Family(name, kind, text, (({}, value),))
    yield counter("etcd_network_client_grpc_received_bytes_total",
                  "Bytes of clients, over gRPC or the gateway.", counters.received_bytes)  # fmt: skip
    yield counter("etcd_network_client_grpc_sent_bytes_total",
                  "Bytes to clients, over gRPC or the gateway.", counters.sent_bytes)  # fmt: skip
    by_kind: dict[str, int] = defaultdict(int)
    for path, count in counters.started.items():
        unary = METHODS[path].kind is Kind.UNARY
        by_kind["unary" if unary else "stream"] += count
    yield Family(
        "etcd_server_client_requests_total", "counter", "Calls by kind; clients' versions are not looked at.",
        [({"client_api_version": "unknown", "type": kind}, count) for kind, count in by_kind.items()],
    )  # fmt: skip


_TYPES: Final = {
    Kind.UNARY: "unary",
    Kind.SERVER_STREAM: "server_stream",
    Kind.BIDIRECTIONAL: "bidi_stream",
}
_CODE_NAMES: Final = {Code.OK: "OK", Code.CANCELLED: "Canceled"}


def _labels(method: Method) -> dict[str, str]:
    return {"grpc_method": method.name, "grpc_service": method.service, "grpc_type": _TYPES[method.kind]}


def _code(code: Code) -> str:
    return _CODE_NAMES.get(code) or "".join(word.title() for word in code.name.split("_"))


def _calls(counters: Counters) -> Iterator[Family]:
    yield Family(
        "grpc_server_started_total", "counter", "Calls begun, over gRPC or the gateway.",
        [(_labels(method), counters.started.get(path, 0)) for path, method in METHODS.items()],
    )  # fmt: skip
    handled = Counter(counters.ended)
    for path, count in counters.replied.items():
        handled[path, Code.OK] += count
    yield Family(
        "grpc_server_handled_total", "counter", "Calls ended by this member, by code.",
        [
            ({**_labels(METHODS[path]), "grpc_code": _code(code)}, count)
            for (path, code), count in sorted(handled.items())
        ],
    )  # fmt: skip


def _process(front: EtcdClients) -> Iterator[Family]:
    surroundings = front.replica.surroundings()
    for name in ("process_open_fds", "os_fd_used"):
        yield gauge(name, "Open file descriptors.", surroundings.open_files)
    for name in ("process_max_fds", "os_fd_limit"):
        yield gauge(name, "The most there may be.", surroundings.max_files)
    if surroundings.syncs is not None:
        yield Family("etcd_disk_wal_fsync_duration_seconds", "histogram",
                     "From handing a batch of the log to the disk until it was durable.",
                     spread=surroundings.syncs)  # fmt: skip
    replica = front.replica
    yield gauge("process_start_time_seconds", "Start of this node since 1970, in seconds.",
                (replica.wall_ms - (replica.now - replica.started_at)) / 1000)  # fmt: skip
