"""What a ZooKeeper server would say, and what it would show.  The stories were recorded from a real one."""
from __future__ import annotations

import pytest
from msgspec.structs import replace

from agreed.store.commands import (
    Check,
    Command,
    Create,
    Delete,
    Multi,
    RemoveIdle,
    SetAcl,
    SetConfiguration,
    SetData,
)
from agreed.store.events import EventKind
from agreed.store.machine import Store
from agreed.store.records import ADMIN, ALL, CREATE, OPEN_ACL, READ, WRITE, Credential, Permission
from agreed.store.results import Changed, Created, Done, MultiRefused, Refusal
from agreed.store.tree_commands import TTL_MOST_MS, next_version
from tests.store.talk import Client, cversion, only, record

R = Refusal
ALICE = Credential("digest", "alice:hash")
BAD_ACL = only(ALL, "bogus")


@pytest.fixture
def store() -> Store:
    store = Store()
    store.begin(1_000)
    return store


@pytest.fixture
def client(store: Store) -> Client:
    return Client(store)


# --- which error wins -------------------------------------------------------------------------------


@pytest.fixture
def crowded(client: Client) -> Client:
    """A place for everything that can be wrong."""
    client.create("/open")
    client.create("/open/full", b"data")
    client.create("/open/full/child")
    client.create("/locked")
    client.create("/locked/child")
    client.set_acl("/locked", only(READ))
    client.set_acl("/locked/child", only(READ))
    client.create("/passing", mode=1)
    for path in ("/open", "/passing"):
        client.create("/zookeeper/quota" + path)
        client.create(f"/zookeeper/quota{path}/zookeeper_limits", b"countHardLimit=0;byteHardLimit=0")
        client.create(f"/zookeeper/quota{path}/zookeeper_stats", b"")
    return client


# Each row repairs what the row before was refused for, and keeps what is wrong after it, as far as can be.
CREATE_GUARDS: list[tuple[Command, Refusal]] = [
    (Create(9, b"no\0slash", b"", BAD_ACL, 9, -1), R.NO_LEASE),
    (Create(1, b"no\0slash", b"", BAD_ACL, 9, -1), R.BAD_ARGUMENTS),
    (Create(1, b"noslash", b"", BAD_ACL, 0), R.BAD_ARGUMENTS),
    (Create(1, b"/absent/\0/", b"", BAD_ACL, 0), R.BAD_ARGUMENTS),
    (Create(1, b"/locked/\0", b"", BAD_ACL, 0), R.BAD_ARGUMENTS),
    (Create(1, b"/absent//x", b"", BAD_ACL, 0), R.INVALID_ACL),
    (Create(1, b"/absent/x", b"", (), 0), R.INVALID_ACL),
    (Create(1, b"/absent//x", b"", None, 0), R.NO_PARENT),
    (Create(1, b"/open/full/", b"", None, 0), R.BAD_ARGUMENTS),
    (Create(1, b"no/slash", b"", None, 0), R.NO_PARENT),
    (Create(1, b"/locked/", b"", None, 0), R.NOT_ALLOWED),
    (Create(1, b"/locked/child", b"", None, 0), R.NOT_ALLOWED),
    (Create(1, b"/open/..", b"", None, 0), R.BAD_ARGUMENTS),
    (Create(1, b"//open", b"", None, 0), R.BAD_ARGUMENTS),
    (Create(1, b"/passing/\x01", b"", None, 0), R.BAD_ARGUMENTS),
    (Create(1, b"/", b"", None, 0), R.EXISTS),
    (Create(1, b"/open/full", b"", None, 0), R.EXISTS),
    (Create(1, b"/passing/x", b"", None, 0), R.PARENT_IS_EPHEMERAL),
    (Create(1, b"/open/x", b"", None, 0), R.QUOTA_EXCEEDED),
]
DELETE_GUARDS: list[tuple[Command, Refusal]] = [
    (Delete(9, b"/", 7), R.NO_LEASE),
    (Delete(1, b"/", 7), R.BAD_ARGUMENTS),
    (Delete(1, b"", 7), R.BAD_ARGUMENTS),
    (Delete(1, b"noslash", 7), R.BAD_ARGUMENTS),
    (Delete(1, b"/absent/\0", 7), R.BAD_ARGUMENTS),
    (Delete(1, b"/zookeeper", 7), R.BAD_ARGUMENTS),
    (Delete(1, b"/zookeeper/quota", 7), R.BAD_ARGUMENTS),
    (Delete(1, b"/zookeeper/config", 7), R.BAD_ARGUMENTS),
    (Delete(1, b"/absent/x", 7), R.NO_PARENT),
    (Delete(1, b"/locked/absent", 7), R.NOT_ALLOWED),
    (Delete(1, b"/open/absent", 7), R.NO_KEY),
    (Delete(1, b"/open/", 7), R.NO_KEY),
    (Delete(1, b"/open/full", 7), R.BAD_VERSION),
    (Delete(1, b"/open/full", 0), R.NOT_EMPTY),
]
SET_DATA_GUARDS: list[tuple[Command, Refusal]] = [
    (SetData(9, b"/open/", b"12345", 7), R.NO_LEASE),
    (SetData(1, b"/open/", b"12345", 7), R.BAD_ARGUMENTS),
    (SetData(1, b"", b"12345", 7), R.BAD_ARGUMENTS),
    (SetData(1, b"/absent", b"12345", 7), R.NO_KEY),
    (SetData(1, b"/locked", b"12345", 7), R.NOT_ALLOWED),
    (SetData(1, b"/zookeeper/config", b"12345", 7), R.NOT_ALLOWED),
    (SetData(1, b"/open/full", b"12345", 7), R.QUOTA_EXCEEDED),
    (SetData(1, b"/open/full", b"1234", 7), R.BAD_VERSION),
]
SET_ACL_GUARDS: list[tuple[Command, Refusal]] = [
    (SetAcl(9, b"/absent/", BAD_ACL, 7), R.NO_LEASE),
    (SetAcl(1, b"/absent/", BAD_ACL, 7), R.BAD_ARGUMENTS),
    (SetAcl(1, b"/absent", BAD_ACL, 7), R.INVALID_ACL),
    (SetAcl(1, b"/locked", (), 7), R.INVALID_ACL),
    (SetAcl(1, b"/absent", None, 7), R.NO_KEY),
    (SetAcl(1, b"/locked", None, 7), R.NOT_ALLOWED),
    (SetAcl(1, b"/open", None, 7), R.BAD_VERSION),
]
CHECK_GUARDS: list[tuple[Command, Refusal]] = [
    (Multi(9, (Check(1, b"/absent/", 7),)), R.NO_LEASE),
    (Multi(1, (Check(1, b"/absent/", 7),)), R.BAD_ARGUMENTS),
    (Multi(1, (Check(1, b"/absent", 7),)), R.NO_KEY),
    (Multi(1, (Check(1, b"/hidden", 7),)), R.NOT_ALLOWED),
    (Multi(1, (Check(1, b"/open", 7),)), R.BAD_VERSION),
]


