"""Watches that see every change: etcd's, ZooKeeper's persistent ones, and whatever follows a feed.

Promised is, of each watch, from where it began or went on:

    ordered     events come in the order of their revisions          "out of order"
    unique      and each once                                        "doubled"
    atomic      what happened as one arrives in one message          "split revision"
    reliable    nothing between two events is left out               "gap"
    resumable   after a reconnect, nothing is lost or said again     "lost on resuming", "doubled on resuming"
    bookmarked  progress up to a revision means all up to it         "untruthful progress"
    filtered    only what was asked for                              "not asked for", "too early"
    true        it was written, with that value, then                "never written", "wrong value"
                it created the key if it says so                     "wrong kind"
                and the value before was that one                    "wrong previous value"

What is not promised: when.  A watch that has seen nothing yet has missed nothing, unless `settled` says that
everything has had its time.  Ours is the strictest reading of etcd's promises; revisions of one message may
be several, and within one revision events may come in any order of keys.

Each watch is judged in one pass, by itself.
"""
from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET

from agreed.check.explain import words
from agreed.check.history import Process
from agreed.check.verdict import Finding, Outcome, Verdict
from agreed.check.watches.records import (
    Change,
    Delivered,
    Ended,
    Fact,
    Progressed,
    WatchEvent,
    Watching,
    WatchRecord,
    Write,
    facts,
    settle,
)
from agreed.errors import MalformedInput


def watches(
    records: Sequence[WatchRecord],
    written: Sequence[Write],
    initial: Mapping[str, object] | None = None,
    settled: int | None = None,
) -> Verdict:
    """Whether each watch kept its promises.

    `records` in the order of arrival (that of different watchers to each other does not matter), `written`
    all writes that happened or may have, those of one revision in their order.  `initial`: what was there
    before, where it is known.  `settled`: up to this revision whoever still watches at the end must have seen
    all.

    The operations of findings are numbered as in `picture(records, written)`, which can be drawn.
    Raises MalformedInput for events of a watcher that does not watch."""
    truth = _Truth(records, written, initial)
    open_watches: dict[Process, _Watch] = {}
    findings: list[Finding] = []
    events = 0
    for place, record in enumerate(records):
        match record:
            case Watching():
                before = open_watches.pop(record.watcher, None)
                if before:
                    findings += before.end()
                open_watches[record.watcher] = _Watch(truth, record, place, before is not None)
            case Delivered():
                events += len(record.events)
                _watch_of(open_watches, record.watcher).delivered(place, record)
            case Progressed():
                _watch_of(open_watches, record.watcher).progressed(place, record.revision)
            case Ended():
                findings += _watch_of(open_watches, record.watcher).end()
                del open_watches[record.watcher]
    for watch in open_watches.values():
        findings += watch.end(settled)
    findings.sort(key=lambda finding: max(each for each in finding.operations if each < len(records)))
    outcome = Outcome.VIOLATED if findings else Outcome.HOLDS
    reason = findings[0].steps[0] if findings else f"{events} events were what was written, in order"
    return Verdict("watches", outcome, reason, findings=tuple(findings), steps=events)


def _watch_of(open_watches: dict[Process, _Watch], watcher: Process) -> _Watch:
    if watcher not in open_watches:
        raise MalformedInput(f"something reaches {words.client(watcher)}, who does not watch")
    return open_watches[watcher]


class _Truth:
    """What was written."""

    def __init__(
        self, records: Sequence[WatchRecord], written: Sequence[Write], initial: Mapping[str, object] | None
    ) -> None:
        self.first_write = len(records)
        happened, doubtful = settle(records, written)
        self.facts = facts(happened, initial, doubtful)
        self.revisions = [fact.revision for fact in self.facts]
        self.at: dict[tuple[int, str], list[Fact]] = defaultdict(list)
        for fact in self.facts:
            self.at[fact.revision, fact.key].append(fact)

    def between(self, after: int, until: int) -> Sequence[Fact]:
        """Those after `after`, up to and with `until`."""
        return self.facts[bisect_right(self.revisions, after) : bisect_right(self.revisions, until)]


