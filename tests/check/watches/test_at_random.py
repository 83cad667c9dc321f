"""At random: watchers that are served well are always accepted, and any one fault is refused.

The server here is a few lines that do what a server promises, in the simplest way; the faults are what
torture and simulation do to a real one.
"""
from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec
import pytest

from agreed.check.watches import (
    Change,
    Delivered,
    FiredKind,
    Forgotten,
    OneShotRecord,
    Progressed,
    Seen,
    WatchEvent,
    WatchFired,
    Watching,
    WatchOf,
    WatchRecord,
    WatchSet,
    Write,
    one_shot,
    watches,
)

# --- watches that see every change --------------------------------------------------------------------------


def random_store(dice: random.Random) -> list[Write]:
    """Writes and deletions of five keys; about every third revision is a transaction."""
    written: list[Write] = []
    present: set[str] = set()
    for revision in range(1, dice.randrange(8, 30)):
        for key in dice.sample(["/a/1", "/a/2", "/a/3", "/b/1", "/b/2"], dice.choice([1, 1, 2, 3])):
            deleted = key in present and dice.random() < 0.3
            (present.remove if deleted else present.add)(key)
            written.append(Write(revision, key, None if deleted else str(len(written)), deleted))
    return written


def events_of(written: Sequence[Write]) -> list[WatchEvent]:
    values: dict[str, object] = {}
    events = []
    for write in written:
        assert write.revision is not None
        before = values.pop(write.key, None)
        if write.deleted:
            events.append(WatchEvent(write.revision, write.key, Change.DELETED, previous=before))
            continue
        values[write.key] = write.value
        kind = Change.CREATED if before is None else Change.CHANGED
        events.append(WatchEvent(write.revision, write.key, kind, write.value, before))
    return events


def served(dice: random.Random, events: Sequence[WatchEvent], watcher: str) -> list[WatchRecord]:
    """What reaches a watcher that is served well: batches, progress, reconnects, nothing lost."""
    key, prefix = dice.choice([(None, False), ("/a/", True), ("/b/", True), ("/a/1", False)])
    begun = Watching(watcher, dice.choice([0, 0, dice.randrange(5)]), key, prefix)
    records: list[WatchRecord] = [begun]
    wanted = [event for event in events if event.revision > begun.after and begun.covers(event.key)]
    revisions = sorted({event.revision for event in wanted})
    known = begun.after
    while revisions:
        batch = revisions[: dice.choice([1, 1, 1, 2, 4])]
        del revisions[: len(batch)]
        told = [event for event in wanted if event.revision in batch]
        told.sort(key=lambda event: (event.revision, dice.random()))
        records.append(Delivered(watcher, told))
        known = batch[-1]
        if dice.random() < 0.25:
            until = revisions[0] - 1 if revisions else events[-1].revision
            known = dice.randrange(known, until + 1)
            records.append(Progressed(watcher, known))
        if dice.random() < 0.15:
            records.append(msgspec.structs.replace(begun, after=known))
    records.append(Progressed(watcher, events[-1].revision))
    return records


def merged(dice: random.Random, streams: list[list[WatchRecord]]) -> list[WatchRecord]:
    streams = [list(stream) for stream in streams]
    records = []
    while left := [stream for stream in streams if stream]:
        records.append(dice.choice(left).pop(0))
    return records


Fault = Callable[[random.Random, list[WatchRecord]], list[WatchRecord] | None]


def a_delivery(
    dice: random.Random, records: list[WatchRecord], fits: Callable[[Delivered], bool] = lambda _: True
) -> tuple[int, Delivered] | None:
    places = [(n, each) for n, each in enumerate(records) if isinstance(each, Delivered) and fits(each)]
    return dice.choice(places) if places else None


def drop(dice: random.Random, records: list[WatchRecord]) -> list[WatchRecord] | None:
    """Not just before a reconnect: who then asks for what follows the lost one has lost it himself."""
    following = dict(zip(map(id, records), records[1:], strict=False))
    found = a_delivery(dice, records, lambda message: not isinstance(following[id(message)], Watching))
    if found is None:
        return None
    place, message = found
    events = list(message.events)
    del events[dice.randrange(len(events))]
    return [*records[:place], Delivered(message.watcher, events), *records[place + 1 :]]


def double(dice: random.Random, records: list[WatchRecord]) -> list[WatchRecord] | None:
    found = a_delivery(dice, records)
    if found is None:
        return None
    place, message = found
    later = dice.randrange(place, len(records)) + 1
    return [*records[:later], Delivered(message.watcher, [dice.choice(message.events)]), *records[later:]]


