"""Where a cluster is: `agreed://host:port,host:port/path`, or `zk://...`, which means the same.

    agreed://127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183/app
    zk://zookeeper                              port 2181, no path
    agreed://[::1]:2181/                        an IPv6 address stands in brackets

The path is put before every path of the session, so that programs can share a cluster without knowing each
other.  It has to be there already; `Session.ensure_path("/")` makes it.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from agreed.errors import ConfigurationError

SCHEMES = ("agreed", "zk")
USUAL_PORT = 2181

_SERVER = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:/?#@\s]+))(?::(?P<port>\d{1,5}))?")


class Server(NamedTuple):
    """Port 0: `host` is only what error messages call it, and something else than a socket leads there."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ClusterUrl(NamedTuple):
    """`root` is "" or begins with a slash and does not end with one."""

    servers: tuple[Server, ...]
    root: str


def parse(url: str, schemes: Sequence[str] = SCHEMES, usual_port: int = USUAL_PORT) -> ClusterUrl:
    """Raises ConfigurationError, with what is wrong.  Other protocols have other schemes and ports."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in schemes:
        known = " or ".join(f"{each}://" for each in schemes)
        raise ConfigurationError(f"{url!r}: a URL begins with {known}")
    hosts, _, path = rest.partition("/")
    servers = []
    for text in hosts.split(","):
        match = _SERVER.fullmatch(text.strip())
        if match is None:
            raise ConfigurationError(f"{url!r}: {text!r} is not host or host:port")
        port = int(match["port"] or usual_port)
        if not 0 < port < 65536:
            raise ConfigurationError(f"{url!r}: {port} is no port")
        servers.append(Server(match["six"] or match["host"], port))
    root = f"/{path}".rstrip("/")
    if "//" in root or "?" in root or "#" in root:
        raise ConfigurationError(f"{url!r}: {root!r} is no path of the store")
    return ClusterUrl(tuple(servers), root)
