"""The stories of ZAB; how they are told stands in `story.py`."""

from __future__ import annotations

from pathlib import Path

from agreed.consensus.zab.config import ZabConfig
from tests.consensus import story
from tests.consensus.story import stories
from tests.consensus.zab.stage import Stage


class Play(story.Play):
    def cluster(self, names: tuple[str, ...], knobs: dict[str, int]) -> Stage:
        return Stage(names, ZabConfig(**knobs))  # type: ignore[arg-type]


@stories(__file__)
def test_the_story_goes_as_told(path: Path) -> None:
    assert Play().retold(path) == path.read_text(encoding="utf-8")
