"""Who belongs to the cluster: voters, learners, and the two sets of a joint change.

A `Member` is a name, an identity and an address.  The identity is a random number made with the data
directory: a node that lost its disk has forgotten its votes, and must not vote under its old name.

Change of members (§6; thesis 4.3): the leader appends a *joint* set, in which decisions need a majority of
the old voters (`outgoing`) and one of the new (`voters`); once that is committed it appends the new set
alone.  Each set is in force from the moment it is in the log, committed or not.
"""
from __future__ import annotations

import msgspec

from agreed.types import Identity, NodeId


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`address` is where its peers reach it, `host:port`; `client_address` what clients are told (may be empty)."""

    name: NodeId
    identity: Identity
    address: str
    client_address: str = ""


class Members(msgspec.Struct, frozen=True, array_like=True):
    """`outgoing` is empty unless a joint change is under way."""

    voters: tuple[Member, ...]
    learners: tuple[Member, ...] = ()
    outgoing: tuple[Member, ...] = ()


class AddLearner(msgspec.Struct, frozen=True, tag="add-learner"):
    """A member that receives the log and does not count."""

    member: Member


class Promote(msgspec.Struct, frozen=True, tag="promote"):
    """A learner that has caught up becomes a voter; refused while it lags behind."""

    name: NodeId


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    name: NodeId


class Replace(msgspec.Struct, frozen=True, tag="replace"):
    """The same name with a new identity (a wiped disk) or address; it joins as a learner of the joint set
    and votes once the change is committed."""

    member: Member


class SetVoters(msgspec.Struct, frozen=True, tag="set-voters"):
    """The whole new set at once (ZooKeeper's reconfig).  `members` may name new nodes."""

    voters: tuple[Member, ...]
    learners: tuple[Member, ...] = ()


MembersChange = AddLearner | Promote | Remove | Replace | SetVoters
