"""One-shot watches: each promise kept and broken; a checker that overlooks one is caught; and at random."""
from __future__ import annotations

import types
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

import agreed.check.watches.one_event as module
from agreed.check.verdict import Verdict
from agreed.check.watches import (
    FiredKind,
    Forgotten,
    OneShotRecord,
    Seen,
    WatchFired,
    WatchOf,
    WatchSet,
    Write,
    one_shot,
)

CREATED, CHANGED, DELETED, CHILDREN = FiredKind

WRITTEN = (
    Write(1, "/a"),
    Write(2, "/a", "1"),
    Write(3, "/a/x"),
    Write(4, "/a", "2"),
    Write(5, "/a/x", "1"),
    Write(6, "/a/x", deleted=True),
    Write(7, "/b"),
    Write(8, "/a", deleted=True),
    Write(9, "/a"),
    Write(10, "/c"),
    Write(11, "/c", deleted=True),
    Write(12, "/top"),
)


def data(path: str, seen: int, client: str = "c", resumed: bool = False) -> WatchSet:
    return WatchSet(client, path, WatchOf.DATA, seen, resumed)


def children(path: str, seen: int, client: str = "c", resumed: bool = False) -> WatchSet:
    return WatchSet(client, path, WatchOf.CHILDREN, seen, resumed)


def fired(path: str, kind: FiredKind, revision: int | None = None, client: str = "c") -> WatchFired:
    return WatchFired(client, path, kind, revision)


def seen(revision: int, client: str = "c") -> Seen:
    return Seen(client, revision)


class Story(NamedTuple):
    name: str
    records: Sequence[OneShotRecord]
    wrong: frozenset[str] = frozenset()
    written: Sequence[Write] = WRITTEN
    initial: Collection[str] | None = ()


def kept(name: str, *records: OneShotRecord) -> Story:
    return Story(name, records)


def broken(name: str, wrong: str, *records: OneShotRecord) -> Story:
    return Story(name, records, frozenset({wrong}))


