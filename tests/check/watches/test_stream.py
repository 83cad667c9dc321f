"""Watches that see every change: each promise kept and broken; and a checker that overlooks one is caught."""
from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import agreed.check.watches.records as records_module
import agreed.check.watches.stream as stream_module
from agreed.check.verdict import Outcome, Verdict
from agreed.check.watches import (
    Ended,
    Progressed,
    Watching,
    WatchRecord,
    Write,
    picture,
    watches,
)
from agreed.errors import MalformedInput
from tests.check.watches.gallery import BROKEN, KEPT, STORIES, WRITTEN, X1, X3, Y2, Y3, Story, told, under


def judged(story: Story, judge: Callable[..., Verdict] = watches) -> frozenset[str]:
    verdict = judge(story.records, story.written, story.initial, story.settled)
    assert verdict.holds == (not verdict.findings)
    return frozenset(finding.name for finding in verdict.findings)


@pytest.mark.parametrize("story", KEPT, ids=lambda story: story.name)
def test_it_is_accepted(story: Story) -> None:
    assert judged(story) == frozenset()


@pytest.mark.parametrize("story", BROKEN, ids=lambda story: story.name)
def test_it_is_refused_for_this_and_nothing_else(story: Story) -> None:
    assert judged(story) == story.wrong


@pytest.mark.parametrize("story", BROKEN, ids=lambda story: story.name)
def test_what_is_found_can_be_drawn(story: Story) -> None:
    verdict = watches(story.records, story.written, story.initial, story.settled)
    drawn = {operation.index for operation in picture(story.records, story.written)}
    for finding in verdict.findings:
        assert set(finding.operations) <= drawn
        assert any(place < len(story.records) for place in finding.operations)
        assert finding.steps


def test_a_finding_says_what_happened() -> None:
    verdict = watches([under(), told(X1), told(X3, Y3)], WRITTEN, {})
    (finding,) = verdict.findings
    assert finding.name == "gap"
    assert finding.steps == (
        "w watches from 0 on, and has seen revision 3",
        "it was not told of /a/y at revision 2",
    )
    assert finding.operations == (0, 3 + 1, 2), "the watch, the write that was not told, the last message"
    assert verdict.outcome is Outcome.VIOLATED
    assert verdict.reason == finding.steps[0]


def test_what_is_wrong_again_and_again_is_told_once() -> None:
    verdict = watches([under(), told(X1), told(X1), told(X1), told(Y2)], WRITTEN, {})
    (finding,) = verdict.findings
    assert finding.steps[-1] == "and 1 more like it"


def test_of_many_that_are_missing_the_first_are_named() -> None:
    written = [Write(number, "/a/x", str(number)) for number in range(1, 11)]
    verdict = watches([under(), Progressed("w", 10)], written, {})
    assert verdict.findings[0].steps[1:] == (
        "it was not told of /a/x at revision 1",
        "it was not told of /a/x at revision 2",
        "it was not told of /a/x at revision 3",
        "nor of 7 changes after these",
    )


@pytest.mark.parametrize("record", [told(X1), Progressed("w", 1), Ended("w")])
def test_who_does_not_watch_is_told_nothing(record: WatchRecord) -> None:
    with pytest.raises(MalformedInput):
        watches([record], WRITTEN)
    with pytest.raises(MalformedInput):
        watches([under(), Ended("w"), record], WRITTEN)


def test_records_can_be_written_down_and_read_again() -> None:
    for story in BROKEN:
        lines = [msgspec.json.encode(record) for record in story.records]
        read: list[WatchRecord] = [msgspec.json.decode(line, type=WatchRecord) for line in lines]
        assert judged(story._replace(records=read)) == story.wrong


# --- checkers that overlook something, or see what is not there ---------------------------------------------

