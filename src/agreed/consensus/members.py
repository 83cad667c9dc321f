"""Who belongs to the cluster: voters, learners, and the two sets of a joint change.

A `Member` is a name, an identity and an address.  The identity is a random number made with the data
directory: a node that lost its disk has forgotten its votes, and must not vote under its old name.

Change of members (§6; thesis 4.3): the leader appends a *joint* set, in which decisions need a majority of
the old voters (`outgoing`) and one of the new (`voters`); once that is committed it appends the new set
alone.  Each set is in force from the moment it is in the log, committed or not.
"""
from __future__ import annotations

import msgspec

from agreed.errors import MalformedInput
from agreed.types import Identity, NodeId


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`address` is where its peers reach it, `host:port`; `client_address` what clients are told (may be
    empty)."""

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


def _names(members: tuple[Member, ...]) -> set[NodeId]:
    return {member.name for member in members}


def everybody(members: Members) -> dict[NodeId, Member]:
    """Name -> member, of all who are sent the log.  Of a replaced voter the new holder of the name is
    listed."""
    known = {member.name: member for member in members.outgoing}
    known.update((member.name, member) for member in members.learners)
    known.update((member.name, member) for member in members.voters)
    return known


def fault(members: Members) -> str | None:
    """Why no correct leader would ever make this set; None where it is sound."""
    current = [member.name for member in members.voters + members.learners]
    if len(set(current)) != len(current):
        return "a name stands twice"
    if len(_names(members.outgoing)) != len(members.outgoing):
        return "a name stands twice in the outgoing set"
    if not all(current) or not all(member.name for member in members.outgoing):
        return "a member has no name"
    if members.outgoing and not members.voters:
        return "a joint set without incoming voters"
    return None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Members)


def encode_members(members: Members) -> bytes:
    """The payload of an entry of kind MEMBERS (msgpack arrays)."""
    return _encoder.encode(members)


def decode_members(payload: bytes) -> Members:
    """The inverse of `encode_members`.  Raises MalformedInput for what `encode_members` cannot have made of a
    sound set."""
    try:
        members = _decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError) as error:
        raise MalformedInput(f"not a set of members: {error}") from error
    reason = fault(members)
    if reason is not None:
        raise MalformedInput(f"not a set of members: {reason}")
    return members


IN_FORCE_ALREADY = "this very set is in force already"
"""What `SetVoters` is told that would change nothing; for who asks twice that is as good as done."""


# --- the algebra of changes: members x change -> refusal, or the set to append next --------------------


def refusal(members: Members, change: MembersChange) -> str | None:
    """Why this change makes no sense on this set, in words for an operator; None where it does."""
    if members.outgoing:
        return "another change of members is under way"
    known = everybody(members)
    match change:
        case AddLearner(member):
            return _refuse_add(known, member)
        case Promote(name):
            if name not in known:
                return f"{name} is not a member"
            return None if name in _names(members.learners) else f"{name} votes already"
        case Remove(name):
            if name not in known:
                return f"{name} is not a member"
            return f"{name} is the last voter" if _names(members.voters) == {name} else None
        case Replace(member):
            return _refuse_replace(members, member)
        case SetVoters():
            return _refuse_set(members, change)


def _refuse_add(known: dict[NodeId, Member], member: Member) -> str | None:
    if not member.name:
        return "a member needs a name"
    return f"{member.name} is a member already" if member.name in known else None


def _refuse_replace(members: Members, member: Member) -> str | None:
    held = everybody(members).get(member.name)
    if held is None:
        return f"{member.name} is not a member"
    if held == member:
        return f"{member.name} is this very member already"
    if held.identity == member.identity or member.name not in _names(members.voters):
        return None
    # The new holder of the name has forgotten its votes, so the old set must decide without it.
    voters = len(members.voters)
    if voters - 1 < voters // 2 + 1:
        return f"without {member.name} no majority of the {voters} voters is left to agree on the change"
    return None


def _refuse_set(members: Members, change: SetVoters) -> str | None:
    if not change.voters:
        return "a cluster needs a voter"
    wanted = Members(voters=change.voters, learners=change.learners)
    reason = fault(wanted)
    if reason is not None:
        return reason
    if wanted == members:
        return IN_FORCE_ALREADY
    known = everybody(members)
    for member in change.voters + change.learners:
        held = known.get(member.name)
        if held is not None and held.identity != member.identity:
            return f"{member.name} has another identity than the member of that name: replace it first"
    return None


def after(members: Members, change: MembersChange) -> Members:
    """The set to append for a change that was not refused.

    Joint wherever the voters change; at once the new set where no majority can change (learners, addresses).
    """
    voters, learners = members.voters, members.learners
    match change:
        case AddLearner(member):
            return Members(voters, (*learners, member))
        case Promote(name):
            promoted = tuple(member for member in learners if member.name == name)
            rest = tuple(member for member in learners if member.name != name)
            return Members(voters + promoted, rest, outgoing=voters)
        case Remove(name):
            kept = tuple(member for member in voters if member.name != name)
            rest = tuple(member for member in learners if member.name != name)
            return Members(kept, rest, outgoing=voters if kept != voters else ())
        case Replace(member):
            return _after_replace(members, member)
        case SetVoters(wanted, observers):
            same = _names(wanted) == _names(voters)
            return Members(wanted, observers, outgoing=() if same else voters)


def _after_replace(members: Members, member: Member) -> Members:
    voters, learners = members.voters, members.learners
    held = everybody(members)[member.name]
    if held.identity != member.identity and held in voters:
        # It learns in the joint set and votes in the final one: see `final`.
        return Members(tuple(v for v in voters if v != held), (*learners, member), outgoing=voters)
    return Members(
        tuple(member if v.name == member.name else v for v in voters),
        tuple(member if v.name == member.name else v for v in learners),
    )


def final(joint: Members) -> Members:
    """The set that follows a committed joint set.

    A learner that holds the name of an outgoing voter under another identity is a replacement, and votes from
    here on.  That is safe in the same step: a majority of a set and one of the same set with one member more
    always share a member (thesis 4.1), and only one voter is replaced at a time.
    """
    before = {member.name: member.identity for member in joint.outgoing}
    replacing = tuple(m for m in joint.learners if before.get(m.name, m.identity) != m.identity)
    rest = tuple(m for m in joint.learners if m not in replacing)
    return Members(joint.voters + replacing, rest)