@pytest.mark.parametrize(
    ("command", "refusal"),
    CREATE_GUARDS + DELETE_GUARDS + SET_DATA_GUARDS + SET_ACL_GUARDS + CHECK_GUARDS,
    ids=lambda given: getattr(given, "name", None),
)
def test_of_two_things_that_are_wrong_a_client_is_told_the_first(
    crowded: Client, command: Command, refusal: Refusal
) -> None:
    crowded.create("/hidden", acl=only(0))
    result = crowded.execute(command)
    assert (result.refusal if isinstance(result, MultiRefused) else result) is refusal


MOVED: list[Command] = [Create(1, b"/", b"", None, 9), Delete(1, b"/", 7), SetData(1, b"", b"", 7)]


@pytest.mark.parametrize("command", [*MOVED, SetAcl(1, b"", (), 7), Multi(1, ())], ids=repr)
def test_a_session_is_served_by_the_node_it_is_attached_to_and_by_no_other(
    store: Store, client: Client, command: Command
) -> None:
    assert store.execute(command, "n2") is R.LEASE_MOVED


MODES = [
    (0, 0, True),
    (0, 1, False),
    (1, 1, False),
    (4, 1, False),
    (7, 0, False),
    (-1, 0, False),
    (5, 0, False),
    (5, -1, False),
    (5, 1, True),
    (6, TTL_MOST_MS, True),
    (5, TTL_MOST_MS + 1, False),
]


@pytest.mark.parametrize(("mode", "ttl_ms", "valid"), MODES)
def test_a_time_to_live_belongs_to_its_modes_and_they_to_it(
    client: Client, mode: int, ttl_ms: int, valid: bool
) -> None:
    result = client.create("/a", mode=mode, ttl_ms=ttl_ms)
    assert isinstance(result, Created) if valid else result is R.BAD_ARGUMENTS


# --- stat -------------------------------------------------------------------------------------------


def test_a_new_store_is_the_tree_of_a_new_server(store: Store) -> None:
    assert list(store.tree.records) == [b"/", b"/zookeeper", b"/zookeeper/quota", b"/zookeeper/config"]
    assert (cversion(store, "/"), cversion(store, "/zookeeper")) == (-1, -2)
    config = record(store, "/zookeeper/config")
    assert (config.version, config.acl_version, config.create_revision) == (-1, -1, 0)
    assert config.acl == only(READ)


