"""ZooKeeper's view of the members: the text of `/zookeeper/config`, and `reconfig` as a change of members.

A ZooKeeper server has a number where our members have names: the digits at the end of the name (`n2` is
server.2); else, or where two names end alike, its place in the list.  A member that joins gets the number
with the prefix which all others have.  It must have called before it can vote, so that its identity is
known; as an observer it may be named in advance, as ZooKeeper allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from agreed.consensus.members import IN_FORCE_ALREADY, Member, Members, MembersChange, SetVoters
from agreed.errors import MalformedInput
from agreed.replica.clients import READ, Client, Gate
from agreed.replica.operators import OUTCOME_UNKNOWN
from agreed.store.access import allowed
from agreed.store.machine import Store
from agreed.store.records import WRITE, Credential
from agreed.types import NodeId
from agreed.wire.zookeeper.config_text import (
    ANY_ADDRESS,
    Ensemble,
    Role,
    Server,
    changed,
    election_port_of,
    parse_ensemble,
    print_ensemble,
)
from agreed.wire.zookeeper.messages import ErrorCode, GetDataRequest, ReconfigRequest

if TYPE_CHECKING:
    from agreed.replica.replica import Replica
    from agreed.replica.zookeeper import ZooKeeperClients

CONFIG_PATH = b"/zookeeper/config"


def server_number(name: NodeId, position: int) -> int:
    digits = re.search(r"\d{1,18}$", name)
    return int(digits.group()) if digits else position + 1


def _server(member: Member, number: int, role: Role) -> Server:
    """Never raises: what a member calls its address came from itself, and every leader has to print it."""
    parts = re.fullmatch(r"(.*?):(\d{1,5})(?::(\d{1,5}))?", member.address, re.ASCII)
    host, quorum_port, election_port = parts.groups() if parts else (member.address, "0", None)
    client_host, _, client_port = member.client_address.rpartition(":")
    return Server(
        number,
        host.strip("[]"),
        int(quorum_port),
        int(election_port) if election_port else election_port_of(int(quorum_port)),
        role,
        client_host.strip("[]") or ANY_ADDRESS,
        int(client_port) if re.fullmatch(r"\d{1,5}", client_port, re.ASCII) else None,
    )


def servers_of(members: Members) -> dict[int, tuple[Server, Member]]:
    voters = {member.name for member in members.voters}
    standing = sorted((*members.voters, *members.learners), key=lambda m: (len(m.name), m.name))
    numbers = [server_number(member.name, position) for position, member in enumerate(standing)]
    if len(set(numbers)) < len(numbers):
        # `east1` and `west1`: one would hide the other, and a reconfig would remove whom it does not show.
        numbers = list(range(1, len(standing) + 1))
    numbered: dict[int, tuple[Server, Member]] = {}
    for number, member in zip(numbers, standing, strict=True):
        role = Role.PARTICIPANT if member.name in voters else Role.OBSERVER
        numbered[number] = (_server(member, number, role), member)
    return numbered


def configuration_text(members: Members) -> bytes:
    """Without the line of the version, which is the revision at which the store takes it."""
    servers = tuple(server for server, _ in servers_of(members).values())
    return print_ensemble(Ensemble(servers, None)).encode()


def configuration_version(store: Store) -> int:
    """The revision at which the configuration in the store came into force; -1 while there is none."""
    record = store.tree.get(CONFIG_PATH)
    if record is None or not record.value:
        return -1
    try:
        version = parse_ensemble(record.value.decode()).version
    except (MalformedInput, UnicodeDecodeError):
        return -1
    return -1 if version is None else version


def members_change(
    request: ReconfigRequest,
    store: Store,
    members: Members,
    credentials: tuple[Credential, ...],
    strangers: Mapping[NodeId, Member],
) -> MembersChange | ErrorCode:
    """What to ask the consensus machine for; or why not, in the order in which a real server looks."""
    standing = servers_of(members)
    try:
        if request.new_members:
            servers = parse_ensemble(request.new_members).servers
        else:
            servers = changed((server for server, _ in standing.values()), request.joining, request.leaving)
    except MalformedInput:
        return ErrorCode.BAD_ARGUMENTS
    if request.from_config not in (-1, configuration_version(store)):
        return ErrorCode.BAD_VERSION
    record = store.tree.get(CONFIG_PATH)
    if record is not None and not allowed(record.acl, WRITE, credentials):
        return ErrorCode.NO_AUTH
    prefix = re.sub(r"\d+$", "", members.voters[0].name) if members.voters else ""
    voters: list[Member] = []
    learners: list[Member] = []
    for server in servers:
        member = _member(server, standing.get(server.number), f"{prefix}{server.number}", strangers)
        if server.role is Role.OBSERVER:
            learners.append(member)
        elif member.identity == 0:
            return ErrorCode.NEW_CONFIG_NO_QUORUM
        else:
            voters.append(member)
    return SetVoters(tuple(voters), tuple(learners))


def _member(
    server: Server, standing: tuple[Server, Member] | None, name: NodeId, strangers: Mapping[NodeId, Member]
) -> Member:
    address = f"{_bracketed(server.host)}:{server.quorum_port}"
    if server.election_port != election_port_of(server.quorum_port):
        address += f":{server.election_port}"
    client_address = (
        "" if server.client_port is None else f"{_bracketed(server.client_host)}:{server.client_port}"
    )
    if standing is not None:
        known, member = standing
        if known == msgspec.structs.replace(server, role=known.role):
            return member
        return Member(member.name, member.identity, address, client_address)
    stranger = strangers.get(name)
    return Member(name, stranger.identity if stranger else 0, address, client_address)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Reconfiguration:
    """ZooKeeper's `reconfig`, asked of this node: passed on to the leader, answered when it can be seen
    here."""

    def __init__(self, replica: Replica, front: ZooKeeperClients) -> None:
        self._replica = replica
        self._front = front

    def asked(self, client: Client, xid: int, request: object) -> None:
        assert isinstance(request, ReconfigRequest)
        if client.read_only:
            self._front.in_turn(client, xid, ErrorCode.NOT_READ_ONLY)
            return
        replica = self._replica
        change = members_change(
            request, replica.store, replica.members, client.credentials, replica.operators.strangers
        )
        if isinstance(change, ErrorCode):
            self._front.in_turn(client, xid, change)
            return
        place = (xid, request, Gate(False))
        client.queue.append(place)
        # What comes behind it is not looked at before: a write would be applied, and could not be answered.
        self._front.hold_back(client)

        def answered(refusal: str | None, revision: int) -> None:
            if client.closed:
                return
            if refusal == IN_FORCE_ALREADY:
                # A reconfig may be asked for twice, as where the answer to the first was lost.  The leader
                # has said so, and this node may not have heard of it yet: hence the barrier.
                again = GetDataRequest(CONFIG_PATH, False)
                _replace(client, place, (xid, again, replica.reads.gate(client)))
                self._front.begin(client)
            elif refusal is not None:
                replica.log("warning", f"reconfig was refused: {refusal}")
                _replace(client, place, (xid, _reconfig_error(refusal), READ))
                self._front.drain(client)
                self._front.begin(client)
            else:
                replica.when_applied(revision, shown)

        def shown() -> None:
            """ZooKeeper answers with the new text and its stat, as getData of the node would."""
            if not client.closed:
                _replace(client, place, (xid, GetDataRequest(CONFIG_PATH, False), READ))
                self._front.drain(client)
                self._front.begin(client)

        replica.operators.change(change, answered)


def _replace(client: Client, old: tuple[int, object, Gate], new: tuple[int, object, Gate]) -> None:
    for position, place in enumerate(client.queue):
        if place is old:
            client.queue[position] = new
            return


def _reconfig_error(refusal: str) -> ErrorCode:
    """The consensus machine says in words why it refuses a change of members."""
    if refusal == OUTCOME_UNKNOWN:
        return ErrorCode.CONNECTION_LOSS
    if "under way" in refusal:
        return ErrorCode.RECONFIG_IN_PROGRESS
    return ErrorCode.NEW_CONFIG_NO_QUORUM
