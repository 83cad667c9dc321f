"""`agreed certs`: a private authority for a cluster that has none, so that TLS is not put off.

`init` makes two authorities, because their certificates say different things.  One of `ca` says who a client
is, and that a server is one of ours.  One of `peer-ca` says that its holder may speak *as a node*, or tell
nodes what to do.  With a single authority every client could do that.

`issue` signs one more certificate, or renews one (`--replace`): nodes take a renewed one without a restart.
"""
from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from agreed.errors import ConfigurationError

if TYPE_CHECKING:
    from agreed.cli.certificates import Kind

AUTHORITY_OF = {"server": "ca", "client": "ca", "peer": "peer-ca", "operator": "peer-ca"}

MADE = ("server", "client", "peer", "operator")

LOOPBACK = ("localhost", "127.0.0.1", "::1")

YEARS_OF_AN_AUTHORITY = 10
DAYS_OF_A_CERTIFICATE = 365

WHAT_TO_DO = """\
for the nodes             server.pem, server-key.pem, peer.pem, peer-key.pem, ca.pem, peer-ca.pem
for clients               client.pem, client-key.pem, ca.pem
for whoever operates it   operator.pem, operator-key.pem, peer-ca.pem
for nobody                ca-key.pem, peer-ca-key.pem: keep them away from all of these"""


@click.group("certs")
def command() -> None:
    """Make a private certificate authority, and certificates for nodes and clients.

    Needs the extra `security`: pip install 'agreed[security]'.
    """


def _hosts(text: str) -> list[str]:
    return list(dict.fromkeys(host.strip().strip("[]") for host in text.split(",") if host.strip()))


hosts_option = click.option(
    "--hosts",
    default=",".join(LOOPBACK),
    show_default=True,
    metavar="HOST,...",
    help="Names and IP addresses by which the nodes are reached, by clients and by each other.",
)
days_option = click.option(
    "--days",
    default=DAYS_OF_A_CERTIFICATE,
    show_default=True,
    type=click.IntRange(1, 3650),
    help="For how long certificates are valid.",
)
directory_argument = click.argument("directory", type=click.Path(path_type=Path, file_okay=False))


@command.command("init")
@directory_argument
@hosts_option
@days_option
def init(directory: Path, hosts: str, days: int) -> None:
    """Make the authorities and a first set of certificates in DIRECTORY.

    Nothing is overwritten: where one of the files is there, none is written.
    """
    certificates = _library()
    certificates.refuse_to_overwrite(directory, ("ca", "peer-ca", *MADE))
    _make(directory)
    authorities = {
        stem: certificates.Authority.make(directory, stem, name, 365 * YEARS_OF_AN_AUTHORITY)
        for stem, name in (("ca", "agreed: clients and servers"), ("peer-ca", "agreed: nodes and operators"))
    }
    for kind in MADE:
        named = _hosts(hosts) if kind in ("server", "peer") else []
        signed = authorities[AUTHORITY_OF[kind]].sign(_kind(kind), kind, named, days)
        certificates.write_pair(directory, kind, signed)
    click.echo(f"in {directory}:\n{WHAT_TO_DO}")


@command.command("issue")
@directory_argument
@click.argument("kind", type=click.Choice(MADE))
@click.argument("name")
@click.option("--hosts", default="", metavar="HOST,...", help="Names and IP addresses of a server or peer.")
@days_option
@click.option("--replace", is_flag=True, help="Renew: write over the certificate and key of this name.")
def issue(directory: Path, kind: str, name: str, hosts: str, days: int, replace: bool) -> None:
    """Sign a certificate for NAME with the authority in DIRECTORY, as NAME.pem and NAME-key.pem.

    The NAME of a client is the user it is, where etcd's users are switched on, and its x509 identity for
    ZooKeeper's access lists (CN=NAME).  A server or peer needs --hosts.
    """
    certificates = _library()
    no_file = not name or name.startswith(".") or Path(name).name != name
    if no_file or name in ("ca", "peer-ca") or name.endswith("-key"):
        raise ConfigurationError(f"{name!r} cannot be the name of a file beside the others")
    named = _hosts(hosts)
    if kind in ("server", "peer") and not named:
        raise ConfigurationError(f"--hosts: by which names and addresses is the {kind} reached?")
    signed = certificates.Authority.open(directory, AUTHORITY_OF[kind]).sign(_kind(kind), name, named, days)
    certificates.write_pair(directory, name, signed, replace=replace)
    click.echo(f"{directory / name}.pem is valid for {days} days")


def _kind(kind: str) -> Kind:
    return kind  # type: ignore[return-value]


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{directory}: cannot be made ({error.strerror})") from error


def _library() -> ModuleType:
    try:
        from agreed.cli import certificates
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "cryptography":
            raise
        raise ConfigurationError(
            "agreed certs needs the library cryptography: pip install 'agreed[security]'"
        ) from error
    return certificates
