"""Who a ZooKeeper session has proven to be.

A session starts with its address (`ip`) and, on a TLS port, the subject of its certificate (`x509`).  Each
auth packet and each finished SASL exchange adds to that; nothing is ever taken away.  The functions here turn
a proof into `Credential`s and keep no state; they are kept in the session and, through the log, in the store.

Anybody can be anybody in the scheme `digest`: it proves only that the client knows the password which belongs
to the hash, so that `user:password` opens what was closed with the same `user:password`.  Therefore it never
fails.  The one exception with power is the configured super digest, whose holder passes every access list.

Whether the id in an access list makes sense, and who passes it, is the store's business (`store/access.py`).
"""
from __future__ import annotations

import base64
import hashlib
import hmac

from agreed.store.records import Credential

SUPER = "super"
"""The scheme of the one credential that passes every access list."""


def digest_of(user_and_password: bytes) -> str:
    """`user:password` -> `user:base64(sha1(user:password))`, the id of the scheme `digest`.

    Bytes that are no UTF-8 are replaced before they are hashed, as a Java server does.  Without a colon
    the whole text is the user.
    """
    text = user_and_password.decode("utf-8", "replace")
    user = text.partition(":")[0]
    return f"{user}:{base64.b64encode(hashlib.sha1(text.encode()).digest()).decode('ascii')}"


def from_address(address: str) -> tuple[Credential, ...]:
    """What every connection has from its start; `address` without the port: `127.0.0.1`."""
    return (Credential("ip", address),)


def from_auth_packet(
    scheme: str, auth: bytes, address: str, super_digest: str | None
) -> tuple[Credential, ...] | None:
    """The credentials which an auth packet (op 100) adds, or None: refuse with -115 and close.

    `world` cannot be proven, `x509` and `sasl` are proven elsewhere; all other schemes are unknown.
    `super_digest` is `user:hash` as `digest_of` makes it, or None: nobody is super this way.
    """
    if scheme == "ip":
        return from_address(address)
    if scheme != "digest":
        return None
    digest = Credential("digest", digest_of(auth))
    if super_digest is not None and hmac.compare_digest(digest.id.encode(), super_digest.encode()):
        return Credential(SUPER, ""), digest
    return (digest,)


def from_certificate(subject: str, super_user: str | None) -> tuple[Credential, ...]:
    """`subject`: the full distinguished name (RFC 2253) of the verified client certificate."""
    certified = Credential("x509", subject)
    return (Credential(SUPER, subject), certified) if subject == super_user else (certified,)


def from_sasl(authorization_id: str, super_user: str | None) -> tuple[Credential, ...]:
    """After a SASL exchange that ended well."""
    certified = Credential("sasl", authorization_id)
    return (certified, Credential(SUPER, "")) if authorization_id == super_user else (certified,)


def with_added(known: tuple[Credential, ...], added: tuple[Credential, ...]) -> tuple[Credential, ...]:
    """Both, each once, in the order in which they were proven."""
    return tuple(dict.fromkeys(known + added))


def shown(credentials: tuple[Credential, ...]) -> tuple[Credential, ...]:
    """What whoAmI may tell: scheme and user, never a hash.

    A ZooKeeper server lists them in the order of a hash table, that is in none; here they come as proven.
    """
    return tuple(
        Credential(scheme, id.partition(":")[0]) if scheme == "digest" else Credential(scheme, id)
        for scheme, id in credentials
    )
