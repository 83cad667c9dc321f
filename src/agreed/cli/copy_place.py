"""Where `agreed copy` copies from and to, as a URL.

    etcd://127.0.0.1:2379                              the keys of an etcd, or of a cluster of this package
    etcd://10.0.0.1:2379,10.0.0.2:2379/app             only those that begin with /app/, without that
    zookeeper://127.0.0.1:2181/app                     the nodes below /app, without that
    etcd://n1:2379?ca=ca.pem&certificate=alice.pem&key=alice-key.pem
    etcd://n1:2379?user=root&password-file=secret      (with `zookeeper`: the scheme digest)

What stands before the name of an entry (the path of the URL) is taken off at the source and put before it at
the target.  So what is called `/app/price` at etcd://.../app is called `/shop/price` at
zookeeper://.../shop.
"""
from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, unquote

from agreed.client.url import Server, parse
from agreed.errors import ConfigurationError

PARAMETERS = ("ca", "certificate", "key", "user", "password-file")

PORTS = {"etcd": 2379, "zookeeper": 2181}


class Place(NamedTuple):
    """`root` is "" or begins with a slash and does not end with one."""

    kind: Literal["etcd", "zookeeper"]
    servers: tuple[Server, ...]
    root: str
    tls: ssl.SSLContext | None
    user: str | None
    password: str

    @property
    def told(self) -> str:
        return f"{self.kind}://{','.join(map(str, self.servers))}{self.root}"


def place_of(url: str) -> Place:
    """Raises `ConfigurationError`."""
    before, _, query = url.partition("?")
    kind, separator, rest = before.partition("://")
    if kind not in PORTS or not separator:
        raise ConfigurationError(f"{url!r}: a URL of `agreed copy` begins with etcd:// or zookeeper://")
    hosts, slash, path = rest.partition("/")
    with_ports = ",".join(_with_port(host, PORTS[kind]) for host in hosts.split(","))
    found = parse(f"agreed://{with_ports}{slash}{unquote(path)}")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    for name in parameters:
        if name not in PARAMETERS:
            raise ConfigurationError(f"{url!r}: {name!r} is none of {', '.join(PARAMETERS)}")
    return Place(
        "etcd" if kind == "etcd" else "zookeeper",
        found.servers,
        found.root,
        _context(kind, parameters),
        parameters.get("user"),
        _password(parameters),
    )


def _with_port(host: str, port: int) -> str:
    host = host.strip()
    return host if re.search(r":\d+$", re.sub(r"^\[.*\]", "", host)) else f"{host}:{port}"


def _password(parameters: dict[str, str]) -> str:
    file = parameters.get("password-file")
    if (file is None) != (parameters.get("user") is None):
        raise ConfigurationError("user, password-file: one without the other")
    if file is None:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read ({error})") from error


def _context(kind: str, parameters: dict[str, str]) -> ssl.SSLContext | None:
    authority, certificate, key = (parameters.get(name) for name in ("ca", "certificate", "key"))
    if authority is None and certificate is None and key is None:
        return None
    if authority is None or (certificate is None) != (key is None):
        raise ConfigurationError("TLS needs ca; certificate and key come together")
    try:
        context = ssl.create_default_context(cafile=authority)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigurationError(f"{authority}, {certificate}, {key}: {error}") from error
    if kind == "etcd":
        context.set_alpn_protocols(["h2"])
    return context