class _Watch:
    """One watch on one connection, from its beginning to its end."""

    def __init__(self, truth: _Truth, begun: Watching, place: int, resumed: bool) -> None:
        self.truth = truth
        self.begun = begun
        self.place = place
        self.resumed = resumed
        self.name = words.client(begun.watcher)
        self.newest = begun.after
        self.newest_place = place
        self.first: int | None = None
        """The revision of the first event that was told."""
        self.told: dict[tuple[int, str], int] = defaultdict(int)
        self.message_of: dict[int, int] = {}
        """In which message a revision arrived first."""
        self.progress = begun.after
        self.complete_to = begun.after
        """Up to here what is missing has been found already."""
        self.findings: dict[str, tuple[list[int], list[str], int]] = {}

    def delivered(self, place: int, record: Delivered) -> None:
        for event in record.events:
            self._event(place, event)

    def progressed(self, place: int, revision: int) -> None:
        if revision < self.progress:
            self._wrong(
                "untruthful progress",
                (place,),
                f"{self.name} is told of progress up to {revision}, after {self.progress}",
            )
            return
        self.progress = revision
        if missing := self._missing(revision):
            self._wrong(
                "untruthful progress",
                (*self._writes(missing), place),
                f"{self.name} is told that nothing up to {revision} is still to come",
                *self._said_missing(missing),
            )
        self.complete_to = max(self.complete_to, revision)

    def end(self, settled: int | None = None) -> list[Finding]:
        until = self.newest if settled is None else max(self.newest, settled)
        if missing := self._missing(until):
            lost = self.resumed and (self.first is None or missing[0].revision < self.first)
            went_on = f"goes on after {self.begun.after}" if lost else f"watches from {self.begun.after} on"
            self._wrong(
                "lost on resuming" if lost else "gap",
                (self.place, *self._writes(missing), self.newest_place),
                f"{self.name} {went_on}, and has seen revision {self.newest}"
                if self.first is not None
                else f"{self.name} {went_on}, and has seen nothing, though all has had its time",
                *self._said_missing(missing),
            )
        found = []
        for name, (places, steps, more) in self.findings.items():
            told = (*steps, f"and {more} more like it") if more else tuple(steps)
            found.append(Finding(name, tuple(dict.fromkeys(places)), told))
        return found

    def _event(self, place: int, event: WatchEvent) -> None:
        known = self.truth.at.get((event.revision, event.key), ())
        said = f"{self.name} is told that {_said(event)}"
        number = self.told[event.revision, event.key]
        if not known:
            step = f"nothing was written to {words.value(event.key, 60)} at that revision"
            self._wrong("never written", (place,), said, step)
            return
        fact = known[min(number, len(known) - 1)]
        write = self.truth.first_write + fact.number
        if event.revision <= self.begun.after:
            name = "doubled on resuming" if self.resumed else "too early"
            asked = f"{self.name} asked for what follows revision {self.begun.after}"
            self._wrong(name, (write, self.place, place), asked, said)
            return
        if number >= len(known):
            before = self.message_of[event.revision]
            self._wrong("doubled", (write, before, place), said, "it had been told that already")
            return
        self.told[event.revision, event.key] += 1
        self._in_its_place(place, event, write, said)
        self._true(place, event, fact, write, said)

    def _in_its_place(self, place: int, event: WatchEvent, write: int, said: str) -> None:
        begun = self.begun
        if not begun.covers(event.key) or event.kind not in begun.kinds:
            self._wrong("not asked for", (self.place, place), said, "which it had not asked for")
        if event.revision < self.newest:
            step = f"it had been told of revision {self.newest} before"
            self._wrong("out of order", (write, self.newest_place, place), said, step)
        first_message = self.message_of.setdefault(event.revision, place)
        if first_message != place:
            step = "it had been told of another change of that revision in a message before"
            self._wrong("split revision", (write, first_message, place), said, step)
        if self.first is None:
            self.first = event.revision
        if event.revision >= self.newest:
            self.newest, self.newest_place = event.revision, place

    def _true(self, place: int, event: WatchEvent, fact: Fact, write: int, said: str) -> None:
        if event.kind not in fact.kinds:
            kind = " or ".join(sorted(kind.value for kind in fact.kinds))
            self._wrong("wrong kind", (write, place), said, f"it was {kind} at that revision")
        elif event.kind is not Change.DELETED and event.value is not UNSET and event.value != fact.value:
            step = f"what was written is {words.value(fact.value, 60)}"
            self._wrong("wrong value", (write, place), said, step)
        if UNSET not in (event.previous, fact.previous) and event.previous != fact.previous:
            steps = (
                f"{said}, after {words.value(event.previous, 60)}",
                f"the value before was {words.value(fact.previous, 60)}",
            )
            self._wrong("wrong previous value", (write, place), *steps)

    def _missing(self, until: int) -> list[Fact]:
        """What should have been told by now and was not; each is found missing once."""
        missing = []
        due: dict[tuple[int, str], int] = defaultdict(int)
        for fact in self.truth.between(self.complete_to, until):
            if not self.begun.covers(fact.key) or not fact.kinds <= self.begun.kinds:
                continue
            due[fact.revision, fact.key] += 1
            if due[fact.revision, fact.key] > self.told.get((fact.revision, fact.key), 0):
                missing.append(fact)
        return missing

    def _writes(self, missing: Sequence[Fact]) -> Iterable[int]:
        return [self.truth.first_write + fact.number for fact in missing[:MOST_SHOWN]]

    def _said_missing(self, missing: Sequence[Fact]) -> Iterable[str]:
        for fact in missing[:MOST_SHOWN]:
            yield f"it was not told of {words.value(fact.key, 60)} at revision {fact.revision}"
        if len(missing) > MOST_SHOWN:
            yield f"nor of {len(missing) - MOST_SHOWN} changes after these"

    def _wrong(self, name: str, operations: Iterable[int], *steps: str) -> None:
        """The first of a kind is shown, the others are counted."""
        if name in self.findings:
            places, told, more = self.findings[name]
            self.findings[name] = (places, told, more + 1)
        else:
            self.findings[name] = (list(operations), list(steps), 0)


MOST_SHOWN = 3
"""Of the changes that one watch missed."""


def _said(event: WatchEvent) -> str:
    value = "" if event.value in (UNSET, None) else f" to {words.value(event.value, 60)}"
    return f"{words.value(event.key, 60)} was {event.kind.value}{value} at revision {event.revision}"
