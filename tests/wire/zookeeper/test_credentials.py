"""Who a session has proven to be; the figures are the answers of a real 3.9.3 server."""
from __future__ import annotations

import pytest

from agreed.store.records import Credential
from agreed.wire.zookeeper import credentials

SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
HOME = "127.0.0.1"


@pytest.mark.parametrize(
    ("proof", "id"),
    [
        (b"u:p", "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="),
        (b"a:b", "a:3OptnM09ILoVSfbZtd3mB0IViII="),
        (b"super:test", SUPER_DIGEST),
        # Only the first colon divides; the password may have more of them.
        (b"u:p:q", "u:VIgTKUjc2iscZoJn2UUrdGNNgW4="),
        (b"nocolon", "nocolon:Ra+cHr2ZoHvBjtNArFGNGlVie4g="),
        (b"", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
    ],
)
def test_a_digest_names_the_user_and_hashes_the_whole(proof: bytes, id: str) -> None:
    assert credentials.digest_of(proof) == id


def test_bytes_that_are_no_text_still_give_a_digest() -> None:
    user, _, digest = credentials.digest_of(b"\xff\xfe:secret").partition(":")
    assert user == "��"
    assert len(digest) == 28


@pytest.mark.parametrize("scheme", ["world", "auth", "super", "sasl", "x509", "bogus", ""])
def test_what_a_packet_cannot_prove_is_refused(scheme: str) -> None:
    assert credentials.from_auth_packet(scheme, b"x:y", HOME, SUPER_DIGEST) is None


def test_a_digest_never_fails() -> None:
    assert credentials.from_auth_packet("digest", b"u:p", HOME, SUPER_DIGEST) == (
        Credential("digest", "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="),
    )


def test_the_ip_scheme_proves_the_address_and_not_what_the_packet_says() -> None:
    assert credentials.from_auth_packet("ip", b"10.0.0.1", HOME, None) == (Credential("ip", HOME),)


def test_the_holder_of_the_super_digest_is_super() -> None:
    assert credentials.from_auth_packet("digest", b"super:test", HOME, SUPER_DIGEST) == (
        Credential("super", ""),
        Credential("digest", SUPER_DIGEST),
    )


def test_the_user_name_super_alone_has_no_power() -> None:
    for configured in (SUPER_DIGEST, None):
        proven = credentials.from_auth_packet("digest", b"super:guess", HOME, configured)
        assert proven is not None
        assert [credential.scheme for credential in proven] == ["digest"]


def test_a_certificate_and_a_sasl_exchange_prove_their_subject() -> None:
    assert credentials.from_certificate("CN=a", None) == (Credential("x509", "CN=a"),)
    assert credentials.from_certificate("CN=a", "CN=a") == (
        Credential("super", "CN=a"),
        Credential("x509", "CN=a"),
    )
    assert credentials.from_sasl("jaasuser", None) == (Credential("sasl", "jaasuser"),)
    assert credentials.from_sasl("admin", "admin") == (Credential("sasl", "admin"), Credential("super", ""))


def test_credentials_add_up_and_each_is_kept_once() -> None:
    known = credentials.from_address(HOME)
    for proof in (b"a:1", b"c:3", b"a:1"):
        added = credentials.from_auth_packet("digest", proof, HOME, None)
        assert added is not None
        known = credentials.with_added(known, added)
    assert [scheme for scheme, _ in known] == ["ip", "digest", "digest"]


def test_who_am_i_shows_users_and_no_hashes() -> None:
    super_user = credentials.from_auth_packet("digest", b"super:test", HOME, SUPER_DIGEST)
    assert super_user is not None
    proven = credentials.with_added(credentials.from_address(HOME), super_user)
    # The real server answered ("super", ""), ("ip", "127.0.0.1"), ("digest", "super"): a set, in no order.
    assert set(credentials.shown(proven)) == {("super", ""), ("ip", HOME), ("digest", "super")}
    assert credentials.shown((Credential("ip", "::1"), Credential("x509", "CN=a:b"))) == (
        ("ip", "::1"),
        ("x509", "CN=a:b"),
    )
