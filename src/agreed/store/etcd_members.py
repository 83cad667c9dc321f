"""The members as clients of etcd see them: ids, names and addresses that every node tells alike.

Who votes is decided by the consensus layer, and stands in the log as sets of members.  What clients of etcd
are told besides stands here, as part of the replicated state:

    pending     announced with `MemberAdd` by the address at which it will run.  It has an id already, which
                it keeps for good, and no data directory yet (`identity` 0)
    arrived     a node turned up at that address and was taken into the cluster: the row has its `identity`
    published   the node told its name and its addresses (each does so when it starts)

A founder has no announcement, and its id is the identity of its data directory.  A member whose row is not
here (it has not published yet) is shown with what the consensus layer knows of it.

None of these commands consumes a revision.  Each is done to the full or refused, whatever it contains.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from agreed.store.results import Done, Refusal
from agreed.types import Identity, NodeId

if TYPE_CHECKING:
    from agreed.store.state import State

MEMBERS_MOST: Final = 256
"""Rows.  Anybody who may change members may announce some; every node keeps them."""


class EtcdMember(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`joins_as_voter`: it was announced as a voter, and does not vote yet.  It gets the log as a learner
    first, and votes as soon as it has caught up."""

    id: int
    identity: Identity = 0
    name: str = ""
    peer_urls: tuple[str, ...] = ()
    client_urls: tuple[str, ...] = ()
    joins_as_voter: bool = False


class EtcdMembers:
    """All rows by id, in order of their first appearance."""

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: dict[int, EtcdMember] = {}

    def __iter__(self) -> Iterator[EtcdMember]:
        return iter(self.table.values())

    def __len__(self) -> int:
        return len(self.table)

    def of(self, identity: Identity) -> EtcdMember | None:
        """The row of a data directory."""
        return next((row for row in self if row.identity == identity != 0), None)

    def has_url(self, urls: tuple[str, ...], but: int = 0) -> bool:
        """Whether a member other than `but` has one of these peer addresses."""
        return any(url in row.peer_urls for row in self if row.id != but for url in urls)


class AnnounceMember(msgspec.Struct, frozen=True, array_like=True, tag=80, gc=False):
    """`id` was drawn by who asks."""

    id: int
    peer_urls: tuple[str, ...]
    joins_as_voter: bool


class ArriveMember(msgspec.Struct, frozen=True, array_like=True, tag=81, gc=False):
    """The pending member `id` is the node with this data directory."""

    id: int
    identity: Identity


class PublishMember(msgspec.Struct, frozen=True, array_like=True, tag=82, gc=False):
    """A node tells how it wants to be shown.  Addresses for peers that an operator changed stay as they are,
    unless the row has none."""

    identity: Identity
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]


class UpdateMember(msgspec.Struct, frozen=True, array_like=True, tag=83, gc=False):
    """Other addresses for peers; or it votes now, as was announced."""

    id: int
    peer_urls: tuple[str, ...] | None = None
    votes: bool = False


class ForgetMember(msgspec.Struct, frozen=True, array_like=True, tag=84, gc=False):
    """It is no member any more, or will never be one."""

    id: int


MemberCommand = AnnounceMember | ArriveMember | PublishMember | UpdateMember | ForgetMember


def announce(state: State, command: AnnounceMember, origin: NodeId) -> Done | Refusal:
    members = state.etcd_members
    if command.id in members.table or command.id == 0:
        return Refusal.MEMBER_EXISTS
    if members.has_url(command.peer_urls):
        return Refusal.PEER_URL_EXISTS
    if not command.peer_urls or len(members) >= MEMBERS_MOST:
        return Refusal.BAD_ARGUMENTS
    members.table[command.id] = EtcdMember(
        command.id, peer_urls=command.peer_urls, joins_as_voter=command.joins_as_voter
    )
    return Done.DONE


def arrive(state: State, command: ArriveMember, origin: NodeId) -> Done | Refusal:
    """If the node has published before it was recognized, its row is merged into the announced one."""
    members = state.etcd_members
    row = members.table.get(command.id)
    if row is None or row.identity not in (0, command.identity):
        return Refusal.NO_MEMBER
    own = members.of(command.identity)
    if own is not None and own.id != row.id:
        del members.table[own.id]
        row = replace(row, name=own.name, client_urls=own.client_urls)
    members.table[row.id] = replace(row, identity=command.identity)
    return Done.DONE


def publish(state: State, command: PublishMember, origin: NodeId) -> Done | Refusal:
    members = state.etcd_members
    row = members.of(command.identity)
    if row is None:
        if command.identity == 0 or command.identity in members.table or len(members) >= MEMBERS_MOST:
            return Refusal.BAD_ARGUMENTS
        row = EtcdMember(command.identity, command.identity)
    members.table[row.id] = replace(
        row,
        name=command.name,
        peer_urls=row.peer_urls or command.peer_urls,
        client_urls=command.client_urls,
    )
    return Done.DONE


def update(state: State, command: UpdateMember, origin: NodeId) -> Done | Refusal:
    members = state.etcd_members
    row = members.table.get(command.id)
    if row is None:
        return Refusal.NO_MEMBER
    if command.peer_urls is not None:
        if not command.peer_urls:
            return Refusal.BAD_ARGUMENTS
        if members.has_url(command.peer_urls, but=command.id):
            return Refusal.PEER_URL_EXISTS
        row = replace(row, peer_urls=command.peer_urls)
    if command.votes:
        row = replace(row, joins_as_voter=False)
    members.table[row.id] = row
    return Done.DONE


def forget(state: State, command: ForgetMember, origin: NodeId) -> Done | Refusal:
    return Refusal.NO_MEMBER if state.etcd_members.table.pop(command.id, None) is None else Done.DONE
