"""A run before it is run: the faults it will meet and what its clients will ask for, each with its time.

A plan is drawn once from a seed (`draw.py`) and is data from then on: it can be printed, stored, and made
smaller.  Whatever is left out of it shifts nothing else, for the dice of each fault, link, disk and client
are their own (`streams.py`).  So a failure is made small by dropping what it does not need.

What stands in a plan is what is *tried*: a crash of a node that is down already, or a rotten disk where one
more would be more than the cluster is built to survive, does nothing.
"""
from __future__ import annotations

from collections.abc import Collection
from enum import Enum

import msgspec

from agreed.consensus import protocols

FAULTS = ("swarm", "network", "disk", "clock", "membership")

ETCD = "etcd"

PROFILES = (
    *FAULTS,
    *(f"{ETCD}-{faults}" for faults in FAULTS),
    *(f"{name}-{faults}" for name in protocols.NAMES if name != protocols.RAFT for faults in FAULTS[:-1]),
)
"""Which faults; of clients that speak etcd's protocol, so; and of another protocol than Raft, whose members
cannot be changed, which one."""
"""Which kinds of faults a run is drawn from; `swarm` draws from all."""


class FaultKind(Enum):
    """What can be done to a cluster.  `target` and `amount` of a `Fault` mean what is said here.

    A node is given by its name, or as "leader" or "follower": whoever is that when the time has come.  A link
    is "from>to", and both may be "*".  Probabilities are in permille.
    """

    CUT = "cut"
    """Groups of nodes that do not hear each other: "n1|n2,n3" (whoever is not named hears everybody); or the
    "leader", or its "successor" as soon as there is one, and all others; or "ring".  With
    `amount` 1 the ends notice at once, with 0 only by silence."""
    CUT_ONE_WAY = "cut one way"
    """The link carries nothing in this direction."""
    CLOG = "clog"
    """The link takes `amount` ms longer."""
    LOSE = "lose"
    """Of what the link carries, this much is lost."""
    DOUBLE = "double"
    REPLAY = "replay"
    """What the link has carried before is delivered again, `amount` permille of the time."""
    CORRUPT = "corrupt"
    """A bit of what the link carries is flipped."""
    BREAK = "break"
    """The connections of the link are reset."""
    KILL = "kill"
    """The process of the node ends; what the operating system holds in memory stays.  Up again after
    `lasting_ms`."""
    POWER = "power"
    """The machine of the node (target "*": of every node) loses power: what was not synced may be lost."""
    PAUSE = "pause"
    """The process stands still, and does not know it."""
    SLOW_DISK = "slow disk"
    """Each sync takes `amount` ms longer."""
    FULL_DISK = "full disk"
    FAILING_SYNC = "failing sync"
    """The next sync fails, and what it was to make durable never will be."""
    READ_ERROR = "read error"
    ROT = "rot"
    """A bit on the disk flips."""
    MISDIRECT = "misdirect"
    """The next write goes somewhere else on the disk."""
    WIPE = "wipe"
    """The machine dies with its disk and is replaced by an empty one under the old name."""
    DRIFT = "drift"
    """The node's clocks run faster by `amount` millionths."""
    WALL_JUMP = "wall jump"
    """The clock on the wall jumps by `amount` ms."""
    WALL_STROBE = "wall strobe"
    """The clock on the wall jumps to and fro by `amount` ms."""
    TRANSFER = "transfer"
    """An operator hands leadership over, to `target`."""
    ADD = "add"
    """A new node `target` is started, added and, with `amount` 1, promoted."""
    REMOVE = "remove"
    """With `amount` 1 another operator adds a node at the same moment."""
    GATHER = "gather"
    """Clients, `amount` permille of them, all connect to this node."""
    MOVE_CLIENTS = "move clients"
    """The connections of all clients with the node are reset."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that is done to the cluster."""

    number: int
    """Names the fault's own dice; unique in the plan."""
    at_ms: int
    kind: FaultKind
    target: str = ""
    lasting_ms: int = 0
    amount: int = 0


