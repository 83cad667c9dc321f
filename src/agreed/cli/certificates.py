"""A private authority in a directory, and the certificates it signs: X.509, in a few lines.

    Authority.make(directory, "ca", ...)     a new authority: ca.pem, ca-key.pem
    Authority.open(directory, "ca")          one that stands
    authority.sign(kind, name, hosts, days)  -> Signed(certificate, key), both in PEM form

Keys are of the curve P-256, which every TLS library of the last ten years can do.  A key file is made with
mode 0600 and never exists with another.  A pair of files is replaced one after the other (a server that looks
in between keeps what it has, see `agreed.node.tls`).

It needs the library `cryptography`, which a node does not: the extra `security`.
"""
from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agreed.errors import ConfigurationError

Kind = Literal["server", "client", "peer", "operator"]

USES = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH,),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
    "peer": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    "operator": (ExtendedKeyUsageOID.CLIENT_AUTH,),
}
"""A node dials and is dialled, so its certificate among peers is good for both; all others for one side only:
whoever steals the certificate of a client cannot set up a server with it."""

BACKDATED = datetime.timedelta(minutes=5)
"""The clocks of those who check may be a little behind."""


class Signed(NamedTuple):
    certificate: bytes
    key: bytes


class Authority:
    """Who signs; its key should lie where no node can read it."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, directory: Path, stem: str, name: str, days: int) -> Authority:
        """New, and written down.  Raises `ConfigurationError` where there is one."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        certificate = (
            _begun(subject, subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_pair(directory, stem, Signed(_pem(certificate), _pem_of_key(key)))
        return cls(certificate, key)

    @classmethod
    def open(cls, directory: Path, stem: str) -> Authority:
        """Raises `ConfigurationError`."""
        certificate_file, key_file = pair(directory, stem)
        try:
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        except OSError as error:
            raise ConfigurationError(
                f"{error.filename}: {error.strerror}; `agreed certs init` makes an authority"
            ) from error
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{certificate_file}, {key_file}: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigurationError(f"{key_file}: not made by `agreed certs init`")
        return cls(certificate, key)

    def sign(self, kind: Kind, name: str, hosts: Sequence[str], days: int) -> Signed:
        """A new key and a certificate for it: its common name, and the names or IP addresses it is for."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _begun(_named(name), self._certificate.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(USES[kind]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return Signed(_pem(builder.sign(self._key, hashes.SHA256())), _pem_of_key(key))


def _named(name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    except ValueError as error:
        raise ConfigurationError(f"{name!r} cannot be the name in a certificate: {error}") from error


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise ConfigurationError(f"{host!r} is neither a host name nor an IP address: {error}") from error


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


# --- files ------------------------------------------------------------------------------------------------


def pair(directory: Path, stem: str) -> tuple[Path, Path]:
    """Where a certificate and its key lie."""
    return directory / f"{stem}.pem", directory / f"{stem}-key.pem"


def refuse_to_overwrite(directory: Path, stems: Sequence[str]) -> None:
    """Raises `ConfigurationError` where any of these is there: a lost key cannot be made again."""
    for stem in stems:
        for file in pair(directory, stem):
            if file.exists() or file.is_symlink():
                raise ConfigurationError(f"{file} is there already, and is not overwritten")


def write_pair(directory: Path, stem: str, signed: Signed, *, replace: bool = False) -> None:
    """The key first: a certificate without a key is of no use to anybody, and a key alone tells nothing."""
    if not replace:
        refuse_to_overwrite(directory, [stem])
    certificate, key = pair(directory, stem)
    _write(key, signed.key, 0o600)
    _write(certificate, signed.certificate, 0o644)


def _write(file: Path, data: bytes, mode: int) -> None:
    """Whole or not at all: under another name first."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            beside.replace(file)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written ({error.strerror})") from error
