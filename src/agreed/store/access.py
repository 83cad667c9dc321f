"""Who may do what: permission checks as functions of an access list and the credentials of a session.

The schemes are those of a ZooKeeper server: `world:anyone`; `auth`, which stands for whoever makes the list;
`digest`, `sasl` and `x509`, which are compared as they are; `ip` with an optional number of leading bits.  A
credential of scheme `super` may do everything.  Nothing here verifies a password: a credential is something
that the node which a session is attached to has already verified.
"""
from __future__ import annotations

import ipaddress
import re

from agreed.store.records import OPEN_ACL, Acl, Credential, Permission

SUPER = "super"
AUTHENTICATED_SCHEMES = frozenset({"digest", "sasl", "x509"})
"""What `auth` expands to.  An address is a credential, but proves nothing about who is behind it."""

_KERBEROS_NAME = re.compile(r"[^/@]*(/[^/@]*)?@[^/@]*")
_RELATIVE_NAME = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|(?:(?:OID|oid)\.)?[0-9]+(\.[0-9]+)*)\s*=.*",
re.DOTALL)
_NAME_SEPARATOR = re.compile(r'((?:\\.|"(?:\\.|[^"\\])*+"|[^,;+"\\])*+)[,;+]')
"""Possessive, hence linear: the text comes from a client, and every node would have to chew on it."""


def allowed(acl: Acl, permission: int, credentials: tuple[Credential, ...]) -> bool:
    """Whether one with these credentials may do `permission` (READ, WRITE, CREATE, DELETE or ADMIN)."""
    if acl is OPEN_ACL or not acl:
        return True
    for credential in credentials:
        if credential.scheme == SUPER:
            return True
    for line in acl:
        if line.permissions & permission:
            if line.scheme == "world" and line.id == "anyone":
                return True
            for credential in credentials:
                if credential.scheme == line.scheme and _matches(line.scheme, credential.id, line.id):
                    return True
    return False


def effective_acl(asked: Acl, credentials: tuple[Credential, ...]) -> Acl | None:
    """The list that is stored when `asked` is set by one with these credentials; None: it is invalid.

    Repeated lines are dropped first, then `auth` is replaced by what the session has proven."""
    lines: list[Permission] = []
    for line in dict.fromkeys(asked):
        if line.scheme == "auth":
            proven = [c for c in credentials if c.scheme in AUTHENTICATED_SCHEMES]
            if not proven:
                return None
            lines.extend(Permission(line.permissions, c.scheme, c.id) for c in proven)
        elif valid_id(line.scheme, line.id):
            lines.append(line)
        else:
            return None
    return tuple(lines) or None


def valid_id(scheme: str, identity: str) -> bool:
    """Whether an access list may name this."""
    if scheme == "world":
        return identity == "anyone"
    if scheme == "digest":
        # A trailing colon does not count, as in a ZooKeeper server (Java's String.split drops what is empty
        # there).
        return identity.rstrip(":").count(":") == 1
    if scheme == "ip":
        return _network(identity) is not None
    if scheme == "sasl":
        return "@" not in identity or _KERBEROS_NAME.fullmatch(identity) is not None
    if scheme == "x509":
        return _is_distinguished_name(identity)
    return False


def hide_digests(acl: Acl) -> Acl:
    """What one without ADMIN is shown: who is named, but not the hashes of their passwords."""
    return tuple(
        line._replace(id=line.id.split(":")[0] + ":x") if line.scheme == "digest" else line for line in acl
    )


def _matches(scheme: str, proven: str, named: str) -> bool:
    if scheme == "ip":
        network = _network(named)
        address = _address(proven)
        if network is None or address is None:
            return False
        base, bits = network
        shift = base.max_prefixlen - bits
        return base.version == address.version and int(base) >> shift == int(address) >> shift
    return proven == named or (scheme == "sasl" and proven == SUPER)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int] | None:
    """`address` or `address/bits`; the bits beyond the mask may be anything."""
    written, slash, bits = text.partition("/")
    address = _address(written)
    if address is None:
        return None
    if not slash:
        return address, address.max_prefixlen
    if not (bits.isascii() and bits.isdigit() and len(bits) <= 3 and int(bits) <= address.max_prefixlen):
        return None
    return address, int(bits)


def _is_distinguished_name(text: str) -> bool:
    """`CN=client,O=Example`: attribute=value, separated by `,` `;` or `+` outside of quotes; empty is a name
    too.

    The vocabulary of attributes is not checked."""
    if not text.strip():
        return True
    text += ","
    start = 0
    while (piece := _NAME_SEPARATOR.match(text, start)) is not None:
        if not _RELATIVE_NAME.fullmatch(piece[1]):
            return False
        start = piece.end()
    return start == len(text)
