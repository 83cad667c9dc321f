"""One class per message between nodes, beside those of the consensus protocol.

`Hello` says who calls.  The identity is checked against the members before anything of Raft is heard: a wiped
disk or a clone under a known name is told so and gets no vote.

A node that was never part of a cluster has `cluster` 0.  Fresh nodes tell each other their identities in
`Hello`; once a node has heard all the founders it knows the cluster (`replica/bootstrap.py`).
"""

from __future__ import annotations

import msgspec

from agreed.consensus.members import Member, Members, MembersChange
from agreed.types import Identity, Index, LeaseId, NodeId, Revision, Term

PROTOCOL_VERSION = 1


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=100):
    """The first message on a connection, from a node.

    `life` counts the starts of that data directory, `boot` is drawn at each start: two processes with one
    identity, the same life and another boot are a directory and its copy, of which one has to go."""

    version: int
    cluster: int
    member: Member
    life: int
    boot: int
    founders: Members
    members: Members
    log_term: Term
    log_index: Index
    """Of the last entry in the sender's log: `members` are the newest in it, agreed upon or not."""
    consensus: str = "raft"
    """The protocol that the sender speaks (`consensus.protocols`)."""


class OperatorHello(msgspec.Struct, frozen=True, array_like=True, tag=101, gc=False):
    """The first message on a connection, from a command line: requests and replies follow in turn."""

    version: int


class HelloReply(msgspec.Struct, frozen=True, array_like=True, tag=102):
    """Who answers, in the same words; `refusal` says why nothing more will be heard on this connection."""

    hello: Hello
    refusal: str | None


class Forward(msgspec.Struct, frozen=True, array_like=True, tag=103, gc=False):
    """Commands of the sender's clients for the leader to propose: an encoded `store.commands.Batch`.

    May be lost; the sender repeats what it has not seen applied, and the numbers in the batch keep it from
    being done twice (`store/once.py`)."""

    term: Term
    batch: bytes


class Heard(msgspec.Struct, frozen=True, array_like=True, tag=104, gc=False):
    """Sessions which a follower has heard from since it last said so; the leader decides on expiry."""

    leases: list[LeaseId]


class HeardNoted(msgspec.Struct, frozen=True, array_like=True, tag=108, gc=False):
    """The leader's answer to `Heard`.  A node may hear a leader that does not hear it, for the two ways are
    two connections; then its clients' sessions are about to end, and it must not tell them that all is
    well."""


class RenewLeases(msgspec.Struct, frozen=True, array_like=True, tag=109, gc=False):
    """Plain leases that clients of the sender hold on to; the leader alone knows how much time they have
    left.  May be said again under the same number: it only makes them live longer."""

    number: int
    leases: list[LeaseId]


class LeasesRenewed(msgspec.Struct, frozen=True, array_like=True, tag=110, gc=False):
    """The answer: the time to live of each in ms, 0 where there is no such lease (any more).  `ttls_ms` None:
    the asked one does not lead."""

    number: int
    ttls_ms: list[int] | None


class DigestReport(msgspec.Struct, frozen=True, array_like=True, tag=105, gc=False):
    """SHA-256 of the sender's snapshot at the checkpoint with this index; equal on every node, or one is
    wrong."""

    index: Index
    digest: bytes


class ChangeAsked(msgspec.Struct, frozen=True, array_like=True, tag=106):
    """A change of members, asked of another node by one of its clients, for the leader to carry out."""

    ticket: int
    change: MembersChange


class ChangeAnswer(msgspec.Struct, frozen=True, array_like=True, tag=107, gc=False):
    """`refusal` None: the change is in force, and the store shows it from `revision` on."""

    ticket: int
    refusal: str | None
    revision: Revision


class CallForwarded(msgspec.Struct, frozen=True, array_like=True, tag=111, gc=False):
    """A call of an etcd client that only the leader can answer: the path of the method and its request, in
    protobuf.  `token`, `certificate`: who calls, as he has told the sender."""

    ticket: int
    path: str
    request: bytes
    token: str | None = None
    certificate: str | None = None


class CallAnswered(msgspec.Struct, frozen=True, array_like=True, tag=112, gc=False):
    """How that call ended: a code and text of gRPC, and where it went well the reply, in protobuf."""

    ticket: int
    code: int
    text: str
    reply: bytes


class TokensUsed(msgspec.Struct, frozen=True, array_like=True, tag=113):
    """Tokens of etcd's users that somebody has shown to the sender since it last said so; the leader decides
    which are forgotten."""

    tokens: list[str]


# --- operators --------------------------------------------------------------------------------------------


class StatusRequest(msgspec.Struct, frozen=True, array_like=True, tag=120, gc=False):
    pass


class FollowerStatus(msgspec.Struct, frozen=True, gc=False):
    """What the leader knows of another member."""

    name: NodeId
    match_index: Index
    state: str
    heard_ms_ago: int


class StatusReply(msgspec.Struct, frozen=True, array_like=True, tag=121):
    """One node as it sees itself.  `problem` says in a sentence why it does not serve, or is None."""

    name: NodeId
    identity: Identity
    cluster: int
    role: str
    term: Term
    leader: NodeId | None
    members: Members
    commit_index: Index
    applied_index: Index
    last_index: Index
    first_index: Index
    snapshot_index: Index
    revision: Revision
    keys: int
    sessions: int
    connections: int
    watches: int
    uptime_ms: int
    resident_bytes: int
    followers: tuple[FollowerStatus, ...]
    problem: str | None
    version: str

    @property
    def leads(self) -> bool:
        """`role` is what the node's protocol calls it: a leader of Viewstamped Replication is a primary."""
        return self.leader == self.name


class MemberAdd(msgspec.Struct, frozen=True, array_like=True, tag=122, gc=False):
    """The node must already be running with `--join`: it has told us its identity."""

    name: NodeId


class MemberPromote(msgspec.Struct, frozen=True, array_like=True, tag=123, gc=False):
    name: NodeId


class MemberRemove(msgspec.Struct, frozen=True, array_like=True, tag=124, gc=False):
    name: NodeId


class MemberReplace(msgspec.Struct, frozen=True, array_like=True, tag=125, gc=False):
    """A member under its old name with a new data directory (its disk was lost); it must be running."""

    name: NodeId


class LeadershipTransfer(msgspec.Struct, frozen=True, array_like=True, tag=126, gc=False):
    """`target` None: to the most up-to-date follower."""

    target: NodeId | None = None


class OperatorReply(msgspec.Struct, frozen=True, array_like=True, tag=127, gc=False):
    """To the requests that change something; `refusal` None: it is done.  `leader` is whom to ask instead."""

    refusal: str | None
    leader_address: str | None = None


OperatorRequest = (
    StatusRequest | MemberAdd | MemberPromote | MemberRemove | MemberReplace | LeadershipTransfer
)

NodeMessage = (
    Hello
    | OperatorHello
    | HelloReply
    | Forward
    | Heard
    | HeardNoted
    | RenewLeases
    | LeasesRenewed
    | DigestReport
    | ChangeAsked
    | ChangeAnswer
    | CallForwarded
    | CallAnswered
    | TokensUsed
)
