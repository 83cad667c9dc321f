"""Hashes are bcrypt's as etcd writes them, and what is no password or no hash has no outcome."""

from __future__ import annotations

import pytest

from agreed.node.passwords import work
from agreed.replica.events import CheckPassword, HashPassword, PasswordDone

OF_A_REAL_ETCD = b"$2a$10$M8EssUA6q2AnZw2y/6irB.Qi35UmrOcu9ZnzPliuE1A7JG5E6/U7S"
"""Of `pw2`, by etcd 3.5.1."""


def hashed(password: bytes) -> bytes:
    done = work(HashPassword(1, password, 4))
    assert isinstance(done.outcome, bytes)
    return done.outcome


@pytest.mark.parametrize("password", [b"", b"secret", "Zürich".encode(), b"x" * 72])
def test_a_password_is_recognized_by_its_hash(password: bytes) -> None:
    password_hash = hashed(password)
    assert password_hash.startswith(b"$2a$04$"), "as Go writes it"
    assert work(CheckPassword(2, password, password_hash)) == PasswordDone(2, True)
    assert work(CheckPassword(3, b"other", password_hash)) == PasswordDone(3, False)
    assert hashed(password) != password_hash, "each has a salt of its own"


def test_a_user_of_a_real_etcd_keeps_his_password() -> None:
    assert work(CheckPassword(1, b"pw2", OF_A_REAL_ETCD)).outcome is True
    assert work(CheckPassword(1, b"pw3", OF_A_REAL_ETCD)).outcome is False


@pytest.mark.parametrize("password_hash", [b"", b"plain", b"$2a$10$short", bytes(60)])
def test_what_is_no_hash_is_nobodys(password_hash: bytes) -> None:
    assert work(CheckPassword(1, b"x", password_hash)) == PasswordDone(1, None)


def test_one_that_is_longer_than_bcrypt_reads_is_not_recognized() -> None:
    """They are cut before they come here (`replica/etcd/passwords.py`)."""
    assert work(CheckPassword(1, b"x" * 500, hashed(b"y"))).outcome is not True