MUTANTS = [
    ("event.revision < self.newest:", "False:"),
    ("event.revision < self.newest:", "event.revision <= self.newest:"),
    ("if number >= len(known):", "if False:"),
    ("if number >= len(known):", "if number >= 1:"),
    ("if first_message != place:", "if False:"),
    ("if first_message != place:", "if first_message != place or len(self.message_of) > 2:"),
    ("until = self.newest if settled is None else max(self.newest, settled)", "until = self.begun.after"),
    ("until = self.newest if settled is None else max(self.newest, settled)", "until = self.newest - 1"),
    ("until = self.newest if settled is None else max(self.newest, settled)", "until = self.newest"),
    ("until = self.newest if settled is None else max(self.newest, settled)", "until = self.newest + 1"),
    ("if event.revision <= self.begun.after:", "if False:"),
    ("if event.revision <= self.begun.after:", "if event.revision <= self.begun.after + 1:"),
    ('name = "doubled on resuming" if self.resumed else "too early"', 'name = "too early"'),
    ("lost = self.resumed and (", "lost = False and ("),
    ("missing[0].revision < self.first)", "True)"),
    ("if missing := self._missing(revision):", "if missing := []:"),
    ("if missing := self._missing(revision):", "if missing := self._missing(revision + 1):"),
    ("if revision < self.progress:", "if False:"),
    ("if revision < self.progress:", "if revision <= self.progress:"),
    ("self.complete_to = max(self.complete_to, revision)", "pass"),
    ("if not begun.covers(event.key) or event.kind not in begun.kinds:", "if False:"),
    ("if not begun.covers(event.key) or event.kind not in begun.kinds:", "if not begun.covers(event.key):"),
    ("if not begun.covers(event.key) or event.kind not in begun.kinds:", "if event.kind not in begun.kinds:"),
    ("if not self.begun.covers(fact.key) or not fact.kinds <= self.begun.kinds:", "if False:"),
    ("if not self.begun.covers(fact.key) or not fact.kinds <= self.begun.kinds:",
     "if not self.begun.covers(fact.key):"),
    ("if event.kind not in fact.kinds:", "if False:"),
    ("event.value is not UNSET and event.value != fact.value:", "False:"),
    ("event.value is not UNSET and event.value != fact.value:", "event.value != fact.value:"),
    ("if UNSET not in (event.previous, fact.previous) and event.previous != fact.previous:", "if False:"),
    ("if UNSET not in (event.previous, fact.previous) and event.previous != fact.previous:",
     "if event.previous != fact.previous:"),
    ("if not known:", "if False:"),
    ("                findings += _watch_of(open_watches, record.watcher).end()\n", ""),
    ("                del open_watches[record.watcher]\n", ""),
    ("                    findings += before.end()\n", "                    pass\n"),
    ("if due[fact.revision, fact.key] > self.told.get((fact.revision, fact.key), 0):",
     "if (fact.revision, fact.key) not in self.told:"),
]  # fmt: skip
"""A line of `stream`, and what an inattentive author could have written there."""

MUTANT_RECORDS = [
    ("if _tells_of(event, write):", "if False:"),
    ("if _tells_of(event, write):", "if True:"),
    ("perhaps.remove((number, write))", "pass"),
    ("known.add((event.revision, event.key))", "pass"),
    ("if (event.kind is Change.DELETED) != write.deleted:", "if False:"),
    ("return write.deleted or event.value is UNSET or event.value == write.value", "return True"),
    ("return write.deleted or event.value is UNSET or event.value == write.value",
     "return write.deleted or event.value == write.value"),
    ("(self.prefix and key.startswith(self.key))", "key.startswith(self.key)"),
    ("(self.prefix and key.startswith(self.key))", "False"),
    (" and write.key not in doubtful", ""),
    ("frozenset(key for key, perhaps in doubtful.items() if perhaps)", "frozenset(doubtful)"),
    ("if was_there or not told:", "if True:"),
    ("if was_there or not told:", "if was_there:"),
    ("kinds.remove(Change.CREATED if was_there else Change.CHANGED)", "pass"),
    ("before = present.get(write.key) if told else UNSET", "before = present.get(write.key)"),
    ("            present.pop(write.key, None)\n", ""),
    ("present: dict[str, object] = dict(initial or {})", "present: dict[str, object] = {}"),
    ("sorted(certain, key=lambda each: each[:2])", "certain[::-1]"),
]


def broken_judge(
    in_stream: tuple[str, str] | None, in_records: tuple[str, str] | None
) -> Callable[..., Verdict]:
    """`watches`, with one line of it changed."""
    records, stream = with_a_change(records_module, in_records), with_a_change(stream_module, in_stream)
    for name, thing in vars(records_module).items():
        if isinstance(thing, type):
            records[name] = thing  # the stories are made of these
    stream["facts"], stream["settle"] = records["facts"], records["settle"]
    judge: Callable[..., Verdict] = stream["watches"]
    return judge


def with_a_change(module: types.ModuleType, change: tuple[str, str] | None) -> dict[str, Any]:
    assert module.__file__ is not None
    source = Path(module.__file__).read_text(encoding="utf-8")
    if change is not None:
        assert source.count(change[0]) == 1, f"where is {change[0]!r}?"
        source = source.replace(*change)
    mutant = types.ModuleType(module.__name__)
    exec(compile(source, module.__file__, "exec"), mutant.__dict__)
    return mutant.__dict__


@pytest.mark.parametrize("change", MUTANTS, ids=lambda change: " -> ".join(change)[:100])
def test_a_broken_checker_is_caught(change: tuple[str, str]) -> None:
    assert caught(broken_judge(change, None))


@pytest.mark.parametrize("change", MUTANT_RECORDS, ids=lambda change: " -> ".join(change)[:100])
def test_a_broken_reading_of_what_was_written_is_caught(
    change: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    covers = with_a_change(records_module, change)["Watching"].covers
    monkeypatch.setattr(Watching, "covers", covers)
    assert caught(broken_judge(None, change))


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


def test_a_checker_that_is_not_broken_is_not_caught() -> None:
    assert caught(broken_judge(None, None)) == []
