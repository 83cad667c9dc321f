"""Every change once and in order, however it was cut in pieces on its way; and a gap is told as one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from agreed.backends.contract import Delete, Event, EventKind, Put
from agreed.backends.etcd import EtcdBackend
from agreed.backends.etcd import history as history_module
from agreed.backends.etcd.history import _HistoryWatcher
from agreed.backends.etcd.keys import Range
from agreed.backends.etcd.watches import Watches
from agreed.client.etcd_channel import EtcdChannel
from agreed.wire.etcd import messages as m
from tests.backends.conftest import Place
from tests.backends.etcd_services import ETCD_SERVICES, OLDER_ETCD
from tests.node.running import DEADLINE_S

WATCHED = Range(b"a/", b"a0")


# --- the position, without a server -------------------------------------------------------------------------


class Asked:
    """In the place of the stream: who is on it."""

    def __init__(self) -> None:
        self.on = False

    def add(self, watcher: object) -> None:
        self.on = True

    def remove(self, watcher: object) -> None:
        self.on = False


def made_up(dice: random.Random) -> list[m.Event]:
    """Revisions from 2 on, of up to 40 changes each."""
    changes = []
    for revision in range(2, 60):
        for number in range(dice.choice((1, 1, 2, 40))):
            changes.append(m.Event(kv=m.KeyValue(key=b"a/%d" % number, mod_revision=revision)))
    return changes


def responses(changes: list[m.Event], start: int, dice: random.Random) -> list[m.WatchResponse]:
    """What a server says from `start` on, or by mistake from before: some revisions at once, and that in
    fragments."""
    start -= dice.choice((0, 0, 4))
    left = [each for each in changes if each.kv is not None and each.kv.mod_revision >= start]
    said = []
    while left:
        last = left[0].kv.mod_revision + dice.randrange(5) if left[0].kv else 0
        batch = [each for each in left if each.kv is not None and each.kv.mod_revision <= last]
        left = left[len(batch) :]
        while batch:
            size = dice.randrange(1, len(batch) + 1)
            piece, batch = batch[:size], batch[size:]
            said.append(m.WatchResponse(events=tuple(piece), fragment=bool(batch)))
        if dice.random() < 0.3:
            said.append(m.WatchResponse(header=m.ResponseHeader(revision=last)))
    return said


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_lost_or_doubled_wherever_the_stream_breaks(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(history_module, "EVENTS_MOST", dice.choice((1, 3, 20, 1000)))
    changes = made_up(dice)
    asked = Asked()
    taken: list[m.Event] = []

    async def story() -> None:
        watcher = _HistoryWatcher(asked, WATCHED, 1)  # type: ignore[arg-type]
        asked.add(watcher)

        async def consume() -> None:
            while True:
                await watcher.something_new()
                kept = watcher.take()
                assert len(kept) <= history_module.EVENTS_MOST
                taken.extend(kept)

        consuming = asyncio.ensure_future(consume())
        for _ in range(10_000):
            if len(taken) == len(changes):
                break
            if asked.on:
                said = responses(changes, watcher.start(), dice)
                watcher.created(0)
                for response in said[: dice.randrange(len(said) + 1)]:
                    watcher.came(response)
                    if not asked.on:
                        break
            if dice.random() < 0.7:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        consuming.cancel()
        await asyncio.wait([consuming])

    asyncio.run(story())
    assert taken == changes


# --- with servers -------------------------------------------------------------------------------------------


@pytest.fixture(params=[*ETCD_SERVICES, OLDER_ETCD])
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.getfixturevalue(request.param), f"history-{uuid4().hex}")


async def so_many(events: AsyncIterator[Event], number: int) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < number:
            found.append(await anext(events))
    return found


def test_every_change_is_told_with_what_was_before(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            first = await other.commit([], [Put("a/x", b"1"), Put("b", b"0")])
            await other.commit([], [Put("a/x", b"2"), Put("a-b", b"beside it")])
            await other.commit([], [Put("a", b"itself")])
            await other.commit([], [Delete("a/x")])
            assert first is not None
            below = await so_many(backend.history("a", below=True, since=first - 1), 4)
            told = [(each.kind, each.revision - first, each.entry and each.entry.key) for each in below]
            assert told == [
                (EventKind.PUT, 0, "a/x"),
                (EventKind.PUT, 1, "a/x"),
                (EventKind.PUT, 2, "a"),
                (EventKind.DELETED, 3, "a/x"),
            ]
            assert [each.before and each.before.value for each in below] == [None, b"1", None, b"2"]
            [later] = await so_many(backend.history("a", below=False, since=first), 1)
            assert later.entry is not None
            assert later.entry.value == b"itself"

    asyncio.run(story())


def test_from_now_on_is_nothing_of_before(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            await backend.commit([], [Put("a", b"before")])
            events = backend.history("a", below=False, since=None)
            next_one = asyncio.ensure_future(anext(events))
            async with asyncio.timeout(DEADLINE_S):
                number = 0
                while not next_one.done():
                    number += 1
                    await backend.commit([], [Put("a", b"%d" % number)])
            event = next_one.result()
            assert event.entry is not None
            assert event.entry.value != b"before"
            numbers = [await anext(events) for _ in range(number - int(event.entry.value))]
            found = [int(each.entry.value) for each in numbers if each.entry is not None]
            assert found == list(range(int(event.entry.value) + 1, number + 1))

    asyncio.run(story())


def test_who_is_slow_and_loses_his_connection_gets_everything_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "EVENTS_MOST", 20)

    async def story() -> None:
        async with (
            place.backend() as other,
            place.leash() as leash,
            place.backend(by=leash) as backend,
        ):
            first = await other.commit([], [Put("k", b"")])
            assert first is not None
            events = backend.history("k", below=True, since=first)
            for number in range(150):
                await other.commit([], [Put(f"k/{place_in}", b"%d" % number) for place_in in "ab"])
            found: list[tuple[str, int]] = []
            for turn in range(15):
                if turn % 4 == 1:
                    leash.cut()
                for event in await so_many(events, 20):
                    assert event.entry is not None
                    found.append((event.entry.key, int(event.entry.value)))
            assert sorted(found) == sorted((f"k/{each}", number) for number in range(150) for each in "ab")
            assert [number for _, number in found] == sorted(number for _, number in found)

    asyncio.run(story())


def test_who_does_not_read_stops_nobody_and_fills_no_memory(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = bytes(50_000)
    monkeypatch.setattr(history_module, "BYTES_MOST", 10 * len(large))
    watchers: list[_HistoryWatcher] = []

    class Seen(_HistoryWatcher):
        def __init__(self, watches: Watches, watched: Range, since: int) -> None:
            super().__init__(watches, watched, since)
            watchers.append(self)

    monkeypatch.setattr(history_module, "_HistoryWatcher", Seen)

    async def story() -> None:
        async with place.backend() as backend, place.backend() as other:
            first = await other.commit([], [Put("k", b"0")])
            assert first is not None
            events = backend.history("k", below=False, since=first - 1)
            await so_many(events, 1)
            for number in range(1, 61):
                await other.commit([], [Put("k", b"%d " % number + large)])
                assert await backend.get("k") is not None
            [watcher] = watchers
            await until(lambda: not backend._watches._watchers)  # type: ignore[attr-defined]
            assert len(watcher.take()) <= 10
            monkeypatch.undo()

    asyncio.run(story())


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.01)


async def compact(place: Place, revision: int) -> None:
    async with EtcdChannel([place.service.address]) as channel:
        await channel.call("/etcdserverpb.KV/Compact", m.CompactionRequest(revision, physical=True))


@pytest.mark.parametrize("behind", [0, 1], ids=["at the deletion", "behind it"])
def test_what_is_not_kept_any_more_is_a_gap_and_not_silence(place: Place, behind: int) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            made = await backend.commit([], [Put("k", b"1")])
            gone = await backend.commit([], [Delete("k")])
            after = await backend.commit([], [Put("x", b"")])
            assert made is not None
            assert gone is not None
            assert after is not None
            await compact(place, gone + behind)
            events = backend.history("k", below=False, since=made)
            [gap] = await so_many(events, 1)
            assert gap.kind is EventKind.GAP
            assert gap.revision >= after
            again = await backend.commit([], [Put("k", b"2")])
            [event] = await so_many(events, 1)
            assert (event.kind, event.revision) == (EventKind.PUT, again)

    asyncio.run(story())


def test_whoever_listens_no_more_is_taken_off_the_server(place: Place) -> None:
    async def story() -> None:
        async with place.backend() as backend:
            assert isinstance(backend, EtcdBackend)
            revision = await backend.commit([], [Put("k", b"")])
            assert revision is not None
            async for _ in backend.history("k", below=False, since=revision - 1):
                break
            await until(lambda: not backend._watches._watchers)

    asyncio.run(story())
