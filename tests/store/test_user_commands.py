"""Users and roles come and go; the answers are those that were recorded from an etcd 3.5.1."""
from __future__ import annotations

import pytest

from agreed.store import user_commands
from agreed.store.commands import (
    AddRole,
    AddUser,
    ChangePassword,
    Command,
    DeleteRole,
    DeleteUser,
    DisableAuth,
    EnableAuth,
    ForgetTokens,
    GrantPermission,
    GrantRole,
    IssueToken,
    OnBehalf,
    RevokePermission,
    RevokeRole,
)
from agreed.store.invariants import check
from agreed.store.machine import Store
from agreed.store.results import Done, Refusal
from agreed.store.users import ROOT, Access, KeyPermission, Token, User

STORY: list[tuple[Command, Done | Refusal, int]] = [
    (EnableAuth(), Refusal.ROOT_USER_MISSING, 1),
    (AddUser("", b"hash"), Refusal.USER_EMPTY, 1),
    (AddUser(ROOT, b"hash"), Done.DONE, 2),
    (AddUser(ROOT, b"other"), Refusal.USER_EXISTS, 2),
    (EnableAuth(), Refusal.ROOT_ROLE_MISSING, 2),
    (AddRole(""), Refusal.ROLE_EMPTY, 2),
    (AddRole(ROOT), Done.DONE, 3),
    (AddRole(ROOT), Refusal.ROLE_EXISTS, 3),
    (GrantRole(ROOT, ROOT), Done.DONE, 4),
    (GrantRole(ROOT, ROOT), Done.DONE, 4),
    (GrantRole("nobody", ROOT), Refusal.USER_NOT_FOUND, 4),
    (GrantRole(ROOT, "none"), Refusal.ROLE_NOT_FOUND, 4),
    (GrantPermission("r", 0, b"a", None), Refusal.ROLE_NOT_FOUND, 4),
    (AddRole("r"), Done.DONE, 5),
    (GrantPermission("r", 3, b"a", None), Refusal.BAD_ARGUMENTS, 5),
    (GrantPermission("r", 0, b"z", b"a"), Done.DONE, 6),
    (GrantPermission("r", 0, b"a", None), Done.DONE, 7),
    (GrantPermission("r", 2, b"a", b"b"), Done.DONE, 8),
    (GrantPermission("r", 1, b"a", None), Done.DONE, 9),
    (RevokePermission("none", b"a", None), Refusal.ROLE_NOT_FOUND, 9),
    (RevokePermission("r", b"a", b"c"), Refusal.PERMISSION_NOT_GRANTED, 9),
    (RevokePermission("r", b"a", b"b"), Done.DONE, 10),
    (AddUser("u", None), Done.DONE, 11),
    (GrantRole("u", "r"), Done.DONE, 12),
    (RevokeRole("u", ROOT), Refusal.ROLE_NOT_GRANTED, 12),
    (RevokeRole("nobody", "r"), Refusal.USER_NOT_FOUND, 12),
    (ChangePassword("nobody", b""), Refusal.USER_NOT_FOUND, 12),
    (DeleteUser("nobody"), Refusal.USER_NOT_FOUND, 12),
    (DeleteRole("none"), Refusal.ROLE_NOT_FOUND, 12),
    (IssueToken("u", "t", 12), Refusal.AUTH_NOT_ENABLED, 12),
    (RevokeRole(ROOT, ROOT), Done.DONE, 13),
    (GrantRole(ROOT, ROOT), Done.DONE, 14),
    (EnableAuth(), Done.DONE, 14),
]


@pytest.fixture
def store() -> Store:
    store = Store()
    store.begin(1_000)
    for command, expected, auth_revision in STORY:
        assert store.execute(command) is expected, command
        assert store.users.revision == auth_revision, command
        check(store)
    return store


def ask(store: Store, command: object) -> object:
    """As root, who may."""
    result = store.execute(OnBehalf(ROOT, 0, command))  # type: ignore[arg-type]
    check(store)
    return result


