"""When two servers, one of which is right, disagree for certain.

A difference must show again in a second play to count as one; then its script is shrunk; and then it is
played some more, because a race can show twice in a row.  What does not show again is kept apart: as
`excused`, where a `Pair` has a reason why it may come and go, else as `unsteady`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol

from tests.differential.script import AScript
from tests.differential.shrink import shrink

PLAYS_OF_A_DIFFERENCE = 8


class Difference(Protocol):
    """`str` of it says what was expected and what came, in lines that are indented by eight but for the
    first."""

    @property
    def kind(self) -> str:
        """What scripts have in common that likely show the same mistake."""


class Played(NamedTuple):
    """`answers`: what the tested server said, in a form that can be compared with another play's."""

    differences: Sequence[Difference]
    answers: object


@dataclass
class Disagreement(Generic[AScript]):
    script: AScript
    differences: Sequence[Difference]

    def __str__(self) -> str:
        steps = "\n".join(f"    {line}" for line in self.script.lines())
        what = "\n".join(f"    {difference}" for difference in self.differences[:6])
        return (
            f"seed {self.script.seed}, {len(self.script.steps)} steps:\n{steps}\n  differences:\n{what}\n"
            f"  to play it again, keep this line in a file and give it to --replay:\n"
            f"    {self.script.to_json().decode()}"
        )

    @property
    def kind(self) -> str:
        return self.differences[0].kind


class Pair(ABC, Generic[AScript]):
    """Two servers that are given the same scripts: one that is right, and the tested one."""

    @abstractmethod
    def draw(self, seed: str) -> AScript: ...

    @abstractmethod
    def read(self, data: bytes) -> AScript:
        """A script that was kept."""

    @abstractmethod
    def play(self, script: AScript, *, patient: bool = False) -> Played:
        """`patient`: wait for what may come late, where that is known to happen."""

    def late(self) -> tuple[AScript, Played] | None:
        """An earlier script, played without patience, that is known better by now."""
        return None

    def excuse(self, script: AScript, *, same_answers: bool) -> str | None:
        """Why a difference may come and go without anybody being wrong.  `same_answers`: the tested server
        said the same each time."""
        return None

    def close(self) -> None:
        """Nothing more will be played."""


class Comparison(Generic[AScript]):
    def __init__(self, pair: Pair[AScript]) -> None:
        self.pair = pair
        self.unsteady: list[Disagreement[AScript]] = []
        self.excused: Counter[str] = Counter()

    def check(self, script: AScript, *, shrinking: bool = True) -> Disagreement[AScript] | None:
        """What is found in this script, or late in an earlier one; None: nothing, or nothing for certain."""
        played = self.pair.play(script)
        script, played = self.pair.late() or (script, played)
        if not played.differences:
            return None
        if not self._comes_again(script, played, times=1):
            return None
        if shrinking:
            script, played = self._shrunk(script, played)
            if not self._comes_again(script, played, times=PLAYS_OF_A_DIFFERENCE):
                return None
        return Disagreement(script, played.differences)

    def _comes_again(self, script: AScript, first: Played, times: int) -> bool:
        """Play it so often; once without a difference, and it is kept apart."""
        plays = [first]
        while plays[-1].differences and len(plays) <= times:
            plays.append(self.pair.play(script, patient=True))
        if plays[-1].differences:
            return True
        same_answers = all(played.answers == first.answers for played in plays)
        excuse = self.pair.excuse(script, same_answers=same_answers)
        if excuse is not None:
            self.excused[excuse] += 1
        else:
            self.unsteady.append(Disagreement(script, plays[-2].differences))
        return False

    def _shrunk(self, script: AScript, played: Played) -> tuple[AScript, Played]:
        """The shortest script found, and the play in which it showed a difference."""

        def fails(candidate: AScript) -> bool:
            nonlocal played
            again = self.pair.play(candidate, patient=True)
            if again.differences:
                played = again
            return bool(again.differences)

        return shrink(script, fails), played