def test_each_change_moves_its_own_numbers_and_no_others(store: Store, client: Client) -> None:
    def numbers() -> tuple[int, ...]:
        r = record(store, "/a")
        return (
            *(r.create_revision, r.modify_revision, r.children_revision),
            *(r.created_ms, r.modified_ms, r.version, cversion(store, "/a"), r.acl_version),
        )

    client.create("/a")
    assert numbers() == (2, 2, 2, 1_000, 1_000, 0, 0, 0)
    store.begin(2_000)
    client.set("/a")
    assert numbers() == (2, 3, 2, 1_000, 2_000, 1, 0, 0)
    store.begin(3_000)
    client.set_acl("/a", only(ALL))
    assert numbers() == (2, 3, 2, 1_000, 2_000, 1, 0, 1)
    client.create("/a/b")
    assert numbers() == (2, 3, 5, 1_000, 2_000, 1, 1, 1)
    client.create("/a/b/c")
    client.set("/a/b")
    assert numbers() == (2, 3, 5, 1_000, 2_000, 1, 1, 1)
    client.delete("/a/b/c")
    client.delete("/a/b")
    assert numbers() == (2, 3, 9, 1_000, 2_000, 1, 2, 1)


def test_cversion_counts_creations_and_deletions_but_sequence_numbers_only_creations(
    store: Store, client: Client
) -> None:
    client.create("/v")
    seen = []
    for _ in range(3):
        client.create("/v/a")
        seen.append(cversion(store, "/v"))
        client.delete("/v/a")
        seen.append(cversion(store, "/v"))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert client.made("/v/s", mode=2) == "/v/s0000000003"


def test_sequence_numbers(client: Client) -> None:
    """Every creation counts, an empty prefix is allowed, and so is a prefix that were no name by itself."""
    client.create("/p")
    assert client.made("/p/x") == "/p/x"
    assert client.made("/p/lock-", mode=3) == "/p/lock-0000000001"
    assert client.made("/p/", mode=2) == "/p/0000000002"
    assert client.made("/p/..", mode=6, ttl_ms=1) == "/p/..0000000003"
    assert client.made("/top-", mode=2) == "/top-0000000001"
    assert client.create("/p/a\x01", mode=2) is R.BAD_ARGUMENTS


def test_sequence_numbers_turn_negative_like_an_int_of_java(store: Store, client: Client) -> None:
    client.create("/p")
    store.tree.records[b"/p"] = replace(record(store, "/p"), children_created=0x7FFF_FFFF)
    assert client.made("/p/s", mode=2) == "/p/s2147483647"
    assert client.made("/p/s", mode=2) == "/p/s-2147483648"
    assert client.made("/p/s", mode=2) == "/p/s-2147483647"


@pytest.mark.parametrize(("version", "following"), [(0, 1), (-2, 0), (0x7FFF_FFFF, -0x8000_0000), (-1, 0)])
def test_a_version_is_never_the_one_that_means_any(version: int, following: int) -> None:
    assert next_version(version) == following


def test_null_data_is_not_empty_data(store: Store, client: Client) -> None:
    client.create("/null", None)
    client.create("/empty", b"")
    assert (record(store, "/null").value, record(store, "/empty").value) == (None, b"")
    client.set("/empty", None)
    assert record(store, "/empty").value is None


def test_a_result_tells_what_was_true_then(client: Client) -> None:
    """Records are immutable: a reply that is written later must not show what came after."""
    result = client.create("/a", b"first")
    assert isinstance(result, Created)
    client.create("/a/b")
    changed = client.set("/a", b"second")
    assert isinstance(changed, Changed)
    client.delete("/a/b")
    assert (result.record.value, result.record.children_created) == (b"first", 0)
    assert (changed.record.value, changed.record.children_created, changed.children) == (b"second", 1, 1)


def test_children_of_zookeeper_may_be_created(client: Client) -> None:
    assert client.made("/zookeeper/zz") == "/zookeeper/zz"
    assert client.delete("/zookeeper/zz") is Done.DONE


# --- access -----------------------------------------------------------------------------------------


def test_what_one_may_do_is_said_by_the_key_or_by_its_parent(store: Store, client: Client) -> None:
    alice = Client(store, 2, ALICE)
    alice.create("/hers", acl=only(ALL, "auth", ""))
    assert record(store, "/hers").acl == (Permission(ALL, *ALICE),)
    assert client.create("/hers/x") is R.NOT_ALLOWED
    assert client.set("/hers") is R.NOT_ALLOWED
    assert client.set_acl("/hers", None) is R.NOT_ALLOWED
    assert isinstance(alice.create("/hers/x"), Created)
    assert client.delete("/hers/x") is R.NOT_ALLOWED
    assert alice.delete("/hers/x") is Done.DONE
    assert client.delete("/hers") is Done.DONE, "deleting asks the parent, and that is open"


