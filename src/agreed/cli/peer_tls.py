"""How an operator speaks to a peer port that speaks TLS: three options, the same as the knobs of a node.

On the machine of a node they need not be typed: the variables of the node (`AGREED_PEER_TLS_CA` and the two
others) are taken here as well.
"""
from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agreed.errors import ConfigurationError
from agreed.node.tls import CertificateFiles, of_caller

OPTIONS = {
    "peer_tls_certificate": "Where the peer port speaks TLS: a certificate of the peers' authority.",
    "peer_tls_key": "Its private key.",
    "peer_tls_ca": "The authority of the peers.",
}


def with_peer_tls(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; `function` is given `tls`, a context or None."""

    @functools.wraps(function)
    def with_context(
        *arguments: Any,
        peer_tls_certificate: Path | None,
        peer_tls_key: Path | None,
        peer_tls_ca: Path | None,
        **keywords: Any,
    ) -> Any:
        context = context_of(peer_tls_certificate, peer_tls_key, peer_tls_ca)
        return function(*arguments, tls=context, **keywords)

    decorated: Callable[..., Any] = with_context
    for name, told in reversed(OPTIONS.items()):
        decorated = click.option(
            f"--{name.replace('_', '-')}",
            name,
            type=click.Path(path_type=Path),
            envvar=f"AGREED_{name.upper()}",
            metavar="FILE",
            help=told,
        )(decorated)
    return decorated


def context_of(certificate: Path | None, key: Path | None, authority: Path | None) -> ssl.SSLContext | None:
    """Raises `ConfigurationError` where one is given without the others, or cannot be used."""
    if certificate is None and key is None and authority is None:
        return None
    if certificate is None or key is None or authority is None:
        raise ConfigurationError("--peer-tls-certificate, --peer-tls-key, --peer-tls-ca: all of them or none")
    files = CertificateFiles(certificate, key, authority)
    return of_caller(files, lambda level, sentence: click.echo(f"agreed: {sentence}", err=True))
