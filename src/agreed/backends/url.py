"""Where a service is, and as whom it is asked: one form of URL for all that are reached over a network.

    zk://host:port,host:port/path               the path stands before every key; it need not be there
    zk+tls://host                               TLS; the certificate is one that this machine trusts
    srv+zk://example.org/path                   the servers are those of the SRV records of a name in DNS:
                                                here of _zookeeper._tcp.example.org
    srv+zk://_service._tcp.example.org          of this very name
    zk://user:password@host,host/path           whoever reads the URL reads the password: a program that
                                                logs its URL passes them by themselves instead

What is none of these characters in a user or password is written as in other URLs, `%40` for `@`.
"""

from __future__ import annotations

import re
import ssl as tls
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from agreed.client.service_records import ServiceRecords
from agreed.client.url import Server
from agreed.client.url import parse as parse_hosts
from agreed.errors import ConfigurationError

OVER_TLS: Final = "+tls"
BY_RECORDS: Final = "srv+"

SERVICES: Final = {
    "agreed": ("_agreed", "_agreed-tls"),
    "zk": ("_zookeeper", "_zookeeper-tls"),
    "zookeeper": ("_zookeeper", "_zookeeper-tls"),
    "etcd": ("_etcd-client", "_etcd-client-ssl"),
}
"""What SRV records of a domain stand for which scheme where the URL does not say it, and over TLS, for that
is another port.  Those of etcd are its own tools' names."""

_LABEL: Final = "[A-Za-z0-9-][A-Za-z0-9_-]{0,62}"
_NAME: Final = re.compile(rf"(?P<service>_{_LABEL}\._{_LABEL}\.)?(?P<domain>{_LABEL}(?:\.{_LABEL})*)\.?")


class ServiceUrl(NamedTuple):
    """`path` is "" or has a slash before it and none behind; `scheme` is without `srv+` and `+tls`.
    `by_records`: of `servers` there is one, without a port: the name whose SRV records tell them."""

    scheme: str
    over_tls: bool
    servers: tuple[Server, ...]
    path: str
    user: str | None
    password: str | None
    by_records: bool = False

    def context(self, given: tls.SSLContext | None) -> tls.SSLContext | None:
        """How to speak TLS: as it was given, else as Python thinks it safe; None: not at all."""
        return tls.create_default_context() if self.over_tls and given is None else given

    def records(self, ssl: tls.SSLContext | None) -> ServiceRecords | None:
        return ServiceRecords(self.servers[0].host, ssl) if self.by_records else None


def parse(url: str, schemes: Sequence[str], usual_port: int) -> ServiceUrl:
    """Raises ConfigurationError, with what is wrong and without the password."""
    scheme, separator, rest = url.partition("://")
    plain = scheme.removeprefix(BY_RECORDS).removesuffix(OVER_TLS)
    if not separator or plain not in schemes:
        known = " or ".join(f"{each}://" for each in schemes)
        raise ConfigurationError(
            f"{scheme!r}: a URL begins with {known}, {BY_RECORDS} before or {OVER_TLS} behind the word"
        )
    hosts, slash, path = rest.partition("/")
    credentials, at, hosts = hosts.rpartition("@")
    user, colon, password = credentials.partition(":")
    if at and not user:
        raise ConfigurationError(f"{scheme}://...@{hosts}: there is no user before the @")
    where = parse_hosts(f"{plain}://{hosts}{slash}{path}", schemes, usual_port)
    over_tls, by_records = scheme.endswith(OVER_TLS), scheme.startswith(BY_RECORDS)
    return ServiceUrl(
        plain,
        over_tls,
        (Server(_name_of_records(plain, over_tls, hosts), 0),) if by_records else where.servers,
        where.root,
        unquote(user) if at else None,
        unquote(password) if colon else None,
        by_records,
    )


def _name_of_records(scheme: str, over_tls: bool, text: str) -> str:
    match = _NAME.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"{text!r} is not one name whose SRV records tell the servers and their ports: a domain, "
            "or _service._tcp. and a domain"
        )
    return (match["service"] or f"{SERVICES[scheme][over_tls]}._tcp.") + match["domain"]
