"""The text in which ZooKeeper writes who belongs to the ensemble: /zookeeper/config, reconfig, zoo.cfg.

    server.1=10.0.0.1:2888:3888:participant;0.0.0.0:2181
    server.2=10.0.0.2:2888:3888:observer;2181
    server.3=[::1]:2888:3888
    version=1000000a

A server has a number, a host, a port for the replication and one for elections; then may come its role
(`participant` if it is left out) and, behind a semicolon, where its clients reach it: host and port, or the
port alone, which means every address of the machine.  `version` is the revision, in hexadecimal, at which
this configuration came into force.

A change is told either by whole (`new_members`: the same text) or by parts (`joining`: servers with commas
between them, `leaving`: numbers with commas between them).  A server that joins under a number which is there
takes its place.

Refused, because it has no meaning here: groups and weights of voters, several addresses of one server.
Everything that cannot be read raises `MalformedInput`, which a client hears as -8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from agreed.errors import MalformedInput

ANY_ADDRESS: Final = "0.0.0.0"
_PORT_MAX: Final = 65535
_NUMBER_MAX: Final = 2**63 - 1
_ELECTION_PORT_DISTANCE: Final = 1000

_HOST = r"(?:\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._-]+)?\]|[^\s:;,=|\[\]]+)"
_SERVER = re.compile(
    rf"(?P<host>{_HOST}):(?P<quorum>\d+):(?P<election>\d+)(?::(?P<role>[A-Za-z]+))?"
    rf"(?:;(?:(?P<client_host>{_HOST}):)?(?P<client_port>\d+))?",
    re.ASCII,
)
_LINE = re.compile(r"server\.(?P<number>\d{1,19})\s*=\s*(?P<address>.+)", re.ASCII)


class Role(StrEnum):
    PARTICIPANT = "participant"
    OBSERVER = "observer"


class Server(msgspec.Struct, frozen=True):
    """One line.  Hosts are names or addresses without brackets; `client_port` None: it is not told."""

    number: int
    host: str
    quorum_port: int
    election_port: int
    role: Role = Role.PARTICIPANT
    client_host: str = ANY_ADDRESS
    client_port: int | None = None


class Ensemble(msgspec.Struct, frozen=True):
    """All lines; `version` None: there was no such line."""

    servers: tuple[Server, ...]
    version: int | None


def election_port_of(peer_port: int) -> int:
    """The port shown for the elections of a node of ours, which has one port for everything.

    It must not be the peer port: Java's clients read the text too, and refuse a server that has one port for
    both (`config -c` of their shell fails, and Curator, which follows the text, reports an error with every
    change).  The distance is that of ZooKeeper's customary 2888 and 3888.
    """
    beyond = peer_port + _ELECTION_PORT_DISTANCE
    return beyond if beyond <= _PORT_MAX else peer_port - _ELECTION_PORT_DISTANCE


def parse_server(number: int, address: str) -> Server:
    """What stands behind `server.<number>=`.  Raises `MalformedInput`."""
    match = _SERVER.fullmatch(address.strip())
    if match is None:
        raise MalformedInput(f"{address!r} is not host:port:port[:role][;[host:]port]")
    if number > _NUMBER_MAX:
        raise MalformedInput(f"{number} is too large for the number of a server")
    role = (match["role"] or Role.PARTICIPANT).lower()
    if role not in (Role.PARTICIPANT, Role.OBSERVER):
        raise MalformedInput(f"{role!r} is neither participant nor observer")
    return Server(
        number,
        match["host"].strip("[]"),
        _port(match["quorum"]),
        _port(match["election"]),
        Role(role),
        (match["client_host"] or ANY_ADDRESS).strip("[]"),
        None if match["client_port"] is None else _port(match["client_port"]),
    )


def print_server(server: Server) -> str:
    """One line, in the form in which ZooKeeper writes it down: the role always, the client's host always."""
    client = ""
    if server.client_port is not None:
        client = f";{_bracketed(server.client_host)}:{server.client_port}"
    return (
        f"server.{server.number}={_bracketed(server.host)}:{server.quorum_port}:{server.election_port}"
        f":{server.role.value}{client}"
    )


def parse_ensemble(text: str) -> Ensemble:
    """A whole configuration: lines, or the same with commas.  Raises `MalformedInput`."""
    servers: dict[int, Server] = {}
    version: int | None = None
    for line in _items(text.replace("\n", ",")):
        name, _, value = line.partition("=")
        if name.strip() == "version":
            version = _hexadecimal(value.strip())
            continue
        server = _parse_line(line)
        if server.number in servers:
            raise MalformedInput(f"server.{server.number} stands there twice")
        servers[server.number] = server
    return Ensemble(_checked(servers.values()), version)


def print_ensemble(ensemble: Ensemble) -> str:
    """The text of /zookeeper/config: it ends without a newline, as ZooKeeper's does."""
    lines = [print_server(server) for server in sorted(ensemble.servers, key=lambda server: server.number)]
    if ensemble.version is not None:
        lines.append(f"version={ensemble.version:x}")
    return "\n".join(lines)


def changed(current: Iterable[Server], joining: str, leaving: str) -> tuple[Server, ...]:
    """The servers after an incremental change, by number.  Raises `MalformedInput`.

    Who leaves goes first, so that one server can give its addresses to another in one change.  A number that
    leaves and is not there is no error: the change may be asked for twice."""
    servers = {server.number: server for server in current}
    for item in _items(leaving):
        if not re.fullmatch(r"\d{1,19}", item, re.ASCII):
            raise MalformedInput(f"{item!r} is not the number of a server")
        servers.pop(int(item), None)
    for item in _items(joining):
        server = _parse_line(item)
        servers[server.number] = server
    return _checked(servers.values())


# --- the parts -------------------------------------------------------------------------------------------


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _parse_line(line: str) -> Server:
    match = _LINE.fullmatch(line)
    if match is None:
        raise MalformedInput(f"{line!r} is not server.<number>=<addresses>")
    return parse_server(int(match["number"]), match["address"])


def _checked(servers: Iterable[Server]) -> tuple[Server, ...]:
    """In the order of their numbers; two servers on one address could not both listen there.

    One server may name one port twice: ours need only one for replication and elections.  And a port for
    elections that is only shown is in nobody's way: else neighbours on the ports 7000 and 8000 were refused.
    """
    ordered = tuple(sorted(servers, key=lambda server: server.number))
    if not any(server.role is Role.PARTICIPANT for server in ordered):
        raise MalformedInput("nobody would be left to vote")
    taken: dict[tuple[str, int], int] = {}
    for server in ordered:
        ports = {server.quorum_port, server.election_port} - {election_port_of(server.quorum_port)}
        for port in ports:
            other = taken.setdefault((server.host, port), server.number)
            if other != server.number:
                raise MalformedInput(f"servers {other} and {server.number} have the same address")
    return ordered


def _port(digits: str) -> int:
    port = int(digits) if len(digits) <= 5 else _PORT_MAX + 1
    if not 0 < port <= _PORT_MAX:
        raise MalformedInput(f"{digits[:20]} is not a port")
    return port


def _hexadecimal(digits: str) -> int:
    if not re.fullmatch(r"[0-9A-Fa-f]{1,16}", digits):
        raise MalformedInput(f"{digits!r} is not a version")
    return int(digits, 16)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
