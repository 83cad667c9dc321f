"""Where a service is, and as whom it is asked: one form of URL for all that are reached over a network.

    zk://host:port,host:port/path               the path stands before every key; it need not be there
    zk+tls://host                               TLS; the certificate is one that this machine trusts
    zk://user:password@host,host/path           whoever reads the URL reads the password: a program that
                                                logs its URL passes them by themselves instead

What is none of these characters in a user or password is written as in other URLs, `%40` for `@`.
"""

from __future__ import annotations

import ssl as tls
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from agreed.client.url import Server
from agreed.client.url import parse as parse_hosts
from agreed.errors import ConfigurationError

OVER_TLS: Final = "+tls"


class ServiceUrl(NamedTuple):
    """`path` is "" or has a slash before it and none behind; `scheme` is without `+tls`."""

    scheme: str
    over_tls: bool
    servers: tuple[Server, ...]
    path: str
    user: str | None
    password: str | None

    def context(self, given: tls.SSLContext | None) -> tls.SSLContext | None:
        """How to speak TLS: as it was given, else as Python thinks it safe; None: not at all."""
        return tls.create_default_context() if self.over_tls and given is None else given


def parse(url: str, schemes: Sequence[str], usual_port: int) -> ServiceUrl:
    """Raises ConfigurationError, with what is wrong and without the password."""
    scheme, separator, rest = url.partition("://")
    plain = scheme.removesuffix(OVER_TLS)
    if not separator or plain not in schemes:
        known = " or ".join(f"{each}://" for each in schemes)
        raise ConfigurationError(f"{scheme!r}: a URL begins with {known}, or has {OVER_TLS} behind the word")
    hosts, slash, path = rest.partition("/")
    credentials, at, hosts = hosts.rpartition("@")
    user, colon, password = credentials.partition(":")
    if at and not user:
        raise ConfigurationError(f"{scheme}://...@{hosts}: there is no user before the @")
    where = parse_hosts(f"{plain}://{hosts}{slash}{path}", schemes, usual_port)
    return ServiceUrl(
        plain,
        plain != scheme,
        where.servers,
        where.root,
        unquote(user) if at else None,
        unquote(password) if colon else None,
    )