def swap(dice: random.Random, records: list[WatchRecord]) -> list[WatchRecord] | None:
    pairs = [
        (first, second)
        for first, second in zip(range(len(records)), range(1, len(records)), strict=False)
        if isinstance(records[first], Delivered) and isinstance(records[second], Delivered)
    ]
    if not pairs:
        return None
    first, second = dice.choice(pairs)
    return [*records[:first], records[second], records[first], *records[second + 1 :]]


def tells_of_a_transaction(message: Delivered) -> bool:
    return len({event.revision for event in message.events}) < len(message.events)


def split(dice: random.Random, records: list[WatchRecord]) -> list[WatchRecord] | None:
    found = a_delivery(dice, records, tells_of_a_transaction)
    if found is None:
        return None
    place, message = found
    events = sorted(message.events, key=lambda event: event.revision)
    torn = [n for n in range(1, len(events)) if events[n - 1].revision == events[n].revision]
    cut = dice.choice(torn)
    halves = [Delivered(message.watcher, events[:cut]), Delivered(message.watcher, events[cut:])]
    return [*records[:place], *halves, *records[place + 1 :]]


def altered(change: Callable[[WatchEvent], WatchEvent]) -> Fault:
    def alter(dice: random.Random, records: list[WatchRecord]) -> list[WatchRecord] | None:
        found = a_delivery(dice, records)
        if found is None:
            return None
        place, message = found
        events = list(message.events)
        number = dice.randrange(len(events))
        events[number] = change(events[number])
        return [*records[:place], Delivered(message.watcher, events), *records[place + 1 :]]

    return alter


def another_kind(event: WatchEvent) -> WatchEvent:
    kinds = {Change.CREATED: Change.CHANGED, Change.CHANGED: Change.DELETED, Change.DELETED: Change.CREATED}
    return msgspec.structs.replace(event, kind=kinds[event.kind])


def another_value(event: WatchEvent) -> WatchEvent:
    if event.kind is Change.DELETED:
        return msgspec.structs.replace(event, previous="other")
    return msgspec.structs.replace(event, value="other")


FAULTS: dict[str, Fault] = {
    "drop": drop,
    "double": double,
    "swap": swap,
    "split": split,
    "previous": altered(lambda event: msgspec.structs.replace(event, previous="other")),
    "value": altered(another_value),
    "kind": altered(another_kind),
    "revision": altered(lambda event: msgspec.structs.replace(event, revision=event.revision + 1000)),
}


@pytest.mark.parametrize("seed", range(20))
def test_a_watcher_that_is_served_well_is_accepted_and_any_one_fault_is_refused(seed: int) -> None:
    for number in range(10):
        dice = random.Random(seed * 1000 + number)
        written = random_store(dice)
        streams = [served(dice, events_of(written), watcher) for watcher in ("u", "v", "w")]
        assert watches(merged(dice, streams), written, {}).holds
        doubtful = [
            msgspec.structs.replace(write, revision=None) if dice.random() < 0.3 else write
            for write in written
        ]
        assert watches(merged(dice, streams), doubtful).holds, "what nobody knows convicts nobody"
        for name, fault in FAULTS.items():
            faulty = fault(dice, streams[0])
            if faulty is not None:
                records = merged(dice, [faulty, *streams[1:]])
                assert not watches(records, written, {}).holds, name


# --- watches that are used up -------------------------------------------------------------------------------

PATHS = ("/a", "/a/x", "/a/y", "/b", "/b/x")


def random_tree(dice: random.Random) -> list[Write]:
    """Writes to a few nodes, parents before children, one to a revision."""
    written: list[Write] = []
    present: set[str] = set()
    while len(written) < 25:
        path = dice.choice(PATHS)
        parent = path.rpartition("/")[0]
        if path in present and dice.random() < 0.4:
            if any(each.startswith(path + "/") for each in present):
                continue
            present.remove(path)
            written.append(Write(len(written) + 1, path, deleted=True))
        elif not parent or parent in present:
            present.add(path)
            written.append(Write(len(written) + 1, path, str(len(written))))
    return written


