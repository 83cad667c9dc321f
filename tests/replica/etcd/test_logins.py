"""Logins while the world moves on: rules that change while a password is looked at, and leaders that change
while a token is in use."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from agreed.replica.etcd import passwords
from agreed.replica.settings import Settings
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    AuthenticateRequest,
    AuthRoleAddRequest,
    AuthUserAddRequest,
    AuthUserChangePasswordRequest,
    AuthUserDeleteRequest,
    MoveLeaderRequest,
    RangeRequest,
)
from tests.replica.etcd.people import ANNAS_PASSWORD, ROOT_PASSWORD, People
from tests.replica.etcd.together import Together

SHORT = Settings(etcd_bcrypt_cost=4, etcd_token_ttl_ms=10_000)
OF_ANNA = AuthenticateRequest("anna", ANNAS_PASSWORD)


@pytest.fixture
def people() -> People:
    return People(Together("n1"))


# --- while a password is looked at ------------------------------------------------------------------------


class Held:
    """Passwords are checked when `go` says so."""

    def __init__(self, people: People) -> None:
        self._passwords = people.nodes.replica(people.name).etcd.passwords
        self._check = self._passwords.check
        self._jobs: list[Callable[[], None]] = []
        self._passwords.check = self._kept  # type: ignore[method-assign]

    def _kept(self, password: str, password_hash: bytes, then: Callable[[bool], None]) -> None:
        self._jobs.append(lambda: self._check(password, password_hash, then))

    def go(self) -> None:
        self._passwords.check = self._check  # type: ignore[method-assign]
        for job in self._jobs:
            job()


@pytest.mark.parametrize(
    ("method", "change", "status"),
    [
        ("RoleAdd", AuthRoleAddRequest("another"), None),
        ("UserChangePassword", AuthUserChangePasswordRequest("anna", "new"), errors.AUTH_FAILED),
        ("UserDelete", AuthUserDeleteRequest("anna"), errors.AUTH_FAILED),
    ],
)
def test_rules_that_change_while_a_password_is_looked_at_are_those_that_count(
    people: People, method: str, change: msgspec.Struct, status: object
) -> None:
    """Else whoever knows the old password could log in once more after it was changed."""
    root = people.login("root", ROOT_PASSWORD)
    held = Held(people)
    login = people.ask("Auth/Authenticate", OF_ANNA)
    people.ask(f"Auth/{method}", change, root).reply  # noqa: B018
    held.go()
    people.nodes.pass_ms(300)
    if status is None:
        assert people.ask("KV/Range", RangeRequest(b"q"), login.reply.token).reply
    else:
        assert (login.status, login.messages) == (status, [])


def test_who_has_another_password_is_out(people: People) -> None:
    root, anna = people.login("root", ROOT_PASSWORD), people.login("anna", ANNAS_PASSWORD)
    people.ask("Auth/UserChangePassword", AuthUserChangePasswordRequest("anna", "new"), root)
    assert people.ask("KV/Range", RangeRequest(b"q"), anna).status == errors.INVALID_AUTH_TOKEN
    assert people.ask("Auth/Authenticate", OF_ANNA).status == errors.AUTH_FAILED
    assert people.login("anna", "new")


def test_what_was_right_for_one_is_not_remembered_for_another(people: People) -> None:
    """A fast hash of what was right is kept: for the hash of this user, and of nothing that was wrong."""
    assert people.login("anna", ANNAS_PASSWORD)
    for name, password in (("anna", "wrong"), ("anna", "wrong"), ("root", ANNAS_PASSWORD)):
        asked = people.ask("Auth/Authenticate", AuthenticateRequest(name, password))
        assert asked.status == errors.AUTH_FAILED


def test_who_comes_when_too_many_passwords_wait_is_sent_away(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = people.login("root", ROOT_PASSWORD)
    monkeypatch.setattr(passwords, "WAITING_MOST", 0)
    for method, request, token in (
        ("Authenticate", OF_ANNA, None),
        ("UserAdd", AuthUserAddRequest("new", "x"), root),
        ("UserChangePassword", AuthUserChangePasswordRequest("anna", "x"), root),
    ):
        assert people.ask(f"Auth/{method}", request, token).status == errors.TOO_MANY_REQUESTS


# --- while a token is used --------------------------------------------------------------------------------


def is_good(people: People, token: str) -> bool:
    return people.ask("KV/Range", RangeRequest(b"q"), token).status != errors.INVALID_AUTH_TOKEN


def test_a_token_that_is_used_just_within_its_time_is_good_before_the_leader_hears_of_it() -> None:
    nodes = Together("n1", "n2", "n3", settings=SHORT)
    people = People(nodes)
    people.name = nodes.follower
    token = people.login("anna", ANNAS_PASSWORD)
    for late_ms in (9_300, 9_500, 9_700, 9_400, 9_600):
        # `ask` takes 300 ms: it is used once in ten seconds.
        nodes.pass_ms(late_ms)
        assert is_good(people, token)


def test_a_leader_that_led_before_believes_nothing_that_it_knew_then() -> None:
    """It had heard of no use while another one led, and that one is gone."""
    nodes = Together("n1", "n2", "n3", settings=SHORT)
    people = People(nodes)
    first = nodes.leader
    token, root = people.login("anna", ANNAS_PASSWORD), people.login("root", ROOT_PASSWORD)
    nodes.pass_ms(2_000)

    def moved_to(name: str) -> None:
        people.name = nodes.leader
        identity = nodes.replica(name).etcd.member_id
        people.ask("Maintenance/MoveLeader", MoveLeaderRequest(identity), root).reply  # noqa: B018
        nodes.pass_ms(1_000)
        assert nodes.leader == name

    moved_to(nodes.follower)
    people.name = nodes.leader
    for _ in range(10):
        nodes.pass_ms(2_000)
        assert is_good(people, token)
        assert is_good(people, root)
    moved_to(first)
    nodes.pass_ms(3_000)
    assert is_good(people, token)
