"""Plays many scripts on two servers and reports where they disagree.

`Comparison.check` plays one script; a difference must show again in a second play to count as one, then the
script is shrunk.  What does not show again is kept apart: as `unsteady` if the tested server answered
differently the second time; as `swept` if that may be because upkeep took an emptied container away in the
middle of the script (ours looks for them every second, a real server every minute); as `reference_unsteady`
if only the reference changed its mind (pipelined access list changes race inside ZooKeeper).
"""
from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.acceptance.requests import Create, Multi
from tests.differential.compare import Difference, Line, PeerTraits, differences, normal_form
from tests.differential.generate import Generator
from tests.differential.play import Player, play_on_both
from tests.differential.script import Script, Send
from tests.differential.shrink import shrink


@dataclass
class Disagreement:
    script: Script
    found: list[Difference]

    def __str__(self) -> str:
        steps = "\n".join(f"    {line}" for line in self.script.lines())
        what = "\n".join(f"    {difference}" for difference in self.found[:6])
        return (
            f"seed {self.script.seed}, {len(self.script.steps)} steps:\n{steps}\n  differences:\n{what}\n"
            f"  to play it again, keep this line in a file and give it to --replay:\n"
            f"    {self.script.to_json().decode()}"
        )


PLAYS_OF_A_DIFFERENCE = 8


def makes_a_container(script: Script) -> bool:
    requests = [request for step in script.steps if isinstance(step, Send) for request in step.requests]
    parts = [part for request in requests if isinstance(request, Multi) for part in request.operations]
    creations = [request for request in (*requests, *parts) if isinstance(request, Create)]
    return any(creation.flags == 4 for creation in creations)


@dataclass
class Comparison:
    """`reference_port` is the server that is right."""

    reference_port: int
    port: int
    traits: PeerTraits
    prefix: str = "d"
    timeout_s: float = 10.0
    played: int = 0
    unsteady: list[Disagreement] = field(default_factory=list)
    swept: list[Disagreement] = field(default_factory=list)
    reference_unsteady: list[Disagreement] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = Player(self.reference_port, timeout_s=self.timeout_s)
        self._right = Player(self.port, timeout_s=self.timeout_s)
        self._left_form: list[Line] = []
        self._right_form: list[Line] = []

    def play(self, script: Script) -> list[Difference]:
        self.played += 1
        play_on_both(self._left, self._right, script, f"/{self.prefix}{self.played}")
        ended_ms = int(time.time() * 1000)
        self._left_form, self._right_form = (
            normal_form(player, script, event_zxids=self.traits.event_zxids, ended_ms=ended_ms)
            for player in (self._left, self._right)
        )
        return differences(self._left_form, self._right_form)

    def check(self, script: Script, *, shrinking: bool = True) -> Disagreement | None:
        found = self.play(script)
        if not found:
            return None
        right_form = self._right_form
        if not self.play(script):
            self._unsteady_kind(script, self._right_form == right_form).append(Disagreement(script, found))
            return None
        if not shrinking:
            return Disagreement(script, found)
        script = shrink(script, lambda candidate: bool(self.play(candidate)))
        return self._judge_again(script, found)

    def _judge_again(self, script: Script, found: list[Difference]) -> Disagreement | None:
        """A race can show twice in a row: after shrinking it is played until it does not, or long enough."""
        right_forms = []
        for _ in range(PLAYS_OF_A_DIFFERENCE):
            again = self.play(script)
            right_forms.append(self._right_form)
            if not again:
                same_answers = all(form == right_forms[0] for form in right_forms)
                self._unsteady_kind(script, same_answers).append(Disagreement(script, found))
                return None
            found = again
        return Disagreement(script, found)

    def _unsteady_kind(self, script: Script, same_answers: bool) -> list[Disagreement]:
        if same_answers:
            return self.reference_unsteady
        return self.swept if makes_a_container(script) else self.unsteady

    def draw(self, seed: str) -> Script:
        return Generator(seed, self.traits).script()
