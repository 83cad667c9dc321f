"""Authorities and certificates for tests: made by what `agreed certs` is made of, valid for a day."""

from __future__ import annotations

from pathlib import Path

from agreed.cli.certificates import Authority, Kind, pair, write_pair
from agreed.node.tls import CertificateFiles

HOSTS = ("localhost", "127.0.0.1")


class Certified:
    """One authority in a directory of its own, and whom it signs."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._authority = Authority.make(directory, "ca", directory.name, 1)

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def sign(
        self, kind: Kind, name: str, hosts: tuple[str, ...] = HOSTS, *, days: int = 1
    ) -> CertificateFiles:
        """`days` negative: over since then.  Who has the name already gets a new one."""
        signed = self._authority.sign(kind, name, hosts, days)
        write_pair(self.directory, name, signed, replace=True)
        certificate, key = pair(self.directory, name)
        return CertificateFiles(certificate, key, self.ca)