KEPT = (
    kept("nobody watches", seen(1), seen(8)),
    kept("nothing was seen of the change yet", data("/a", 2), seen(3)),
    kept("the event, then the reply that shows it", data("/a", 2), fired("/a", CHANGED, 4), seen(4)),
    kept("the zxid is not told", data("/a", 2), fired("/a", CHANGED), seen(4)),
    kept("set again after it was used up",
         data("/a", 1), fired("/a", CHANGED, 2), data("/a", 2), fired("/a", CHANGED, 4), seen(4)),
    kept("set twice is set once", data("/a", 2), data("/a", 3), fired("/a", CHANGED, 4), seen(9)),
    kept("what is used up does not fire again", data("/a", 1), fired("/a", CHANGED, 2), seen(8)),
    kept("of a node that is not there yet", data("/b", 6), fired("/b", CREATED, 7), seen(7)),
    kept("of a node that goes", data("/a", 4), fired("/a", DELETED, 8), seen(8)),
    kept("a child comes", children("/a", 2), fired("/a", CHILDREN, 3), seen(3)),
    kept("a child goes", children("/a", 3), fired("/a", CHILDREN, 6), seen(6)),
    kept("what a child holds is nothing to its parent", children("/a", 4), seen(5)),
    kept("the parent itself goes", children("/a", 6), fired("/a", DELETED, 8), seen(8)),
    kept("what the parent holds is no change of its children", children("/a", 3), seen(5)),
    kept("children of the root", children("/", 11), fired("/", CHILDREN, 12), seen(12)),
    kept("one event of a deletion uses up both",
         data("/a", 6), children("/a", 6), fired("/a", DELETED, 8), seen(8)),
    kept("an event of the children leaves the data watched",
         data("/a", 2), children("/a", 2), fired("/a", CHILDREN, 3), fired("/a", CHANGED, 4), seen(4)),
    kept("clients have watches of their own",
         data("/a", 2), data("/a", 2, "d"), fired("/a", CHANGED, 4), seen(4), seen(3, "d"),
         fired("/a", CHANGED, 4, "d"), seen(4, "d")),
    kept("a connection breaks, and all is forgotten", data("/a", 2), Forgotten("c"), seen(9)),
    kept("a watch is removed", data("/a", 2), data("/b", 2), Forgotten("c", "/a"), seen(6),
         fired("/b", CREATED, 7), seen(9)),
    kept("forgotten and set again",
         data("/a", 2), Forgotten("c"), data("/a", 4), fired("/a", DELETED, 8), seen(8)),
    kept("set anew after a reconnect: what happened meanwhile is told at once",
         data("/a", 2), Forgotten("c"), data("/a", 2, resumed=True), fired("/a", CHANGED), seen(5)),
    kept("as one event of what came of it",
         data("/a", 2), Forgotten("c"), data("/a", 2, resumed=True), fired("/a", DELETED), seen(8)),
    kept("gone and come again is changed",
         data("/a", 4), Forgotten("c"), data("/a", 4, resumed=True), fired("/a", CHANGED), seen(9)),
    kept("so are its children",
         children("/a", 7), Forgotten("c"), children("/a", 7, resumed=True), fired("/a", CHILDREN), seen(9)),
    kept("come and gone is nothing", data("/c", 9), Forgotten("c"), data("/c", 9, resumed=True), seen(12)),
    kept("come meanwhile",
         data("/b", 6), Forgotten("c"), data("/b", 6, resumed=True), fired("/b", CREATED), seen(9)),
    kept("nothing happened meanwhile",
         data("/a", 2), Forgotten("c"), data("/a", 2, resumed=True), fired("/a", CHANGED, 4), seen(4)),
    Story("a write that was never answered may have fired it",
          (data("/a", 2), fired("/a", CHANGED), seen(9)), written=[Write(1, "/a"), Write(None, "/a", "1")]),
    Story("or not", (data("/a", 2), seen(9)), written=[Write(1, "/a"), Write(None, "/a", "1")]),
    Story("a child that may have come",
          (children("/a", 2), fired("/a", CHILDREN)), written=[Write(1, "/a"), Write(None, "/a/x")]),
    Story("a parent that may have gone",
          (children("/a", 2), fired("/a", DELETED)),
          written=[Write(1, "/a"), Write(None, "/a", deleted=True)]),
    Story("come, and perhaps gone while nobody watched",
          (data("/c", 9), Forgotten("c"), data("/c", 9, resumed=True), seen(12)),
          written=[Write(10, "/c"), Write(None, "/c", deleted=True)]),
    Story("perhaps come, and gone while nobody watched",
          (data("/c", 9), Forgotten("c"), data("/c", 9, resumed=True), seen(12)),
          written=[Write(None, "/c"), Write(11, "/c", deleted=True)]),
    Story("gone, and perhaps it had come while nobody watched",
          (data("/c", 9), Forgotten("c"), data("/c", 9, resumed=True), seen(12)),
          written=[Write(10, "/c"), Write(11, "/c", deleted=True)], initial=None),
    Story("whether a node was there before is not known", (children("/a", 4), seen(9)),
          written=[Write(5, "/a/x")], initial=None),
    Story("nor whether it came", (children("/a", 4), fired("/a", CHILDREN, 5), seen(9)),
          written=[Write(5, "/a/x")], initial=None),
    Story("nor what a change was", (data("/a/x", 4), fired("/a/x", CREATED, 5), seen(9)),
          written=[Write(5, "/a/x")], initial=None),
    Story("it was there before", (children("/a", 4), data("/a/x", 4), fired("/a/x", CHANGED, 5), seen(9)),
          written=[Write(5, "/a/x")], initial=["/a/x"]),
)  # fmt: skip

