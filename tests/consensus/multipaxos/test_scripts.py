"""Stories in plain text: commands, a line `---`, and what the machines then did.

    GOLDEN=rewrite pytest tests/consensus/multipaxos/test_scripts.py

rewrites what is expected; read the diff before you commit it.  A story's file name is its sentence.  What
happens in the first block is not told: it sets the scene.

`3@65` is the value of slot 3 that was first proposed under ballot 65, `3@65/129` the same, accepted under
ballot 129, and `3@-` an empty slot.  Ballots 64, 128, ... are n1's, 65, 129, ... n2's, 66, 130, ... n3's.
"""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from agreed.consensus.machine import PeerLost, Proposed, ReadRequested, TransferRequested
from agreed.consensus.multipaxos.config import MultiPaxosConfig
from tests.consensus.multipaxos.stage import Stage

SCRIPTS = Path(__file__).parent / "scripts"


class Play:
    """One script on one stage."""

    def __init__(self) -> None:
        self.stage = Stage((), MultiPaxosConfig())
        self.ticket = 0

    def do(self, command: str, *words: str) -> None:
        stage = self.stage
        match command:
            case "cluster":
                self.stage = Stage(words, MultiPaxosConfig())
            case "time" | "live":
                getattr(stage, command)(int(words[0]), *words[1:])
            case "propose":
                stage.turn(words[0], *(Proposed(word.encode()) for word in words[1:]))
            case "read":
                self.ticket += 1
                stage.turn(words[0], ReadRequested(self.ticket))
            case "transfer":
                stage.turn(words[0], TransferRequested(words[1]))
            case "lost":
                stage.turn(words[0], PeerLost(words[1]))
            case "restart":
                stage.start(words[0])
            case "deliver" | "lose" | "sync" | "stabilize" | "crash" | "status":
                getattr(stage, command)(*words)
            case _:
                raise ValueError(f"unknown command: {command} {words}")


def play(text: str) -> str:
    performance, told = Play(), []
    for number, block in enumerate(text.strip().split("\n\n")):
        asked = block.split("\n---")[0]
        performance.stage.lines = []
        for line in asked.splitlines():
            if not line.startswith("#"):
                performance.do(*line.split())
        told.append("\n".join([asked, "---", *performance.stage.lines]) if number else asked)
    return "\n\n".join(told) + "\n"


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_the_story_goes_as_told(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    told = play(text)
    if os.environ.get("GOLDEN") == "rewrite":
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")
