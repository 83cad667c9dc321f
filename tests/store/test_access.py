"""Who may do what; which lists may be set."""
from __future__ import annotations

import pytest

from agreed.store.access import allowed, effective_acl, hide_digests, valid_id
from agreed.store.records import ALL, CREATE, OPEN_ACL, READ, WRITE, Acl, Credential, Permission

ALICE = Credential("digest", "alice:hash")
HERE = Credential("ip", "10.1.2.3")
SIXTH = Credential("ip", "fe80::1")


def acl(permissions: int, scheme: str, identity: str) -> Acl:
    return (Permission(permissions, scheme, identity),)


ALLOWED: list[tuple[Acl, int, tuple[Credential, ...], bool]] = [
    (OPEN_ACL, WRITE, (), True),
    (acl(ALL, "world", "anyone"), WRITE, (), True),
    (acl(READ, "world", "anyone"), READ, (), True),
    (acl(READ, "world", "anyone"), WRITE, (ALICE,), False),
    (acl(0, "world", "anyone"), READ, (ALICE,), False),
    (acl(ALL, "digest", "alice:hash"), WRITE, (HERE, ALICE), True),
    (acl(ALL, "digest", "alice:hash"), WRITE, (HERE,), False),
    (acl(ALL, "digest", "alice:other"), WRITE, (ALICE,), False),
    (acl(ALL, "sasl", "alice:hash"), WRITE, (ALICE,), False),
    (acl(ALL, "digest", "alice:hash"), WRITE, (Credential("super", ""),), True),
    (acl(ALL, "sasl", "bob"), WRITE, (Credential("sasl", "super"),), True),
    (acl(ALL, "x509", "CN=a"), WRITE, (Credential("x509", "CN=a"),), True),
    (acl(ALL, "ip", "10.1.2.3"), WRITE, (HERE,), True),
    (acl(ALL, "ip", "10.1.2.4"), WRITE, (HERE,), False),
    (acl(ALL, "ip", "10.1.2.4/31"), WRITE, (HERE,), False),
    (acl(ALL, "ip", "10.1.2.2/31"), WRITE, (HERE,), True),
    (acl(ALL, "ip", "10.0.0.0/8"), WRITE, (HERE,), True),
    (acl(ALL, "ip", "0.0.0.0/0"), WRITE, (HERE,), True),
    (acl(ALL, "ip", "0.0.0.0/0"), WRITE, (SIXTH,), False),
    (acl(ALL, "ip", "fe80::/16"), WRITE, (SIXTH,), True),
    (acl(ALL, "ip", "10.0.0.0/8"), WRITE, (Credential("ip", "unknown"),), False),
    ((*acl(READ, "world", "anyone"), *acl(WRITE, "digest", "alice:hash")), WRITE, (ALICE,), True),
]


@pytest.mark.parametrize(("held", "permission", "credentials", "answer"), ALLOWED)
def test_allowed(held: Acl, permission: int, credentials: tuple[Credential, ...], answer: bool) -> None:
    assert allowed(held, permission, credentials) is answer


IDS = [
    ("world", "anyone", True),
    ("world", "", False),
    ("digest", "user:hash", True),
    ("digest", ":hash", True),
    ("digest", "user:hash:", True),
    ("digest", "user:", False),
    ("digest", "user", False),
    ("digest", "a:b:c", False),
    ("ip", "127.0.0.1", True),
    ("ip", "127.0.0.0/8", True),
    ("ip", "127.0.0.1/32", True),
    ("ip", "127.0.0.1/33", False),
    ("ip", "127.0.0.1/", False),
    ("ip", "127.0.0.1/-1", False),
    ("ip", "300.1.1.1", False),
    ("ip", "::1/128", True),
    ("ip", "localhost", False),
    ("sasl", "anybody", True),
    ("sasl", "zookeeper/host@REALM", True),
    ("sasl", "a@b@c", False),
    ("x509", "CN=client,O=Example Inc", True),
    ("x509", 'CN="a, b"+OU=c, O=d', True),
    ("x509", "", True),
    ("x509", "client", False),
    ("x509", "CN=a,,O=b", False),
    ("auth", "", False),
    ("ensemble", "name", False),
    ("super", "", False),
    ("bogus", "x", False),
]


@pytest.mark.parametrize(("scheme", "identity", "answer"), IDS)
def test_valid_id(scheme: str, identity: str, answer: bool) -> None:
    assert valid_id(scheme, identity) is answer


def test_auth_stands_for_everything_that_was_proven_but_the_address() -> None:
    bob = Credential("sasl", "bob")
    found = effective_acl(acl(READ, "auth", "whatever"), (HERE, ALICE, bob, Credential("super", "")))
    assert found == (Permission(READ, *ALICE), Permission(READ, *bob))
    assert effective_acl(acl(READ, "auth", ""), (HERE,)) is None


def test_repeated_lines_are_dropped_before_auth_is_replaced() -> None:
    twice = acl(ALL, "world", "anyone") * 2
    assert effective_acl(twice, ()) == acl(ALL, "world", "anyone")
    with_auth = (*acl(ALL, "auth", ""), *acl(ALL, *ALICE))
    assert effective_acl(with_auth, (ALICE,)) == (Permission(ALL, *ALICE),) * 2


def test_one_bad_line_spoils_the_list_and_no_line_is_no_list() -> None:
    assert effective_acl((*OPEN_ACL, Permission(CREATE, "bogus", "x")), ()) is None
    assert effective_acl((), (ALICE,)) is None


def test_a_long_name_that_never_ends_is_judged_at_once() -> None:
    assert not valid_id("x509", 'CN=a' + '"' * 99_999 + ",")
    assert not valid_id("x509", "CN=a," * 50_000)


def test_hashes_of_passwords_are_not_shown() -> None:
    shown = hide_digests((Permission(ALL, "digest", "alice:hash"), Permission(READ, "ip", "::1")))
    assert shown == (Permission(ALL, "digest", "alice:x"), Permission(READ, "ip", "::1"))
