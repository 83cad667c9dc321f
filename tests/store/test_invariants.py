"""Every invariant bites: a store is broken in one way, and the invariant of that name says so."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from agreed.store.commands import (
    AddRole,
    AddUser,
    Command,
    EnableAuth,
    GrantLease,
    GrantPermission,
    GrantRole,
    IssueToken,
    Put,
    SetAlarm,
    Transaction,
)
from agreed.store.etcd_members import PublishMember
from agreed.store.invariants import INVARIANTS, InvariantBroken, Progress, check
from agreed.store.leases import Lease
from agreed.store.machine import Store
from agreed.store.quota import Quota
from agreed.store.records import ALL, OPEN_ACL, Permission, Record
from agreed.store.users import Access, Token, User
from tests.store.talk import Client, record


@pytest.fixture
def store() -> Store:
    """Sound, with something of everything."""
    store = Store()
    store.begin(1_000)
    client = Client(store, 1)
    for path, mode in (("/a", 0), ("/a/b", 0), ("/e", 1), ("/t", 5), ("/c", 4), ("/c/x", 0)):
        client.create(path, b"data", None, mode, 9 if mode == 5 else 0)
    client.delete("/c/x")
    client.create("/zookeeper/quota/a")
    client.create("/zookeeper/quota/a/zookeeper_limits")
    store.execute(GrantLease(5, 60_000, b"", None))
    for put in (Put(b"k", b"", 5), Put(b"k", b""), Put(b"l", b"", 5)):
        client.execute(Transaction((), (put,), ()))
    for command in OF_USERS:
        store.execute(command)
    store.users.permits("u", b"k", None, Access.READ)
    for number in (1, 2):
        store.execute(PublishMember(number, "n", (f"http://{number}",), ()))
    return store


OF_USERS: list[Command] = [
    *(AddUser("root", b""), AddUser("u", b""), AddRole("r"), GrantRole("u", "r")),
    *(GrantPermission("r", 0, b"k", None), GrantRole("root", "root"), EnableAuth()),
    *(IssueToken("u", "t", 7), SetAlarm(1, 1, True)),
]


def put(store: Store, path: str, **fields: Any) -> Record:
    store.tree.records[path.encode()] = changed = replace(record(store, path), **fields)
    return changed


def lease(store: Store, number: int) -> Lease:
    found = store.leases.get(number)
    assert found is not None
    return found


def children(store: Store, path: str) -> dict[bytes, None]:
    found = record(store, path).children
    assert found is not None
    return found


def move_to_the_end(store: Store, path: bytes) -> None:
    store.tree.records[path] = store.tree.records.pop(path)


def put_version(store: Store, key: bytes, position: int, **fields: Any) -> None:
    """Position 0 is the oldest version; there are two."""
    history = store.flat.history
    old = history.current[key] if position else history.older[key][0]
    new = replace(old, **fields)
    if position:
        history.current[key] = new
    else:
        history.older[key][0] = new
    history.log[history.log.index(old)] = new


def unswept(store: Store) -> None:
    """A sweep that says it is through, and has done nothing."""
    store.flat.history.compacted = store.revision
    store.flat.history.swept = len(store.flat.history.log)


MUTANTS: list[tuple[str, str, Callable[[Store], object]]] = [
    ("every_key_has_its_place", "a key under another name", lambda s: put(s, "/a/b", key=b"/a/c")),
    ("every_key_has_its_place", "a child nobody knows", lambda s: children(s, "/a").clear()),
    ("every_key_has_its_place", "a child that is not there", lambda s: s.tree.records.pop(b"/a/b")),
    ("every_key_has_its_place", "a parent after its child", lambda s: move_to_the_end(s, b"/a")),
    ("every_key_has_its_place", "a system key is gone", lambda s: (
        s.tree.records.pop(b"/zookeeper/config"), children(s, "/zookeeper").pop(b"config"))),
    ("every_key_has_its_place", "a multi that never ended", lambda s: setattr(s.tree, "deferred", [])),
    ("numbers_of_a_key_make_sense", "changed before it was", lambda s: put(s, "/a", create_revision=9)),
    ("numbers_of_a_key_make_sense", "changed in the future", lambda s: put(s, "/a", modify_revision=99)),
    ("numbers_of_a_key_make_sense", "pzxid before czxid", lambda s: put(s, "/a", children_revision=1)),
    ("numbers_of_a_key_make_sense", "a child in the future", lambda s: put(s, "/a", children_revision=99)),
    ("numbers_of_a_key_make_sense", "a time in the future", lambda s: put(s, "/a", modified_ms=1_001)),
    ("numbers_of_a_key_make_sense", "children without births", lambda s: put(s, "/a", children_created=0)),
    ("numbers_of_a_key_make_sense", "the version any", lambda s: put(s, "/a", version=-1)),
    ("access_lists_are_interned", "no list", lambda s: put(s, "/a", acl=())),
    ("access_lists_are_interned", "a copy", lambda s: put(
        s, "/a", acl=(Permission(ALL, "world", "anyone"),))),
    ("ephemeral_keys_and_sessions_agree", "no such lease", lambda s: put(s, "/e", lease=9)),
    ("ephemeral_keys_and_sessions_agree", "not in its set", lambda s: lease(s, 1).tree_keys.clear()),
    ("ephemeral_keys_and_sessions_agree", "a claim", lambda s: lease(s, 1).tree_keys.update({b"/a": None})),
    ("ephemeral_keys_and_sessions_agree", "a parent", lambda s: (
        put(s, "/a", lease=1), lease(s, 1).tree_keys.update({b"/a": None}))),
    ("ephemeral_keys_and_sessions_agree", "half a session", lambda s: s.leases.table.update(
        {1: replace(lease(s, 1), credentials=None)})),
    ("idle_keys_are_known", "a time to live forgotten", lambda s: s.tree.expiring.clear()),
    ("idle_keys_are_known", "a time to live renewed unnoticed", lambda s: put(
        s, "/t", created_ms=999, modified_ms=999)),
    ("idle_keys_are_known", "a container forgotten", lambda s: s.tree.emptied.clear()),
    ("idle_keys_are_known", "no container", lambda s: s.tree.emptied.update({b"/a": None})),
    ("what_is_used_of_a_quota_is_true", "miscounted", lambda s: s.tree.quotas.table.update(
        {b"/a": Quota(3, 8, -1, -1)})),
    ("what_is_used_of_a_quota_is_true", "a quota forgotten", lambda s: s.tree.quotas.table.clear()),
    ("history_agrees_with_its_log", "a lost version", lambda s: s.flat.history.log.pop()),
    ("history_agrees_with_its_log", "out of order", lambda s: s.flat.history.log.reverse()),
    ("history_agrees_with_its_log", "a lost key", lambda s: s.flat.history.keys.remove(b"l")),
    ("history_agrees_with_its_log", "an old version lost", lambda s: s.flat.history.older.clear()),
    ("history_agrees_with_its_log", "a newest version lost", lambda s: s.flat.history.current.pop(b"l")),
    ("history_agrees_with_its_log", "an empty list", lambda s: s.flat.history.older.update({b"l": []})),
    ("history_agrees_with_its_log", "a living key is dead", lambda s: s.flat.history.dead.add(b"l")),
    ("history_agrees_with_its_log", "missed by a sweep", unswept),
    ("history_agrees_with_its_log", "miscounted", lambda s: setattr(s.flat.history, "size_bytes", 7)),
    ("versions_follow_each_other", "a leap", lambda s: put_version(s, b"k", 1, version=3)),
    ("versions_follow_each_other", "born twice", lambda s: put_version(s, b"k", 1, create_revision=13)),
    ("versions_follow_each_other", "died unborn", lambda s: put_version(s, b"k", 0, version=0)),
    ("flat_keys_and_leases_agree", "not in its set", lambda s: lease(s, 5).flat_keys.clear()),
    ("flat_keys_and_leases_agree", "a claim", lambda s: lease(s, 5).flat_keys.update({b"k": None})),
    ("users_and_roles_agree", "another name", lambda s: s.users.users.update({"v": User("u", None)})),
    ("users_and_roles_agree", "out of order", lambda s: s.users.users.update(
        {"u": User("u", None, ("root", "r"))})),
    ("users_and_roles_agree", "no such role", lambda s: s.users.roles.clear()),
    ("users_and_roles_agree", "twice", lambda s: s.users.roles.update({"r": s.users.roles["r"] * 2})),
    ("users_and_roles_agree", "nobody is root", lambda s: s.users.users.pop("root")),
    ("users_and_roles_agree", "tokens for nothing", lambda s: setattr(s.users, "enabled", False)),
    ("users_and_roles_agree", "a token of nobody", lambda s: s.users.tokens.update({"x": Token("x", 0)})),
    ("users_and_roles_agree", "kept too long", lambda s: s.users.roles.update({"r": ()})),
    ("commands_are_looked_at_when_they_must_be", "looks away", lambda s: setattr(s, "guarded", False)),
    ("members_are_told_apart", "one for another", lambda s: s.etcd_members.table.update(
        {3: replace(s.etcd_members.table[1], identity=3)})),
    ("members_are_told_apart", "two in one", lambda s: s.etcd_members.table.update(
        {1: replace(s.etcd_members.table[1], identity=2)})),
    ("feed_is_in_order", "out of order", lambda s: s.feed.events.reverse()),
    ("feed_is_in_order", "not above its beginning", lambda s: setattr(
        s.feed, "compacted", s.feed.events[0].revision)),
]  # fmt: skip


def test_a_sound_store_passes(store: Store) -> None:
    assert check(store) == Progress(store.revision, 1_000)
    check(Store())


@pytest.mark.parametrize(("name", "how", "break_it"), MUTANTS, ids=[f"{m[0]}: {m[1]}" for m in MUTANTS])
def test_a_mutant_is_killed(store: Store, name: str, how: str, break_it: Callable[[Store], object]) -> None:
    break_it(store)
    with pytest.raises(InvariantBroken, match=f"^{name}: "):
        check(store)


def test_there_is_a_mutant_for_every_invariant() -> None:
    assert {name for name, _, _ in MUTANTS} == {invariant.__name__ for invariant in INVARIANTS}


@pytest.mark.parametrize("before", [Progress(99, 0), Progress(0, 1_001)])
def test_revision_and_clock_never_go_back(store: Store, before: Progress) -> None:
    with pytest.raises(InvariantBroken, match="time_goes_forward"):
        check(store, before)


def test_the_open_list_of_the_package_is_the_one_meant() -> None:
    assert all(record.acl is OPEN_ACL for key, record in Store().tree.records.items() if b"config" not in key)
