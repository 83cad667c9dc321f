"""The stories of Multi-Paxos; how they are told stands in `story.py`.

`3@65` is the value of slot 3 that was first proposed under ballot 65, `3@65/129` the same, accepted under
ballot 129, and `3@-` an empty slot.  Ballots 64, 128, ... are n1's, 65, 129, ... n2's, 66, 130, ... n3's.
"""

from __future__ import annotations

from pathlib import Path

from agreed.consensus.multipaxos.config import MultiPaxosConfig
from tests.consensus import story
from tests.consensus.multipaxos.stage import Stage
from tests.consensus.story import stories


class Play(story.Play):
    def cluster(self, names: tuple[str, ...], knobs: dict[str, int]) -> Stage:
        return Stage(names, MultiPaxosConfig(**knobs))  # type: ignore[arg-type]


@stories(__file__)
def test_the_story_goes_as_told(path: Path) -> None:
    assert Play().retold(path) == path.read_text(encoding="utf-8")
