"""What is refused while authentication is on, or an alarm stands."""
from __future__ import annotations

import pytest

from agreed.store.alarms import AlarmKind
from agreed.store.commands import (
    AddRole,
    AddUser,
    Checkpoint,
    Command,
    Compact,
    Create,
    DeleteRange,
    DisableAuth,
    EnableAuth,
    ExpireLease,
    GrantLease,
    GrantPermission,
    GrantRole,
    Guard,
    OnBehalf,
    Put,
    Range,
    RevokeLease,
    SetAlarm,
    Sweep,
    Transaction,
)
from agreed.store.duplicate_keys import DEPTH_MOST
from agreed.store.etcd_members import ForgetMember
from agreed.store.machine import Store
from agreed.store.results import Refusal
from agreed.store.users import ROOT, Access


@pytest.fixture
def store() -> Store:
    return with_users()


def with_users() -> Store:
    """User u may write w and read r, and do both to b and all up to c.  Key x hangs on lease 5, w on 6.

    The rules have revision 10."""
    store = Store()
    for command in (
        AddUser(ROOT, b"hash"),
        AddUser("u", b"hash"),
        AddRole("role"),
        GrantPermission("role", Access.WRITE, b"w", None),
        GrantPermission("role", Access.READ, b"r", None),
        GrantPermission("role", Access.READWRITE, b"b", b"bb"),
        GrantPermission("role", Access.READWRITE, b"bb", b"c"),
        GrantRole("u", "role"),
        GrantRole(ROOT, ROOT),
        GrantLease(5, 60_000, b"", None),
        GrantLease(6, 60_000, b"", None),
        Put(b"x", b"", 5),
        Put(b"w", b"", 6),
        EnableAuth(),
    ):
        assert not isinstance(store.execute(command), Refusal)
    return store


def txn(*then: Put | DeleteRange | Range | Transaction, otherwise: tuple[Put, ...] = ()) -> Transaction:
    return Transaction((), then, otherwise)


def guard(key: bytes) -> Transaction:
    return Transaction((Guard(key, None, "version", "=", 0),), (), ())


DENIED = Refusal.PERMISSION_DENIED

FOR_U: list[tuple[Command, Refusal | None]] = [
    (Put(b"w", b""), None),
    (Put(b"r", b""), DENIED),
    (Put(b"w", b"", shown=True), DENIED),
    (Put(b"b", b"", shown=True), None),
    (Put(b"b", b"", 6), None),
    (Put(b"b", b"", 5), DENIED),
    (Put(b"b", b"", 7), Refusal.NO_LEASE),
    (DeleteRange(b"w", None), None),
    (DeleteRange(b"w", None, True), DENIED),
    (DeleteRange(b"b", b"c", True), None),
    (DeleteRange(b"b", b"d"), DENIED),
    (DeleteRange(b"b", b"\0"), DENIED),
    (txn(Range(b"r", None), Put(b"w", b"")), None),
    (txn(Range(b"w", None)), DENIED),
    (txn(Put(b"r", b"")), DENIED),
    (txn(otherwise=(Put(b"r", b""),)), DENIED),
    (txn(txn(otherwise=(Put(b"r", b""),))), DENIED),
    (txn(txn(txn(Range(b"x", None)))), DENIED),
    (txn(txn(guard(b"x"))), DENIED),
    (guard(b"w"), DENIED),
    (guard(b"r"), None),
    (Transaction((Guard(b"r", b"s", "version", "=", 0),), (), ()), DENIED),
    (Transaction((Guard(b"b", b"c", "version", "=", 0),), (), ()), None),
    (txn(Put(b"b", b"", 5)), DENIED),
    (GrantLease(7, 1, b"", None), None),
    (GrantLease(7, 1, b"", ()), Refusal.BAD_ARGUMENTS),
    (RevokeLease(5, True), DENIED),
    (RevokeLease(6, True), None),
    (RevokeLease(7, True), Refusal.NO_LEASE),
    (RevokeLease(6), Refusal.BAD_ARGUMENTS),
    (Compact(1), DENIED),
    (AddRole("another"), DENIED),
    (DisableAuth(), DENIED),
    (SetAlarm(1, 1, True), DENIED),
    (ForgetMember(1), DENIED),
]


@pytest.mark.parametrize(("command", "refusal"), FOR_U)
def test_what_a_user_may(store: Store, command: Command, refusal: Refusal | None) -> None:
    before = list(store.capture().pieces())
    result = store.execute(OnBehalf("u", 10, command))  # type: ignore[arg-type]
    if refusal is not None:
        assert result is refusal
        assert list(store.capture().pieces()) == before
    else:
        assert not isinstance(result, Refusal)


@pytest.mark.parametrize("command", [command for command, refusal in FOR_U if refusal is DENIED])
def test_root_may_all_of_it(store: Store, command: Command) -> None:
    result = store.execute(OnBehalf(ROOT, 10, command))  # type: ignore[arg-type]
    assert result is Refusal.NO_MEMBER or not isinstance(result, Refusal)