class Ask(msgspec.Struct, frozen=True):
    """One thing that a client is after, from `at_ms` on and in its turn (`workload.py` says how)."""

    number: int
    """Unique in the plan; what is written can be traced to it."""
    at_ms: int
    client: str
    function: str
    key: str = ""
    patience_ms: int = 1_500
    """After that the client takes the answer for lost."""
    attempts: int = 1
    """How often it tries."""


class Conditions(msgspec.Struct, frozen=True):
    """What is the same during the whole run, and how the nodes are configured."""

    latency_us: tuple[int, int] = (100, 1_000)
    """Of a message between nodes, or with a client."""
    loose_frames: bool = False
    """Messages between nodes travel each on its own and may overtake each other, be lost or doubled; else a
    connection is a stream of bytes, in order and whole until it breaks."""
    sync_us: tuple[int, int] = (100, 2_000)
    """Of one sync of a disk."""
    lazy_permille: int = 0
    """How often a node does something else before it sees to the effects of its turn."""
    heartbeat_ms: int = 60
    election_timeout_ms: tuple[int, int] = (250, 500)
    leader_loss_delay_ms: tuple[int, int] = (10, 60)
    tail_entries: int = 5
    catching_up_bytes: int = 1_000_000
    max_append_bytes: int = 4_000
    window_messages: int = 8
    commit_notice_ms: int = 2
    spare_delay_ms: int = 0
    """How long entries for followers that a quorum can do without may wait for more."""
    lease_reads: bool = False
    clock_rate_bound_permille: int = 50
    drift_millionths: int = 0
    """Clocks of nodes run this much faster or slower, drawn for each."""
    linearizable_reads: bool = False
    snapshot_entries: int = 40
    segment_bytes: int = 16_384
    chunk_bytes: int = 700
    proposals_under_way: int = 4
    large_proposal_bytes: int = 6 * 1024
    """From so many bytes on a proposal does not wait for the one before it."""
    watch_backlog_bytes: int = 1_000_000
    """What a watcher of etcd may leave unread."""
    watch_progress_ms: int = 5_000
    value_bytes: int = 0
    """By how much what clients write is longer than it has to be."""
    session_ms: tuple[int, int] = (1_500, 4_000)
    pipelined: int = 1
    """How many requests a client may have under way."""
    until_sessions_end: bool = True
    """Whether peace lasts until all sessions are gone that no client has any more."""


class Plan(msgspec.Struct, frozen=True):
    """All that a run depends on, beside the code."""

    seed: int
    profile: str
    nodes: int
    clients: int
    storm_ms: int
    """How long faults may happen; then all is mended, and the cluster must come to rest."""
    conditions: Conditions
    faults: tuple[Fault, ...] = ()
    asks: tuple[Ask, ...] = ()
    consensus: str = protocols.RAFT
    etcd_clients: int = 0
    """How many of the clients, the last ones, speak etcd's protocol; the others speak ZooKeeper's."""

    def without(self, *, faults: Collection[int] = (), asks: Collection[int] = ()) -> Plan:
        """The same, less the faults and asks of these numbers."""
        return msgspec.structs.replace(
            self,
            faults=tuple(fault for fault in self.faults if fault.number not in faults),
            asks=tuple(ask for ask in self.asks if ask.number not in asks),
        )

    def smaller(
        self, *, nodes: int | None = None, clients: int | None = None, storm_ms: int | None = None
    ) -> Plan:
        """The same with fewer nodes or clients, or cut short; what speaks of those that are gone goes."""
        nodes = self.nodes if nodes is None else min(nodes, self.nodes)
        clients = self.clients if clients is None else min(clients, self.clients)
        storm_ms = self.storm_ms if storm_ms is None else min(storm_ms, self.storm_ms)
        known = client_names(clients)
        return msgspec.structs.replace(
            self,
            nodes=nodes,
            clients=clients,
            etcd_clients=min(clients, self.etcd_clients),
            storm_ms=storm_ms,
            faults=tuple(fault for fault in self.faults if fault.at_ms < storm_ms),
            asks=tuple(ask for ask in self.asks if ask.at_ms < storm_ms and ask.client in known),
        )


def node_names(count: int) -> tuple[str, ...]:
    return tuple(f"n{number}" for number in range(1, count + 1))


def client_names(count: int) -> tuple[str, ...]:
    return tuple(f"c{number}" for number in range(1, count + 1))