def test_each_permission_opens_one_door(client: Client) -> None:
    client.create("/c", acl=only(CREATE))
    client.create("/w", acl=only(WRITE))
    client.create("/a", acl=only(ADMIN))
    assert isinstance(client.create("/c/x"), Created)
    assert client.delete("/c/x") is R.NOT_ALLOWED
    assert isinstance(client.set("/w"), Changed)
    assert client.set_acl("/w", None) is R.NOT_ALLOWED
    assert isinstance(client.set_acl("/a", None), Changed)


def test_super_may_do_everything(store: Store, client: Client) -> None:
    client.create("/locked", acl=only(0))
    chief = Client(store, 2, Credential("super", ""))
    assert isinstance(chief.create("/locked/x"), Created)
    assert isinstance(chief.set("/locked"), Changed)
    assert chief.delete("/locked/x") is Done.DONE
    assert isinstance(chief.set("/zookeeper/config", b"text"), Changed)
    assert record(store, "/zookeeper/config").version == 0


def test_equal_lists_are_one_object(store: Store, client: Client) -> None:
    client.create("/a", acl=only(READ))
    client.create("/b", acl=only(READ))
    client.create("/c", acl=tuple(OPEN_ACL[:]) * 2)
    assert record(store, "/a").acl is record(store, "/b").acl
    assert record(store, "/c").acl is OPEN_ACL


# --- events -----------------------------------------------------------------------------------------


def test_events_tell_what_was_and_what_is(store: Store, client: Client) -> None:
    client.create("/a", b"1")
    client.set("/a", b"2")
    client.set_acl("/a", only(ALL))
    client.delete("/a")
    told = [
        (e.revision, e.kind, e.record.value, e.previous.value if e.previous is not None else None)
        for e in store.fresh
    ]
    assert told == [
        (2, EventKind.CREATED, b"1", None),
        (3, EventKind.CHANGED, b"2", b"1"),
        (5, EventKind.DELETED, b"2", b"2"),
    ]


# --- containers, time to live, configuration ---------------------------------------------------------


def idle(store: Store, *paths: str) -> list[RemoveIdle]:
    found = [(record(store, path), path) for path in paths]
    return [RemoveIdle(path.encode(), r.modify_revision, r.children_revision) for r, path in found]


def test_a_container_is_removed_after_its_last_child_but_never_before_its_first(
    store: Store, client: Client
) -> None:
    client.create("/c", mode=4)
    assert store.tree.idle(store.stamp_ms) == []
    client.create("/c/x")
    assert store.tree.idle(store.stamp_ms) == []
    client.delete("/c/x")
    [removal] = store.tree.idle(store.stamp_ms)
    assert [removal] == idle(store, "/c")
    client.create("/c/y")
    assert client.execute(removal) is R.NOT_EMPTY, "a child came while the removal was on its way"
    client.delete("/c/y")
    assert client.execute(removal) is R.STALE, "and went: this is another emptiness"
    assert client.execute(idle(store, "/c")[0]) is Done.DONE
    assert client.execute(removal) is R.NO_KEY
    assert store.tree.idle(store.stamp_ms) == []


def test_only_what_may_be_idle_is_removed(store: Store, client: Client) -> None:
    client.create("/plain")
    client.create("/unused", mode=4)
    for removal in idle(store, "/plain", "/unused", "/zookeeper/config"):
        assert client.execute(removal) is R.STALE


def test_a_time_to_live_is_over_when_more_than_it_has_passed_since_the_last_data(
    store: Store, client: Client
) -> None:
    client.create("/t", mode=5, ttl_ms=100)
    client.create("/t/child")
    store.begin(1_090)
    client.set("/t")
    store.begin(1_190)
    assert store.tree.idle(1_191) == [], "it has a child"
    client.delete("/t/child")
    assert store.tree.idle(1_190) == [], "not more than 100 ms have passed"
    assert client.execute(idle(store, "/t")[0]) is R.STALE
    store.begin(1_191)
    [removal] = store.tree.idle(1_191)
    client.set("/t")
    assert client.execute(removal) is R.STALE, "it was renewed while the removal was on its way"
    store.begin(1_292)
    assert client.execute(idle(store, "/t")[0]) is Done.DONE
    assert store.tree.get(b"/t") is None


def test_the_configuration_changes_without_a_version(store: Store, client: Client) -> None:
    store.begin(2_000)
    store.execute(SetConfiguration(b"server.1=..."))
    config = record(store, "/zookeeper/config")
    assert config.value == b"server.1=...\nversion=2", "the revision from which on it is in force"
    assert (config.version, config.modify_revision) == (-1, 2)
    assert (config.modified_ms, config.create_revision, config.created_ms) == (2_000, 0, 0)
    assert store.configuration == b"server.1=..."
    assert [event.record.key for event in store.fresh] == [b"/zookeeper/config"]
