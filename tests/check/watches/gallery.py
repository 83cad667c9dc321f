"""Watches that kept their promises and watches that did not, each with what has to be found.

One store for all of them: two keys below /a, one elsewhere; a transaction that writes both at revision 3.

    1  /a/x created, "1"        4  /b created, "1"
    2  /a/y created, "1"        5  /a/x deleted
    3  /a/x "2" and /a/y "2"    6  /a/x created, "3"
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agreed.check.watches import (
    Change,
    Delivered,
    Ended,
    Progressed,
    WatchEvent,
    Watching,
    WatchRecord,
    Write,
)

X, Y, B = "/a/x", "/a/y", "/b"
CREATED, CHANGED, DELETED = Change.CREATED, Change.CHANGED, Change.DELETED

WRITTEN = (
    Write(1, X, "1"),
    Write(2, Y, "1"),
    Write(3, X, "2"),
    Write(3, Y, "2"),
    Write(4, B, "1"),
    Write(5, X, deleted=True),
    Write(6, X, "3"),
)

X1 = WatchEvent(1, X, CREATED, "1", None)
Y2 = WatchEvent(2, Y, CREATED, "1", None)
X3 = WatchEvent(3, X, CHANGED, "2", "1")
Y3 = WatchEvent(3, Y, CHANGED, "2", "1")
B4 = WatchEvent(4, B, CREATED, "1", None)
X5 = WatchEvent(5, X, DELETED, previous="2")
X6 = WatchEvent(6, X, CREATED, "3", None)


class Story(NamedTuple):
    name: str
    records: Sequence[WatchRecord]
    wrong: frozenset[str] = frozenset()
    written: Sequence[Write] = WRITTEN
    initial: Mapping[str, object] | None = {}
    settled: int | None = None


def told(*events: WatchEvent, to: str = "w") -> Delivered:
    return Delivered(to, events)


def under(after: int = 0, watcher: str = "w") -> Watching:
    """A watch of all below /a."""
    return Watching(watcher, after, "/a/", prefix=True)


EVERYTHING = Watching("w", 0)

KEPT = (
    Story("nobody watches", ()),
    Story("a watch that has seen nothing has missed nothing", (EVERYTHING,)),
    Story("one message for each revision",
          (EVERYTHING, told(X1), told(Y2), told(X3, Y3), told(B4), told(X5), told(X6))),
    Story("several revisions in one message", (EVERYTHING, told(X1, Y2, X3, Y3), told(B4, X5, X6))),
    Story("a transaction in any order of keys", (EVERYTHING, told(X1), told(Y2), told(Y3, X3))),
    Story("what is elsewhere is not seen", (under(), told(X1), told(Y2), told(X3, Y3), told(X5))),
    Story("one key alone", (Watching("w", 0, Y), told(Y2), told(Y3))),
    Story("a key is no prefix unless it says so", (Watching("w", 0, "/a"), Progressed("w", 6))),
    Story("only deletions",
          (Watching("w", 0, "/a/", prefix=True, kinds=frozenset({DELETED})), told(X5), Progressed("w", 6))),
    Story("from the middle on", (under(after=3), told(X5), told(X6))),
    Story("progress between events",
          (under(), told(X1), Progressed("w", 1), told(Y2), told(X3, Y3), Progressed("w", 4), told(X5))),
    Story("progress says the same twice", (under(), told(X1), Progressed("w", 1), Progressed("w", 1))),
    Story("progress further than what was written", (under(after=5), told(X6), Progressed("w", 90))),
    Story("a reconnect goes on", (under(), told(X1), told(Y2), under(after=2), told(X3, Y3), told(X5))),
    Story("a client may ask again for what it has seen",
          (under(), told(X1), told(Y2), under(), told(X1, Y2))),
    Story("and may skip what it does not want", (under(), told(X1), under(after=4), told(X5))),
    Story("two watchers",
          (under(), under(watcher="v"), told(X1), told(X1, to="v"), told(Y2, to="v"), told(Y2))),
    Story("everybody had their time", (under(), told(X1, Y2, X3, Y3, X5, X6)), settled=6),
    Story("nobody waits for one who left", (under(), told(X1), Ended("w")), settled=6),
    Story("an event need not tell values",
          (under(), told(WatchEvent(1, X, CREATED)), told(WatchEvent(2, Y, CREATED)))),
    Story("whether it was there before is not known",
          (EVERYTHING, told(WatchEvent(7, "/old", CHANGED, "2", "1"))),
          written=[Write(7, "/old", "2")], initial=None),
    Story("nor whether it was deleted while it was there",
          (EVERYTHING, told(WatchEvent(7, "/old", DELETED, previous="1"))),
          written=[Write(7, "/old", deleted=True)], initial=None),
    Story("it was there before", (EVERYTHING, told(WatchEvent(7, "/old", CHANGED, "2", "1"))),
          written=[Write(7, "/old", "2")], initial={"/old": "1"}),
    Story("to delete what is not there changes nothing", (EVERYTHING, told(X1), Progressed("w", 2)),
          written=[Write(1, X, "1"), Write(2, Y, deleted=True)]),
    Story("the same key twice in one transaction",
          (EVERYTHING, told(WatchEvent(1, X, CREATED, "1"), WatchEvent(1, X, CHANGED, "2", "1"))),
          written=[Write(1, X, "1"), Write(1, X, "2")]),
    Story("a write that was never answered happened", (EVERYTHING, told(X1), told(Y2)),
          written=[Write(1, X, "1"), Write(None, Y, "1")]),
    Story("and the event does not tell its value", (EVERYTHING, told(WatchEvent(2, Y, CREATED))),
          written=[Write(None, Y, "1")]),
    Story("two such writes, one of which happened and was seen by two",
          (EVERYTHING, Watching("v", 0), told(Y2), told(Y2, to="v")),
          written=[Write(None, Y, "1"), Write(None, Y, "1")]),
    Story("or did not", (EVERYTHING, told(X1), Progressed("w", 9)),
          written=[Write(1, X, "1"), Write(None, Y, "1")]),
    Story("what was there before a doubtful write came or not is not known",
          (Watching("w", 2), told(WatchEvent(3, Y, CHANGED, "3", "2"))),
          written=[Write(1, Y, "1"), Write(None, Y, "2"), Write(3, Y, "3")]),
    Story("a deletion that was never answered", (EVERYTHING, told(X1), told(WatchEvent(2, X, DELETED))),
          written=[Write(1, X, "1"), Write(None, X, deleted=True)]),
)  # fmt: skip

UNDER = under()


def broken(name: str, wrong: str, *records: WatchRecord, settled: int | None = None) -> Story:
    return Story(name, records, frozenset({wrong}), settled=settled)


BROKEN = (
    broken("older after newer", "out of order", UNDER, told(Y2), told(X1), told(X3, Y3)),
    broken("older after newer in one message", "out of order", UNDER, told(Y2, X1), told(X3, Y3)),
    broken("again in another message", "doubled", UNDER, told(X1), told(X1)),
    broken("again in the same message", "doubled", UNDER, told(X1, X1)),
    broken("again later", "doubled", UNDER, told(X1), told(Y2), told(X1), told(X3, Y3)),
    broken("half a transaction, then the other half", "split revision",
           UNDER, told(X1, Y2), told(X3), told(Y3)),
    broken("one revision is left out", "gap", UNDER, told(X1), told(X3, Y3)),
    broken("the first is left out", "gap", UNDER, told(Y2)),
    broken("half a transaction never comes", "gap", UNDER, told(X1, Y2), told(X3), told(X5)),
    broken("nor at the end", "gap", UNDER, told(X1, Y2), told(X3)),
    broken("of one who left", "gap", UNDER, told(X1), told(X3, Y3), Ended("w")),
    broken("of one who then went on elsewhere", "gap",
           UNDER, told(X1), told(X3, Y3), under(after=3), told(X5)),
    Story("of two changes of one key in a transaction one is left out",
          (UNDER, told(WatchEvent(1, X, CREATED, "1")), told(WatchEvent(2, X, CHANGED, "3"))),
          frozenset({"gap"}), written=[Write(1, X, "1"), Write(1, X, "2"), Write(2, X, "3")]),
    broken("nothing more comes, though all had its time", "gap", UNDER, told(X1, Y2), settled=6),
    broken("nothing comes at all", "gap", UNDER, settled=6),
    broken("what followed the break is lost", "lost on resuming",
           UNDER, told(X1), told(Y2), under(after=2), told(X5)),
    broken("a gap after going on is a gap", "gap",
           UNDER, told(X1), told(Y2), under(after=2), told(X3, Y3), told(X6)),
    broken("what was seen before the break comes again", "doubled on resuming",
           UNDER, told(X1), told(Y2), under(after=2), told(Y2), told(X3, Y3)),
    broken("older than what was asked for", "too early", under(after=2), told(Y2), told(X3, Y3)),
    broken("progress over what was not told", "untruthful progress", UNDER, told(X1), Progressed("w", 3)),
    broken("the missing one comes afterwards", "untruthful progress",
           UNDER, told(X1), Progressed("w", 2), told(Y2)),
    broken("and is not counted a second time", "untruthful progress",
           UNDER, told(X1), Progressed("w", 2), told(X3, Y3)),
    broken("progress goes back", "untruthful progress",
           UNDER, told(X1, Y2), Progressed("w", 2), Progressed("w", 1)),
    broken("of another key", "not asked for", UNDER, told(X1, Y2, X3, Y3), told(B4)),
    broken("of another kind", "not asked for",
           Watching("w", 0, "/a/", prefix=True, kinds=frozenset({DELETED})), told(X1)),
    broken("of a revision that was another's", "never written", UNDER, told(WatchEvent(4, X, CHANGED, "9"))),
    broken("another value", "wrong value", UNDER, told(WatchEvent(1, X, CREATED, "9"))),
    broken("created, though it was there", "wrong kind",
           UNDER, told(X1, Y2), told(WatchEvent(3, X, CREATED, "2"), Y3)),
    broken("changed, though it was not there", "wrong kind", UNDER, told(WatchEvent(1, X, CHANGED, "1"))),
    broken("changed, though it was deleted just before", "wrong kind",
           under(after=4), told(X5), told(WatchEvent(6, X, CHANGED, "3"))),
    broken("deleted, though it was written", "wrong kind", UNDER, told(WatchEvent(1, X, DELETED))),
    broken("another value before", "wrong previous value",
           UNDER, told(X1, Y2), told(WatchEvent(3, X, CHANGED, "2", "9"), Y3)),
    broken("a value before, though there was none", "wrong previous value",
           UNDER, told(WatchEvent(1, X, CREATED, "1", "9"))),
    Story("a write that was never answered was seen by one and not by the other",
          (EVERYTHING, Watching("v", 0), told(X1), told(Y2), told(X1, to="v"), Progressed("v", 2)),
          frozenset({"untruthful progress"}), written=[Write(1, X, "1"), Write(None, Y, "1")]),
    Story("a write that was never answered happened twice",
          (EVERYTHING, told(X1), told(Y2), told(WatchEvent(3, Y, CHANGED, "1"))),
          frozenset({"never written"}), written=[Write(1, X, "1"), Write(None, Y, "1")]),
    Story("and with another value", (EVERYTHING, told(WatchEvent(2, Y, CREATED, "9"))),
          frozenset({"never written"}), written=[Write(None, Y, "1")]),
    Story("a doubtful write that was seen leaves no doubt",
          (EVERYTHING, told(X1, WatchEvent(2, X, CHANGED, "2"), WatchEvent(3, X, CHANGED, "3", "1"))),
          frozenset({"wrong previous value"}),
          written=[Write(1, X, "1"), Write(None, X, "2"), Write(3, X, "3")]),
    Story("and was a deletion", (EVERYTHING, told(X1), told(WatchEvent(2, X, CHANGED))),
          frozenset({"never written"}), written=[Write(1, X, "1"), Write(None, X, deleted=True)]),
)  # fmt: skip

STORIES = (*KEPT, *BROKEN)