def test_what_stands_at_the_end(store: Store) -> None:
    users = store.users
    assert users.users == {ROOT: User(ROOT, b"hash", (ROOT,)), "u": User("u", None, ("r",))}
    write, empty = KeyPermission(Access.WRITE, b"a", None), KeyPermission(Access.READ, b"z", b"a")
    assert users.roles == {ROOT: (), "r": (write, empty)}
    assert store.revision == 0, "none of it is a revision of the store"


def test_somebody_is_left_who_may_everything(store: Store) -> None:
    for command in (DeleteUser(ROOT), DeleteRole(ROOT), RevokeRole(ROOT, ROOT)):
        assert ask(store, command) is Refusal.ROOT_IS_NEEDED
    assert ask(store, EnableAuth()) is Done.DONE
    assert store.users.revision == 14
    assert ask(store, DisableAuth()) is Done.DONE
    assert store.users.revision == 15
    assert store.execute(DisableAuth()) is Done.DONE
    assert store.users.revision == 15
    assert store.execute(DeleteRole(ROOT)) is Done.DONE
    assert store.users.users[ROOT].roles == ()


def test_a_role_that_goes_is_taken_from_all(store: Store) -> None:
    assert store.users.permits("u", b"a", None, Access.WRITE)
    assert ask(store, DeleteRole("r")) is Done.DONE
    assert store.users.users["u"].roles == ()
    assert not store.users.permits("u", b"a", None, Access.WRITE)


def test_a_permission_that_is_granted_or_revoked_counts_from_then_on(store: Store) -> None:
    """What is merged is kept, and must not outlive what it was merged from."""
    assert not store.users.permits("u", b"b", None, Access.READ)
    ask(store, GrantPermission("r", Access.READ, b"b", None))
    assert store.users.permits("u", b"b", None, Access.READ)
    ask(store, RevokePermission("r", b"b", None))
    assert not store.users.permits("u", b"b", None, Access.READ)


def test_tokens_end_with_their_user_his_password_and_with_authentication(store: Store) -> None:
    users = store.users
    assert store.execute(IssueToken("u", "t", 13)) is Refusal.AUTH_OLD
    assert store.execute(IssueToken("nobody", "t", 14)) is Refusal.USER_NOT_FOUND
    for user, token in (("u", "t1"), (ROOT, "t2"), ("u", "t3"), (ROOT, "t4")):
        assert store.execute(IssueToken(user, token, 14)) is Done.DONE
    assert users.tokens["t1"] == Token("u", 1_000)
    assert store.execute(ForgetTokens(("t3", "never"))) is Done.DONE
    ask(store, ChangePassword("u", b"x"))
    assert list(users.tokens) == ["t2", "t4"]
    assert users.users["u"].password_hash is None, "who has no password does not get one"
    store.execute(IssueToken("u", "t5", users.revision))
    ask(store, DeleteUser("u"))
    assert list(users.tokens) == ["t2", "t4"]
    ask(store, ChangePassword(ROOT, b"new"))
    assert users.users[ROOT].password_hash == b"new"
    assert users.tokens == {}
    store.execute(IssueToken(ROOT, "t6", users.revision))
    ask(store, DisableAuth())
    assert users.tokens == {}


def test_where_everybody_has_few_tokens_the_oldest_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_commands, "TOKENS_MOST", 2)
    for user, token in (("u", "t1"), (ROOT, "t2"), ("u", "t3")):
        store.execute(IssueToken(user, token, 14))
    assert list(store.users.tokens) == ["t2", "t3"]


def test_who_logs_in_again_and_again_ends_nobodys_login_but_his_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_commands, "TOKENS_MOST", 8)
    store.execute(IssueToken(ROOT, "root's", 14))
    for number in range(20):
        store.execute(IssueToken("u", f"t{number}", 14))
        tokens = list(store.users.tokens)
        assert len(tokens) <= 8
        assert (tokens[0], tokens[-1]) == ("root's", f"t{number}")
