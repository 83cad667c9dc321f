"""Which backend a URL means.

    memory://NAME                   in this process; lost with it
    file:///PATH                    one durable node, shared by the processes of this machine
    node://...                      this process is a member of a cluster
    agreed://HOST:PORT,.../ROOT     a cluster of this package
    zk://HOST:PORT,.../ROOT         ZooKeeper (also zookeeper://)
    etcd://HOST:PORT,.../ROOT       etcd v3
    agreed+tls:// zk+tls:// etcd+tls://     the same over TLS
    srv+agreed://NAME/ROOT                  the servers of a name's SRV records; so with each of these six

Others come as entry points of the group `agreed.backends`: the name is the scheme, the object is a factory
with the signature of `Factory`.  What is built in cannot be replaced by one of them, so that an installed
package does not change where a program's locks are.

Nothing is imported before a URL asks for it: a program that talks to etcd has no use for a node.
"""

from __future__ import annotations

import importlib
import os
import ssl as tls
from typing import Final, Protocol, cast

from agreed.backends.contract import Backend
from agreed.errors import ConfigurationError

ENVIRONMENT: Final = "AGREED_URL"
GROUP: Final = "agreed.backends"

_ZOOKEEPER: Final = "agreed.backends.zookeeper:connect"
_ETCD: Final = "agreed.backends.etcd:connect"

BUILT_IN: Final = {
    "agreed": _ZOOKEEPER,
    "agreed+tls": _ZOOKEEPER,
    "zk": _ZOOKEEPER,
    "zk+tls": _ZOOKEEPER,
    "zookeeper": _ZOOKEEPER,
    "etcd": _ETCD,
    "etcd+tls": _ETCD,
    "srv+agreed": _ZOOKEEPER,
    "srv+agreed+tls": _ZOOKEEPER,
    "srv+zk": _ZOOKEEPER,
    "srv+zk+tls": _ZOOKEEPER,
    "srv+zookeeper": _ZOOKEEPER,
    "srv+etcd": _ETCD,
    "srv+etcd+tls": _ETCD,
    "memory": "agreed.embedded.memory:connect",
    "file": "agreed.embedded.file:connect",
    "node": "agreed.embedded.node:connect",
}


class Factory(Protocol):
    async def __call__(
        self,
        url: str,
        *,
        session_timeout_s: float,
        connect_timeout_s: float,
        request_timeout_s: float,
        user: str | None,
        password: str | None,
        ssl: tls.SSLContext | None,
    ) -> Backend: ...


def factory_of(url: str) -> Factory:
    """Raises ConfigurationError where nobody knows the scheme."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise ConfigurationError(f"{url!r} is no URL: it begins with a scheme, such as agreed://")
    place = BUILT_IN.get(scheme)
    if place is not None:
        module, _, name = place.partition(":")
        return cast(Factory, getattr(importlib.import_module(module), name))
    from importlib.metadata import entry_points  # an eighth of what `agreed.connect` takes to load

    for entry in entry_points(group=GROUP):
        if entry.name == scheme:
            return cast(Factory, entry.load())
    known = ", ".join(sorted(BUILT_IN))
    raise ConfigurationError(f"{url!r}: {scheme} is none of {known}, and no package brings it")


def url_or_environment(url: str | None) -> str:
    """Nothing is guessed: without a URL, and without one in the environment, there is no service, least of
    all one in memory that nobody shares."""
    found = url or os.environ.get(ENVIRONMENT, "")
    if not found:
        raise ConfigurationError(f"no URL was given, and {ENVIRONMENT} is not set")
    return found