BROKEN = (
    broken("two events", "fired twice", data("/a", 2), fired("/a", CHANGED, 4), fired("/a", CHANGED, 4)),
    broken("an event after the watch that followed was forgotten", "fired without a watch",
           data("/a", 2), fired("/a", CHANGED, 4), data("/a", 4), Forgotten("c"), fired("/a", DELETED, 8)),
    broken("two events of a deletion", "fired twice",
           data("/a", 6), children("/a", 6), fired("/a", DELETED, 8), fired("/a", DELETED, 8)),
    broken("nobody watched", "fired without a watch", fired("/a", CHANGED, 4)),
    broken("nobody watched that node", "fired without a watch", data("/a", 2), fired("/b", CREATED, 7)),
    broken("nobody watched the data", "fired without a watch", children("/a", 1), fired("/a", CHANGED, 2)),
    broken("nobody watched the children", "fired without a watch", data("/a", 2), fired("/a", CHILDREN, 3)),
    broken("the watch was forgotten", "fired without a watch",
           data("/a", 2), Forgotten("c"), fired("/a", CHANGED, 4)),
    broken("it was another client's", "fired without a watch", data("/a", 2), fired("/a", CHANGED, 4, "d")),
    broken("the reply came first", "fired too late", data("/a", 2), seen(4), fired("/a", CHANGED, 4)),
    broken("something newer came first", "fired too late", data("/a", 2), seen(7), fired("/a", CHANGED, 4)),
    broken("the reply to another read came first", "fired too late",
           data("/a", 2), data("/b", 4), fired("/a", CHANGED, 4)),
    broken("no event came", "missed", data("/a", 2), seen(4)),
    broken("no event came, then the connection broke", "missed", data("/a", 2), seen(4), Forgotten("c")),
    broken("no event came, and it was set again", "missed", data("/a", 2), data("/a", 4), seen(5)),
    broken("and the next one came", "missed", data("/a", 2), data("/a", 4), fired("/a", DELETED, 8), seen(8)),
    broken("after a watch of which nothing was known it was set again", "missed",
           data("/c", 9), Forgotten("c"), data("/c", 9, resumed=True), data("/c", 10), seen(12)),
    broken("no event of a child came", "missed", children("/a", 2), seen(3)),
    broken("no event of the parent came", "missed", children("/a", 6), seen(8)),
    broken("of the second of two watches", "missed",
           data("/a", 2), data("/b", 2), fired("/a", CHANGED, 4), seen(7)),
    broken("no event came after a reconnect", "missed",
           data("/a", 2), Forgotten("c"), data("/a", 2, resumed=True), seen(4)),
    broken("nothing happened", "fired without a change", data("/b", 7), fired("/b", CHANGED)),
    broken("nothing happened to its children", "fired without a change",
           children("/b", 7), fired("/b", CHILDREN)),
    broken("it was changed, not deleted", "wrong kind", data("/a", 2), fired("/a", DELETED, 4)),
    broken("it was created, not changed", "wrong kind", data("/b", 6), fired("/b", CHANGED, 7)),
    broken("it was deleted, not changed", "wrong kind", data("/a", 4), fired("/a", CHANGED, 8)),
    broken("a child came before it went", "wrong kind", children("/a", 2), fired("/a", DELETED, 8)),
    broken("after a reconnect too", "wrong kind",
           data("/a", 8), Forgotten("c"), data("/a", 8, resumed=True), fired("/a", DELETED)),
    broken("at another zxid", "wrong revision", data("/a", 2), fired("/a", CHANGED, 5)),
    broken("of a later change", "wrong revision", data("/a", 1), fired("/a", CHANGED, 4)),
    Story("perhaps come while nobody watched, but never gone",
          (data("/c", 9), Forgotten("c"), data("/c", 9, resumed=True), seen(12)), frozenset({"missed"}),
          written=[Write(None, "/c"), Write(10, "/c", "1")]),
    Story("perhaps gone while nobody watched, but first changed",
          (data("/c", 9), Forgotten("c"), data("/c", 9, resumed=True), seen(12)), frozenset({"missed"}),
          written=[Write(1, "/c"), Write(10, "/c", "1"), Write(11, "/c", deleted=True), Write(12, "/c")]),
    Story("the parent is perhaps gone, but a child had come",
          (children("/a", 2), Forgotten("c"), children("/a", 2, resumed=True), seen(4)),
          frozenset({"missed"}),
          written=[Write(None, "/a"), Write(3, "/a/x"), Write(None, "/a", deleted=True)]),
)  # fmt: skip

STORIES = (*KEPT, *BROKEN)


def judged(story: Story, judge: Callable[..., Verdict] = one_shot) -> frozenset[str]:
    verdict = judge(story.records, story.written, story.initial)
    assert verdict.holds == (not verdict.findings)
    return frozenset(finding.name for finding in verdict.findings)


@pytest.mark.parametrize("story", KEPT, ids=lambda story: story.name)
def test_it_is_accepted(story: Story) -> None:
    assert judged(story) == frozenset()


@pytest.mark.parametrize("story", BROKEN, ids=lambda story: story.name)
def test_it_is_refused_for_this_and_nothing_else(story: Story) -> None:
    assert judged(story) == story.wrong


def test_a_finding_says_what_happened() -> None:
    (finding,) = one_shot([data("/a", 2), seen(7)], WRITTEN, ()).findings
    assert finding.operations == (0, 1)
    assert finding.steps == (
        "c watches the data of /a since revision 2",
        "it was changed at revision 4, and a reply showed that revision or a newer one",
        "no event came",
    )


def test_records_can_be_written_down_and_read_again() -> None:
    for story in STORIES:
        lines = [msgspec.json.encode(record) for record in story.records]
        read: list[OneShotRecord] = [msgspec.json.decode(line, type=OneShotRecord) for line in lines]
        assert tuple(read) == tuple(story.records)


# --- checkers that overlook something, or see what is not there ---------------------------------------------

