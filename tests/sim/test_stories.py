"""The plays come to what they tell of, and the pictures in the documentation are what the code draws."""
from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agreed.check.explain.space_time import MarkKind
from agreed.consensus import protocols
from agreed.sim.stories.drawing import svg
from agreed.sim.stories.plays import PLAYS
from agreed.sim.stories.stage import Log, Stage, Story

DIAGRAMS = Path(__file__).resolve().parents[2] / "docs" / "diagrams"


def last_logs(story: Story) -> dict[str, str]:
    """What lies on each disk at the end, "." for an entry without content."""
    found: dict[str, Log] = {log.lane: log for log in story.logs}
    return {name: "".join(slot.text or "." for slot in log.slots) for name, log in found.items()}


def said(story: Story, words: str) -> list[tuple[str, str]]:
    return [(each.source, each.target) for each in story.messages if words in each.label]


@pytest.fixture(scope="module", params=PLAYS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_protocol_has_its_story() -> None:
    assert tuple(PLAYS) == protocols.NAMES


def test_a_story_is_short_and_somebody_else_leads_in_the_end(name: str) -> None:
    story = PLAYS[name]()
    assert 5 <= len(story.messages) <= 30
    led = [mark.lane for mark in story.marks if mark.kind is MarkKind.SPAN]
    crashed = [mark.lane for mark in story.marks if mark.kind is MarkKind.CRASH]
    assert len(led) == 2
    assert crashed == led[:1] != led[1:]


def test_rafts_old_leader_loses_what_nobody_else_has() -> None:
    story = PLAYS["raft"]()
    assert {log.slots[-1].text for log in story.logs if log.lane == "n1"} >= {"b", "c"}
    assert last_logs(story) == dict.fromkeys(("n1", "n2", "n3"), ".a.d")
    assert said(story, "RequestVote t2") == [("n2", "n3")]


def test_multipaxos_proposes_again_what_phase_1_finds_and_fills_the_hole_before_it() -> None:
    story = PLAYS["multipaxos"]()
    assert said(story, "Promise 2.n2: 4=c (1.n1)") == [("n3", "n2")]
    assert any("?" in [slot.text for slot in log.slots] for log in story.logs)
    assert last_logs(story) == {"n1": ".abc", "n2": ".a.c.", "n3": ".a.c."}


def test_a_view_change_keeps_what_a_majority_had() -> None:
    story = PLAYS["vr"]()
    assert said(story, "DoViewChange v2: log v1, ends at 3, 3=b") == [("n1", "n3")]
    assert last_logs(story)["n3"] == ".ab."


def test_zab_truncates_what_was_not_part_of_the_history() -> None:
    story = PLAYS["zab"]()
    assert said(story, "TRUNC to 1.2") == [("n2", "n3")]
    assert last_logs(story) == dict.fromkeys(("n1", "n2", "n3"), ".a.")


def test_the_pictures_in_the_documentation_are_what_the_code_draws(name: str) -> None:
    drawn = svg(PLAYS[name]())
    assert (DIAGRAMS / f"{name}.svg").read_text(encoding="utf-8") == drawn, (
        "draw them again: python tools/draw_stories.py"
    )


def test_a_picture_stands_on_its_own(name: str) -> None:
    """Well-formed, with a title for who cannot see it, and nothing is fetched or run."""
    text = svg(PLAYS[name]())
    picture = ElementTree.fromstring(text)
    assert next(iter(picture)).tag.endswith("}title")
    assert not re.search(r"<script|href|url\(|@import", text)


def test_each_arrow_of_a_story_is_drawn(name: str) -> None:
    story = PLAYS[name]()
    text = svg(story)
    ways = {(each.source, each.target, each.sent, each.received is None) for each in story.messages}
    assert text.count('class="arrow') == len(ways)
    assert text.count("<polygon") == sum(not lost for *_, lost in ways)


def test_what_never_comes_is_told() -> None:
    stage = Stage(protocols.RAFT)
    with pytest.raises(AssertionError, match="never came to that"):
        stage.run(until=lambda: False)
