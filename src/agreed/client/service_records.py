"""Servers that are found by DNS: the SRV records of a name (RFC 2782), each with a host and a port.

    records = ServiceRecords("_agreed._tcp.example", ssl=None)
    await records.find(timeout_s=15.0)                  raises what is wrong with the name
    session = Session(..., dial=records.dialer())       goes through them, in their order

A session tries the servers one after the other: those of the lowest priority number first, and among these
each as often first as its weight says.  When all of them have been tried it asks DNS again, so that a cluster
may move while its clients live.  Where DNS does not answer then, those that are known are tried again: who
has lost his servers for a moment shall not need a name server besides to come back.

Asked are the name servers of this machine, or `dns.asyncresolver.default_resolver` where the program has set
it.  Names are whole: no search domains are put behind them.

Over TLS the certificate has to be one for the domain that stands in the URL, as etcd's own tools want it, and
not for the host of the record: whoever can forge an answer of DNS would name a host of his own there, with
a certificate that is perfectly valid for it.

It needs the library `dnspython`, which programs that name their servers do not: the extra `dns`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl as tls
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from agreed.client.errors import ClientError, ServersUnknown, TimedOut
from agreed.client.url import Server
from agreed.errors import ConfigurationError

LOG: Final = logging.getLogger("agreed.client")

AGAIN_WITHIN_S: Final = 0.5
"""For a look-up between two rounds: half of the least time that a session gives to one attempt to connect.
An answer that takes longer is in the cache of the name server by the next round."""


class Record(NamedTuple):
    priority: int
    weight: int
    server: Server


def in_order(records: Sequence[Record], dice: Callable[[], float] = random.random) -> list[Server]:
    """As RFC 2782 has it: by priority; within one each next one drawn by weight, and those without weight
    hardly ever before the others.  `dice` draws a number in [0, 1)."""
    left = sorted(records, key=lambda each: (each.priority, each.weight > 0, dice()))
    order = []
    while left:
        equal = [each for each in left if each.priority == left[0].priority]
        drawn = int(dice() * (sum(each.weight for each in equal) + 1))
        for chosen in equal:
            drawn -= chosen.weight
            if drawn <= 0:
                break
        left.remove(chosen)
        order.append(chosen.server)
    return order


async def look_up(name: str, timeout_s: float) -> list[Record]:
    """At least one.  Raises ServersUnknown, TimedOut, and ConfigurationError where dnspython is missing."""
    try:
        import dns.asyncresolver
        import dns.exception
        import dns.name
        import dns.resolver
    except ImportError as error:
        raise ConfigurationError(f"DNS is asked by dnspython ({error}): install agreed[dns]") from error
    try:
        resolver = dns.asyncresolver.default_resolver or dns.asyncresolver.Resolver()
        answer = await resolver.resolve(f"{name}.", "SRV", lifetime=timeout_s)
    except dns.resolver.NXDOMAIN:
        raise ServersUnknown(f"{name}: DNS knows no such name", maybe=False) from None
    except dns.resolver.NoAnswer:
        raise ServersUnknown(f"{name}: the name has no SRV records", maybe=False) from None
    except dns.exception.Timeout as error:
        raise TimedOut(f"{name}: {error}", maybe=False) from error
    except dns.exception.DNSException as error:
        raise ServersUnknown(f"{name}: {error}", maybe=False) from error
    found = [
        Record(each.priority, each.weight, Server(each.target.to_text(omit_final_dot=True), each.port))
        for each in answer
        if each.target != dns.name.root
    ]
    if not found:
        raise ServersUnknown(f"{name}: its SRV record says that there is no such service", maybe=False)
    return found


class ServiceRecords:
    """`name` is `_service._protocol.domain`.  For any number of sessions with the same cluster."""

    def __init__(self, name: str, ssl: tls.SSLContext | None) -> None:
        self.name = name
        self._domain = name.split(".", 2)[2]
        self._ssl = ssl
        self._known: list[Record] = []

    async def find(self, timeout_s: float) -> None:
        """To be done before the first `dialer`.  Raises what `look_up` does, at once where DNS says no."""
        if not self._known:
            self._known = await look_up(self.name, timeout_s)

    def dialer(self) -> Callable[[asyncio.Protocol, object], Awaitable[None]]:
        """For one session: each call connects the protocol with the next server that can be reached, of the
        list that was read last.  Raises OSError where none is left that can be."""
        left = in_order(self._known)

        async def dial(made: asyncio.Protocol, _: object) -> None:
            if not left:
                await self._find_again()
                left.extend(in_order(self._known))
            while True:
                server = left.pop(0)
                try:
                    return await self._connect(made, server)
                except (OSError, UnicodeError) as error:  # the latter: of names that no resolver takes
                    if not left:
                        raise OSError(f"{server}: {error}") from error

        return dial

    async def _find_again(self) -> None:
        try:
            self._known = await look_up(self.name, AGAIN_WITHIN_S)
        except ClientError as error:
            LOG.warning("the servers that were known are tried again: %s", error)

    async def _connect(self, made: asyncio.Protocol, server: Server) -> None:
        await asyncio.get_running_loop().create_connection(
            lambda: made,
            server.host,
            server.port,
            ssl=self._ssl,
            server_hostname=None if self._ssl is None else self._domain,
        )
