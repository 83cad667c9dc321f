"""The nine promises that etcd makes of watches, each kept here, and each broken by a mutant that is found.

https://etcd.io/docs/latest/learning/api_guarantees/ names Ordered, Unique, Reliable, Atomic, Resumable and
Bookmarkable; its robustness tests add Filter, PrevKV and IsCreate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from agreed.check.verdict import Outcome
from agreed.replica.etcd import watch, watch_history, watch_streams
from agreed.replica.etcd.watch import WatchService
from agreed.store.events import Event
from agreed.wire.etcd import messages
from tests.replica.etcd.watching import Run

SEEDS = 25


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_promise_is_kept(seed: int) -> None:
    run = Run(seed)
    verdict = run.verdict()
    assert verdict.outcome is Outcome.HOLDS, verdict
    assert verdict.steps > 20


def unordered(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hears of what happens while it still catches up."""
    begin = WatchService._begin

    def broken(self: WatchService, watcher: Any) -> None:
        begin(self, watcher)
        if not watcher.synced:
            self._sync(watcher)
            watcher.following, watcher.real = 0, watcher.following

    class Watcher(watch_streams.Watcher):
        real = 0

    def behind(self: WatchService, watcher: Any, *rest: Any) -> int:
        if watcher.synced:
            self._index.remove(watcher)
            watcher.synced = False
            watcher.following = watcher.real
        return catch_up(self, watcher, *rest)

    catch_up = WatchService._catch_up
    monkeypatch.setattr(watch, "Watcher", Watcher)
    monkeypatch.setattr(WatchService, "_begin", broken)
    monkeypatch.setattr(WatchService, "_catch_up", behind)


def told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a snapshot it begins with what was told last."""
    restored = WatchService.restored

    def broken(self: WatchService) -> None:
        self._told_to -= 1
        restored(self)
        self._told_to += 1

    monkeypatch.setattr(WatchService, "restored", broken)


def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a slow client cannot be told now is not told at all."""
    monkeypatch.setattr(WatchService, "_fall_behind", lambda self, watcher, following: None)


def deaf_to_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a snapshot brings is told to nobody."""
    restored = WatchService.restored

    def broken(self: WatchService) -> None:
        self._told_to = self._replica.store.revision
        restored(self)

    monkeypatch.setattr(WatchService, "restored", broken)


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happened at once is told a key at a time."""
    changed = WatchService.changed

    def broken(self: WatchService, fresh: Sequence[Event]) -> None:
        for event in fresh:
            changed(self, [event])

    monkeypatch.setattr(WatchService, "changed", broken)


def cut_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece of history ends where it is full, also within a revision."""
    cut = watch_history._cut

    def broken(found: list[Any], following: int, looked_at: int) -> Any:
        if len(found) > 2:
            return watch_history.Missed(found[:2], found[2].modify_revision, looked_at)
        return cut(found, following, looked_at)

    monkeypatch.setattr(watch_history, "_cut", broken)


def one_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins after the revision that was asked for."""
    first = WatchService._first
    monkeypatch.setattr(
        WatchService, "_first", lambda self, revision: first(self, revision) + (0 if revision == 0 else 1)
    )


def boastful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is told to those who have not been told all."""
    monkeypatch.setattr(WatchService, "_all_told", lambda self, stream: True)


def ticking_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The regular notifications of progress ask nobody how far he is."""
    monkeypatch.setattr(WatchService, "_may_be_told_of_progress", lambda self, watcher: True)


def unfiltered_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters count for what happens, not for what happened."""
    catch_up = WatchService._catch_up

    def broken(self: WatchService, watcher: Any, *rest: Any) -> int:
        left_out, watcher.left_out = watcher.left_out, frozenset()
        looked_at = catch_up(self, watcher, *rest)
        watcher.left_out = left_out
        return looked_at

    monkeypatch.setattr(WatchService, "_catch_up", broken)


def wrong_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before is taken from what is there now."""
    told = watch_history.told_of_record

    def broken(history: Any, record: Any, previous: bool) -> messages.Event:
        event: messages.Event = told(history, record, previous)
        newest = history.newest(record.key)
        if event.prev_kv is not None and newest is not None:
            before = msgspec.structs.replace(event.prev_kv, value=newest.value)
            return msgspec.structs.replace(event, prev_kv=before)
        return event

    monkeypatch.setattr(watch, "told_of_record", broken)


def always_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key looks as if it had just been made."""
    told = watch_history.told_of_event

    def broken(*arguments: Any) -> messages.Event:
        event: messages.Event = told(*arguments)
        assert event.kv is not None
        kv = msgspec.structs.replace(event.kv, create_revision=event.kv.mod_revision)
        return msgspec.structs.replace(event, kv=kv)

    monkeypatch.setattr(watch, "told_of_event", broken)


MUTANTS: list[tuple[str, Callable[[pytest.MonkeyPatch], None], set[str]]] = [
    ("ordered", unordered, {"out of order", "gap"}),
    ("unique", told_twice, {"doubled"}),
    ("reliable", forgetful, {"gap"}),
    ("reliable", deaf_to_snapshots, {"gap", "lost on resuming"}),
    ("atomic", one_by_one, {"split revision"}),
    ("atomic", cut_anywhere, {"split revision"}),
    ("resumable", one_too_late, {"lost on resuming"}),
    ("bookmarkable", boastful, {"untruthful progress"}),
    ("bookmarkable", ticking_on, {"untruthful progress"}),
    ("filter", unfiltered_past, {"not asked for"}),
    ("previous", wrong_past, {"wrong previous value"}),
    ("is create", always_new, {"wrong kind"}),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.__name__ for _, mutant, _ in MUTANTS])
def test_every_mutant_is_found(
    mutant: tuple[str, Callable[[pytest.MonkeyPatch], None], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, broken, names = mutant
    broken(monkeypatch)
    found: set[str] = set()
    for seed in range(SEEDS):
        found |= {finding.name for finding in Run(seed).verdict().findings}
        if found & names:
            return
    raise AssertionError(f"only {found or 'nothing'} was found")
