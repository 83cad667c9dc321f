"""TLS of a node: to its clients, to its peers, and how a certificate is replaced without a restart.

    of_server(files)          what clients meet; with an authority, a client must show a certificate of it
    of_peers(files)           two contexts: for those who connect to our peer port, and for those we dial
    Reloading                 the context they are made of
    common_name, distinguished_name      who a certificate says its holder is

**Peers** prove to each other that one authority has signed them both, and the dialled one also that it is
who was dialled: its certificate must name the host of its address (most peers are dialled by number: an IP
address among its alternative names).  So the authority of the peers must sign nobody else: whoever holds a
certificate of it may speak as a node.  That is why `agreed certs init` makes two of them.

**A certificate that has changed** is used from the next handshake on.  Nobody has to send a signal: the files
are looked at (not read) before each handshake, which costs some microseconds of a handshake's milliseconds.
Connections that stand go on.  Somebody who renews a certificate writes two files, and a handshake may come
between the two: what cannot be used is told once, and what was used before stays.

TLS 1.2 is the least that is spoken.  What is *not* done: lists of revoked certificates.  Take a certificate
back by letting it expire soon, or by a new authority.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from agreed.errors import ConfigurationError

Log = Callable[[str, str], None]
"""level, sentence"""

ALPN_ETCD = ("http/1.1", "h2")
"""What etcd clients are offered, in this order.  gRPC's clients ask for h2 alone; whoever asks for both
(curl, browsers, Prometheus) wants the gateway or a page, which are HTTP/1.1 here."""


class CertificateFiles(NamedTuple):
    """PEM files: a certificate with what leads to its authority, its key, and who may sign the other side."""

    certificate: Path
    key: Path
    authority: Path | None = None

    def stamp(self) -> tuple[object, ...]:
        """Differs once any of the files was written, replaced or taken away."""
        return tuple(_stamp(file) for file in self if file is not None)


class PeerTls(NamedTuple):
    """Both ways of a connection between nodes; None: without TLS."""

    accepting: ssl.SSLContext | None
    dialling: ssl.SSLContext | None


def of_server(files: CertificateFiles, log: Log, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """For a port of clients.  Raises `ConfigurationError` where the files cannot be used."""
    return Reloading.of(files, ssl.PROTOCOL_TLS_SERVER, log, alpn)


def of_peers(files: CertificateFiles, log: Log) -> PeerTls:
    """For the port of peers and operators.  Raises `ConfigurationError` where the files cannot be used."""
    return PeerTls(Reloading.of(files, ssl.PROTOCOL_TLS_SERVER, log), of_caller(files, log))


def of_caller(files: CertificateFiles, log: Log) -> ssl.SSLContext:
    """For who dials a peer port: a node or an operator.  Raises `ConfigurationError`."""
    return Reloading.of(files, ssl.PROTOCOL_TLS_CLIENT, log)


class Reloading(ssl.SSLContext):
    """Makes each connection with the files as they are at that moment.

    The event loop asks a context for nothing but connections (`wrap_bio`; a blocking socket, `wrap_socket`).
    They are made by a context behind this one, which is made anew when the files have changed: a context into
    which one loads a second time keeps the old authorities, and the old certificate if the new one has a key
    of another kind."""

    _files: CertificateFiles
    _side: int
    _alpn: tuple[str, ...]
    _log: Log
    _stamp: tuple[object, ...]
    _behind: ssl.SSLContext

    @classmethod
    def of(cls, files: CertificateFiles, side: int, log: Log, alpn: Sequence[str] = ()) -> Reloading:
        """Raises `ConfigurationError`: what cannot be used at the start is not waited for."""
        context = cls(side)
        context._files, context._side, context._alpn, context._log = files, side, tuple(alpn), log
        context._stamp = files.stamp()
        context._behind = _context(files, side, context._alpn)
        return context

    def wrap_bio(self, *arguments: object, **keywords: object) -> ssl.SSLObject:
        return self._current().wrap_bio(*arguments, **keywords)  # type: ignore[arg-type]

    def wrap_socket(self, *arguments: object, **keywords: object) -> ssl.SSLSocket:
        return self._current().wrap_socket(*arguments, **keywords)  # type: ignore[arg-type]

    def _current(self) -> ssl.SSLContext:
        stamp = self._files.stamp()
        if stamp != self._stamp:
            # Kept before the files are read: what is written while they are read is read again next time.
            self._stamp = stamp
            try:
                self._behind = _context(self._files, self._side, self._alpn)
            except ConfigurationError as error:
                self._log("error", f"the changed certificate is not used, the one before it stays: {error}")
            else:
                self._log("info", f"the certificate {self._files.certificate} has changed and is used")
        return self._behind


def _stamp(file: Path) -> object:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _context(files: CertificateFiles, side: int, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key, password=_refuse_password)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{files.certificate}, {files.key}: {_reason(error)}") from error
    if files.authority is not None:
        try:
            context.load_verify_locations(files.authority)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{files.authority}: {_reason(error)}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _refuse_password() -> str:
    """Otherwise OpenSSL would ask on the terminal, and a server without one would wait for ever."""
    raise ValueError("the key is locked by a password; unlock it, and let only this user read it")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is not that of the certificate"
        return f"no certificate and key in PEM form ({error.reason or error})"
    return (isinstance(error, OSError) and error.strerror) or str(error)


# --- who the other side is --------------------------------------------------------------------------------

_SHORT_NAMES = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "countryName": "C",
    "domainComponent": "DC",
    "userId": "UID",
    "streetAddress": "STREET",
}


def distinguished_name(certificate: dict[str, object]) -> str:
    """The subject of a certificate as RFC 2253 writes it: the last part first."""
    parts = []
    for part in reversed(_subject(certificate)):
        parts.append("+".join(f"{_SHORT_NAMES.get(key, key)}={_escaped(value)}" for key, value in part))
    return ",".join(parts)


def common_name(certificate: dict[str, object]) -> str | None:
    """The last common name of the subject: the user, as etcd (and Go) understands a client's certificate."""
    names = [value for part in _subject(certificate) for key, value in part if key == "commonName"]
    return names[-1] if names else None


def _subject(certificate: dict[str, object]) -> tuple[tuple[tuple[str, str], ...], ...]:
    subject = certificate.get("subject", ())
    assert isinstance(subject, tuple)
    return subject


def _escaped(value: str) -> str:
    escaped = "".join("\\" + character if character in ',+"\\<>;' else character for character in value)
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and len(value) > 1:
        escaped = escaped[:-1] + "\\ "
    return escaped
