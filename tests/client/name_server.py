"""A name server on loopback that says of each name what the test wants, and what a program asks instead of
the machine's own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

LOOPBACK = "127.0.0.1"

SILENCE = "silence"

Said: TypeAlias = Sequence[str] | dns.rcode.Rcode | str
"""SRV records as they stand in a zone file, "priority weight port target"; or an error; or nothing at all."""


class NameServer:
    """`says`: by names without the last dot.  A name that is not among them does not exist."""

    def __init__(self, says: dict[str, Said]) -> None:
        self.says = says
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(65536)
            if not data:
                return
            answer = self._answer(dns.message.from_wire(data))
            if answer is not None:
                self._socket.sendto(answer.to_wire(), sender)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        [question] = query.question
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(name)
        said = self.says.get(name, dns.rcode.NXDOMAIN)
        if said == SILENCE:
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if isinstance(said, dns.rcode.Rcode):
            answer.set_rcode(said)
        elif said:
            answer.answer.append(dns.rrset.from_text(question.name, 5, "IN", "SRV", *said))
        return answer

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.sendto(b"", (LOOPBACK, self.port))
        self._thread.join()
        self._socket.close()


@contextlib.contextmanager
def name_server(says: dict[str, Said]) -> Iterator[NameServer]:
    """Nobody else is asked by this process until the end of the context."""
    server = NameServer(says)
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [LOOPBACK], server.port
    before, dns.asyncresolver.default_resolver = dns.asyncresolver.default_resolver, resolver
    try:
        yield server
    finally:
        dns.asyncresolver.default_resolver = before
        server.close()