MUTANTS = [
    ("self.by_due[0][0] <= revision:", "self.by_due[0][0] < revision:"),
    ("self.by_due[0][0] <= revision:", "False:"),
    ("bisect_right(changes, record.seen, key", "bisect_right(changes, record.seen - 1, key"),
    ("bisect_right(changes, record.seen, key", "bisect_right(changes, record.seen + 1, key"),
    ("        self.saw(place, record.seen)\n", ""),
    ("        if watched in self.overdue:\n            self._missed(watched)\n        # If", "        # If"),
    ("self.held[watched] = held = _Held(", "held = self.held[watched] = self.held.get(watched) or _Held("),
    ("and self.held[watched].place == set_at:", ":"),
    ("        self.used.pop(watched, None)\n", ""),
    ("            if watched in self.overdue:\n                self._missed(watched)\n            else:\n",
     "            if True:\n"),
    ("if path in (None, each[0])]", "]"),
    ("if path in (None, each[0])]", "if path == each[0]]"),
    ("            watches.append(WatchOf.CHILDREN)\n", "            pass\n"),
    ("if event.kind is FiredKind.CHILDREN else [WatchOf.DATA]", "if False else [WatchOf.DATA]"),
    ("        if not using:\n            before", "        if False:\n            before"),
    ("            self.used[watched] = place\n", ""),
    ("if reply is not None:", "if False:"),
    ("elif not self.changes.doubtful(held.record):", "else:"),
    ("if not kinds:", "if False:"),
    ("elif event.kind not in kinds:", "elif False:"),
    ("event.revision is not None and event.revision not in revisions", "False"),
    ("event.revision is not None and event.revision not in revisions", "event.revision not in revisions"),
    ("kinds |= {_AS_ONE[kind] for kind in kinds if kind in _AS_ONE}", "pass"),
    ("        if held.record.resumed:\n            kinds |=", "        if True:\n            kinds |="),
    ("if record.resumed:\n            return", "if False:\n            return"),
    ("None if self._may_be_absent_as_before(record, changes[begin:]) else last", "last"),
    ("None if self._may_be_absent_as_before(record, changes[begin:]) else last", "None"),
    (" for change in since if change.revision == since[0].revision}", " for change in since}"),
    ("FiredKind.CREATED in first or ", ""),
    (" or record.path in self._perhaps_made", ""),
    ("return came and (went or record.path in self._perhaps_deleted)", "return came and went"),
    ("return came and (went or record.path in self._perhaps_deleted)", "return came"),
    ("        if record.watches is WatchOf.CHILDREN:\n            return False\n", ""),
    ("if change is not Change.CHANGED:", "if True:"),
    ("if change is Change.DELETED:", "if False:"),
    ("certain = len(fact.kinds) == 1", "certain = True"),
    ("certain = len(fact.kinds) == 1", "certain = False"),
    ('return path.rpartition("/")[0] or "/"', 'return path.rpartition("/")[0]'),
    ("self._doubtful.add((_parent(write.key), WatchOf.CHILDREN))", "pass"),
    ("{(write.key, WatchOf.DATA), (write.key, WatchOf.CHILDREN)}", "{(write.key, WatchOf.DATA)}"),
    ("{(write.key, WatchOf.DATA), (write.key, WatchOf.CHILDREN)}", "{(write.key, WatchOf.CHILDREN)}"),
    ("there: dict[str, object] | None = None if initial is None else", "there: dict[str, object] | None ="),
    ("dict.fromkeys(initial)", "{}"),
    ("return changes[begin : bisect_right(changes, last, key=lambda change: change.revision)], last",
     "return changes[begin:], last"),
]  # fmt: skip
"""A line of `one_event`, and what an inattentive author could have written there."""


def broken_judge(change: tuple[str, str] | None) -> Callable[..., Verdict]:
    assert module.__file__ is not None
    source = Path(module.__file__).read_text(encoding="utf-8")
    if change is not None:
        assert source.count(change[0]) == 1, f"where is {change[0]!r}?"
        source = source.replace(*change)
    mutant = types.ModuleType(module.__name__)
    # The stories are made of the real records; only what judges them is another.
    body = source.replace("def one_shot(", "from agreed.check.watches import *\n\n\ndef one_shot(")
    exec(compile(body, module.__file__, "exec"), mutant.__dict__)
    judge: Callable[..., Verdict] = mutant.__dict__["one_shot"]
    return judge


def caught(judge: Callable[..., Verdict]) -> list[str]:
    """The stories that it judges wrongly."""
    wrongly = []
    for story in STORIES:
        try:
            found = judged(story, judge)
        except Exception as failure:
            found = frozenset({type(failure).__name__})
        if found != story.wrong:
            wrongly.append(story.name)
    return wrongly


@pytest.mark.parametrize("change", MUTANTS, ids=lambda change: " -> ".join(change)[:100])
def test_a_broken_checker_is_caught(change: tuple[str, str]) -> None:
    assert caught(broken_judge(change))


def test_a_checker_that_is_not_broken_is_not_caught() -> None:
    assert caught(broken_judge(None)) == []