@pytest.mark.parametrize("command", [command for command, refusal in FOR_U if refusal is None])
def test_who_is_not_served_at_all(store: Store, command: Command) -> None:
    """Also with a lease without keys, and for reads."""
    def on_behalf(user: str, auth_revision: int) -> object:
        return store.execute(OnBehalf(user, auth_revision, command))  # type: ignore[arg-type]

    assert on_behalf("", 10) is Refusal.USER_EMPTY
    assert on_behalf("u", 9) is Refusal.AUTH_OLD
    assert on_behalf("nobody", 10) is DENIED
    assert store.execute(command) is Refusal.USER_EMPTY, "sent before authentication came on"


def test_what_nodes_and_clients_of_zookeeper_do_is_not_looked_at(store: Store) -> None:
    for command in (
        GrantLease(1, 10_000, b"secret", ()),
        Create(1, b"/a", b"", None, 0),
        Checkpoint(),
        SetAlarm(1, 1, True),
        Create(1, b"/b", b"", None, 0),
        ExpireLease(5, 1, 0, True),
        Compact(1),
        Sweep(),
        RevokeLease(1),
    ):
        assert not isinstance(store.execute(command, "n1"), Refusal), command


def test_nobody_has_to_say_who_he_is_while_authentication_is_off(store: Store) -> None:
    store.execute(OnBehalf(ROOT, 10, DisableAuth()))
    assert not store.guarded
    assert not isinstance(store.execute(OnBehalf("", 0, Put(b"x", b""))), Refusal)
    assert not isinstance(store.execute(Put(b"x", b"")), Refusal)


# --- alarms ---------------------------------------------------------------------------------------

NO_SPACE, CORRUPT = AlarmKind.NO_SPACE, AlarmKind.CORRUPT

ALARMED: list[tuple[Command, Refusal | None, Refusal | None]] = [
    (Put(b"k", b""), Refusal.NO_SPACE, Refusal.CORRUPT),
    (txn(Put(b"k", b"")), Refusal.NO_SPACE, Refusal.CORRUPT),
    (txn(otherwise=(Put(b"k", b""),)), Refusal.NO_SPACE, Refusal.CORRUPT),
    (txn(txn(Put(b"k", b""))), Refusal.NO_SPACE, Refusal.CORRUPT),
    (txn(DeleteRange(b"x", None), Range(b"x", None)), None, Refusal.CORRUPT),
    (DeleteRange(b"x", None), None, Refusal.CORRUPT),
    (GrantLease(7, 1, b"", None), Refusal.NO_SPACE, Refusal.CORRUPT),
    (RevokeLease(5, True), None, Refusal.CORRUPT),
    (Compact(1), None, Refusal.CORRUPT),
    (GrantLease(7, 1, b"", ()), None, None),
    (Create(1, b"/a", b"", None, 0), None, None),
    (AddRole("another"), None, None),
    (ExpireLease(5, 1, 0, True), None, None),
]


@pytest.mark.parametrize(("command", "no_space", "corrupt"), ALARMED)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_an_alarm_forbids(
    store: Store, command: Command, no_space: Refusal | None, corrupt: Refusal | None, wrapped: bool
) -> None:
    store.execute(OnBehalf(ROOT, 10, DisableAuth()))
    store.execute(GrantLease(1, 10_000, b"secret", ()), "n1")
    if wrapped and corrupt is not None:
        command = OnBehalf("", 0, command)  # type: ignore[arg-type]
    for kind, refusal in ((NO_SPACE, no_space), (CORRUPT, corrupt)):
        store.execute(SetAlarm(1, kind, True))
        if refusal is not None:
            assert store.execute(command, "n1") is refusal
        store.execute(SetAlarm(1, kind, False))
    assert not store.guarded
    assert not isinstance(store.execute(command, "n1"), Refusal)


def test_what_an_alarm_allows(store: Store) -> None:
    store.execute(OnBehalf(ROOT, 10, DisableAuth()))
    store.execute(GrantLease(1, 10_000, b"secret", ()), "n1")
    for kind, column in ((NO_SPACE, 1), (CORRUPT, 2)):
        store.execute(SetAlarm(1, kind, True))
        for row in ALARMED:
            if row[column] is None:
                assert store.execute(row[0], "n1") not in (Refusal.NO_SPACE, Refusal.CORRUPT)
        store.execute(SetAlarm(1, kind, False))


def test_what_is_nested_without_end_harms_nobody(store: Store) -> None:
    """It is looked at by recursion, and no entry of the log may stop a node."""
    command = txn(Put(b"w", b""))
    for _ in range(DEPTH_MOST + 400):
        command = txn(command)
    assert store.execute(OnBehalf("u", 10, command)) is Refusal.BAD_ARGUMENTS
    assert store.execute(command) is Refusal.BAD_ARGUMENTS
    store.execute(OnBehalf(ROOT, 10, DisableAuth()))
    assert store.execute(command) is Refusal.BAD_ARGUMENTS
