"""The store against a second, naive state machine; and what every command does to the revision."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreed.store.commands import (
    AddCredential,
    AttachLease,
    Batch,
    Checkpoint,
    Command,
    Compact,
    Create,
    Delete,
    DeleteRange,
    ExpireLease,
    GrantLease,
    Multi,
    Put,
    RemoveIdle,
    RevokeLease,
    SetAcl,
    SetConfiguration,
    SetData,
    Transaction,
)
from agreed.store.invariants import check
from agreed.store.machine import HANDLERS, Store
from agreed.store.results import Created, Done, LeaseResult, MultiDone, MultiRefused, Refusal
from agreed.store.tree import children_version
from tests.store import drawn
from tests.store.naive import NaiveZooKeeper


def told(result: object) -> str:
    """A result in the words of the naive model."""
    if isinstance(result, Refusal):
        return result.name
    if isinstance(result, Created):
        return result.record.key.decode()
    if isinstance(result, LeaseResult):
        return "granted"
    if isinstance(result, MultiDone):
        return "; ".join(told(one) for one in result.results)
    if isinstance(result, MultiRefused):
        return f"{result.position}: {result.refusal.name}"
    return "done"


def dump(store: Store) -> dict[str, tuple[object, ...]]:
    """What the naive model dumps, from the store."""
    seen: dict[str, tuple[object, ...]] = {}
    for path, r in store.tree.records.items():
        children = len(r.children) if r.children else 0
        seen[path.decode()] = (
            *(r.value, r.acl, r.create_revision, r.modify_revision, r.created_ms, r.modified_ms, r.version),
            *(r.acl_version, r.lease, r.children_revision, children_version(r, children), children),
            *(max(r.flags, 0), r.flags == -1),
        )
    return seen


@settings(max_examples=150)
@given(drawn.tree_steps)
def test_the_store_does_what_the_plain_rules_say(steps: list[drawn.Step]) -> None:
    store, naive = Store(), NaiveZooKeeper()
    progress = check(store)
    for step in drawn.GREETING + steps:
        naive.now += step[0]
        expected = naive.execute(step[2], step[1])
        result = drawn.apply(store, step)
        assert told(result) == expected, step
        assert store.revision == naive.zxid
        assert dump(store) == naive.dump(), step
        progress = check(store, progress)


@settings(max_examples=100)
@given(drawn.all_steps)
def test_invariants_hold_after_every_command_of_every_space(steps: list[drawn.Step]) -> None:
    store = Store()
    progress = check(store)
    for step in drawn.GREETING + steps:
        before = store.revision
        events = len(store.feed.events)
        drawn.apply(store, step)
        progress = check(store, progress)
        assert store.revision - before in (0, 1), step
        assert all(event.revision == store.revision for event in store.feed.events[events:]), step


@settings(max_examples=150)
@given(drawn.etcd_steps)
def test_invariants_hold_after_every_command_of_clients_of_etcd(steps: list[drawn.Step]) -> None:
    store = Store()
    progress = check(store)
    for step in drawn.GREETING + drawn.ENABLED + steps:
        before, events = store.revision, len(store.feed.events)
        result = drawn.apply(store, step)
        progress = check(store, progress)
        told = store.feed.events[events:]
        assert all(event.revision == store.revision for event in told), step
        if step not in drawn.GREETING:
            assert store.revision - before == (1 if told else 0), (step, result)


def ready() -> Store:
    store = Store()
    store.begin(1_000)
    store.execute(GrantLease(1, 10_000, b"secret", ()), "n1")
    store.execute(Create(1, b"/a", b"data", None, 0), "n1")
    return store


BURNING: list[tuple[Command, Command]] = [
    (GrantLease(2, 1, b"", ()), GrantLease(1, 1, b"", ())),
    (AttachLease(1, 1, b"secret", ()), AttachLease(1, 1, b"wrong", ())),
    (RevokeLease(1), RevokeLease(9)),
    (ExpireLease(1, 1), ExpireLease(1, 0)),
    (Create(1, b"/b", None, None, 0), Create(1, b"/a", None, None, 0)),
    (SetData(1, b"/a", b"", 0), SetData(1, b"/a", b"", 7)),
    (Delete(1, b"/a", 0), Delete(1, b"/a", 7)),
    (SetAcl(1, b"/a", None, 0), SetAcl(1, b"/a", (), 0)),
    (Multi(1, (Delete(1, b"/a", 0), Create(1, b"/a", None, None, 0))), Multi(1, (Delete(1, b"/a", 7),))),
    (RemoveIdle(b"/container", 4, 6), RemoveIdle(b"/a", 2, 2)),
]


@pytest.mark.parametrize(("granted", "refused"), BURNING, ids=lambda command: type(command).__name__)
def test_a_command_of_a_session_consumes_one_revision_also_when_it_is_refused(
    granted: Command, refused: Command
) -> None:
    store = ready()
    store.execute(Create(1, b"/container/", None, None, 0), "n1")
    store.execute(Create(1, b"/container", None, None, 4), "n1")
    store.execute(Create(1, b"/container/x", None, None, 0), "n1")
    store.execute(Delete(1, b"/container/x", -1), "n1")
    assert store.revision == 6
    before = list(store.capture().pieces())[1:]
    assert isinstance(store.execute(refused, "n1"), Refusal | MultiRefused)
    assert store.revision == 7
    assert list(store.capture().pieces())[1:] == before
    assert not isinstance(store.execute(granted, "n1"), Refusal | MultiRefused)
    assert store.revision == 8


def test_what_only_takes_note_consumes_none() -> None:
    store = ready()
    assert store.execute(AddCredential(1, drawn.ALICE), "n1") is Done.DONE
    assert store.execute(AddCredential(9, drawn.ALICE), "n1") is Refusal.NO_LEASE
    assert store.execute(Checkpoint(), "n1") is Done.DONE
    assert store.execute(Transaction((), (DeleteRange(b"absent", None),), ()), "n1") is not Refusal.NO_KEY
    assert store.revision == 2
    store.execute(Transaction((), (Put(b"k", b""),), ()), "n1")
    assert store.revision == 3
    assert store.execute(Compact(3), "n1") is Done.DONE
    assert store.execute(SetConfiguration(b"server.1=..."), "n1") is Done.DONE
    assert store.revision == 4


def test_there_is_a_handler_for_every_command() -> None:
    assert set(HANDLERS) == set(Command.__args__)


def test_the_clock_of_the_cluster_never_goes_back() -> None:
    """A new leader's clock may be behind the last one's; no key is ever modified before it was created."""
    store = ready()
    store.begin(999)
    store.execute(SetData(1, b"/a", b"", -1), "n1")
    record = store.tree.get(b"/a")
    assert record is not None
    assert record.modified_ms == 1_000
    store.begin(1_001)
    assert store.stamp_ms == 1_001


def test_events_are_fresh_until_the_caller_clears_them() -> None:
    store = ready()
    assert [event.record.key for event in store.fresh] == [b"/a"]
    store.fresh.clear()
    store.execute(SetData(1, b"/a", b"", 7), "n1")
    assert store.fresh == []
    store.execute(SetData(1, b"/a", b"", 0), "n1")
    assert len(store.fresh) == 1
    assert len(store.feed.events) == 2


@given(st.integers(1, 5), st.integers(0, 5))
def test_a_repeated_batch_is_executed_once(count: int, overlap: int) -> None:
    store = ready()
    some = [Create(1, b"/a/s-", None, None, 2) for _ in range(count)]
    for batch in (Batch("n1", 1, 1, list(some)), Batch("n1", 1, max(1, count + 1 - overlap), list(some))):
        for command in batch.commands[store.admit(batch) :]:
            store.execute(command, "n1")
    assert len(store.tree.children(b"/a")) == count + max(0, count - min(overlap, count))