class Server:
    """The node of one client: it applies the writes one by one, and tells what the client watches."""

    def __init__(self, written: Sequence[Write]) -> None:
        self.written = written
        self.applied = 0
        self.present: set[str] = set()
        self.data: set[str] = set()
        self.children: set[str] = set()
        self.records: list[OneShotRecord] = []

    def apply(self) -> None:
        write = self.written[self.applied]
        self.applied += 1
        kind = FiredKind.CHANGED if write.key in self.present else FiredKind.CREATED
        if write.deleted:
            kind = FiredKind.DELETED
        (self.present.discard if write.deleted else self.present.add)(write.key)
        parent = write.key.rpartition("/")[0] or "/"
        if write.key in self.data or (write.deleted and write.key in self.children):
            self.records.append(WatchFired("c", write.key, kind, self.applied))
            self.data.discard(write.key)
            if write.deleted:
                self.children.discard(write.key)
        if kind is not FiredKind.CHANGED and parent in self.children:
            self.records.append(WatchFired("c", parent, FiredKind.CHILDREN, self.applied))
            self.children.discard(parent)

    def read(self, path: str, watches: WatchOf) -> None:
        if watches is WatchOf.CHILDREN and path not in self.present:
            self.records.append(Seen("c", self.applied))
            return
        (self.data if watches is WatchOf.DATA else self.children).add(path)
        self.records.append(WatchSet("c", path, watches, self.applied))


def served_once(dice: random.Random, written: Sequence[Write]) -> list[OneShotRecord]:
    server = Server(written)
    while server.applied < len(written):
        for _ in range(dice.choice([0, 1, 1, 2])):
            server.read(dice.choice(PATHS), dice.choice(list(WatchOf)))
        if dice.random() < 0.05:
            server.records.append(Forgotten("c"))
            server.data.clear()
            server.children.clear()
        server.apply()
        if dice.random() < 0.4:
            server.records.append(Seen("c", server.applied))
    return [*server.records, Seen("c", len(written))]


OneShotFault = Callable[[list[OneShotRecord], int], list[OneShotRecord]]


def told_late(records: list[OneShotRecord], place: int) -> list[OneShotRecord]:
    """After the reply that shows it, wherever that is."""
    event = records[place]
    assert isinstance(event, WatchFired)
    assert event.revision is not None
    reply = next(
        number
        for number, each in enumerate(records)
        if number > place and isinstance(each, Seen) and each.revision >= event.revision
    )
    return [*records[:place], *records[place + 1 : reply + 1], event, *records[reply + 1 :]]


def told_otherwise(records: list[OneShotRecord], place: int) -> list[OneShotRecord]:
    event = records[place]
    assert isinstance(event, WatchFired)
    others = {
        FiredKind.CREATED: FiredKind.CHANGED,
        FiredKind.CHANGED: FiredKind.DELETED,
        FiredKind.DELETED: FiredKind.CREATED,
        FiredKind.CHILDREN: FiredKind.DELETED,
    }
    return [*records[:place], msgspec.structs.replace(event, kind=others[event.kind]), *records[place + 1 :]]


ONE_SHOT_FAULTS: dict[str, OneShotFault] = {
    "drop": lambda records, place: records[:place] + records[place + 1 :],
    "double": lambda records, place: [*records[: place + 1], records[place], *records[place + 1 :]],
    "late": told_late,
    "kind": told_otherwise,
}


@pytest.mark.parametrize("seed", range(20))
def test_a_client_whose_watches_fire_well_is_accepted_and_any_one_fault_is_refused(seed: int) -> None:
    for number in range(10):
        dice = random.Random(seed * 1000 + number)
        written = random_tree(dice)
        records = served_once(dice, written)
        assert one_shot(records, written, ()).holds
        untold = [
            msgspec.structs.replace(each, revision=None) if isinstance(each, WatchFired) else each
            for each in records
        ]
        assert one_shot(untold, written, ()).holds
        doubtful = [
            msgspec.structs.replace(write, revision=None) if dice.random() < 0.3 else write
            for write in written
        ]
        assert one_shot(records, doubtful).holds, "what nobody knows convicts nobody"
        places = [place for place, each in enumerate(records) if isinstance(each, WatchFired)]
        for name, fault in ONE_SHOT_FAULTS.items():
            place = dice.choice(places) if places else None
            if place is None or (name == "drop" and forgotten_before_a_reply(records, place)):
                continue
            assert not one_shot(fault(records, place), written, ()).holds, name


def forgotten_before_a_reply(records: Sequence[OneShotRecord], place: int) -> bool:
    """Then the event is as good as lost with the connection."""
    event = records[place]
    assert isinstance(event, WatchFired)
    assert event.revision is not None
    for each in records[place:]:
        if isinstance(each, Forgotten):
            return True
        if isinstance(each, Seen) and each.revision >= event.revision:
            return False
        if isinstance(each, WatchSet) and each.seen >= event.revision:
            return False
    return True
